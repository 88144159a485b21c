#include "kv.hpp"
