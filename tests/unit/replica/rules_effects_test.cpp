// Each rule of DESIGN sections 6 to 8 that a replica keeps, by name: sends,
// timers, hosts, limits.
#include "rules.hpp"

namespace banyan::test {
namespace {

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

// [6] Calls of stateless apps run at least once; `on_reply` delivers the answer
// exactly once.
TEST_F(replica_rules, an_answer_of_a_stateless_app_takes_effect_once) {
  boot();
  ASSERT_EQ(status(w.command("a", "send", "other/b x")), reply_status::ok);
  ASSERT_EQ(status(w.command("a", "send", "other/b y")), reply_status::ok);
  w.run_for(50ms);
  ASSERT_FALSE(w.foreign.empty());
  const auto to = w.foreign[0].to;
  const auto answer = [&](std::uint64_t number) {
    stream_frame f;
    f.from = to;
    f.lineage = w.base.lineage;
    f.to = w.base.group;
    stream_message m;
    m.number = number;
    m.what = stream_message::kind::reply;
    m.from_app = "other";
    m.from_key = "b";
    m.to_key = "a";
    m.command = "done";
    turn_send sent;
    sent.key = "b";
    m.argument = reply_argument(sent, {}, {}, {});
    f.messages.push_back(m);
    replica_effects none;
    w.nodes[leader].core->on_answers(f, w.now, none);
    w.touch(leader);
  };
  const auto acknowledged = [&] { // back to who made the calls
    std::uint64_t n = 0;
    for (const auto& f : w.foreign)
      if (f.is_ack && f.from == to)
        n = std::max(n, f.acknowledged);
    return n;
  };
  w.foreign.clear();
  answer(2); // nobody waited for what 1 came to
  w.run_for(100ms);
  EXPECT_EQ(w.words("a"), "s:x,s:y,r,");
  EXPECT_EQ(acknowledged(), 2U);
  w.foreign.clear();
  answer(2); // the call was made a second time
  w.run_for(100ms);
  EXPECT_EQ(acknowledged(), 2U);
  const auto dead = leader;
  w.crash(dead);
  w.evidence(dead);
  leader = w.await_leader();
  w.foreign.clear();
  answer(1);
  answer(2);
  w.run_for(500ms);
  EXPECT_EQ(acknowledged(), 2U);
  EXPECT_EQ(w.words("a"), "s:x,s:y,r,");
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

// A host serves many groups: what it died of in one of them, or between two
// turns, is not for the others to answer for.
TEST_F(replica_rules, only_what_the_host_died_of_gets_a_record) {
  boot();
  session = w.open_session(leader);
  w.hold_turns = true;
  const auto before = w.nodes[leader].core->status().last;
  const auto call = w.call(leader, in_session("a", "append", "x", 1));
  w.run_for(1ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1u);
  auto elsewhere = w.nodes[leader].held[0].key;
  ++elsewhere.group.shard;
  for (const turn_suspects& died_of :
       {turn_suspects{true, std::nullopt}, turn_suspects{true, elsewhere}}) {
    w.kill_host(leader, died_of);
    w.run_for(20ms);
    EXPECT_EQ(w.nodes[leader].core->status().last, before); // no record
    ASSERT_EQ(w.nodes[leader].held.size(), 1u);             // it runs again
  }
  w.kill_host(leader, {true, w.nodes[leader].held[0].key});
  w.run_for(20ms);
  EXPECT_EQ(w.nodes[leader].core->status().last, before.next());
  w.kill_host(leader); // nobody knows what of: all that it had
  w.run_for(20ms);
  EXPECT_EQ(w.nodes[leader].core->status().last, before.next().next());
  w.hold_turns = false;
  w.kill_host(leader, {true, std::nullopt});
  ASSERT_TRUE(w.run_until([&] { return w.answered(call).has_value(); }));
  EXPECT_EQ(w.answered(call)->status, reply_status::ok);
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

// 20,000 may wait, but not 20,000 of 1 MiB each.
TEST_F(replica_rules, a_queue_is_full_of_bytes_before_it_is_full_of_calls) {
  boot();
  w.kill_host(leader);
  const std::string large(std::size_t{1'000} << 10U, 'x');
  const std::size_t most = (std::size_t{64} << 20U) / large.size();
  std::vector<std::uint64_t> calls;
  for (std::size_t i = 0; i < most; ++i)
    calls.push_back(
        w.call(leader, w.command("a" + std::to_string(i), "noop", large)));
  const auto no = w.ask(leader, w.command("b", "noop", large));
  EXPECT_EQ(no.status, reply_status::overloaded);
  EXPECT_NE(no.message.find("bytes"), std::string::npos);
  EXPECT_TRUE(no.retry_after);
  auto query = w.command("a", "get", large);
  query.kind = request_kind::query;
  EXPECT_EQ(w.ask(leader, query).status, reply_status::overloaded);
  const auto small = w.call(leader, w.command("b", "noop", "x"));
  w.start_host(leader);
  EXPECT_TRUE(w.run_until([&] {
    return std::all_of(calls.begin(), calls.end(),
                       [&](auto call) { return w.answered(call).has_value(); });
  }));
  for (const auto call : calls)
    EXPECT_EQ(w.answered(call)->status, reply_status::ok);
  EXPECT_TRUE(w.run_until([&] { return w.answered(small).has_value(); }));
  EXPECT_EQ(w.answered(small)->status, reply_status::ok);
  EXPECT_EQ(w.ask(leader, query).status, reply_status::ok);
  for (std::size_t i = 0; i < most; ++i) // all of it is free again
    w.call(leader, w.command("c" + std::to_string(i), "noop", large));
  EXPECT_EQ(status(w.command("b", "noop", "x")), reply_status::ok);
}

TEST_F(replica_rules, a_duplicate_is_answered_in_spite_of_overload) {
  w.base.queue_time_max = 100ms;
  w.options.turn_low = 50ms;
  w.options.turn_high = 51ms;
  boot();
  session = w.open_session(leader);
  std::vector<std::uint64_t> calls;
  for (std::uint64_t n = 1; n <= 30; ++n)
    calls.push_back(w.call(leader, in_session("a", "noop", "", n)));
  w.run_for(600ms);
  ASSERT_TRUE(w.answered(calls.front()));
  ASSERT_FALSE(w.answered(calls.back()));
  const auto refused = w.ask(leader, in_session("a", "noop", "", 31));
  EXPECT_EQ(refused.status, reply_status::overloaded);
  ASSERT_TRUE(refused.retry_after);
  EXPECT_GT(*refused.retry_after, w.base.queue_time_max);
  // What has its answer, or its place in the queue, keeps it.
  EXPECT_EQ(status(in_session("a", "noop", "", 1)), reply_status::ok);
  EXPECT_FALSE(w.answered(calls.back()));
  const auto again = w.call(leader, in_session("a", "noop", "", 30));
  // And one hot actor is none of another's business.
  EXPECT_EQ(status(in_session("b", "noop", "", 32)), reply_status::ok);
  EXPECT_TRUE(w.run_until([&] { return w.answered(again).has_value(); }));
  EXPECT_EQ(w.answered(again)->status, reply_status::ok);
  EXPECT_EQ(status(in_session("a", "noop", "", 31)), reply_status::ok);
}

TEST_F(replica_rules, many_commands_at_once_are_no_overload) {
  w.base.queue_time_max = 100ms;
  w.options.turn_low = 60ms; // a hiccup of the host
  w.options.turn_high = 61ms;
  boot();
  for (int n = 0; n < 12; ++n) { // one behind the other: a slow pace is known
    w.call(leader, w.command("a", "noop", ""));
    w.call(leader, w.command("a", "noop", ""));
    w.run_for(130ms);
  }
  w.options.turn_low = 1ms;
  w.options.turn_high = 2ms;
  std::vector<std::uint64_t> calls;
  for (int n = 0; n < 40; ++n)
    calls.push_back(w.call(leader, w.command("a", "noop", "")));
  w.run_for(1s);
  for (const auto call : calls) {
    ASSERT_TRUE(w.answered(call));
    EXPECT_EQ(w.answered(call)->status, reply_status::ok);
  }
}

TEST_F(replica_rules, a_wait_for_the_host_is_no_overload) {
  w.base.queue_time_max = 100ms;
  boot();
  w.kill_host(leader);
  std::vector<std::uint64_t> calls;
  for (int n = 0; n < 20; ++n)
    calls.push_back(w.call(leader, w.command("a", "append", "x")));
  w.run_for(500ms);
  w.start_host(leader);
  const auto later = w.call(leader, w.command("a", "append", "y"));
  EXPECT_TRUE(w.run_until([&] { return w.answered(later).has_value(); }));
  for (const auto call : calls)
    EXPECT_EQ(w.answered(call)->status, reply_status::ok);
  EXPECT_EQ(w.answered(later)->status, reply_status::ok);
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

TEST_F(replica_rules, a_stopped_app_says_who_can_start_it) {
  boot();
  replica_effects none;
  w.nodes[leader].core->set_stopped(5, true, w.now, none);
  w.touch(leader);
  w.run_for(100ms);
  const auto r = w.ask(leader, w.command("a", "append", "x"));
  EXPECT_EQ(r.status, reply_status::stopped);
  EXPECT_NE(r.message.find("banyan start"), std::string::npos) << r.message;
  w.nodes[leader].core->set_stopped(6, false, w.now, none);
  w.touch(leader);
  w.run_for(100ms);
  EXPECT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
}

// An operator's pause costs nothing: no message is answered with an error.
TEST_F(replica_rules, streams_and_timers_wait_while_stopped_and_go_on) {
  boot();
  ASSERT_EQ(status(w.command("b", "after", "50 t")), reply_status::ok);
  const auto set_stopped = [&](std::uint64_t number, bool stopped) {
    replica_effects none;
    w.nodes[leader].core->set_stopped(number, stopped, w.now, none);
    w.touch(leader);
    w.run_for(300ms);
  };
  set_stopped(5, true);
  stream_frame f;
  f.from.app = app_id{std::array<std::uint8_t, 32>{5}};
  f.lineage = w.base.lineage;
  f.to = w.base.group;
  for (std::uint64_t n = 1; n <= 3; ++n) {
    stream_message m;
    m.number = n;
    m.from_app = "other";
    m.from_key = "o";
    m.to_key = "a";
    m.command = "append";
    m.argument = to_bytes(std::to_string(n));
    f.messages.push_back(std::move(m));
  }
  replica_effects none;
  w.nodes[leader].core->on_stream(f, w.now, none);
  w.touch(leader);
  w.run_for(1s);
  for (const auto& frame : w.foreign)
    EXPECT_FALSE(frame.is_ack) << "taken while stopped";
  set_stopped(6, false);
  EXPECT_EQ(w.words("a"), "1,2,3,");
  EXPECT_EQ(w.words("b"), "t,");
  ASSERT_FALSE(w.foreign.empty());
  EXPECT_EQ(w.foreign.back().acknowledged, 3u);
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

} // namespace
} // namespace banyan::test
