#include "sim/apps.hpp"

#include "actors/host/module.hpp"
#include "counter/counter.hpp"
#include "hello/hello.hpp"
#include "kv/kv.hpp"
#include "ledger/ledger.hpp"
#include "sim/greeter.hpp"
#include "sim/list.hpp"
#include "sim/tally.hpp"

namespace banyan::sim {

void add_apps(host_catalog& catalog) {
  catalog.add(module_table<::counter>());
  catalog.add(module_table<::greeter>());
  catalog.add(module_table<::hello>());
  catalog.add(module_table<::kv>());
  catalog.add(module_table<::ledger>());
  catalog.add(module_table<::list>());
  catalog.add(module_table<::tally1>());
  catalog.add(module_table<::tally2>());
  catalog.add(module_table<::tally_throws>());
  catalog.add(module_table<::tally_trap>());
}

} // namespace banyan::sim
