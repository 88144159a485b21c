#include "hello.hpp"
