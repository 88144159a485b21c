// What a reading of the rules found in replicas, by rule: bounds, and inputs
// that come at another time than usual.
#include "world.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace banyan::test {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

struct replica_limits : ::testing::Test {
  explicit replica_limits(world_options o = {}) : w{23, o} {}
  void boot() {
    for (std::size_t i = 0; i < 3; ++i)
      w.boot(i);
    leader = w.await_leader();
  }
  request_frame in_session(std::string command, std::string argument,
                           std::uint64_t number) {
    auto r = w.command("a", std::move(command), std::move(argument));
    r.identity = session_request{session, number, 0};
    return r;
  }
  /// The host answers what it holds, with `change` made to each result.
  void answer_held(const std::function<void(turn_result&)>& change) {
    auto held = std::exchange(w.nodes[leader].held, {});
    std::vector<turn_result> results;
    for (const auto& o : held) {
      results.push_back(run_app(o));
      change(results.back());
    }
    replica_effects out;
    w.nodes[leader].core->on_turn_results(std::move(results), w.now, out);
    carry(leader, out);
  }
  void carry(std::size_t n, replica_effects& out) {
    w.carry(n, out);
    w.touch(n);
  }
  void slow_disks(duration d) {
    w.options.disk_low = d;
    w.options.disk_high = d + duration{1};
  }
  void TearDown() override {
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }
  world w;
  std::size_t leader = 0;
  std::uint64_t session = 0;
};

// ---- sessions ---------------------------------------------------------------

TEST_F(replica_limits, a_session_closed_under_a_turn_stays_closed) {
  boot();
  session = w.open_session(leader);
  w.hold_turns = true;
  const auto call = w.call(leader, in_session("append", "x", 1));
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1u);
  auto close = in_session("", "", 0);
  close.kind = request_kind::close_session;
  ASSERT_EQ(w.ask(leader, close).status, reply_status::ok);
  answer_held([](turn_result&) {});
  w.run_for(100ms);
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::expired);
  EXPECT_EQ(w.nodes[leader].core->status().sessions, 0u);
  w.hold_turns = false;
  // Its number never runs: not at this leader, and not at the next.
  EXPECT_EQ(w.ask(leader, in_session("append", "x", 1)).status,
            reply_status::expired);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  leader = w.await_leader();
  EXPECT_EQ(w.ask(leader, in_session("append", "x", 1)).status,
            reply_status::expired);
  EXPECT_EQ(w.words("a"), "");
  w.boot(dead);
  w.check_states_equal();
}

// ---- sizes ------------------------------------------------------------------

TEST_F(replica_limits, an_answer_over_1_mib_is_too_large) {
  boot();
  w.hold_turns = true;
  const auto exact = w.call(leader, w.command("a", "append", "x"));
  w.run_for(5ms);
  answer_held([](turn_result& r) { r.answer = bytes(mib); });
  w.run_for(100ms);
  const auto over = w.call(leader, w.command("a", "append", "y"));
  w.run_for(5ms);
  answer_held([](turn_result& r) { r.answer = bytes(mib + 1); });
  w.run_for(100ms);
  ASSERT_TRUE(w.answered(exact) && w.answered(over));
  EXPECT_EQ(w.answered(exact)->status, reply_status::ok);
  EXPECT_EQ(w.answered(over)->status, reply_status::too_large);
  w.hold_turns = false;
  EXPECT_EQ(w.words("a"), "x,"); // it had no effect
}

// An answer to a send stands in its entry twice: one near 4 MiB made an entry
// that no replica could store, and each next leader met the same message.
TEST_F(replica_limits, a_group_survives_a_large_answer_to_a_send) {
  boot();
  w.hold_turns = true;
  w.call(leader, w.command("a", "send", "b x"));
  w.run_for(5ms);
  answer_held([](turn_result&) {});
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1u);
  ASSERT_EQ(w.nodes[leader].held[0].actor, "b");
  answer_held([](turn_result& r) { r.answer = bytes(4 * mib - 1000); });
  w.run_for(100ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1u); // the sender takes the answer
  const auto argument = to_text(w.nodes[leader].held[0].argument);
  EXPECT_NE(argument.find("too_large"), std::string::npos);
  EXPECT_LT(argument.size(), 1000u);
  answer_held([](turn_result&) {});
  w.hold_turns = false;
  EXPECT_EQ(w.words("a"), "s:x,r,");
  EXPECT_EQ(w.words("b"), "");
  w.check_states_equal();
}

TEST_F(replica_limits, the_rows_that_go_with_an_actor_count_as_effects) {
  boot();
  w.hold_turns = true;
  const auto turn = [&](const std::function<void(turn_result&)>& change) {
    const auto call = w.call(leader, w.command("a", "noop", ""));
    w.run_for(20ms);
    answer_held(change);
    w.run_for(200ms);
    return w.answered(call) ? w.answered(call)->status : reply_status::unknown;
  };
  for (int t = 0; t < 10; ++t)
    ASSERT_EQ(turn([&](turn_result& r) {
                for (int i = 0; i < 950; ++i) {
                  bytes key(460, static_cast<std::uint8_t>(t));
                  key[0] = static_cast<std::uint8_t>(i);
                  key[1] = static_cast<std::uint8_t>(i >> 8);
                  r.rows.push_back({std::move(key), shared_bytes{}});
                }
              }),
              reply_status::ok);
  EXPECT_EQ(turn([](turn_result& r) { r.removed = true; }),
            reply_status::too_large);
  EXPECT_EQ(turn([](turn_result&) {}), reply_status::ok);
}

TEST_F(replica_limits, what_one_loop_turn_proposes_fits_one_log_order) {
  boot();
  w.hold_turns = true;
  std::vector<std::uint64_t> calls;
  for (int i = 0; i < 24; ++i)
    calls.push_back(
        w.call(leader, w.command("a" + std::to_string(i), "append", "x")));
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), calls.size());
  slow_disks(5ms);
  std::size_t largest = 0;
  std::size_t whole = 0;
  const auto look = [&] {
    for (const auto& order : w.nodes[leader].log_pending)
      largest = std::max(
          largest, std::accumulate(order.entries.begin(), order.entries.end(),
                                   std::size_t{0},
                                   [](std::size_t sum, const log_entry& e) {
                                     return sum + e.data.size();
                                   }));
    whole = 0;
    for (const auto c : calls)
      whole += w.answered(c).has_value();
    return whole == calls.size();
  };
  const auto grow = [](turn_result& r) { r.state = bytes(mib); };
  answer_held(grow);
  const auto until = w.now + 10s;
  while (!look() && w.now < until) {
    w.run_for(100us);
    answer_held(grow); // those that had no room in the order
  }
  EXPECT_EQ(whole, calls.size());
  for (const auto c : calls)
    EXPECT_EQ(w.answered(c)->status, reply_status::ok);
  EXPECT_GT(largest, mib);
  EXPECT_LE(largest, store::log::order_bytes_max / 4);
}

// ---- streams ----------------------------------------------------------------

// It had a slot already, behind a turn that ran as the order came.
TEST_F(replica_limits, a_message_in_the_queue_is_put_back_when_stopped) {
  boot();
  w.hold_turns = true;
  w.call(leader, w.command("a", "append", "x"));
  w.run_for(1ms);
  stream_frame f;
  f.from.app = app_id{std::array<std::uint8_t, 32>{5}};
  f.lineage = w.base.lineage;
  f.to = w.base.group;
  stream_message m;
  m.number = 1;
  m.from_app = "other";
  m.from_key = "o";
  m.to_key = "a";
  m.command = "append";
  m.argument = to_bytes("1");
  f.messages = {m};
  replica_effects none;
  w.nodes[leader].core->on_stream(f, w.now, none);
  w.nodes[leader].core->set_stopped(5, true, w.now, none);
  w.touch(leader);
  w.run_for(100ms);
  w.hold_turns = false;
  answer_held([](turn_result&) {});
  w.run_for(300ms);
  for (const auto& frame : w.foreign)
    EXPECT_FALSE(frame.is_ack) << "taken while stopped";
  w.nodes[leader].core->set_stopped(6, false, w.now, none);
  w.touch(leader);
  w.run_for(300ms);
  ASSERT_FALSE(w.foreign.empty());
  EXPECT_EQ(w.foreign.back().acknowledged, 1u);
  const auto words = w.words("a");
  EXPECT_EQ(words.substr(words.size() - 2), "1,") << words;
}

TEST_F(replica_limits, streams_of_more_sources_than_there_is_room_wait) {
  constexpr std::size_t sources_max = 10'000;
  boot();
  const auto frame = [&](std::size_t source, std::uint64_t number) {
    stream_frame f;
    std::array<std::uint8_t, 32> id{5};
    id[1] = static_cast<std::uint8_t>(source);
    id[2] = static_cast<std::uint8_t>(source >> 8);
    f.from.app = app_id{id};
    f.lineage = w.base.lineage;
    f.to = w.base.group;
    stream_message m;
    m.number = number;
    m.from_app = "other";
    m.from_key = "o";
    m.to_key = "a";
    m.command = "append";
    m.argument = to_bytes(std::to_string(source));
    f.messages = {m};
    return f;
  };
  replica_effects out;
  const auto give = [&](std::size_t source, std::uint64_t number) {
    w.nodes[leader].core->on_stream(frame(source, number), w.now, out);
  };
  for (std::size_t i = 0; i < sources_max; ++i)
    give(i, 2); // the first one is missing: nothing runs
  give(sources_max, 1);
  carry(leader, out);
  w.run_for(50ms);
  EXPECT_EQ(w.words("a"), "");
  give(7, 1); // a source that has its place
  carry(leader, out);
  w.run_for(50ms);
  EXPECT_EQ(w.words("a"), "7,7,");
}

// ---- completions of a replica that was here before --------------------------

TEST_F(replica_limits, completions_for_another_replica_count_for_nothing) {
  boot();
  w.hold_turns = true;
  const auto call = w.call(leader, w.command("a", "append", "x"));
  w.run_for(5ms);
  slow_disks(50ms);
  answer_held([](turn_result&) {});
  w.run_for(5ms);
  replica_id before{w.random.array<16>()};
  for (std::size_t n = 0; n < 3; ++n) {
    ASSERT_EQ(w.nodes[n].log_pending.size(), 1u) << n;
    store::log_done done;
    done.order = w.nodes[n].log_pending[0].order;
    done.order.replica = before;
    done.hashes.resize(w.nodes[n].log_pending[0].entries.size());
    replica_effects out;
    w.nodes[n].core->on_log_done(done, w.now, out);
    carry(n, out);
  }
  w.run_for(5ms);
  EXPECT_FALSE(w.answered(call)); // nobody's disk has it
  w.run_for(200ms);
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::ok);
}

// Few entries, but large ones: the bound in bytes cuts without the one in
// entries, and without waiting for a step of it.
TEST_F(replica_limits, large_entries_are_cut_by_their_bytes) {
  w.base.log_kept_bytes = 40'000;
  boot();
  for (int i = 0; i < 60; ++i)
    ASSERT_EQ(w.ask(leader, w.command("a" + std::to_string(i), "append",
                                      std::string(1000, 'x')))
                  .status,
              reply_status::ok);
  w.run_for(3s);
  for (const auto& n : w.nodes)
    EXPECT_GT(n.log.base.index.value(), 20U);
}

// A leader that is cut off writes a long tail, slowly; by the time that its
// disk has it, a snapshot has taken the place of its log.
TEST_F(replica_limits, a_write_of_a_log_that_a_snapshot_replaced_is_nothing) {
  w.base.log_kept_entries = 20;
  w.base.snapshot_chunk_bytes = 200;
  boot();
  ASSERT_EQ(w.ask(leader, w.command("a", "append", "kept")).status,
            reply_status::ok);
  const auto old = leader;
  for (std::size_t n = 0; n < 3; ++n)
    if (n != old)
      w.cut(old, n);
  w.hold_turns = true;
  for (int i = 0; i < 300; ++i)
    w.call(old, w.command("t" + std::to_string(i), "append", "lost"));
  w.run_for(20ms);
  answer_held([](turn_result&) {});
  for (int i = 0; i < 100; ++i)
    w.call(old, w.command("t" + std::to_string(i), "append", "slow"));
  w.run_for(20ms);
  slow_disks(20s);
  answer_held([](turn_result&) {});
  w.run_for(10us);
  slow_disks(100us);
  w.hold_turns = false;
  ASSERT_EQ(w.nodes[old].log_pending.size(), 1u);
  ASSERT_EQ(w.nodes[old].log_pending[0].entries.size(), 100u);

  ASSERT_TRUE(
      w.run_until([&] { return w.leader() < 3 && w.leader() != old; }, 5s));
  leader = w.leader();
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(w.ask(leader, w.command("a", "append", "x")).status,
              reply_status::ok);
  w.run_for(3s); // the log is cut behind the state commits
  w.heal();
  ASSERT_TRUE(w.run_until(
      [&] {
        return w.nodes[old].meta && w.nodes[old].meta->index.value() > 150;
      },
      10s));
  EXPECT_FALSE(w.nodes[old].log_pending.empty()); // the slow write is open yet
  w.run_for(30s);
  EXPECT_EQ(w.ask(w.await_leader(), w.command("t7", "append", "y")).status,
            reply_status::ok);
  EXPECT_EQ(w.words("t7"), "y,");
  w.check_states_equal();
}

// ---- changes ----------------------------------------------------------------

struct replica_change_limits : replica_limits {
  replica_change_limits() : replica_limits{five()} {}
  static world_options five() {
    world_options o;
    o.nodes = 5;
    return o;
  }
  const change_done* ended(std::uint64_t number) {
    for (const auto& c : w.nodes[leader].changes)
      if (c.number == number)
        return &c;
    return nullptr;
  }
};

TEST_F(replica_change_limits, a_removed_newcomer_ends_the_change_that_waits) {
  boot();
  auto& core = *w.nodes[leader].core;
  const auto other = (leader + 1) % 3;
  replica_effects out;
  // Node 3 never comes: the change waits for it.
  core.change_voters(1, {w.nodes[3].self}, {w.nodes[other].self}, w.now, out);
  carry(leader, out);
  w.run_for(1s);
  EXPECT_EQ(ended(1), nullptr);
  ASSERT_TRUE(core.status().configuration.learners.contains(w.nodes[3].self));

  core.remove_learner(2, w.nodes[3].self, w.now, out);
  carry(leader, out);
  ASSERT_TRUE(w.run_until([&] { return ended(2) != nullptr; }, 10s));
  EXPECT_TRUE(ended(2)->done);
  ASSERT_NE(ended(1), nullptr);
  EXPECT_FALSE(ended(1)->done);
  EXPECT_FALSE(core.status().configuration.contains(w.nodes[3].self));

  w.boot(4);
  core.change_voters(3, {w.nodes[4].self}, {w.nodes[other].self}, w.now, out);
  carry(leader, out);
  ASSERT_TRUE(w.run_until([&] { return ended(3) != nullptr; }, 10s));
  EXPECT_TRUE(ended(3)->done) << ended(3)->why;
}

} // namespace
} // namespace banyan::test
