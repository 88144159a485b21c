#include "sim/apps.hpp"

#include "actors/host/module.hpp"
#include "counter/counter.hpp"
#include "ledger/ledger.hpp"

namespace banyan::sim {

void add_apps(host_catalog& catalog) {
  catalog.add(module_table<::counter>());
  catalog.add(module_table<::ledger>());
}

} // namespace banyan::sim
