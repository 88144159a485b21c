#pragma once
#include "actors/sim/published/watch.hpp"

namespace banyan::sim::published {

/// "Lifeguard: Local Health Awareness for More Accurate Failure Detection"
/// (Dadgar, Phillips, Currey; arXiv 1707.00788): some members of 128 are slow;
/// who is thought dead that is not?
struct lifeguard_options {
  std::uint64_t seed = 1;
  std::size_t nodes = 128;
  std::size_t slow = 4; ///< so many at once
  /// They take nothing in and send nothing for so long,
  duration blocked = 4s;
  duration open = 256ms; ///< go on for so long, and so on.
  /// Instead of that: their processors take so many times as long.
  double factor = 0;
  unsigned seconds = 60;
  unsigned after_seconds = 20; ///< with all well again; counted too
};

struct lifeguard_run {
  lifeguard_options how;
  view_watch::figures views; ///< the slow are the faulty ones
  spread out;                ///< bytes sent
  bool settled = false;      ///< at the end every opinion is right
  bool stopped = false;
};
lifeguard_run run_lifeguard(const lifeguard_options& how,
                            const story_progress& progress);

story_outcome play_lifeguard(const story_request& request,
                             const story_progress& progress);

} // namespace banyan::sim::published
