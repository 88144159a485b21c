#include "sim/apps.hpp"

#include "actors/host/module.hpp"
#include "counter/counter.hpp"
#include "kv/kv.hpp"
#include "ledger/ledger.hpp"
#include "sim/list.hpp"

namespace banyan::sim {

void add_apps(host_catalog& catalog) {
  catalog.add(module_table<::counter>());
  catalog.add(module_table<::kv>());
  catalog.add(module_table<::ledger>());
  catalog.add(module_table<::list>());
}

} // namespace banyan::sim
