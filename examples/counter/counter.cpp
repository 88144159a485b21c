#include "counter.hpp"
