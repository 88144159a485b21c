// What an enforced policy does to a node whose uptime is too low (DESIGN
// section 10).
#include "actors/pure/drain.hpp"
#include "actors/pure/evacuation.hpp"
#include "actors/pure/uptime/score.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan {
namespace {

using step = evacuation::step;

node_id node(std::uint8_t n) {
  return node_id{std::array<std::uint8_t, 32>{n}};
}
group_id group(std::uint8_t n) {
  return {app_id{std::array<std::uint8_t, 32>{n}}, 0};
}

TEST(evacuation, a_node_on_hold_keeps_what_it_has) {
  evacuation e;
  time_point now{};
  for (const auto as :
       {standing::normal, standing::hold, standing::probation, standing::hold})
    EXPECT_EQ(e.on_tick(as, 3, now += 1s), step::none);
}

TEST(evacuation, below_the_threshold_its_groups_move_away_and_better_ends_it) {
  evacuation e;
  time_point now{};
  EXPECT_EQ(e.on_tick(standing::evacuate, 3, now), step::begin);
  EXPECT_EQ(e.on_tick(standing::evacuate, 2, now += 1min), step::none);
  EXPECT_EQ(e.on_tick(standing::probation, 1, now += 1min), step::end);
  EXPECT_EQ(e.on_tick(standing::probation, 1, now += 1min), step::none);
}

TEST(evacuation, only_an_empty_node_is_excluded_and_not_at_once) {
  evacuation e;
  time_point now{};
  EXPECT_EQ(e.on_tick(standing::excluded, 1, now), step::begin);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(e.on_tick(standing::excluded, 1, now += 1h), step::none);
  EXPECT_EQ(e.on_tick(standing::excluded, 0, now), step::none);
  EXPECT_EQ(e.on_tick(standing::excluded, 1, now += 9s), step::none);
  EXPECT_EQ(e.on_tick(standing::excluded, 0, now += 1s), step::none);
  EXPECT_EQ(e.on_tick(standing::excluded, 0, now += 9s), step::none);
  EXPECT_EQ(e.on_tick(standing::excluded, 0, now += 1s), step::exclude);
}

TEST(evacuation, an_empty_node_that_is_only_to_be_evacuated_stays) {
  evacuation e;
  time_point now{};
  EXPECT_EQ(e.on_tick(standing::evacuate, 0, now), step::begin);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(e.on_tick(standing::evacuate, 0, now += 1h), step::none);
}

// "groups move away one at a time, each keeping its quorum": the machinery of
// drains, with one move instead of two.
TEST(evacuation, groups_move_away_one_at_a_time) {
  drain d{evacuation::moves_at_once};
  time_point now{};
  d.begin(false, now);
  std::vector<drained_replica> here;
  for (std::uint8_t n = 1; n <= 4; ++n)
    here.push_back({group(n), "g" + std::to_string(n), false, false, 1});
  for (std::size_t left = here.size(); left > 0; --left) {
    std::set<group_id> asked;
    for (int i = 0; i < 3; ++i) {
      for (const auto& g : d.on_tick(here, now += 1s).ask)
        asked.insert(g);
      operator_answer a;
      a.progress = operator_progress::under_way;
      for (const auto& g : asked)
        d.on_answer(g, a, now);
    }
    ASSERT_EQ(asked.size(), 1U);
    here.erase(std::find_if(here.begin(), here.end(), [&](const auto& r) {
      return r.group == *asked.begin();
    }));
  }
  d.cancel();
  d.begin(false, now); // again: still one
  here = {{group(1), "g1", false, false, 1}, {group(2), "g2", false, false, 1}};
  EXPECT_EQ(d.on_tick(here, now).ask.size(), 1U);
}

TEST(evacuation, what_can_not_go_stands_in_nobodys_way) {
  drain_notice d;
  EXPECT_FALSE(moves_on(d));
  d.on = true;
  EXPECT_TRUE(moves_on(d)); // it has just begun
  d.replicas = 2;
  d.blocked = {"a"};
  EXPECT_TRUE(moves_on(d));
  d.blocked = {"a", "b"};
  EXPECT_FALSE(moves_on(d));
  d.replicas = 1000;
  d.blocked.resize(drain_blocked_max);
  EXPECT_FALSE(moves_on(d)); // no more of them are told
  d.done = true;
  EXPECT_FALSE(moves_on(d));
}

// "never a last copy", "never while a replica is needed for a quorum".
TEST(evacuation, a_replica_that_is_needed_stays) {
  group_standing g;
  g.name = "ledger/0";
  for (std::uint8_t n = 1; n <= 3; ++n) {
    replica_standing r;
    r.who = {node(n), replica_id{std::array<std::uint8_t, 16>{n}}};
    g.voters.push_back(r);
  }
  EXPECT_EQ(judge_departure(g, node(1), false).what, departure::kind::replace);
  g.voters[1].reached = false; // two of three are a quorum, with it
  EXPECT_EQ(judge_departure(g, node(1), false).what, departure::kind::refuse);
  g.voters.resize(1);
  g.candidate = false;
  EXPECT_EQ(judge_departure(g, node(1), false).what, departure::kind::last);
}

struct lazy_node {
  evictions core;
  time_point now{time_point{} + 1h};
  std::map<node_id, standing> standings{{node(1), standing::evacuate},
                                        {node(2), standing::hold}};
  std::vector<eviction_group> led{{group(1), {node(1), node(3), node(4)}, 1},
                                  {group(2), {node(1), node(2), node(4)}, 0},
                                  {group(3), {node(2), node(3), node(4)}, 0}};
  void pass(duration d, const std::set<node_id>& leaving = {}) {
    for (const auto until = now + d; now < until; now += 1min)
      core.see(standings, leaving, now);
  }
};

TEST(evictions, a_node_that_evacuates_itself_is_left_alone) {
  lazy_node w;
  w.pass(50min);
  EXPECT_FALSE(w.core.next(w.led, w.now)); // it is given time
  w.pass(1min, {node(1)});
  w.pass(50min);
  EXPECT_FALSE(w.core.next(w.led, w.now)); // counted from then on
}

TEST(evictions, one_that_does_not_loses_its_groups_one_at_a_time) {
  lazy_node w;
  w.pass(61min);
  const auto first = w.core.next(w.led, w.now);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->group, group(2)); // least redundancy first
  EXPECT_EQ(first->from, node(1));
  EXPECT_FALSE(w.core.next(w.led, w.now));
  w.core.over(w.now);
  const auto second = w.core.next(w.led, w.now);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->group, group(1));
  EXPECT_FALSE(w.core.hangs(w.now));
  w.pass(11min);
  EXPECT_TRUE(w.core.hangs(w.now));
  w.core.over(w.now);
  const auto third = w.core.next(w.led, w.now); // what didn't go, later again
  ASSERT_TRUE(third);
  EXPECT_EQ(third->group, group(2));
}

TEST(evictions, a_better_standing_ends_them) {
  lazy_node w;
  w.pass(61min);
  w.standings[node(1)] = standing::probation;
  w.pass(1min);
  EXPECT_FALSE(w.core.next(w.led, w.now));
}

TEST(exclusion, says_why_and_until_when) {
  const std::int64_t now = 1'795'460'400'000; // 2026-11-23 19:00 UTC
  const auto e = exclusion_of(basis_points{9312}, mesh_policy{}, now);
  EXPECT_EQ(
      words_of(e),
      "this node is excluded by the mesh's policy: its uptime of 93.12 % "
      "over 7 days is below 95 %, and it holds no replica. It may join "
      "again from 2026-12-01 01:00 on (UTC), on probation; nothing on its "
      "disk is deleted");
  EXPECT_GE(e.until_unix_ms - now, 7 * 86'400'000LL);
  EXPECT_LE(e.until_unix_ms - now, 8 * 86'400'000LL);
  // By then the window that is judged begins behind the day of the exclusion.
  const std::int64_t day = 86'400'000;
  const auto judged =
      (e.until_unix_ms - judged_after_minutes * 60'000) / day - 1;
  EXPECT_GT(judged - mesh_policy{}.window_days + 1, now / day);
  exclusion back;
  ASSERT_TRUE(decode(encode(e), back));
  EXPECT_EQ(words_of(back), words_of(e));
  auto cut = encode(e);
  cut.pop_back();
  EXPECT_FALSE(decode(cut, back));
}

} // namespace
} // namespace banyan
