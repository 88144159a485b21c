#pragma once
#include "base/assert.hpp"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace banyan::sim {

/// Events by the millisecond in which they are due. What is due in the same one
/// comes out in the order in which it went in; nothing goes in for one that is
/// over. Constant time each, whatever the number of events.
template <class Event>
class calendar {
public:
  using tick = std::int64_t;

  calendar() : near_(horizon) {}

  [[nodiscard]] tick now() const noexcept { return now_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  void push(tick due, Event event) {
    BANYAN_ASSERT(due >= now_);
    ++size_;
    if (due < now_ + horizon)
      near_[slot(due)].push_back(std::move(event));
    else
      far_[due].push_back(std::move(event));
  }

  /// Hands what is due until and at `end` to `run(Event&&)`, in order; that may
  /// push more. `now` is `end` then.
  template <class Run>
  void run_until(tick end, Run run) {
    for (;;) {
      auto& due = near_[slot(now_)];
      for (std::size_t i = 0; i < due.size(); ++i) { // it may grow meanwhile
        auto event = std::move(due[i]);
        --size_;
        run(std::move(event));
      }
      due = std::vector<Event>{}; // its memory too: not needed for long
      if (now_ >= end)
        return;
      if (size_ == 0) {
        now_ = end;
        return;
      }
      ++now_;
      take_in();
    }
  }

private:
  static constexpr tick horizon = 16'384;
  static std::size_t slot(tick t) { return std::size_t(t) % horizon; }

  /// The tick that the horizon has just reached.
  void take_in() {
    const auto first = far_.begin();
    if (first == far_.end() || first->first >= now_ + horizon)
      return;
    BANYAN_ASSERT(first->first == now_ + horizon - 1);
    auto& into = near_[slot(first->first)];
    BANYAN_ASSERT(into.empty());
    into = std::move(first->second);
    far_.erase(first);
  }

  std::vector<std::vector<Event>> near_;
  std::map<tick, std::vector<Event>> far_;
  tick now_ = 0;
  std::size_t size_ = 0;
};

} // namespace banyan::sim
