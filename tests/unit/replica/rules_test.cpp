// Each rule of DESIGN sections 6 to 8 that a replica keeps, by name.
#include "world.hpp"

#include <gtest/gtest.h>

namespace banyan::test {
namespace {

struct replica_rules : ::testing::Test {
  void boot(std::size_t n = 3) {
    for (std::size_t i = 0; i < n; ++i)
      w.boot(i);
    leader = w.await_leader();
  }
  request_frame in_session(std::string key, std::string command,
                           std::string argument, std::uint64_t number,
                           std::uint64_t floor = 0) {
    auto r = w.command(std::move(key), std::move(command), std::move(argument));
    r.identity = session_request{session, number, floor};
    return r;
  }
  reply_status status(const request_frame& r) {
    return w.ask(leader, r).status;
  }
  void cut_off(std::size_t n) {
    for (std::size_t i = 0; i < w.nodes.size(); ++i)
      if (i != n)
        w.cut(n, i);
  }
  void TearDown() override {
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }
  world w{7};
  std::size_t leader = 0;
  std::uint64_t session = 0;
};

// ---- execution and the output gate ------------------------------------------

TEST_F(replica_rules, a_command_answers_once_committed) {
  boot();
  const auto r = w.ask(leader, w.command("a", "append", "x"));
  EXPECT_EQ(r.status, reply_status::ok);
  EXPECT_GT(r.index.value(), 1u);
  EXPECT_EQ(w.words("a"), "x,");
  w.check_states_equal();
}

TEST_F(replica_rules, output_gate_holds_replies_until_commit) {
  boot();
  cut_off(leader);
  const auto call = w.call(leader, w.command("a", "append", "x"));
  w.run_for(200ms); // executed, written here, never committed
  EXPECT_FALSE(w.answered(call));
}

TEST_F(replica_rules, a_lost_term_drops_what_is_not_committed) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "kept")), reply_status::ok);
  const auto old = leader;
  cut_off(old);
  const auto call = w.call(old, w.command("a", "append", "lost"));
  w.run_for(3s);
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::not_leader);
  EXPECT_TRUE(w.answered(call)->submitted);
  w.heal();
  w.run_for(3s);
  EXPECT_EQ(w.words("a"), "kept,");
  w.check_states_equal();
}

TEST_F(replica_rules, turns_pipeline_on_the_overlay_without_waiting) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "0")), reply_status::ok);
  w.options.disk_low = w.options.disk_high = 50ms;
  w.options.disk_high += duration{1};
  const auto before = w.nodes[leader].turns_run;
  for (int i = 1; i <= 5; ++i)
    w.call(leader, w.command("a", "append", std::to_string(i)));
  w.run_for(10ms); // far less than one commit takes
  EXPECT_EQ(w.nodes[leader].turns_run, before + 5);
  w.run_for(2s);
  EXPECT_EQ(w.words("a"), "0,1,2,3,4,5,");
}

TEST_F(replica_rules, one_turn_per_actor_at_a_time) {
  boot();
  w.hold_turns = true;
  w.call(leader, w.command("a", "append", "1"));
  w.call(leader, w.command("a", "append", "2"));
  w.call(leader, w.command("b", "append", "3"));
  w.run_for(5ms);
  EXPECT_EQ(w.nodes[leader].held.size(), 2u);
}

TEST_F(replica_rules, results_of_another_term_or_number_count_for_nothing) {
  boot();
  w.hold_turns = true;
  const auto call = w.call(leader, w.command("a", "append", "1"));
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1u);
  auto& core = *w.nodes[leader].core;
  const auto give = [&](auto change) {
    auto r = run_app(w.nodes[leader].held[0]);
    change(r);
    replica_effects none;
    core.on_turn_results({r}, w.now, none);
    w.touch(leader);
    w.run_for(5ms);
  };
  give([](turn_result& r) { r.key.term = r.key.term.next(); });
  give([](turn_result& r) { ++r.key.number; });
  give([](turn_result& r) { r.key.replica = {}; });
  EXPECT_FALSE(w.answered(call));
  give([](turn_result&) {});
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::ok);
}

TEST_F(replica_rules, every_command_makes_an_entry) {
  boot();
  session = w.open_session(leader);
  std::uint64_t n = 0;
  for (const auto* command : {"reject", "throw", "noop", "unheard_of"}) {
    const auto before = w.nodes[leader].core->status().last;
    const auto r = w.ask(leader, in_session("a", command, "", ++n));
    EXPECT_EQ(w.nodes[leader].core->status().last, before.next()) << command;
    EXPECT_EQ(r.index, before.next());
  }
  EXPECT_EQ(w.ask(leader, in_session("a", "reject", "", 1)).code, "no");
}

TEST_F(replica_rules, a_handler_that_throws_changes_nothing) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  EXPECT_EQ(status(w.command("a", "throw", "")), reply_status::app_failed);
  EXPECT_EQ(w.words("a"), "x,");
}

TEST_F(replica_rules, values_outside_the_overlay_are_loaded) {
  w.base.cache_bytes = 1;
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  ASSERT_EQ(status(w.command("b", "append", "y")), reply_status::ok);
  w.run_for(3s); // the state took it and the cache holds next to nothing
  ASSERT_EQ(status(w.command("a", "append", "z")), reply_status::ok);
  EXPECT_EQ(w.words("a"), "x,z,");
}

TEST_F(replica_rules, table_rows_are_read_through_the_overlay) {
  boot();
  ASSERT_EQ(status(w.command("a", "rows", "k1 v1")), reply_status::ok);
  w.run_for(2s);
  ASSERT_EQ(status(w.command("a", "rows", "k2 v2")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  auto q = w.command("a", "range", "");
  EXPECT_EQ(to_text(w.ask(leader, q).result), "k1=v1,k2=v2,");
  q.kind = request_kind::query;
  EXPECT_EQ(to_text(w.ask(leader, q).result), "k1=v1,k2=v2,");
  EXPECT_EQ(to_text(w.ask(leader, w.command("a", "row", "k1")).result), "v1");
  ASSERT_EQ(status(w.command("a", "remove", "")), reply_status::ok);
  EXPECT_EQ(to_text(w.ask(leader, w.command("a", "range", "")).result), "");
  EXPECT_EQ(w.words("a"), "");
  w.check_states_equal();
}

// ---- sessions and idempotency keys ------------------------------------------

TEST_F(replica_rules, a_retry_gets_the_same_answer_across_failover) {
  boot();
  session = w.open_session(leader);
  const auto first = w.ask(leader, in_session("a", "append", "x", 1));
  EXPECT_EQ(w.ask(leader, in_session("a", "append", "x", 1)).index,
            first.index);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  leader = w.await_leader();
  const auto again = w.ask(leader, in_session("a", "append", "x", 1));
  EXPECT_EQ(again.status, reply_status::ok);
  EXPECT_EQ(again.index, first.index);
  EXPECT_EQ(again.result, first.result);
  EXPECT_EQ(w.words("a"), "x,");
}

TEST_F(replica_rules, a_duplicate_of_an_uncommitted_entry_waits_for_it) {
  boot();
  session = w.open_session(leader);
  cut_off(leader);
  const auto one = w.call(leader, in_session("a", "append", "x", 1));
  w.run_for(20ms);
  const auto two = w.call(leader, in_session("a", "append", "x", 1));
  w.run_for(20ms);
  EXPECT_FALSE(w.answered(one));
  EXPECT_FALSE(w.answered(two));
  w.heal();
  w.run_for(200ms);
  ASSERT_TRUE(w.answered(one) && w.answered(two));
  EXPECT_EQ(w.answered(one)->index, w.answered(two)->index);
  EXPECT_EQ(w.words("a"), "x,");
}

TEST_F(replica_rules, unknown_session_or_below_the_floor_is_expired) {
  boot();
  session = w.open_session(leader);
  ASSERT_EQ(status(in_session("a", "append", "1", 1)), reply_status::ok);
  ASSERT_EQ(status(in_session("a", "append", "2", 2, 2)), reply_status::ok);
  EXPECT_EQ(status(in_session("a", "append", "1", 1)), reply_status::expired);
  session += 1000;
  EXPECT_EQ(status(in_session("a", "append", "3", 1)), reply_status::expired);
  EXPECT_EQ(w.words("a"), "1,2,");
}

TEST_F(replica_rules, the_1025th_unconfirmed_request_is_overloaded) {
  boot();
  session = w.open_session(leader);
  std::uint64_t last = 0;
  for (std::uint64_t n = 1; n <= 1024; ++n)
    last = w.call(leader, in_session("a" + std::to_string(n), "noop", "", n));
  ASSERT_TRUE(w.run_until([&] { return w.answered(last).has_value(); }));
  EXPECT_EQ(status(in_session("a", "noop", "", 1025)),
            reply_status::overloaded);
  EXPECT_EQ(status(in_session("a", "noop", "", 1025, 2)), reply_status::ok);
}

TEST_F(replica_rules, a_session_unused_for_an_hour_is_closed_by_an_entry) {
  w.base.session_idle_max = 20s;
  boot();
  session = w.open_session(leader);
  ASSERT_EQ(status(in_session("a", "append", "1", 1)), reply_status::ok);
  w.run_for(100s);
  leader = w.await_leader();
  EXPECT_EQ(w.nodes[leader].core->status().sessions, 0u);
  EXPECT_EQ(status(in_session("a", "append", "2", 2)), reply_status::expired);
}

TEST_F(replica_rules, the_longest_idle_session_goes_first) {
  w.base.sessions_max = 2;
  boot();
  session = w.open_session(leader);
  const auto first = session;
  w.run_for(1s);
  session = w.open_session(leader);
  w.run_for(1s);
  session = w.open_session(leader);
  EXPECT_EQ(w.nodes[leader].core->status().sessions, 2u);
  EXPECT_EQ(status(in_session("a", "noop", "", 1)), reply_status::ok);
  session = first;
  EXPECT_EQ(status(in_session("a", "noop", "", 1)), reply_status::expired);
}

TEST_F(replica_rules, an_idempotency_key_with_another_body_is_a_conflict) {
  boot();
  auto r = w.command("a", "append", "x");
  r.identity = idempotency_request{"key"};
  const auto first = w.ask(leader, r);
  ASSERT_EQ(first.status, reply_status::ok);
  EXPECT_EQ(w.ask(leader, r).index, first.index);
  auto other = r;
  other.argument = to_bytes("y");
  EXPECT_EQ(status(other), reply_status::conflict);
  other = r;
  other.key = "b"; // scoped to the actor
  EXPECT_EQ(status(other), reply_status::ok);
  EXPECT_EQ(w.words("a"), "x,");
}

TEST_F(replica_rules, idempotency_keys_are_forgotten_by_number_and_age) {
  w.base.idempotency_kept_min = 2;
  w.base.idempotency_kept_max = 4;
  w.base.idempotency_age_min = 10s;
  boot();
  const auto put = [&](int n) {
    auto r = w.command("a", "append", std::to_string(n));
    r.identity = idempotency_request{std::to_string(n)};
    return w.ask(leader, r).index;
  };
  const auto one = put(1);
  put(2);
  put(3);
  put(4);
  EXPECT_EQ(put(1), one); // young: all are kept up to the limit
  put(5);
  EXPECT_NE(put(1), one); // never more than the limit: a new call
  w.run_for(15s);
  const auto six = put(6);
  EXPECT_EQ(put(6), six);
  EXPECT_GT(put(5), six); // old, and not among the last two
}

// ---- queries ----------------------------------------------------------------

TEST_F(replica_rules, a_query_needs_a_round_sent_after_it) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  cut_off(leader);
  auto q = w.command("a", "get", "");
  q.kind = request_kind::query;
  const auto call = w.call(leader, q);
  w.run_for(300ms);
  EXPECT_FALSE(w.answered(call)); // no quorum confirms this leader
}

TEST_F(replica_rules, a_query_waits_for_its_actors_last_entry) {
  boot();
  w.drop = [&](std::size_t from, std::size_t, const group_frame& f) {
    if (from == leader || f.kind != group_frame_kind::raft)
      return false;
    const auto m = raft::decode_message(f.payload, {}, {});
    return m && std::holds_alternative<raft::append_answer>(m->body);
  };
  const auto write = w.call(leader, w.command("a", "append", "x"));
  w.run_for(10ms); // in the overlay; acknowledgements are lost
  auto q = w.command("a", "get", "");
  q.kind = request_kind::query;
  const auto call = w.call(leader, q);
  w.run_for(100ms);
  EXPECT_FALSE(w.answered(call));
  w.drop = nullptr;
  w.run_for(1s);
  ASSERT_TRUE(w.answered(write) && w.answered(call));
  EXPECT_EQ(to_text(w.answered(call)->result), "x,");
}

TEST_F(replica_rules, stale_queries_are_served_by_any_voter_within_the_bound) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.run_for(1s);
  const auto follower = (leader + 1) % 3;
  auto q = w.command("a", "get", "");
  q.kind = request_kind::query;
  q.max_staleness = 5s;
  auto r = w.ask(follower, q); // it has asked no leader yet: forwarded
  EXPECT_EQ(r.status, reply_status::not_leader);
  ASSERT_TRUE(r.leader);
  EXPECT_EQ(*r.leader, w.nodes[leader].self);
  w.run_for(100ms);
  r = w.ask(follower, q);
  EXPECT_EQ(r.status, reply_status::ok);
  EXPECT_EQ(to_text(r.result), "x,");
  cut_off(follower);
  w.run_for(6s);
  EXPECT_EQ(w.ask(follower, q).status, reply_status::not_leader);
}

// ---- sends, timers ----------------------------------------------------------

TEST_F(replica_rules, a_send_arrives_once_and_its_answer_comes_back) {
  boot();
  ASSERT_EQ(status(w.command("a", "send", "b x")), reply_status::ok);
  w.run_for(500ms);
  EXPECT_EQ(w.words("a"), "s:x,r,");
  EXPECT_EQ(w.words("b"), "x,");
  w.check_states_equal();
}

TEST_F(replica_rules,
       a_message_that_cannot_run_is_answered_and_the_stream_goes_on) {
  boot();
  ASSERT_EQ(status(w.command("a", "send", "b x throw")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "send", "b y unheard_of")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "send", "nowhere/b z")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "send", "b v")), reply_status::ok);
  w.run_for(1s);
  EXPECT_EQ(w.words("b"), "v,");
  const auto a = w.words("a");
  EXPECT_EQ(std::count(a.begin(), a.end(), 'r'), 4);
}

TEST_F(replica_rules, streams_are_numbered_acknowledged_and_sent_again) {
  boot();
  ASSERT_EQ(status(w.command("a", "send", "other/b x")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "send", "other/b y")), reply_status::ok);
  w.run_for(50ms);
  ASSERT_GE(w.foreign.size(), 1u);
  EXPECT_EQ(w.foreign[0].lineage, w.base.lineage);
  EXPECT_EQ(w.foreign[0].messages[0].number, 1u);
  w.foreign.clear();
  w.run_for(2s);
  ASSERT_FALSE(w.foreign.empty()); // nobody acknowledged: again
  EXPECT_EQ(w.foreign[0].messages.size(), 2u);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  leader = w.await_leader();
  w.foreign.clear();
  w.run_for(500ms);
  ASSERT_FALSE(w.foreign.empty()); // the next leader goes on
  stream_frame ack;
  ack.from = w.base.group;
  ack.lineage = w.base.lineage;
  ack.to = w.foreign[0].to;
  ack.is_ack = true;
  ack.acknowledged = 2;
  replica_effects none;
  w.nodes[leader].core->on_stream(ack, w.now, none);
  w.touch(leader);
  w.run_for(1s);
  w.foreign.clear();
  w.run_for(20s);
  EXPECT_TRUE(w.foreign.empty());
}

TEST_F(replica_rules, a_stream_takes_each_message_once_and_in_order) {
  boot();
  stream_frame f;
  f.from.app = app_id{std::array<std::uint8_t, 32>{5}};
  f.lineage = w.base.lineage;
  f.to = w.base.group;
  const auto message = [](std::uint64_t n) {
    stream_message m;
    m.number = n;
    m.from_app = "other";
    m.from_key = "o";
    m.to_key = "a";
    m.command = "append";
    m.argument = to_bytes(std::to_string(n));
    return m;
  };
  f.messages = {message(2), message(3)};
  const auto give = [&] {
    replica_effects none;
    w.nodes[leader].core->on_stream(f, w.now, none);
    w.touch(leader);
    w.run_for(100ms);
  };
  give();
  EXPECT_EQ(w.words("a"), ""); // 1 is missing
  f.messages = {message(1), message(2)};
  give();
  give();
  EXPECT_EQ(w.words("a"), "1,2,3,");
  ASSERT_FALSE(w.foreign.empty());
  EXPECT_TRUE(w.foreign.back().is_ack);
  EXPECT_EQ(w.foreign.back().acknowledged, 3u);
}

TEST_F(replica_rules, timers_are_due_in_log_time_and_survive_failover) {
  boot();
  ASSERT_EQ(status(w.command("a", "after", "3000 t")), reply_status::ok);
  w.run_for(1s);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  leader = w.await_leader();
  w.run_for(1s);
  EXPECT_EQ(w.words("a"), "");
  w.run_for(3s);
  EXPECT_EQ(w.words("a"), "t,");
  w.run_for(10s);
  EXPECT_EQ(w.words("a"), "t,");
}

TEST_F(replica_rules, named_timers_replace_and_cancel) {
  boot();
  ASSERT_EQ(status(w.command("a", "after", "500 one")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "after", "800 two")), reply_status::ok);
  w.run_for(600ms);
  EXPECT_EQ(w.words("a"), "");
  w.run_for(400ms);
  EXPECT_EQ(w.words("a"), "two,");
  ASSERT_EQ(status(w.command("a", "after", "500 three")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "cancel", "")), reply_status::ok);
  w.run_for(2s);
  EXPECT_EQ(w.words("a"), "two,");
}

// ---- hosts and poison -------------------------------------------------------

TEST_F(replica_rules, the_third_poison_record_answers_poisoned) {
  boot();
  session = w.open_session(leader);
  const auto r = w.ask(leader, in_session("a", "die", "", 1));
  EXPECT_EQ(r.status, reply_status::poisoned);
  EXPECT_EQ(status(in_session("a", "append", "x", 2)), reply_status::ok);
  EXPECT_EQ(w.ask(leader, in_session("a", "die", "", 1)).status,
            reply_status::poisoned); // as kept
}

TEST_F(replica_rules, a_suspect_runs_alone_after_its_record_is_committed) {
  boot();
  session = w.open_session(leader);
  w.hold_turns = true;
  auto r = in_session("a", "append", "x", 1);
  r.outstanding = outstanding_at{w.nodes[0].self.node, incarnation{1}};
  w.call(leader, in_session("b", "append", "y", 2));
  w.run_for(1ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1u);
  const auto before = w.nodes[leader].core->status().last;
  w.call(leader, r);
  w.call(leader, in_session("c", "append", "z", 3));
  w.run_for(20ms);
  // The record is an entry; the suspect waits until b's turn ends.
  EXPECT_EQ(w.nodes[leader].core->status().last, before.next());
  auto& held = w.nodes[leader].held;
  const auto finish = [&](std::size_t n) {
    replica_effects none;
    w.nodes[leader].core->on_turn_results({run_app(held.at(n))}, w.now, none);
    w.touch(leader);
    w.run_for(20ms);
  };
  const auto c_ran_first = held.size() == 2;
  finish(0);
  if (c_ran_first)
    finish(1);
  ASSERT_GE(held.size(), 2u);
  EXPECT_EQ(held.back().actor, "a");
  const auto with_a = held.size();
  w.call(leader, in_session("d", "append", "z", 4));
  w.run_for(20ms);
  EXPECT_EQ(held.size(), with_a); // nothing beside it
  finish(with_a - 1);
  EXPECT_GT(held.size(), with_a);
}

TEST_F(replica_rules, requests_wait_while_the_host_is_down) {
  boot();
  w.kill_host(leader);
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
}

TEST_F(replica_rules, deadlines_say_whether_it_ran) {
  boot();
  w.nodes[leader].host_up = false;
  replica_effects none;
  w.nodes[leader].core->on_host_down({}, w.now, none);
  auto r = w.command("a", "append", "x");
  r.deadline_left = 50ms;
  EXPECT_EQ(status(r), reply_status::deadline); // never began
  w.start_host(leader);
  w.hold_turns = true;
  EXPECT_EQ(status(r), reply_status::unknown); // the host has it
}

TEST_F(replica_rules, a_full_queue_is_overloaded) {
  w.base.waiting_turns_max = 3;
  boot();
  w.hold_turns = true;
  for (int i = 0; i < 4; ++i) {
    w.call(leader, w.command("a", "append", "x"));
    w.run_for(1ms);
  }
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::overloaded);
}

TEST_F(replica_rules, stopped_by_an_operator_is_an_entry) {
  boot();
  replica_effects none;
  w.nodes[leader].core->set_stopped(5, true, w.now, none);
  w.touch(leader);
  w.run_for(100ms);
  ASSERT_EQ(w.nodes[leader].changes.size(), 1u);
  EXPECT_TRUE(w.nodes[leader].changes[0].done);
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::stopped);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  leader = w.await_leader();
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::stopped);
}

TEST_F(replica_rules, a_full_disk_is_a_typed_error_and_nothing_is_lost) {
  boot();
  w.disk_full = true;
  const auto call = w.call(leader, w.command("a", "append", "x"));
  w.run_for(50ms);
  EXPECT_EQ(status(w.command("b", "append", "y")), reply_status::disk_full);
  w.disk_full = false;
  w.run_for(5s);
  (void)call;
  leader = w.await_leader();
  EXPECT_EQ(status(w.command("b", "append", "z")), reply_status::ok);
  w.check_states_equal();
}

// ---- replicas ---------------------------------------------------------------

struct replica_changes : replica_rules {
  replica_changes() {
    world_options o;
    o.nodes = 4;
    w.~world();
    new (&w) world{11, o};
    w.base.log_kept_entries = 20;
    w.base.snapshot_chunk_bytes = 200;
  }
  void fill(int from, int to) {
    for (int i = from; i < to; ++i)
      ASSERT_EQ(status(w.command("k" + std::to_string(i % 37), "append",
                                 std::to_string(i))),
                reply_status::ok);
  }
};

TEST_F(replica_changes, a_lost_voter_is_replaced_through_a_snapshot) {
  boot();
  session = w.open_session(leader);
  const auto kept = w.ask(leader, in_session("s", "append", "x", 1));
  ASSERT_EQ(status(w.command("t", "after", "600000 late")), reply_status::ok);
  fill(0, 300);
  w.run_for(3s); // the log is cut behind the state commits
  const auto gone = (leader + 1) % 3;
  w.crash(gone);
  w.boot(3);
  replica_effects none;
  w.nodes[leader].core->change_voters(9, {w.nodes[3].self},
                                      {w.nodes[gone].self}, w.now, none);
  w.touch(leader);
  fill(300, 400); // writes go on while rows are copied
  ASSERT_TRUE(
      w.run_until([&] { return !w.nodes[leader].changes.empty(); }, 30s));
  EXPECT_TRUE(w.nodes[leader].changes[0].done)
      << w.nodes[leader].changes[0].why;
  const auto c = w.nodes[leader].core->status().configuration;
  EXPECT_TRUE(c.voters.contains(w.nodes[3].self));
  EXPECT_FALSE(c.contains(w.nodes[gone].self));
  EXPECT_FALSE(c.joint());
  w.check_states_equal();
  // All kinds of rows came along: it can lead and answer a retry.
  w.nodes[leader].core->transfer_leadership(10, w.nodes[3].self, w.now, none);
  w.touch(leader);
  ASSERT_TRUE(w.run_until([&] { return w.leader() == 3; }, 10s));
  leader = 3;
  EXPECT_EQ(w.ask(3, in_session("s", "append", "x", 1)).index, kept.index);
}

TEST_F(replica_changes, a_removed_replica_retires_once_the_rest_is_durable) {
  boot();
  fill(0, 10);
  w.boot(3);
  const auto out = (leader + 1) % 3;
  replica_effects none;
  w.nodes[leader].core->change_voters(9, {w.nodes[3].self}, {w.nodes[out].self},
                                      w.now, none);
  w.touch(leader);
  ASSERT_TRUE(w.run_until([&] { return w.nodes[out].retired; }, 30s));
  EXPECT_FALSE(
      w.nodes[leader].core->status().configuration.contains(w.nodes[out].self));
}

TEST_F(replica_changes, a_node_without_the_replica_says_so) {
  boot();
  const auto other = (leader + 1) % 3;
  w.crash(other);
  w.nodes[other].self.replica = replica_id{w.random.array<16>()};
  w.nodes[other].has_log = false;
  w.nodes[other].log = {};
  w.nodes[other].meta.reset();
  w.nodes[other].rows.clear();
  w.boot(other);
  w.run_for(2s);
  ASSERT_FALSE(w.nodes[leader].lost.empty());
  EXPECT_EQ(w.nodes[leader].lost[0].who.node, w.nodes[other].self.node);
}

TEST(replica_growth, one_voter_grows_to_three) {
  world_options o;
  o.voters = 1;
  world w{3, o};
  w.boot(0);
  ASSERT_EQ(w.await_leader(), 0u);
  ASSERT_EQ(w.ask(0, w.command("a", "append", "x")).status, reply_status::ok);
  w.boot(1);
  w.boot(2);
  replica_effects none;
  w.nodes[0].core->change_voters(1, {w.nodes[1].self, w.nodes[2].self}, {},
                                 w.now, none);
  w.touch(0);
  ASSERT_TRUE(w.run_until([&] { return !w.nodes[0].changes.empty(); }, 10s));
  EXPECT_TRUE(w.nodes[0].changes[0].done);
  w.crash(0);
  w.evidence(0);
  const auto next = w.await_leader();
  EXPECT_NE(next, 0u);
  EXPECT_EQ(w.words("a"), "x,");
  EXPECT_TRUE(w.problems.empty());
}

TEST_F(replica_rules, another_lineage_is_dropped) {
  boot();
  group_frame f;
  f.group = w.base.group;
  f.from = w.nodes[0].self.replica;
  f.to = replica_id{w.random.array<16>()};
  bytes frame;
  encode(f, frame);
  replica_effects out;
  w.nodes[leader].core->on_group_frame(w.nodes[0].self.node, frame, w.now, out);
  EXPECT_TRUE(out.empty());
}

TEST_F(replica_rules, a_failover_is_reported_with_its_phases) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  const auto killed = w.now;
  leader = w.await_leader();
  ASSERT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
  w.run_for(10ms);
  ASSERT_EQ(w.nodes[leader].failovers.size(), 1u);
  const auto& f = w.nodes[leader].failovers[0];
  EXPECT_EQ(f.detected, killed);
  EXPECT_LE(f.detected, f.elected);
  EXPECT_LE(f.elected, f.first_commit);
  EXPECT_LT(f.first_commit - f.detected, 60ms);
}

TEST_F(replica_rules, a_restart_continues_from_log_and_state) {
  boot();
  session = w.open_session(leader);
  ASSERT_EQ(status(in_session("a", "append", "x", 1)), reply_status::ok);
  w.run_for(2s);
  ASSERT_EQ(status(in_session("a", "append", "y", 2)), reply_status::ok);
  for (std::size_t n = 0; n < 3; ++n)
    w.crash(n);
  boot();
  EXPECT_EQ(w.words("a"), "x,y,");
  EXPECT_EQ(status(in_session("a", "append", "y", 2)), reply_status::ok);
  EXPECT_EQ(w.words("a"), "x,y,");
  w.check_states_equal();
}

TEST_F(replica_rules, garbage_from_peers_is_dropped) {
  boot();
  for (int i = 0; i < 3000; ++i) {
    bytes b(w.random.below(80));
    w.random.fill(b.data(), b.size());
    replica_effects out;
    w.nodes[leader].core->on_group_frame(w.nodes[0].self.node, b, w.now, out);
    group_frame f;
    f.group = w.base.group;
    f.lineage = w.base.lineage;
    f.from = w.nodes[(leader + 1) % 3].self.replica;
    f.to = w.nodes[leader].self.replica;
    f.kind = static_cast<group_frame_kind>(1 + i % 6);
    f.payload = b;
    bytes frame;
    encode(f, frame);
    w.nodes[leader].core->on_group_frame(w.nodes[(leader + 1) % 3].self.node,
                                         frame, w.now, out);
  }
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
}

} // namespace
} // namespace banyan::test
