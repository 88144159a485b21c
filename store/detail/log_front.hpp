#pragma once
#include "store/detail/log_engine.hpp"
#include "store/log.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <unordered_map>

namespace banyan::store::detail {

/// The loop thread's half of a log: stamps orders, keeps the times of those
/// that wait, hands completions on.
class log_front {
public:
  explicit log_front(std::function<time_point()> now) : now_{std::move(now)} {}

  void on_done(log::done_handler handler) { handler_ = std::move(handler); }
  /// Wraps an order that will complete.
  log_order stamp(log_action action, const group_id& group) {
    waiting_.push_back(now_());
    log_order out{std::move(action), 0};
    if (const auto found = failures_.find(group); found != failures_.end())
      out.failures_seen = found->second;
    return out;
  }
  void deliver(const std::vector<log_done>& done) {
    for (const auto& d : done) {
      const auto given = waiting_.front();
      waiting_.pop_front();
      if (d.error && *d.error != store_errc::stale
          && *d.error != store_errc::io)
        ++failures_[d.order.group];
      if (d.error == store_errc::full)
        full_since_.emplace(d.order.group, given);
      else if (!d.error)
        full_since_.erase(d.order.group);
    }
    if (handler_ && !done.empty())
      handler_(done);
  }
  [[nodiscard]] time_point oldest_pending() const {
    auto oldest = waiting_.empty() ? never : waiting_.front();
    for (const auto& [group, since] : full_since_)
      oldest = std::min(oldest, since);
    return oldest;
  }

private:
  std::function<time_point()> now_;
  log::done_handler handler_;
  std::deque<time_point> waiting_;
  std::unordered_map<group_id, std::uint64_t> failures_;
  /// When the first of the orders was given that found no room, of groups that
  /// have written nothing since.
  std::unordered_map<group_id, time_point> full_since_;
};

} // namespace banyan::store::detail
