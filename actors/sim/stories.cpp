#include "actors/sim/stories.hpp"

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

} // namespace

const std::vector<story>& stories() {
  static const std::vector<story> all{
      {"uptime",
       "30 days of good, flaky, lying and drained nodes under a policy",
       play_uptime}};
  return all;
}

} // namespace banyan::sim
