#pragma once
#include "base/time.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace banyan::sim {

/// What clients saw of one counter to which each call adds 1: with that, every
/// linearizable, exactly-once history is easily told from any other. The n-th
/// addition answers n; a read answers how many came before it, a stale one how
/// many had come within its bound before it was asked for.
class counter_history {
public:
  struct event {
    time_point invoked;
    time_point answered;
    std::int64_t value = 0;
    bool stale = false; ///< a read that may be of the past,
    duration age_max{}; ///< by so much
  };
  void added(event e) { adds_.push_back(e); }
  void read(event e) { reads_.push_back(e); }
  /// An addition that was given up as having no effect.
  [[nodiscard]] std::size_t acknowledged() const { return adds_.size(); }

  /// All additions were acknowledged. What is wrong, or nothing.
  [[nodiscard]] std::vector<std::string> check() const;

private:
  std::vector<event> adds_;
  std::vector<event> reads_;
};

} // namespace banyan::sim
