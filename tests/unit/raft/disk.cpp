// What a crash leaves of one replica.
#include "base/assert.hpp"
#include "network.hpp"

namespace banyan::raft_test {

void disk::write(const raft::persist& order) {
  if (order.reset) {
    base = *order.reset;
    entries.clear();
  }
  if (order.state)
    state = *order.state;
  if (order.entries.empty())
    return;
  const auto first = order.entries.front().index.value() - base.index.value();
  BANYAN_ASSERT(first >= 1 && first <= entries.size() + 1);
  entries.resize(first - 1);
  entries.insert(entries.end(), order.entries.begin(), order.entries.end());
}

const raft::configuration& disk::configuration_at(log_index i) const {
  const auto* found = &configurations.front();
  for (const auto& c : configurations)
    if (c.first <= i && c.first >= found->first)
      found = &c;
  return found->second;
}

raft::restart_state disk::restart() const {
  raft::restart_state r{state, base, {}, entries, applied.index};
  const auto last = base.index.value() + entries.size();
  // A snapshot may have been stored before the log heard of it.
  if (applied.index.value() > last
      || (applied.index > base.index
          && entries[applied.index.value() - base.index.value() - 1].term
                 != applied.term)) {
    r.base = applied;
    r.entries.clear();
  }
  r.configuration = configuration_at(r.base.index);
  return r;
}

raft::restart_state disk::log_alone() const {
  raft::restart_state r{state, base, {}, entries, base.index};
  if (base.index == log_index{})
    r.configuration = configurations.front().second;
  return r;
}

} // namespace banyan::raft_test
