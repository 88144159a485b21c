// Each rule of DESIGN sections 6 to 8 that a replica keeps, by name: turns,
// the output gate, sessions, queries.
#include "rules.hpp"

namespace banyan::test {
namespace {

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

} // namespace
} // namespace banyan::test
