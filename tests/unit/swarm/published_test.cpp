// The published experiments (`banyan sim --story swim|lifeguard|rapid`), small.
#include "actors/sim/published/lifeguard.hpp"
#include "actors/sim/published/rapid.hpp"
#include "actors/sim/published/swim.hpp"

#include <gtest/gtest.h>

namespace banyan::sim::published {
namespace {

const story_progress go_on = [](const std::string&) { return true; };
const story_progress stop = [](const std::string&) { return false; };

rapid_run rapid(rapid_fault fault, unsigned seconds, std::size_t nodes = 60) {
  rapid_options o;
  o.seed = 3;
  o.nodes = nodes;
  o.fault = fault;
  o.seconds = seconds;
  return run_rapid(o, go_on);
}

TEST(published, swims_formulas_give_what_its_paper_says) {
  EXPECT_NEAR(to_ms(swim_first_detection(2s)), 3164, 1); // e / (e - 1) * 2 s
  EXPECT_EQ(swim_suspicion(10, 2s), 18s);                // 3 * 3 periods
  EXPECT_EQ(swim_suspicion(2'000, 2s), 48s);             // 3 * 8
}

TEST(published, crashes_are_known_to_all_and_nobody_else_is_thought_dead) {
  swim_options o;
  o.nodes = 40;
  o.crashes = 2;
  o.calm_seconds = 5;
  const auto run = run_swim(o, go_on);
  EXPECT_EQ(run.silent.open + run.killed.open, 0U);
  EXPECT_EQ(run.silent.all.size(), 2U);
  EXPECT_EQ(run.killed.all.size(), 2U);
  EXPECT_EQ(run.silent.each.size(), 2U * 39U); // every node, once a crash
  EXPECT_LE(run.silent.first.at(1), run.silent.all.at(1));
  EXPECT_LT(run.killed.all.at(0.5), run.silent.all.at(0.5)); // nobody waits
  EXPECT_EQ(run.false_deaths, 0U);
  EXPECT_GT(run.frames.mean, 0);
  EXPECT_EQ(run_swim(o, go_on).silent.all.at(1), run.silent.all.at(1));
}

// SWIM's own experiment (section 5.3): of 17 it kept 12.
TEST(published, seventeen_all_join_though_a_tenth_of_packets_is_lost) {
  const auto joined = run_swim_join(1, go_on);
  EXPECT_EQ(joined.largest, 17U);
  EXPECT_GT(joined.smallest, 8U); // no view ever loses the majority
}

TEST(published, crashed_nodes_leave_every_view_and_nobody_else_does) {
  for (const auto fault : {rapid_fault::power, rapid_fault::kill}) {
    const auto run = rapid(fault, 15, 120);
    const auto& f = run.views;
    EXPECT_EQ(run.faulty, 1U);
    EXPECT_TRUE(f.out_at_end) << to_string(fault);
    EXPECT_TRUE(f.one_at_end) << to_string(fault);
    EXPECT_TRUE(f.all_out) << to_string(fault);
    EXPECT_EQ(f.removals, 119U) << to_string(fault);
    EXPECT_EQ(f.returns, 0U) << to_string(fault);
    EXPECT_EQ(f.false_deaths, 0U) << to_string(fault);
    EXPECT_EQ(run.seconds.size(), 15U);
    EXPECT_GT(run.out.mean, 0);
  }
}

TEST(published, one_way_cuts_and_loss_cost_no_healthy_node_its_place) {
  for (const auto fault : {rapid_fault::flip_in, rapid_fault::flip_out,
                           rapid_fault::loss_in, rapid_fault::loss_out}) {
    const auto run = rapid(fault, 50);
    EXPECT_GT(run.views.removals, 0U) << to_string(fault);
    EXPECT_EQ(run.views.false_by_healthy, 0U) << to_string(fault);
    EXPECT_GE(run.views.smallest, 59U) << to_string(fault);
  }
}

TEST(published, who_can_be_heard_again_is_taken_back) {
  const auto run = rapid(rapid_fault::flip_out, 38);
  EXPECT_EQ(run.views.removals, 59U);
  EXPECT_EQ(run.views.returns, 59U);
  EXPECT_TRUE(run.views.all_in_at_end);
}

TEST(published, slow_members_make_no_healthy_one_dead_to_the_healthy) {
  lifeguard_options o;
  o.nodes = 40;
  o.slow = 8;
  o.blocked = 4s;
  o.seconds = 20;
  o.after_seconds = 40;
  const auto run = run_lifeguard(o, go_on);
  EXPECT_EQ(run.views.false_by_healthy, 0U);
  EXPECT_GT(run.views.removals, 0U); // 4 s are death to those who wait
  EXPECT_TRUE(run.settled);
}

TEST(published, stories_stop_when_told_and_promise_nothing_then) {
  story_request small;
  small.nodes = 20;
  for (const auto play : {play_swim, play_lifeguard, play_rapid}) {
    EXPECT_FALSE(play(small, stop).held);
  }
}

TEST(published, tables_are_text_and_json) {
  const std::vector<table> one{
      {"a \"title\"", {"n", "x"}, {{"10", "1"}, {"2", "1.5"}}, {"why"}}};
  EXPECT_EQ(text_of(one), "a \"title\"\n"
                          "n     x\n"
                          "10    1\n"
                          "2   1.5\n"
                          "- why\n");
  EXPECT_EQ(json_of(one), "{\"tables\": [{\"title\": \"a \\\"title\\\"\", "
                          "\"head\": [\"n\", \"x\"], \"rows\": [[\"10\", "
                          "\"1\"], [\"2\", \"1.5\"]], \"notes\": "
                          "[\"why\"]}]}\n");
}

} // namespace
} // namespace banyan::sim::published
