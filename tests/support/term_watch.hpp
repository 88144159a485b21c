#pragma once
#include "base/time.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

namespace banyan::test {

/// When a group's answers first bore a new term: what callers see of a
/// failover. Any thread.
class term_watch {
public:
  struct sighting {
    std::uint64_t term = 0;
    time_point at{};
  };

  void saw(std::uint64_t term) {
    const auto when = std::chrono::steady_clock::now();
    const std::lock_guard lock{mutex_};
    if (term <= newest_.term)
      return;
    newest_ = {term, when};
    changed_.notify_all();
  }
  /// The newest term's first answer once it is above `term`; nothing at the
  /// end of `limit`.
  std::optional<sighting> first_above(std::uint64_t term, duration limit) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, limit, [&] { return newest_.term > term; }))
      return std::nullopt;
    return newest_;
  }
  [[nodiscard]] std::uint64_t newest() const {
    const std::lock_guard lock{mutex_};
    return newest_.term;
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  sighting newest_;
};

} // namespace banyan::test
