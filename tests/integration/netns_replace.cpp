#include "tests/integration/netns_scenarios.hpp"

namespace banyan::test {
namespace {

/// Shards of the app that count this node among their voters, in the view of
/// any other serving peer.
std::size_t voted_in(netns_world& w, const std::string& app, std::size_t host) {
  for (std::size_t i = 0; i < w.hosts.size(); ++i) {
    if (i == host || !w.mesh().serving(i))
      continue;
    const auto row = w.mesh().app(i, app);
    if (!row)
      continue;
    std::size_t n = 0;
    for (const auto& g : row->groups)
      for (const auto& v : g.voters)
        n += v.node == w.mesh().node(host) ? 1U : 0U;
    return n;
  }
  return 1; // nobody says
}

} // namespace

/// A host that stays away is replaced in each group that has somewhere to go;
/// it comes back while that goes on, or afterwards, and is a candidate again.
int netns_replace(netns_world::settings s) {
  s.replace_after = "1s";
  netns_world w{std::move(s)};
  w.begin();
  while (w.time_left()) {
    const auto gone =
        w.random() % 2 == 0 ? w.leader("kv", w.random() % 2) : w.any_host();
    const auto places = voted_in(w, "kv", gone) + voted_in(w, "ledger", gone);
    const auto way = w.random() % 3;
    if (way == 0) {
      w.mesh().kill(gone);
      w.struck("a host away: killed");
    } else if (way == 1) {
      w.hosts.isolate(gone);
      w.hosts.cut(net_hosts::hub, gone);
      w.struck("a host away: cut off");
    } else {
      w.hosts.isolate(gone); // its callers still reach it
      w.struck("a host away: cut off from the other hosts");
    }
    if (w.random() % 3 == 0) {
      w.dwell(900ms, 1600ms); // back in the middle of it
    } else if (!wait_until(
                   [&] {
                     return voted_in(w, "kv", gone)
                                + voted_in(w, "ledger", gone)
                            == 0;
                   },
                   15s, 50ms)) {
      w.complain("after 15 s a host that is away still counts as a voter");
    } else if (places > 0) {
      w.noted("replaced in all its groups");
    }
    if (way == 0)
      w.mesh().start(gone);
    w.heal();
    w.demand_health(15s);
  }
  return w.end();
}

} // namespace banyan::test
