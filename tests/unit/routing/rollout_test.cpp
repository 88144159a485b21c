// What a leader does next about an update of its app (DESIGN sections 6 and 8):
// one step for each state of affairs, and the health gate's verdicts.
#include "actors/pure/rollout.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using kind = rollout_step::kind;

node_id node(std::uint8_t n) {
  return node_id{std::array<std::uint8_t, 32>{n}};
}

/// Three voters that are ready for version 2; the log names version 1.
rollout_facts ready_for_2(std::uint32_t shard = 0) {
  rollout_facts f;
  f.newest = 2;
  f.watch = 10s;
  f.shard = shard;
  f.running = 1;
  f.versions.emplace();
  f.versions->now = {1, 1, {}};
  f.written = state_written{1, log_index{5}};
  f.features = feature::versions;
  f.host_up = true;
  for (std::uint8_t n = 1; n <= 3; ++n) {
    rollout_member m;
    m.who.node = node(n);
    m.name = "n" + std::to_string(n);
    m.voter = true;
    m.here = n == 1;
    m.features = feature::versions;
    m.ready = version_readiness{true, 1, {}};
    f.members.push_back(m);
  }
  return f;
}

/// Version 2 runs and is watched.
rollout_facts watching() {
  auto f = ready_for_2();
  f.running = 2;
  f.versions->former = f.versions->now;
  f.versions->now = {2, 1, {}};
  f.watched = 5s;
  return f;
}

health_figures figures(std::uint64_t turns, duration p50, duration p99,
                       std::uint64_t failed = 0) {
  return {turns, failed, 0, p50, p99};
}

canary_word word_of_0(update_state s) {
  return {s == update_state::done ? 2U : 1U, 2, s, "it throws"};
}

// ---- waiting ----------------------------------------------------------------

TEST(rollout, a_group_on_the_newest_rests) {
  auto f = ready_for_2();
  f.newest = 1;
  EXPECT_EQ(next_step(f).what, kind::rest);
  EXPECT_EQ(next_step(f).state, update_state::done);
  f.newest = 0; // its papers are behind
  EXPECT_EQ(next_step(f).what, kind::rest);
}

TEST(rollout, an_update_starts_when_every_voter_has_it_up) {
  auto f = ready_for_2();
  EXPECT_EQ(next_step(f).what, kind::take);
  f.members[2].ready = version_readiness{false, 0, "fetching module 40 %"};
  auto s = next_step(f);
  EXPECT_EQ(s.what, kind::wait);
  EXPECT_EQ(s.state, update_state::waiting);
  EXPECT_EQ(s.why, "update waits for node n3: fetching module 40 %");
  f.members[2].ready.reset();
  EXPECT_EQ(next_step(f).why,
            "update waits for node n3: the new version isn't up there yet");
  f.members[2].voter = false; // a learner holds up nothing
  EXPECT_EQ(next_step(f).what, kind::take);
}

TEST(rollout, a_voter_that_is_away_for_long_does_not_hold_it_up_for_ever) {
  auto f = ready_for_2();
  f.members[2].reached = false;
  f.members[2].away = 5s;
  EXPECT_EQ(next_step(f).why, "update waits for node n3: it is not reached");
  f.members[2].away = rollout_patience;
  EXPECT_EQ(next_step(f).what, kind::take);
  f.members[1].reached = false; // but a majority it must be
  f.members[1].away = 1h;
  EXPECT_EQ(next_step(f).why, "update waits for a majority of the voters");
}

TEST(rollout, an_older_peer_is_waited_for_by_name) {
  auto f = ready_for_2();
  f.versions.reset();
  f.features = 0;
  f.members[1].features = 0;
  auto s = next_step(f);
  EXPECT_EQ(s.what, kind::wait);
  EXPECT_EQ(s.why, "update waits for node n2: its banyan-peer is older than "
                   "versions of apps; update it");
  f.members[1].voter = false; // a learner reads the log, too
  EXPECT_EQ(next_step(f).what, kind::wait);
}

TEST(rollout, other_shards_wait_for_shard_0) {
  auto f = ready_for_2(3);
  EXPECT_EQ(next_step(f).why, "update waits for shard 0, which takes it first");
  f.canary = word_of_0(update_state::canary);
  f.canary->running = 2;
  EXPECT_EQ(next_step(f).what, kind::wait);
  f.canary = word_of_0(update_state::done);
  EXPECT_EQ(next_step(f).what, kind::take);
  f.canary->number = 1; // of another update
  EXPECT_EQ(next_step(f).what, kind::wait);
}

// ---- the entries that come first --------------------------------------------

TEST(rollout, an_older_group_is_written_down_right_before_its_first_update) {
  auto f = ready_for_2();
  f.versions.reset();
  f.written.reset();
  f.features = 0;
  EXPECT_EQ(next_step(f).what, kind::enable);
  f.features = feature::versions;
  EXPECT_EQ(next_step(f).what, kind::record);
  f.host_up = false;
  EXPECT_EQ(next_step(f).what, kind::wait);
  f.newest = 1; // and not before there is one
  EXPECT_EQ(next_step(f).what, kind::rest);
  f.features = 0;
  EXPECT_EQ(next_step(f).what, kind::rest);
}

TEST(rollout, a_group_is_born_with_its_version_if_all_can_read_it) {
  auto f = ready_for_2();
  f.newest = 1;
  f.versions.reset();
  f.features = 0;
  f.newborn = true;
  EXPECT_EQ(next_step(f).what, kind::enable);
  f.features = feature::versions;
  EXPECT_EQ(next_step(f).what, kind::record);
  f.features = 0;
  f.members[1].features = 0;
  EXPECT_EQ(next_step(f).what, kind::rest);
  EXPECT_EQ(next_step(f).state, update_state::done);
}

TEST(rollout, no_bits_are_asked_for_while_members_change) {
  auto f = ready_for_2();
  f.versions.reset();
  f.features = 0;
  f.changing = true;
  EXPECT_EQ(next_step(f).what, kind::wait);
}

// ---- the canary -------------------------------------------------------------

TEST(rollout, the_canary_is_watched_then_settled) {
  auto f = watching();
  auto s = next_step(f);
  EXPECT_EQ(s.what, kind::wait);
  EXPECT_EQ(s.state, update_state::canary);
  f.watched = 10s;
  s = next_step(f);
  EXPECT_EQ(s.what, kind::settle);
  EXPECT_TRUE(s.why.empty());
  f.longest_turn = 2s; // something hangs: not yet
  EXPECT_EQ(next_step(f).what, kind::wait);
}

TEST(rollout, a_canary_that_fails_goes_back_by_itself) {
  auto f = watching();
  f.fresh = figures(10, 1ms, 2ms, 3);
  auto s = next_step(f);
  EXPECT_EQ(s.what, kind::go_back);
  EXPECT_EQ(s.state, update_state::rolled_back);
  EXPECT_EQ(s.why, "3 of 10 turns failed");
}

TEST(rollout, no_way_back_behind_a_newer_state_version) {
  auto f = watching();
  f.versions->now.state_version = 2;
  f.fresh = figures(10, 1ms, 2ms, 3);
  EXPECT_EQ(next_step(f).what, kind::go_back); // nothing was written yet
  f.written = state_written{2, log_index{77}};
  auto s = next_step(f);
  EXPECT_EQ(s.what, kind::settle);
  EXPECT_EQ(s.state, update_state::refused);
  EXPECT_EQ(s.why, "3 of 10 turns failed; can't go back: state version 2 was "
                   "written at index 77; deploy a fix under a higher number");
  // As the log has it from then on.
  f.versions->former.reset();
  f.versions->refused = 2;
  f.versions->why = s.why;
  EXPECT_EQ(next_step(f).what, kind::rest);
  EXPECT_EQ(next_step(f).state, update_state::refused);
}

TEST(rollout, a_refused_number_is_never_tried_again) {
  auto f = ready_for_2();
  f.versions->refused = 2;
  f.versions->why = "it throws";
  auto s = next_step(f);
  EXPECT_EQ(s.what, kind::rest);
  EXPECT_EQ(s.state, update_state::rolled_back);
  EXPECT_EQ(s.why, "it throws");
  f.newest = 3; // a fix
  EXPECT_EQ(next_step(f).what, kind::take);
}

TEST(rollout, what_shard_0_refused_no_shard_takes) {
  auto f = ready_for_2(3);
  for (const auto state : {update_state::rolled_back, update_state::refused}) {
    f.canary = word_of_0(state);
    const auto s = next_step(f);
    EXPECT_EQ(s.what, kind::rest);
    EXPECT_EQ(s.state, state);
    EXPECT_EQ(s.why, "shard 0: it throws");
  }
}

TEST(rollout, a_module_of_a_lower_state_version_is_refused) {
  auto f = ready_for_2();
  f.written = state_written{2, log_index{77}};
  const auto s = next_step(f);
  EXPECT_EQ(s.what, kind::rest);
  EXPECT_EQ(s.state, update_state::refused);
  EXPECT_EQ(s.why, "its module writes state version 1, but state version 2 was "
                   "written at index 77; deploy one that reads it under a "
                   "higher number");
}

TEST(rollout, a_fix_waits_for_the_verdict_on_what_is_watched) {
  auto f = watching();
  f.newest = 3;
  EXPECT_EQ(next_step(f).what, kind::wait);
  f.watched = 10s;
  EXPECT_EQ(next_step(f).what, kind::settle);
}

// ---- the health gate --------------------------------------------------------

TEST(health_gate, crashes_count_against_the_old_versions) {
  auto f = watching();
  f.fresh.crashes = 1;
  EXPECT_EQ(why_unhealthy(f), "its host failed 1 time, the old one's 0");
  f.before.crashes = 1; // it did before
  EXPECT_TRUE(why_unhealthy(f).empty());
  f.before.crashes = 0;
  f.others = {{0, 0, 1, {}, {}}}; // and so it does elsewhere
  EXPECT_TRUE(why_unhealthy(f).empty());
}

TEST(health_gate, errors_that_the_old_version_has_too_are_no_news) {
  auto f = watching();
  f.fresh = figures(1000, 1ms, 2ms, 100);
  EXPECT_FALSE(why_unhealthy(f).empty());
  f.before = figures(1000, 1ms, 2ms, 60);
  EXPECT_TRUE(why_unhealthy(f).empty());
  f.before = {};
  f.fresh = figures(1000, 1ms, 2ms, 20); // 2 %
  EXPECT_TRUE(why_unhealthy(f).empty());
  f.fresh = figures(2, 1ms, 2ms, 2); // too few to tell
  EXPECT_TRUE(why_unhealthy(f).empty());
}

TEST(health_gate, noise_of_some_milliseconds_fails_nothing) {
  auto f = watching();
  f.before = figures(1000, 1ms, 3ms);
  f.fresh = figures(1000, 6ms, 30ms);
  EXPECT_TRUE(why_unhealthy(f).empty());
  f.fresh = figures(1000, 8ms, 30ms);
  EXPECT_EQ(why_unhealthy(f),
            "the median of its turns is 8.0 ms, the old one's 1.0 ms");
  f.fresh = figures(1000, 6ms, 40ms);
  EXPECT_EQ(why_unhealthy(f), "the 99th percentile of its turns is 40.0 ms, "
                              "the old one's 3.0 ms");
  f.watched = 500ms; // it warms up
  EXPECT_TRUE(why_unhealthy(f).empty());
}

TEST(health_gate, a_machine_that_is_slow_for_all_condemns_nobody) {
  auto f = watching();
  f.before = figures(1000, 1ms, 3ms);
  f.fresh = figures(1000, 20ms, 90ms);
  EXPECT_FALSE(why_unhealthy(f).empty());
  f.others = {figures(500, 15ms, 80ms)}; // other shards, meanwhile
  EXPECT_TRUE(why_unhealthy(f).empty());
}

TEST(health_gate, times_need_something_to_compare_with) {
  auto f = watching();
  f.fresh = figures(1000, 20ms, 90ms);
  EXPECT_TRUE(why_unhealthy(f).empty());
  f.before = figures(5, 1ms, 3ms);
  EXPECT_TRUE(why_unhealthy(f).empty());
}

// ---- how turns fared --------------------------------------------------------

TEST(turn_health, quantiles_are_right_within_a_quarter) {
  turn_health h;
  EXPECT_EQ(h.quantile(0.5), duration{});
  for (int i = 1; i <= 1000; ++i)
    h.took(std::chrono::microseconds{i * 10});
  const auto near = [&](double part, duration d) {
    EXPECT_GE(h.quantile(part), d);
    EXPECT_LE(h.quantile(part), d + d / 4);
  };
  near(0.5, 5ms);
  near(0.99, 9900us);
  near(1.0, 10ms);
  turn_health other;
  other.took(1h); // longer than it tells apart
  other.took(duration{});
  h.add(other);
  EXPECT_GE(h.quantile(1.0), 14s);
}

} // namespace
} // namespace banyan
