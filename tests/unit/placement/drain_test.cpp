// What operators' moves are decided with: whether a replica may leave, what a
// drained node does next, whom an order still has to reach.
#include "actors/pure/drain.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using kind = departure::kind;
constexpr time_point start = time_point{} + 1h;

node_id node(std::uint8_t i) {
  return node_id{std::array<std::uint8_t, 32>{i}};
}
replica_standing on(std::uint8_t i) {
  replica_standing r;
  r.who = {node(i), replica_id{std::array<std::uint8_t, 16>{i}}};
  return r;
}
group_id group(std::uint32_t shard) {
  return {app_id{std::array<std::uint8_t, 32>{9}}, shard};
}
/// Voters on nodes 1 to n, all well.
group_standing well(std::uint8_t n) {
  group_standing g;
  g.name = "ledger/3";
  for (std::uint8_t i = 1; i <= n; ++i)
    g.voters.push_back(on(i));
  return g;
}
bool says(const departure& d, const char* part) {
  return d.why.find(part) != std::string::npos;
}

TEST(departure, a_voter_goes_where_another_node_may_take_its_place) {
  EXPECT_EQ(judge_departure(well(3), node(1), false).what, kind::replace);
  EXPECT_EQ(judge_departure(well(1), node(1), false).what, kind::replace);
  EXPECT_EQ(judge_departure(well(3), node(7), false).what, kind::gone);
}

TEST(departure, a_learner_that_stays_is_a_place_too) {
  auto g = well(1);
  g.candidate = false;
  g.learners = {on(5)};
  EXPECT_EQ(judge_departure(g, node(1), false).what, kind::replace);
  g.learners[0].stays = false;
  EXPECT_EQ(judge_departure(g, node(1), false).what, kind::last);
}

TEST(departure, the_last_voter_stays_even_by_force) {
  auto g = well(1);
  g.candidate = false;
  g.why_nobody = "2 for its region";
  for (const bool force : {false, true}) {
    const auto d = judge_departure(g, node(1), force);
    EXPECT_EQ(d.what, kind::last);
    EXPECT_TRUE(says(d, "ledger/3")) << d.why;
    EXPECT_TRUE(says(d, "2 for its region")) << d.why;
    EXPECT_TRUE(says(d, "start another peer")) << d.why;
  }
}

TEST(departure, without_another_node_it_needs_force_to_shrink) {
  auto g = well(3);
  g.candidate = false;
  const auto refused = judge_departure(g, node(2), false);
  EXPECT_EQ(refused.what, kind::refuse);
  EXPECT_TRUE(says(refused, "--force")) << refused.why;
  EXPECT_TRUE(says(refused, "1 voter")) << refused.why;
  const auto d = judge_departure(g, node(2), true);
  EXPECT_EQ(d.what, kind::shrink);
  ASSERT_EQ(d.demote.size(), 1U); // two are no better than one
  EXPECT_EQ(d.demote[0].node, node(3));
}

TEST(departure, five_shrink_to_three_and_the_least_useful_one_learns) {
  auto g = well(5);
  g.candidate = false;
  g.voters[1].current = false;
  const auto d = judge_departure(g, node(5), true);
  EXPECT_EQ(d.what, kind::shrink);
  ASSERT_EQ(d.demote.size(), 1U);
  EXPECT_EQ(d.demote[0].node, node(2));
}

TEST(departure, a_group_shrinks_only_onto_a_quorum_that_is_up_and_current) {
  auto g = well(3);
  g.candidate = false;
  g.voters[0].current = false;
  const auto d = judge_departure(g, node(3), true);
  EXPECT_EQ(d.what, kind::wait);
  EXPECT_TRUE(says(d, "up and current")) << d.why;
}

TEST(departure, no_group_falls_below_its_quorum) {
  auto g = well(3);
  g.voters[1].reached = false;
  const auto d = judge_departure(g, node(1), false);
  EXPECT_EQ(d.what, kind::refuse);
  EXPECT_TRUE(says(d, "below its quorum")) << d.why;
  EXPECT_TRUE(says(d, short_string(node(2)).c_str())) << d.why;
}

TEST(departure, a_healthy_voter_stays_while_another_is_missing) {
  auto g = well(3);
  g.voters[1].reached = false;
  EXPECT_EQ(judge_departure(g, node(1), true).what, kind::wait);
  auto five = well(5);
  five.voters[1].reached = false;
  EXPECT_EQ(judge_departure(five, node(1), false).what, kind::wait);
  // The missing one itself may go.
  EXPECT_EQ(judge_departure(five, node(2), false).what, kind::replace);
}

TEST(departure, a_voter_that_is_behind_catches_up_first) {
  auto g = well(3);
  g.voters[2].current = false;
  const auto d = judge_departure(g, node(1), false);
  EXPECT_EQ(d.what, kind::wait);
  EXPECT_TRUE(says(d, "up to date")) << d.why;
}

TEST(departure, without_a_leader_nothing_moves) {
  auto g = well(3);
  g.led = false;
  EXPECT_EQ(judge_departure(g, node(1), true).what, kind::wait);
}

TEST(departure, a_learner_goes_unless_it_is_the_only_other_copy) {
  auto g = well(1);
  g.learners = {on(2)};
  EXPECT_EQ(judge_departure(g, node(2), false).what, kind::remove);
  g.candidate = false;
  EXPECT_EQ(judge_departure(g, node(2), false).what, kind::refuse);
  EXPECT_EQ(judge_departure(g, node(2), true).what, kind::remove);
}

TEST(departure, redundancy_counts_voters_beyond_a_majority) {
  auto g = well(5);
  EXPECT_EQ(redundancy_of(g), 2);
  g.voters[0].reached = g.voters[1].reached = g.voters[2].reached = false;
  EXPECT_EQ(redundancy_of(g), -1);
}

// ---- a drained node

struct drained : ::testing::Test {
  void hold(std::uint32_t shard, bool leads = false,
            std::int32_t redundancy = 1) {
    drained_replica r;
    r.group = group(shard);
    r.name = "ledger/" + std::to_string(shard);
    r.leads = r.has_heir = leads;
    r.redundancy = redundancy;
    here.push_back(r);
  }
  operator_answer says(operator_progress p, std::string why = {}) {
    operator_answer a;
    a.progress = p;
    a.message = std::move(why);
    return a;
  }
  std::vector<drained_replica> here;
  drain d;
  time_point now = start;
};

TEST_F(drained, does_nothing_until_an_operator_wants_it) {
  hold(0, true);
  EXPECT_TRUE(d.on_tick(here, now).hand_over.empty());
  EXPECT_FALSE(d.notice().on);
}

TEST_F(drained, leaderships_go_before_replicas) {
  hold(0, true);
  hold(1);
  d.begin(false, now);
  auto s = d.on_tick(here, now);
  EXPECT_EQ(s.hand_over, std::vector<group_id>{group(0)});
  EXPECT_TRUE(s.ask.empty());
  EXPECT_EQ(d.notice().leaderships, 1U);
  EXPECT_EQ(d.notice().replicas, 2U);
  here[0].leads = here[0].has_heir = false;
  s = d.on_tick(here, now);
  EXPECT_EQ(s.ask.size(), 2U);
}

TEST_F(drained, a_lead_that_nobody_can_take_holds_nothing_up) {
  hold(0, true);
  here[0].has_heir = false; // the only voter
  hold(1);
  d.begin(false, now);
  EXPECT_EQ(d.on_tick(here, now).ask.size(), 2U);
}

TEST_F(drained, a_few_leads_at_once_each_again_after_a_while) {
  for (std::uint32_t i = 0; i < 6; ++i)
    hold(i, true);
  d.begin(false, now);
  EXPECT_EQ(d.on_tick(here, now).hand_over.size(), drain::hand_overs_max);
  EXPECT_EQ(d.on_tick(here, now).hand_over.size(), 6 - drain::hand_overs_max);
  EXPECT_TRUE(d.on_tick(here, now).hand_over.empty());
  now += drain::hand_over_again;
  EXPECT_EQ(d.on_tick(here, now).hand_over.size(), drain::hand_overs_max);
}

TEST_F(drained, two_at_a_time_least_redundancy_first) {
  hold(0, false, 2);
  hold(1, false, 0);
  hold(2, false, 1);
  d.begin(false, now);
  EXPECT_EQ(d.on_tick(here, now).ask,
            (std::vector<group_id>{group(1), group(2)}));
  EXPECT_TRUE(d.on_tick(here, now).ask.empty());
  here.erase(here.begin() + 1); // group 1 has gone
  EXPECT_EQ(d.on_tick(here, now).ask, std::vector<group_id>{group(0)});
}

TEST_F(drained, leaders_are_asked_again_so_that_a_new_one_goes_on) {
  hold(0);
  d.begin(false, now);
  EXPECT_EQ(d.on_tick(here, now).ask.size(), 1U);
  now += drain::ask_again;
  EXPECT_EQ(d.on_tick(here, now).ask.size(), 1U);
}

TEST_F(drained, what_is_blocked_is_told_and_gives_others_its_turn) {
  for (std::uint32_t i = 0; i < 3; ++i)
    hold(i);
  d.begin(false, now);
  ASSERT_EQ(d.on_tick(here, now).ask.size(), 2U);
  d.on_answer(group(0), says(operator_progress::later, "a voter is missing"),
              now);
  EXPECT_EQ(d.on_tick(here, now).ask, std::vector<group_id>{group(2)});
  EXPECT_EQ(d.notice().blocked, std::vector<std::string>{"a voter is missing"});
  d.on_answer(group(1), says(operator_progress::under_way), now);
  here.erase(here.begin() + 1, here.end()); // 1 and 2 have gone
  now += drain::later_pause;
  EXPECT_EQ(d.on_tick(here, now).ask, std::vector<group_id>{group(0)});
  d.on_answer(group(0), says(operator_progress::under_way), now);
  d.on_tick(here, now);
  EXPECT_TRUE(d.notice().blocked.empty());
}

TEST_F(drained, a_leader_that_says_nothing_blocks_its_group) {
  hold(0);
  d.begin(false, now);
  d.on_tick(here, now);
  now += drain::silence_max;
  d.on_tick(here, now);
  ASSERT_EQ(d.notice().blocked.size(), 1U);
  EXPECT_NE(d.notice().blocked[0].find("ledger/0"), std::string::npos);
}

TEST_F(drained, the_estimate_goes_by_what_has_gone) {
  for (std::uint32_t i = 0; i < 4; ++i)
    hold(i);
  d.begin(false, now);
  d.on_tick(here, now);
  EXPECT_FALSE(d.notice().eta_s);
  here.pop_back();
  now += 10s;
  d.on_tick(here, now);
  EXPECT_EQ(d.notice().eta_s, 30U);
}

TEST_F(drained, is_done_once_nothing_is_left_and_stays_on) {
  hold(0);
  d.begin(false, now);
  d.on_tick(here, now);
  EXPECT_FALSE(d.notice().done);
  here.clear();
  d.on_tick(here, now);
  EXPECT_TRUE(d.notice().done);
  EXPECT_TRUE(d.notice().on);
  d.cancel();
  EXPECT_FALSE(d.on());
  EXPECT_FALSE(d.notice().on);
}

TEST_F(drained, force_may_come_late_and_stays) {
  d.begin(false, now);
  EXPECT_FALSE(d.force());
  d.begin(true, now);
  d.begin(false, now);
  EXPECT_TRUE(d.force());
}

// ---- one order to all groups of an app

TEST(group_orders, each_group_is_asked_until_it_answers) {
  group_orders o{3, start + 5s};
  operator_answer done;
  done.progress = operator_progress::done;
  EXPECT_EQ(o.on_tick(start).size(), 3U);
  EXPECT_TRUE(o.on_tick(start).empty());
  EXPECT_TRUE(o.on_answer(1, done));
  EXPECT_FALSE(o.on_answer(1, done));
  EXPECT_FALSE(o.on_answer(3, done));
  EXPECT_EQ(o.on_tick(start + group_orders::ask_again),
            (std::vector<std::uint32_t>{0, 2}));
  EXPECT_FALSE(o.over(start));
  o.on_answer(0, done);
  o.on_answer(2, done);
  EXPECT_TRUE(o.over(start));
}

TEST(group_orders, later_is_no_end_and_time_is) {
  group_orders o{1, start + 5s};
  operator_answer later;
  later.progress = operator_progress::later;
  later.message = "its leader is elsewhere now";
  o.on_answer(0, later);
  EXPECT_FALSE(o.over(start));
  EXPECT_TRUE(o.over(start + 5s));
  EXPECT_FALSE(o.shards()[0].answered);
  EXPECT_EQ(o.shards()[0].why, later.message);
}

TEST(drain, what_is_refused_keeps_no_other_waiting) {
  drain d{1};
  time_point now{time_point{} + 1h};
  d.begin(false, now);
  std::vector<drained_replica> here;
  for (std::uint8_t n = 0; n < 20; ++n)
    here.push_back({{app_id{std::array<std::uint8_t, 32>{n}}, 0},
                    "g" + std::to_string(n),
                    false,
                    false,
                    0});
  std::map<group_id, unsigned> asked;
  operator_answer no;
  no.message = "nobody may take it";
  for (int i = 0; i < 60; ++i, now += 2s)
    for (const auto& g : d.on_tick(here, now).ask) {
      ++asked[g];
      d.on_answer(g, no, now);
    }
  EXPECT_EQ(asked.size(), here.size());
  for (const auto& [g, n] : asked)
    EXPECT_GE(n, 2U);
}

TEST(drained_weight, is_none_until_the_drain_is_over) {
  drained_weight w;
  EXPECT_EQ(w.on_tick(false, 70), std::nullopt);
  EXPECT_EQ(w.on_tick(true, 70), 0U);
  EXPECT_EQ(w.on_tick(true, 70), 0U); // not signed yet
  EXPECT_EQ(w.on_tick(true, 0), std::nullopt);
  EXPECT_EQ(w.on_tick(false, 0), 70U);
  EXPECT_EQ(w.on_tick(false, 0), 70U); // another change came between
  EXPECT_EQ(w.on_tick(false, 70), std::nullopt);
  EXPECT_EQ(w.on_tick(true, 90), 0U);
  EXPECT_EQ(w.on_tick(false, 0), 90U);
  drained_weight none; // of a node that takes nothing anyway
  EXPECT_EQ(none.on_tick(true, 0), std::nullopt);
  EXPECT_EQ(none.on_tick(false, 0), std::nullopt);
}

} // namespace
} // namespace banyan
