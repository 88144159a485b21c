// A module of another table version.
#include <banyan/module.h>

namespace {
const banyan_module_v1 table = {2, 1, nullptr};
}
extern "C" __attribute__((visibility("default"))) const banyan_module_v1*
banyan_module() {
  return &table;
}
