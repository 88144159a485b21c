#pragma once
#include "actors/pure/replica/entry_codec.hpp"

#include <map>
#include <set>

namespace banyan::replica {

/// Timers of the group's actors as rows say, in the order in which they are
/// due. Times are log time: a clock that jumps fires nothing.
class timer_table {
public:
  struct timer {
    std::string actor;
    bytes id;
    log_index set_at; ///< the entry that set it; another one replaces it
    timer_value value;
  };
  using by_due = std::map<std::pair<duration, bytes>, const timer*>;

  /// `row` is the row's key.
  void put(const_bytes row, timer t);
  void erase(const_bytes row);
  [[nodiscard]] const timer* find(const_bytes row) const;
  /// Row keys of all timers of an actor.
  [[nodiscard]] std::vector<bytes> of_actor(std::string_view actor) const;
  [[nodiscard]] const by_due& due() const noexcept { return due_; }
  [[nodiscard]] std::size_t size() const noexcept { return timers_.size(); }

private:
  std::map<bytes, timer> timers_; ///< by row key
  by_due due_;                    ///< (due, row key)
};

} // namespace banyan::replica
