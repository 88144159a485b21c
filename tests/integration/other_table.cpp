// A module of a runtime that doesn't exist yet: table version 2.
#include <banyan/module.h>

static const banyan_module_v1 other = {2U, 0U, nullptr};

extern "C" const banyan_module_v1* banyan_module() {
  return &other;
}
