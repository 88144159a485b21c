#pragma once

namespace banyan {
class host_catalog;
}

namespace banyan::sim {

/// counter, greeter, hello, ledger, kv, list and the versions of a tally,
/// linked in. Apart from the rest because an app's headers and a node's never
/// meet in one file.
void add_apps(host_catalog& catalog);

} // namespace banyan::sim
