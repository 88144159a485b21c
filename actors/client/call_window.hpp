#pragma once
#include "base/time.hpp"

#include <cstddef>
#include <vector>

namespace banyan {

/// How many calls of one app a client gives to its peers at a time, and what
/// one of them usually takes.
///
/// The window follows what comes back, in rounds of 100 ms, or of one usual
/// latency where that is longer:
/// - refused as `overloaded`, more than a tenth: it goes towards half of what
///   was under way, by the share that was refused (as DCTCP does, RFC 8257),
///   down to one call; fewer are what one hot group makes;
/// - most calls took more than a quarter of their deadline, or a tenth more
///   than half of it, and most three times what the app took at its quickest:
///   the queue is at the peers, where it serves nobody. It shrinks by an
///   eighth, down to `slow_min`;
/// - otherwise it grows, if calls waited for it: by a quarter, or by an eighth
///   when some answers took so long; and what is used by less than half goes
///   back to where it began: a sudden flood is no reason to send all of it.
///
/// Pure; one per app and client.
class call_window {
public:
  static constexpr std::size_t size_start = 256;
  static constexpr std::size_t size_max = 1000;
  static constexpr std::size_t slow_min = 32;
  static constexpr duration round_min = std::chrono::milliseconds{100};

  [[nodiscard]] bool has_place() const { return under_way_ < size_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t under_way() const { return under_way_; }
  /// Moving mean of latencies; zero: none was measured.
  [[nodiscard]] duration usual() const { return usual_; }
  /// What one had better have left to be answered in time: more than the mean
  /// by twice the mean deviation.
  [[nodiscard]] duration needed() const { return usual_ + 2 * spread_; }

  /// A call goes to the peers; another had to wait for a place; one is back.
  void began();
  void missed() { reached_ = true; }
  void ended();

  /// How it came back; at most one of these for each time it was asked. A call
  /// that several peers were asked for says nothing: a failover is no overload.
  /// `deadline`: what it had in all.
  void answered(duration took, duration deadline, time_point now);
  void overloaded(time_point now);

private:
  void close_round(time_point now);
  [[nodiscard]] bool slow();

  std::size_t size_ = size_start;
  std::size_t under_way_ = 0;
  duration usual_{};
  duration spread_{};   ///< mean of how far a latency is from `usual_`
  duration quickest_{}; ///< the lowest median of a round; zero: none yet
  time_point round_{};  ///< its end
  // In this round:
  std::size_t most_ = 0; ///< under way
  bool reached_ = false;
  std::size_t refused_ = 0;
  std::size_t answers_ = 0;
  std::size_t late_ = 0;      ///< answers after a quarter of the deadline
  std::size_t very_late_ = 0; ///< after half of it
  std::vector<duration> samples_;
};

} // namespace banyan
