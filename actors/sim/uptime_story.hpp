#pragma once
#include "actors/sim/uptime_mesh.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace banyan::sim {

struct uptime_story_options {
  std::uint32_t days = 30;
  std::size_t nodes = 40; ///< at least `nodes_min`
  std::size_t groups = 120;
  std::uint64_t seed = 1;
  bool enforce = true; ///< false: the policy only observes

  static constexpr std::size_t nodes_min = 24;
};

struct uptime_story {
  /// All that the story promises: `problems` is empty.
  bool held = false;
  std::string text; ///< events and tables, for people
  std::string json;
  std::vector<std::string> problems;
  std::vector<uptime_mesh::node_report> nodes;
  std::array<std::uint64_t, move_causes> moves{};
};

/// Days of a mesh with good, flaky, lying and planned-drain nodes under the
/// policy's usual thresholds: who is held, evacuated, excluded and readmitted,
/// and when. Outages never overlap, so each group keeps its quorum at each
/// minute unless what the policy moves takes it. The same seed tells the same
/// story. `progress` is told of each day; false stops it.
uptime_story
tell_uptime(const uptime_story_options& how,
            const std::function<bool(const std::string&)>& progress);

} // namespace banyan::sim
