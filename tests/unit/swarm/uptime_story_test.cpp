// Ten days of `banyan sim --story uptime`: DESIGN section 10's policy, with the
// decisions of production.
#include "actors/sim/uptime_story.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::sim {
namespace {

uptime_story_options short_story() {
  uptime_story_options o;
  o.days = 10;
  o.nodes = uptime_story_options::nodes_min;
  o.groups = 40;
  return o;
}
uptime_story tell(const uptime_story_options& o) {
  return tell_uptime(o, [](const std::string&) { return true; });
}
const uptime_mesh::node_report& at(const uptime_story& s,
                                   const std::string& name) {
  return *std::find_if(s.nodes.begin(), s.nodes.end(),
                       [&](const auto& n) { return n.name == name; });
}
std::uint64_t moved(const uptime_story& s, move_cause c) {
  return s.moves[static_cast<std::size_t>(c)];
}

TEST(uptime_story, the_policy_holds_evacuates_and_excludes_by_its_thresholds) {
  const auto s = tell(short_story());
  EXPECT_TRUE(s.held) << s.text;
  // Below 99, 97 and 95 %.
  EXPECT_EQ(at(s, "flaky-98").is, standing::hold);
  EXPECT_GT(at(s, "flaky-98").voters, 0U); // it keeps what it has
  EXPECT_EQ(at(s, "flaky-96").is, standing::evacuate);
  EXPECT_EQ(at(s, "flaky-96").voters, 0U);
  EXPECT_TRUE(at(s, "mended-90").gone);
  // Whoever hides its downtime and doesn't move is moved by the leaders.
  EXPECT_EQ(at(s, "liar-own").voters, 0U);
  EXPECT_GT(moved(s, move_cause::evicted), 0U);
  // A replica that nobody else may take stays, however bad its node is.
  EXPECT_EQ(at(s, "needed-93").is, standing::evacuate);
  EXPECT_EQ(at(s, "needed-93").voters, 2U);
  EXPECT_FALSE(at(s, "needed-93").gone);
  // Planned drains don't count, and voters return home after them.
  EXPECT_EQ(at(s, "drained-1").worst, standing::normal);
  EXPECT_GT(moved(s, move_cause::drained), 0U);
  EXPECT_GT(at(s, "drained-1").voters, 0U);
  EXPECT_GT(moved(s, move_cause::home), 0U);
  // Neither do false words about others.
  EXPECT_EQ(at(s, "slandered").worst, standing::normal);
}

TEST(uptime_story, no_verdict_before_seven_observed_days) {
  auto o = short_story();
  o.days = 7;
  const auto s = tell(o);
  for (const auto& n : s.nodes)
    EXPECT_EQ(n.worst, standing::normal) << n.name;
  EXPECT_EQ(moved(s, move_cause::evacuated), 0U);
}

TEST(uptime_story, a_policy_that_only_observes_moves_nothing) {
  auto o = short_story();
  o.enforce = false;
  const auto s = tell(o);
  EXPECT_TRUE(s.held) << s.text;
  EXPECT_EQ(moved(s, move_cause::evacuated), 0U);
  EXPECT_EQ(moved(s, move_cause::evicted), 0U);
  EXPECT_EQ(at(s, "flaky-96").is, standing::evacuate); // it is shown
}

TEST(uptime_story, the_same_seed_tells_the_same_story) {
  auto o = short_story();
  o.days = 2;
  o.seed = 7;
  EXPECT_EQ(tell(o).text, tell(o).text);
}

} // namespace
} // namespace banyan::sim
