#pragma once
#include "actors/sim/published/watch.hpp"
#include "actors/sim/times.hpp"

namespace banyan::sim::published {

/// "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
/// Protocol" (Das, Gupta, Motivala; DSN 2002).
/// @name What SWIM's own formulas give
/// @{
/// Its experiments' (section 5).
inline constexpr duration swim_period = 2s;
/// Section 3.1: until some member misses a crashed one, on average:
/// e / (e - 1) periods, however many members there are.
duration swim_first_detection(duration period) noexcept;
/// Section 5: 3 * ceil(log(N + 1)) periods until the suspected is declared
/// failed; as many messages carry each piece of news. Natural logarithm.
duration swim_suspicion(std::size_t nodes, duration period) noexcept;
/// Section 5.1: a ping and an acknowledgement sent each period, on average.
inline constexpr double swim_messages_a_period = 2;
/// @}

struct swim_options {
  std::uint64_t seed = 1;
  std::size_t nodes = 100; ///< at least 4
  unsigned crashes = 5;    ///< of each kind, one after the other
  unsigned calm_seconds = 40;
  static constexpr std::size_t nodes_min = 4;
};

/// From a crash on.
struct crash_times {
  times doubted;     ///< until some node suspects it
  times first;       ///< until some node has it dead
  times each;        ///< until a node has it dead, each node
  times all;         ///< until every node has
  unsigned open = 0; ///< not known to all within a minute
  void add(const crash_times& more);
};

struct swim_run {
  swim_options how;
  crash_times silent;   ///< the machine is gone without a word, as with SWIM
  crash_times killed;   ///< `kill -9`: its machine's kernel ends its streams
  spread bytes, frames; ///< sent by a node in a calm second
  std::uint64_t false_deaths = 0; ///< opinions
  bool stopped = false;
};
swim_run run_swim(const swim_options& how, const story_progress& progress);

/// Section 5.3, figure 4: 17 processes join one after the other while a tenth
/// of all packets is lost.
struct swim_join {
  std::size_t nodes = 17;
  /// Views, looked at every second, from 15 s after the last has started on.
  std::size_t smallest = 0, largest = 0;
  std::uint64_t false_deaths = 0; ///< opinions
  bool stopped = false;
};
swim_join run_swim_join(std::uint64_t seed, const story_progress& progress);

story_outcome play_swim(const story_request& request,
                        const story_progress& progress);

} // namespace banyan::sim::published
