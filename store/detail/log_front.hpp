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
    waiting_.push_back({now_(), std::holds_alternative<log_drop>(action)});
    log_order out{std::move(action), 0};
    if (const auto found = failures_.find(group); found != failures_.end())
      out.failures_seen = found->second;
    return out;
  }
  void deliver(const std::vector<log_done>& done) {
    for (const auto& d : done) {
      const auto w = waiting_.front();
      waiting_.pop_front();
      if (d.error && *d.error != store_errc::stale
          && *d.error != store_errc::io)
        ++failures_[d.order.group];
      // Whoever drops a log gives nothing else to it, refused or not.
      if (!d.error || (w.drop && d.error == store_errc::full))
        full_.erase(d.order.group);
      else if (d.error == store_errc::full)
        meet_full(d.order.group, w.given);
    }
    if (handler_ && !done.empty())
      handler_(done);
  }
  [[nodiscard]] time_point oldest_pending() const {
    auto oldest = waiting_.empty() ? never : waiting_.front().given;
    const auto now = now_();
    for (const auto& [group, f] : full_)
      if (now - f.last < log::full_patience)
        oldest = std::min(oldest, f.since);
    return oldest;
  }

private:
  struct waiting {
    time_point given;
    bool drop = false;
  };
  struct full_group {
    time_point since; ///< when the first of the orders was given
    time_point last;  ///< when one came back
  };

  void meet_full(const group_id& group, time_point given) {
    const auto now = now_();
    for (auto at = full_.begin(); at != full_.end();)
      at = now - at->second.last < log::full_patience ? std::next(at)
                                                      : full_.erase(at);
    full_.try_emplace(group, full_group{given, now}).first->second.last = now;
  }

  std::function<time_point()> now_;
  log::done_handler handler_;
  std::deque<waiting> waiting_;
  std::unordered_map<group_id, std::uint64_t> failures_;
  /// Groups whose orders found no room, and that have written nothing since.
  std::unordered_map<group_id, full_group> full_;
};

} // namespace banyan::store::detail
