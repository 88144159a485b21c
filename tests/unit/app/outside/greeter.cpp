#include "greeter.hpp"
