#include "actors/testing/sim/member_watch.hpp"

#include "actors/testing/sim/world.hpp"

namespace banyan::sim {

void member_watch::on_down(std::size_t machine) {
  for (auto it = dead_.begin(); it != dead_.end();)
    it = it->first.first == machine ? dead_.erase(it) : std::next(it);
}

void member_watch::look(world& w) {
  for (std::size_t n = 0; n < w.machines.size(); ++n) {
    if (!w.at(n).up() || w.at(n).paused())
      continue;
    const auto* members = w.at(n).peer().context().members;
    if (members == nullptr)
      continue;
    for (std::size_t m = 0; m < w.machines.size(); ++m) {
      const auto& who = w.at(m).id();
      const auto state = n == m ? std::nullopt : members->state_of(who);
      if (!state)
        continue;
      const auto at = dead_.find({n, m});
      if (*state == net::member_state::dead) {
        if (at == dead_.end() || at->second.first != who)
          if (const auto found = members->find(who))
            dead_[{n, m}] = {who, found->record.incarnation};
        continue;
      }
      if (at == dead_.end() || *state == net::member_state::left)
        continue;
      const auto found = members->find(who);
      if (at->second.first == who && found
          && found->record.incarnation <= at->second.second)
        problem_("machine " + std::to_string(n) + " takes machine "
                 + std::to_string(m)
                 + " for alive again in the incarnation in which it was dead");
      dead_.erase(at);
    }
  }
}

} // namespace banyan::sim
