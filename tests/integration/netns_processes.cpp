#include "tests/integration/netns_scenarios.hpp"

namespace banyan::test {
namespace {

/// A peer that is down or frozen; `recover` brings it back.
struct patient {
  std::size_t host = 0;
  bool frozen = false;
};

void recover(netns_world& w, const patient& p) {
  if (p.frozen)
    w.mesh().thaw(p.host);
  else
    w.mesh().start(p.host);
}

std::size_t healthy_host(netns_world& w, const std::vector<patient>& down) {
  for (;;) {
    const auto i = w.random() % 3 == 0 ? w.any_host() : w.leader("counter");
    bool taken = false;
    for (const auto& p : down)
      taken = taken || p.host == i;
    if (!taken)
      return i;
  }
}

} // namespace

int netns_kill_and_pause(netns_world::settings s) {
  netns_world w{std::move(s)};
  w.begin();
  std::vector<patient> down;
  while (w.time_left()) {
    const patient p{healthy_host(w, down), w.random() % 2 == 0};
    if (p.frozen)
      w.mesh().freeze(p.host);
    else
      w.mesh().kill(p.host);
    w.struck(p.frozen ? "SIGSTOP" : "kill -9");
    down.push_back(p);
    w.dwell(100ms, 1500ms);
    if (w.random() % 3 == 0) {
      const auto [a, b] = w.any_pair();
      w.hosts.cut(a, b);
      w.struck("a pair cut meanwhile");
    }
    while (!down.empty() && (down.size() == 2 || w.random() % 2 == 0)) {
      const auto back = down.front();
      down.erase(down.begin());
      recover(w, back);
      w.noted(back.frozen ? "SIGCONT" : "start again");
    }
    if (w.random() % 2 == 0)
      w.heal();
  }
  return w.end();
}

} // namespace banyan::test
