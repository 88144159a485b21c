#pragma once
#include "actors/sim/published/watch.hpp"

namespace banyan::sim::published {

/// "Stable and Consistent Membership at Scale with Rapid" (Suresh, Malkhi,
/// Gopalan, Carreiro, Lokhandwala; USENIX ATC 2018), section 7: what befalls
/// one node in a hundred.
enum class rapid_fault : std::uint8_t {
  power,    ///< crash: the machine is gone without a word
  kill,     ///< crash: the process is killed, its machine's kernel says so
  loss_out, ///< 80 % of what it sends is lost
  loss_in,  ///< 80 % of what is sent to it
  flip_in,  ///< all that is sent to it is lost for 20 s, every 40 s
  flip_out, ///< all that it sends, likewise
};
inline constexpr std::size_t rapid_faults = 6;
const char* to_string(rapid_fault f) noexcept;

struct rapid_options {
  std::uint64_t seed = 1;
  std::size_t nodes = 1'000; ///< at least 20
  rapid_fault fault = rapid_fault::power;
  unsigned seconds = 60; ///< from the first fault on
  static constexpr std::size_t nodes_min = 20;
};

struct rapid_run {
  rapid_options how;
  std::size_t faulty = 0; ///< 1 % of the nodes, at least one
  view_watch::figures views;
  std::vector<view_watch::second> seconds;
  spread in, out; ///< bytes, of every running node in every second
  bool stopped = false;
};
rapid_run run_rapid(const rapid_options& how, const story_progress& progress);

story_outcome play_rapid(const story_request& request,
                         const story_progress& progress);

} // namespace banyan::sim::published
