#include "ledger.hpp"
