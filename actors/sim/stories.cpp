#include "actors/sim/stories.hpp"

#include "actors/sim/hostile.hpp"
#include "actors/sim/published/lifeguard.hpp"
#include "actors/sim/published/rapid.hpp"
#include "actors/sim/published/swim.hpp"
#include "actors/sim/uptime_story.hpp"

#include <algorithm>

namespace banyan::sim {
namespace {

story_outcome play_uptime(const story_request& r, const story_progress& p) {
  uptime_story_options o;
  o.seed = r.seed.value_or(o.seed);
  o.days = r.days.value_or(o.days);
  o.nodes =
      std::max(r.nodes.value_or(o.nodes), uptime_story_options::nodes_min);
  auto told = tell_uptime(o, p);
  return {told.held, r.json ? std::move(told.json) : std::move(told.text), {}};
}

story_outcome play_hostile(const story_request& r, const story_progress& p) {
  hostile_options o;
  o.seed = r.seed.value_or(o.seed);
  o.nodes = std::max(r.nodes.value_or(o.nodes), hostile_options::nodes_min);
  auto told = tell_hostile(o, p);
  return {told.held, r.json ? std::move(told.json) : std::move(told.text), {}};
}

} // namespace

const std::vector<story>& stories() {
  static const std::vector<story> all{
      {"uptime",
       "30 days of good, flaky, lying and drained nodes under a policy",
       play_uptime},
      {"swim", "SWIM's formulas for 10 to 2,000 nodes, and a tenth lost",
       published::play_swim},
      {"lifeguard", "slow members among 128: who is wrongly thought dead",
       published::play_lifeguard},
      {"rapid", "crashes, loss and one-way flip-flops among 1,000",
       published::play_rapid},
      {"hostile", "one of a hundred nodes lies, in all the ways there are",
       play_hostile}};
  return all;
}

} // namespace banyan::sim
