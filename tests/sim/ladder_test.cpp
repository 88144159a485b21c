// The ladder of DESIGN section 8, rung by rung, on virtual machines: what a
// failing host costs its app, and where that ends.
#include "actors/docs/app_documents.hpp"
#include "actors/testing/sim/world.hpp"
#include "base/codec.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

/// Three machines, each a voter of both shards.
struct ladder : ::testing::Test {
  void SetUp() override {
    add_apps(w.catalog);
    for (const auto& m : w.machines)
      m->boot();
    ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
    actors::deploy_in d;
    d.spec.name = d.spec.module = "counter";
    d.spec.shards = 2;
    d.spec.isolation = app_isolation::none;
    bool done = false;
    d.done = [&](const actors::deploy_answer& a) {
      done = true;
      EXPECT_EQ(a.status, reply_status::ok) << a.message;
    };
    caf::anon_send(context(0).supervisor, std::move(d));
    ASSERT_TRUE(w.run_until([&] { return done; }, 10s));
    w.run_for(2s);
    app = context(0).known.find_app("counter")->id;
    ASSERT_TRUE(all_serve());
  }
  void TearDown() override {
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }
  actors::node_context& context(std::size_t n) {
    return w.at(n).peer().context();
  }
  bool all_met() {
    for (const auto& m : w.machines)
      for (const auto& other : w.machines)
        if (other->id() != m->id()
            && !m->peer().context().members->hears(other->id()))
          return false;
    return true;
  }
  /// Of the shard; 3: nobody that says so.
  std::size_t leader(std::uint32_t shard = 0) {
    for (std::size_t n = 0; n < 3; ++n)
      if (const auto* v = context(n).known.view({app, shard});
          v != nullptr && v->leader.node == w.at(n).id())
        return n;
    return 3;
  }
  group_health health(std::uint32_t shard) {
    const auto n = leader(shard);
    return n == 3 ? group_health::no_quorum
                  : context(n).known.view({app, shard})->health;
  }
  reply call(const std::string& key, const std::string& command = "add",
             std::size_t by = 0, duration limit = 5s) {
    call_request r;
    r.app = "counter";
    r.key = key;
    r.command = command;
    writer{r.argument}.map(1).text("n").sint(1);
    std::optional<reply> got;
    w.at(by).peer().call(std::move(r),
                         [&](const reply& a, std::uint32_t) { got = a; });
    EXPECT_TRUE(w.run_until([&] { return got.has_value(); }, limit + 1s));
    return got ? *got : reply{};
  }
  /// Each shard has a key in "a" to "h".
  bool all_serve() {
    for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"})
      if (call(key).status != reply_status::ok)
        return false;
    return true;
  }
  void fail_host(std::size_t n, int times, duration apart = 1200ms) {
    for (int i = 0; i < times; ++i) {
      ASSERT_TRUE(w.at(n).kill_a_host());
      w.run_for(apart);
    }
  }
  std::uint64_t moves() {
    std::uint64_t all = 0;
    for (std::size_t n = 0; n < 3; ++n)
      all += context(n).counters.host_moves;
    return all;
  }
  std::size_t follower() { return leader() == 0 ? 1 : 0; }
  std::size_t other_follower() { return 3 - leader() - follower(); }

  world w{world_options{11, 3, {}, {}, {}}};
  app_id app;
};

TEST_F(ladder, two_failures_are_met_by_restarts_on_the_spot) {
  const auto before = leader();
  fail_host(before, 2);
  EXPECT_EQ(leader(), before);
  EXPECT_TRUE(all_serve());
  EXPECT_EQ(moves(), 0U);
  EXPECT_EQ(context(before).counters.hosts_failed, 2U);
}

// The third restart would wait for 200 ms, a hand-over takes some 5.
TEST_F(ladder, leadership_moves_when_that_is_quicker_than_the_restart) {
  const auto before = leader();
  fail_host(before, 2);
  ASSERT_TRUE(w.at(before).kill_a_host());
  ASSERT_TRUE(
      w.run_until([&] { return leader() != before && leader() != 3; }, 100ms));
  EXPECT_EQ(call("a").status, reply_status::ok);
  w.run_for(30s);
  EXPECT_NE(leader(), before);
  EXPECT_TRUE(all_serve());
  EXPECT_LE(moves(), 2U); // one for each shard that it led
}

TEST_F(ladder, leadership_moves_when_a_host_is_slow_to_come_up) {
  const auto before = leader();
  w.at(before).host_delays(2s, 2s + 1ms);
  ASSERT_TRUE(w.at(before).kill_a_host());
  ASSERT_TRUE(
      w.run_until([&] { return leader() != before && leader() != 3; }, 1500ms));
  EXPECT_EQ(call("a").status, reply_status::ok);
}

// Where every other voter is worn, the ladder goes on here.
TEST_F(ladder, more_than_five_in_60_s_move_leadership_to_any_voter) {
  const auto before = leader();
  fail_host(follower(), 3, 300ms);
  fail_host(other_follower(), 3, 300ms);
  fail_host(before, 5);
  w.run_for(5500ms); // the restart of the last waits for 5 s
  EXPECT_EQ(leader(), before);
  const auto so_far = moves();
  ASSERT_TRUE(w.at(before).kill_a_host());
  ASSERT_TRUE(
      w.run_until([&] { return leader() != before && leader() != 3; }, 500ms));
  EXPECT_GT(moves(), so_far);
  EXPECT_TRUE(all_serve());
}

TEST_F(ladder, the_same_on_every_voter_parks_the_app_and_it_comes_back) {
  for (int round = 0; round < 7; ++round)
    for (std::size_t n = 0; n < 3; ++n)
      fail_host(n, 1, 2s);
  ASSERT_TRUE(w.run_until(
      [&] {
        return health(0) == group_health::parked
               && health(1) == group_health::parked;
      },
      5s));
  EXPECT_EQ(call("a").status, reply_status::parked);
  EXPECT_FALSE(context(leader()).host_errors.empty()
               && context(0).counters.hosts_failed == 0);
  // Nothing fails any more: after a window each node says that it is well.
  ASSERT_TRUE(w.run_until(
      [&] {
        return health(0) != group_health::parked
               && health(1) != group_health::parked;
      },
      90s));
  w.run_for(2s);
  EXPECT_TRUE(all_serve()); // what was there is there
}

TEST_F(ladder, a_parked_host_that_goes_on_failing_is_tried_ever_more_seldom) {
  for (int round = 0; round < 7; ++round)
    for (std::size_t n = 0; n < 3; ++n)
      fail_host(n, 1, 2s);
  ASSERT_TRUE(
      w.run_until([&] { return health(0) == group_health::parked; }, 5s));
  const auto before = context(0).counters.hosts_failed;
  const auto until = w.now() + 15min;
  while (w.now() < until) { // it never runs for a window
    for (std::size_t n = 0; n < 3; ++n)
      static_cast<void>(w.at(n).kill_a_host());
    w.run_for(10s);
  }
  // After 30, 60, 120, 240 and 480 s.
  EXPECT_LE(context(0).counters.hosts_failed - before, 7U);
  EXPECT_EQ(health(0), group_health::parked);
}

TEST_F(ladder, what_an_operator_does_consumes_nothing) {
  const auto before = leader();
  for (int i = 0; i < 20; ++i) {
    context(before).tell_hosts(app, actors::restart_host{});
    w.run_for(100ms);
  }
  EXPECT_EQ(leader(), before);
  EXPECT_EQ(moves(), 0U);
  EXPECT_EQ(context(before).counters.hosts_failed, 0U);
  EXPECT_TRUE(all_serve());
  fail_host(before, 2, 300ms); // the budget is whole
  EXPECT_EQ(leader(), before);
}

// What the host had is handed out again, as after any other end of it.
TEST_F(ladder, a_restart_by_an_operator_loses_no_turn) {
  const auto n = leader();
  fail_host(n, 1, 300ms); // or the order would find nothing to do
  std::string key = "a";
  while (shard_of(key, 2) != 0)
    ++key[0];
  ASSERT_TRUE(w.at(n).hang_a_host());
  call_request r;
  r.app = "counter";
  r.key = key;
  r.command = "add";
  writer{r.argument}.map(1).text("n").sint(1);
  std::optional<reply> got;
  w.at(n).peer().call(std::move(r),
                      [&](const reply& a, std::uint32_t) { got = a; });
  w.run_for(200ms);
  ASSERT_FALSE(got); // its host has it, and hangs
  context(n).tell_hosts(app, actors::restart_host{});
  ASSERT_TRUE(w.run_until([&] { return got.has_value(); }, 2s));
  EXPECT_EQ(got->status, reply_status::ok) << got->message;
  EXPECT_EQ(leader(), n);
  EXPECT_EQ(context(n).counters.hosts_failed, 1U);
}

// It harms every host that it meets, three times in all, and then no more.
TEST_F(ladder, a_poison_command_ends_in_poisoned_and_the_actor_goes_on) {
  for (std::size_t n = 0; n < 3; ++n)
    w.at(n).deadly("add");
  const auto said = call("a");
  EXPECT_EQ(said.status, reply_status::poisoned) << said.message;
  std::uint64_t failed = 0;
  for (std::size_t n = 0; n < 3; ++n) {
    failed += context(n).counters.hosts_failed;
    w.at(n).deadly("");
  }
  EXPECT_EQ(failed, 3U);
  EXPECT_EQ(call("a").status, reply_status::ok);
  std::uint64_t poisoned = 0;
  for (std::size_t n = 0; n < 3; ++n)
    poisoned += context(n).counters.requests_poisoned;
  EXPECT_EQ(poisoned, 1U);
}

TEST_F(ladder, a_storm_of_poison_comes_to_rest) {
  for (std::size_t n = 0; n < 3; ++n)
    w.at(n).deadly("add");
  int poisoned = 0;
  int parked = 0;
  for (int i = 0; i < 20; ++i) {
    const auto said = call("a", "add", static_cast<std::size_t>(i) % 3, 30s);
    poisoned += said.status == reply_status::poisoned ? 1 : 0;
    parked += said.status == reply_status::parked ? 1 : 0;
    w.run_for(100ms);
  }
  EXPECT_GE(poisoned, 1);
  EXPECT_GE(parked, 1);
  EXPECT_LE(moves(), 12U); // not one for each failure
  for (std::size_t n = 0; n < 3; ++n)
    w.at(n).deadly("");
  ASSERT_TRUE(w.run_until(
      [&] {
        return health(0) == group_health::healthy
               && health(1) == group_health::healthy;
      },
      120s));
  w.run_for(2s);
  EXPECT_TRUE(all_serve());
}

} // namespace
} // namespace banyan::sim
