#include "actors/pure/supervision.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr time_point start = time_point{} + 1h;

node_id node(std::uint8_t i) {
  return node_id{std::array<std::uint8_t, 32>{i}};
}
replica_ref voter(std::uint8_t i) {
  return {node(i), replica_id{std::array<std::uint8_t, 16>{i}}};
}
group_id group(std::uint32_t shard) {
  return {app_id{std::array<std::uint8_t, 32>{9}}, shard};
}

TEST(ladder, restarts_after_0_50_200_1000_5000_ms) {
  restart_ladder l;
  auto now = start;
  for (const auto wait : {0ms, 50ms, 200ms, 1000ms, 5000ms, 5000ms}) {
    EXPECT_EQ(l.failed(now), now + wait);
    now += 1s;
  }
}

TEST(ladder, more_than_five_in_60_s_exhaust_it) {
  restart_ladder l;
  for (int i = 0; i < 5; ++i) {
    l.failed(start + i * 1s);
    EXPECT_FALSE(l.exhausted(start + i * 1s));
  }
  l.failed(start + 59s);
  EXPECT_TRUE(l.exhausted(start + 59s));
  EXPECT_FALSE(l.exhausted(start + 61s)); // the first is over
}

TEST(ladder, old_failures_are_forgiven) {
  restart_ladder l;
  for (int i = 0; i < 5; ++i)
    l.failed(start + i * 1s);
  const auto later = start + 70s;
  EXPECT_EQ(l.failed(later), later);
  EXPECT_EQ(l.failures(later), 1U);
  for (int i = 0; i < 100; ++i) { // once a minute is no exhaustion
    const auto at = later + (i + 1) * 61s;
    l.failed(at);
    EXPECT_FALSE(l.exhausted(at));
  }
}

TEST(ladder, what_an_operator_does_consumes_no_budget) {
  restart_ladder l;
  auto now = start;
  for (int i = 0; i < 50; ++i) {
    l.operator_stops();
    EXPECT_EQ(l.failed(now), now);
    l.started(now);
    now += 100ms;
  }
  EXPECT_EQ(l.failures(now), 0U);
  EXPECT_FALSE(l.exhausted(now));
  l.operator_stops();
  l.started(now); // it was restarted without an end: nothing is excused now
  l.failed(now);
  EXPECT_EQ(l.failures(now), 1U);
}

// A restart that waits for 200 ms is slower than a hand-over of some 10.
TEST(ladder, is_worn_while_a_hand_over_is_quicker_than_its_restart) {
  restart_ladder l;
  for (const bool worn : {false, false, true, true}) {
    l.failed(start);
    EXPECT_EQ(l.worn(start), worn);
  }
  EXPECT_FALSE(l.exhausted(start));
  EXPECT_EQ(l.next_change(start), start + 60s);
  EXPECT_FALSE(l.worn(start + 60s));
  EXPECT_EQ(l.next_change(start + 60s), never);
  l.park();
  EXPECT_TRUE(l.worn(start + 300s));
  EXPECT_TRUE(l.exhausted(start + 300s));
  EXPECT_EQ(l.next_change(start + 300s), never); // it doesn't run
  l.started(start + 300s);
  EXPECT_EQ(l.next_change(start + 300s), start + 360s);
  l.reset();
  EXPECT_FALSE(l.worn(start + 360s));
  EXPECT_FALSE(l.exhausted(start + 360s));
}

// A poison command that harms every voter's host moves once from each of them.
TEST(exhaustion, a_storm_on_every_voter_comes_to_rest) {
  const std::vector<node_id> voters{node(1), node(2), node(3)};
  const std::set<node_id> all{node(1), node(2), node(3)};
  std::set<node_id> worn;
  auto leader = node(1);
  int moves = 0;
  for (;; ++moves) {
    worn.insert(leader);
    const auto step = after_exhaustion(leader, voters, worn, all);
    if (step.what != exhaustion_step::kind::move)
      break;
    leader = step.to;
  }
  EXPECT_EQ(moves, 2);
}

TEST(ladder, a_parked_app_is_retried_slowly) {
  const ladder_config cfg;
  restart_ladder l{cfg};
  l.park();
  EXPECT_TRUE(l.parked());
  auto now = start;
  auto wait = cfg.parked_retry;
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(l.failed(now), now + wait);
    now += wait;
    wait = std::min(wait * 2, cfg.parked_retry_max);
    l.park(); // again: nothing new
  }
  EXPECT_EQ(wait, cfg.parked_retry_max);
}

TEST(ladder, a_parked_app_recovers_by_running_for_a_window) {
  restart_ladder l;
  l.park();
  l.started(start);
  EXPECT_FALSE(l.recovered(start + 59s));
  EXPECT_TRUE(l.recovered(start + 60s));
  l.failed(start + 61s);
  EXPECT_FALSE(l.recovered(start + 300s));
  l.reset(); // a new version, or `start`
  EXPECT_FALSE(l.parked());
  EXPECT_EQ(l.failed(start + 300s), start + 300s);
}

TEST(exhaustion, moves_leadership_to_a_voter_where_it_may_run) {
  const std::vector<node_id> voters{node(1), node(2), node(3)};
  const auto step = after_exhaustion(node(1), voters, {node(1), node(2)},
                                     {node(1), node(2), node(3)});
  EXPECT_EQ(step.what, exhaustion_step::kind::move);
  EXPECT_EQ(step.to, node(3));
}

TEST(exhaustion, parks_only_when_it_is_the_same_on_every_voter) {
  const std::vector<node_id> voters{node(1), node(2), node(3)};
  auto step =
      after_exhaustion(node(1), voters, {node(1), node(2)}, {node(1), node(2)});
  EXPECT_EQ(step.what, exhaustion_step::kind::stay); // 3 is away
  step = after_exhaustion(node(1), voters, {node(1), node(2), node(3)},
                          {node(1), node(2)});
  EXPECT_EQ(step.what, exhaustion_step::kind::park);
  step = after_exhaustion(node(1), {node(1)}, {node(1)}, {node(1)});
  EXPECT_EQ(step.what, exhaustion_step::kind::park);
}

TEST(replacement, is_due_when_not_reached_for_replace_after) {
  voter_watch w;
  w.set_voters({voter(1), voter(2), voter(3)});
  w.unreached(voter(2), start);
  w.unreached(voter(2), start + 1min); // the first moment counts
  EXPECT_EQ(w.deadline(start), start + 5min);
  EXPECT_FALSE(w.next(start + 5min - 1ms));
  const auto due = w.next(start + 5min);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->voter, voter(2));
  w.reached(voter(2));
  EXPECT_FALSE(w.next(start + 10min));
  EXPECT_EQ(w.deadline(start), never);
}

TEST(replacement, same_region_first_any_after_10_s) {
  voter_watch w;
  w.set_voters({voter(1), voter(2)});
  w.unreached(voter(2), start);
  EXPECT_FALSE(w.next(start + 5min)->any_region);
  EXPECT_FALSE(w.next(start + 5min + 9s)->any_region);
  EXPECT_EQ(w.deadline(start + 5min), start + 5min + 10s);
  EXPECT_TRUE(w.next(start + 5min + 10s)->any_region);
}

TEST(replacement, any_region_after_replace_after_if_that_is_shorter) {
  voter_watch w{{2s, 10s}};
  w.set_voters({voter(1), voter(2)});
  w.unreached(voter(2), start);
  EXPECT_FALSE(w.next(start + 3900ms)->any_region);
  EXPECT_TRUE(w.next(start + 4s)->any_region);
}

// DESIGN section 8: at most two transfers into a node. Who gets them counts,
// since leaders know only of their own.
TEST(transfers, a_node_takes_in_two_at_once) {
  using told = replica_here::told;
  const replica_here voter{std::nullopt, told::votes};
  const replica_here learner{5min, told::follows};
  const replica_here on_its_way{2min, told::catching};
  const replica_here just_made{1s, told::nothing};
  const replica_here forgotten{arrival_patience, told::nothing};
  const replica_here stray{std::nullopt, told::nothing};
  EXPECT_TRUE(may_take_in({}));
  EXPECT_TRUE(may_take_in({voter, voter, voter, learner, learner, stray}));
  EXPECT_TRUE(may_take_in({voter, on_its_way, forgotten, forgotten}));
  EXPECT_TRUE(may_take_in({just_made}));
  EXPECT_FALSE(may_take_in({on_its_way, voter, just_made}));
  EXPECT_FALSE(may_take_in({on_its_way, on_its_way, on_its_way}));
  EXPECT_FALSE(may_take_in({just_made, just_made}));
  EXPECT_FALSE(may_take_in({on_its_way}, {1, 2}));
}

// What a node takes in may never come: after a minute another one is asked.
TEST(transfers, who_takes_in_others_for_a_minute_is_left_for_another) {
  intake_waits w;
  for (auto t = start; t < start + intake_patience; t += 300ms) // any group's
    ASSERT_TRUE(w.goes_on(node(1), t));
  EXPECT_TRUE(w.goes_on(node(2), start + 50s));
  EXPECT_FALSE(w.goes_on(node(1), start + intake_patience));
  // It is tried again at times; the other groups have waited long enough, too.
  EXPECT_FALSE(w.goes_on(node(1), start + 61s));
  EXPECT_FALSE(w.goes_on(node(2), start + 110s));
  EXPECT_FALSE(w.goes_on(node(1), start + 120s));
}

TEST(transfers, who_takes_one_in_now_and_then_is_waited_for) {
  intake_waits w;
  for (auto t = start; t < start + 1h; t += 50s) {
    ASSERT_TRUE(w.goes_on(node(1), t));
    ASSERT_TRUE(w.goes_on(node(1), t + 20s));
    w.over(node(1));
  }
  // One was made long ago, and much later there is another one to make.
  EXPECT_TRUE(w.goes_on(node(2), start));
  EXPECT_TRUE(w.goes_on(node(2), start + 2min));
}

TEST(replacement, is_due_at_once_on_no_such_replica_and_drain) {
  voter_watch w;
  w.set_voters({voter(1), voter(2)});
  w.unreached(voter(2), start - 1min);
  w.give_up(voter(2), start);
  ASSERT_TRUE(w.next(start));
  EXPECT_EQ(w.next(start)->voter, voter(2));
  w.reached(voter(2)); // that it can be reached changes nothing
  EXPECT_TRUE(w.next(start));
  w.set_voters({voter(1), voter(3)});
  EXPECT_FALSE(w.next(start + 1h));
}

TEST(replacement, of_a_drained_one_ends_with_its_drain_or_its_absence) {
  voter_watch w;
  w.set_voters({voter(1), voter(2), voter(3)});
  w.drained(voter(1), start);
  w.drained(voter(2), start);
  ASSERT_TRUE(w.next(start));
  w.reached(
      voter(1)); // it is back, drained or not: whoever empties it sees to it
  w.unreached(voter(2), start + 2s); // taken back, and still away: as any other
  EXPECT_FALSE(w.next(start + 3s));
  EXPECT_EQ(w.next(start + 2s + 5min)->voter, voter(2));
  w.give_up(voter(1), start + 4s); // what is gone stays gone
  w.reached(voter(1));
  w.unreached(voter(1), start + 5s);
  w.drained(voter(1), start + 5s);
  EXPECT_EQ(w.next(start + 5s)->voter, voter(1));
}

TEST(replacement, takes_the_one_that_waits_longest_and_one_at_a_time) {
  voter_watch w;
  w.set_voters({voter(1), voter(2), voter(3)});
  w.unreached(voter(3), start);
  w.unreached(voter(2), start + 10s);
  EXPECT_EQ(w.next(start + 1h)->voter, voter(3));
  w.give_up(voter(4), start); // no voter: nothing
  EXPECT_EQ(w.next(start + 1h)->voter, voter(3));
}

TEST(transfers, at_most_two_in_and_two_out_per_node) {
  std::vector<transfer> wanted;
  for (std::uint8_t i = 0; i < 6; ++i)
    wanted.push_back({group(i), node(1), node(std::uint8_t(10 + i)), 0});
  EXPECT_EQ(transfers_to_begin(wanted, {}).size(), 2U); // out of node 1
  for (auto& t : wanted)
    std::swap(t.from, t.to);
  EXPECT_EQ(transfers_to_begin(wanted, {}).size(), 2U); // into node 1
  EXPECT_EQ(transfers_to_begin(wanted, {wanted[0]}).size(), 1U);
  EXPECT_EQ(transfers_to_begin(wanted, {wanted[0], wanted[1]}).size(), 0U);
}

TEST(transfers, least_redundancy_first) {
  const std::vector<transfer> wanted{{group(0), node(1), node(11), 1},
                                     {group(1), node(1), node(12), -1},
                                     {group(3), node(1), node(13), 0},
                                     {group(2), node(1), node(14), 0}};
  EXPECT_EQ(transfers_to_begin(wanted, {}), (std::vector<std::size_t>{1, 3}));
}

TEST(transfers, a_full_node_blocks_only_itself) {
  const std::vector<transfer> wanted{{group(0), node(1), node(9), 0},
                                     {group(1), node(2), node(9), 0},
                                     {group(2), node(3), node(9), 0},
                                     {group(3), node(3), node(8), 5}};
  EXPECT_EQ(transfers_to_begin(wanted, {}),
            (std::vector<std::size_t>{0, 1, 3}));
}

} // namespace
} // namespace banyan
