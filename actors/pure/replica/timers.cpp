#include "actors/pure/replica/timers.hpp"

namespace banyan::replica {

void timer_table::put(const_bytes row, timer t) {
  erase(row);
  const auto at = t.value.due;
  const auto it = timers_.emplace(row.copy(), std::move(t)).first;
  due_[{at, it->first}] = &it->second;
}
void timer_table::erase(const_bytes row) {
  const auto it = timers_.find(row.copy());
  if (it == timers_.end())
    return;
  due_.erase({it->second.value.due, it->first});
  timers_.erase(it);
}
const timer_table::timer* timer_table::find(const_bytes row) const {
  const auto it = timers_.find(row.copy());
  return it == timers_.end() ? nullptr : &it->second;
}
std::vector<bytes> timer_table::of_actor(std::string_view actor) const {
  const auto prefix = timer_row(actor, {});
  std::vector<bytes> out;
  for (auto it = timers_.lower_bound(prefix); it != timers_.end(); ++it) {
    if (it->first.size() < prefix.size()
        || const_bytes{it->first}.first(prefix.size()) != const_bytes{prefix})
      break;
    out.push_back(it->first);
  }
  return out;
}

} // namespace banyan::replica
