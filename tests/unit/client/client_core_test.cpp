#include "actors/client/client_core.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>

namespace banyan {
namespace {

node_id peer(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return node_id{a};
}

/// A core and what it wants, with time in hand.
struct client_world {
  client_core core{100};
  time_point now{std::chrono::seconds{1}};
  std::deque<client_send> sent;
  std::vector<client_answer> answers;
  client_core::effects out;

  void take() {
    for (auto& e : out)
      if (auto* s = std::get_if<client_send>(&e))
        sent.push_back(std::move(*s));
      else
        answers.push_back(std::move(std::get<client_answer>(e)));
    out.clear();
  }
  void up(std::uint8_t n) {
    core.on_peer_up(peer(n), now, out);
    take();
  }
  void down(std::uint8_t n) {
    core.on_peer_down(peer(n), now, out);
    take();
  }
  void command(std::uint64_t token, duration deadline = 5s) {
    client_request r;
    r.token = token;
    r.app = "counter";
    r.key = "hits";
    r.command = "add";
    r.deadline = deadline;
    core.call(std::move(r), now, out);
    take();
  }
  /// Of a stateless app: there is no actor.
  void stateless(std::uint64_t token, duration deadline) {
    client_request r;
    r.token = token;
    r.app = "hello";
    r.command = "greet";
    r.query = true;
    r.deadline = deadline;
    core.call(std::move(r), now, out);
    take();
  }
  void stale_query(std::uint64_t token) { query(token, 1s); }
  void query(std::uint64_t token, std::optional<duration> staleness = {}) {
    client_request r;
    r.max_staleness = staleness;
    r.token = token;
    r.app = "counter";
    r.key = "hits";
    r.command = "get";
    r.query = true;
    core.call(std::move(r), now, out);
    take();
  }
  client_send next() {
    if (sent.empty()) {
      ADD_FAILURE() << "nothing was sent";
      return {};
    }
    auto s = std::move(sent.front());
    sent.pop_front();
    return s;
  }
  void answer(const client_send& s, reply_status status,
              std::uint64_t session = 0, std::uint32_t shards = 0) {
    client_reply_frame f;
    f.call = s.frame.call;
    f.reply.status = status;
    f.reply.session = session;
    f.shards = shards;
    core.on_reply(s.to, std::move(f), now, out);
    take();
  }
  void answer_naming(const client_send& s, const node_id& leader) {
    client_reply_frame f;
    f.call = s.frame.call;
    f.reply.leader = replica_ref{leader, {}};
    f.shards = 1;
    core.on_reply(s.to, std::move(f), now, out);
    take();
  }
  void overloaded(const client_send& s, duration retry_after) {
    client_reply_frame f;
    f.call = s.frame.call;
    f.reply.status = reply_status::overloaded;
    f.reply.retry_after = retry_after;
    core.on_reply(s.to, std::move(f), now, out);
    take();
  }
  /// Runs every timer up to `d` from now.
  void pass(duration d) {
    const auto end = now + d;
    while (core.deadline() <= end) {
      now = std::max(now, core.deadline());
      core.on_tick(now, out);
      take();
    }
    now = end;
  }
  /// Through look-up and session, so that the next command goes straight out.
  void open(std::uint64_t session = 7) {
    const auto lookup = next();
    EXPECT_EQ(lookup.frame.kind, client_call_kind::lookup);
    answer(lookup, reply_status::ok, 0, 1);
    const auto open = next();
    EXPECT_EQ(open.frame.kind, client_call_kind::open_session);
    answer(open, reply_status::ok, session);
  }
};

session_request numbers(const client_send& s) {
  return std::get<session_request>(s.frame.identity);
}

TEST(client_core, a_command_is_numbered_in_a_session) {
  client_world w;
  w.up(1);
  w.command(1);
  w.command(2);
  w.open();
  const auto first = w.next();
  const auto second = w.next();
  EXPECT_EQ(numbers(first).session, 7U);
  EXPECT_EQ(numbers(first).number, 1U);
  EXPECT_EQ(numbers(second).number, 2U);
  w.answer(first, reply_status::ok);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].token, 1U);
  w.command(3); // the floor follows the answers
  const auto third = w.next();
  EXPECT_EQ(numbers(third).number, 3U);
  EXPECT_EQ(numbers(third).floor, 2U);
}

TEST(client_core, a_query_needs_no_session) {
  client_world w;
  w.up(1);
  w.query(1);
  const auto q = w.next();
  EXPECT_EQ(q.frame.kind, client_call_kind::query);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(q.frame.identity));
  w.answer(q, reply_status::ok);
  EXPECT_EQ(w.answers.size(), 1U);
}

TEST(client_core, who_leads_is_asked_first) {
  client_world w;
  for (std::uint8_t n = 1; n <= 3; ++n)
    w.up(n);
  w.command(1);
  w.open();
  const auto first = w.next();
  EXPECT_EQ(first.to, peer(1));
  w.answer_naming(first, peer(3));
  w.command(2);
  const auto second = w.next();
  EXPECT_EQ(second.to, peer(3));
  w.answer(second, reply_status::ok, 0, 1); // names nobody: it leads
  w.query(3);
  EXPECT_EQ(w.next().to, peer(3));
  w.down(3);
  EXPECT_EQ(w.next().to, peer(1)); // the query again
  w.command(4);
  EXPECT_EQ(w.next().to, peer(1));
  w.up(3);
  w.stale_query(5);
  w.next(); // wherever that goes: any replica will do
  w.command(6);
  w.answer_naming(w.next(), peer(9)); // not one of ours
  w.command(7);
  EXPECT_EQ(w.next().to, peer(1));
}

TEST(client_core, a_dead_link_repeats_the_same_number_elsewhere) {
  client_world w;
  w.up(1);
  w.up(2);
  w.command(1);
  w.open();
  const auto first = w.next();
  w.down(1);
  const auto again = w.next();
  EXPECT_EQ(again.to, peer(2));
  EXPECT_EQ(numbers(again).session, numbers(first).session);
  EXPECT_EQ(numbers(again).number, numbers(first).number);
  EXPECT_EQ(w.core.repeated(), 1U);
  w.answer(again, reply_status::ok);
  ASSERT_EQ(w.answers.size(), 1U);
  w.answer(first, reply_status::ok); // nobody waits for it
  EXPECT_EQ(w.answers.size(), 1U);
}

TEST(client_core, a_silent_peer_is_left_for_the_next) {
  client_world w;
  w.up(1);
  w.up(2);
  w.command(1);
  w.open();
  const auto first = w.next();
  w.pass(client_core::silence_max - 1ms);
  EXPECT_TRUE(w.sent.empty());
  w.pass(2ms);
  const auto again = w.next();
  EXPECT_EQ(again.to, peer(2));
  EXPECT_EQ(numbers(again).number, numbers(first).number);
  w.command(2); // later calls begin elsewhere
  EXPECT_EQ(w.next().to, peer(2));
  w.answer(first, reply_status::ok); // the silent one may still be first
  EXPECT_EQ(w.answers.size(), 1U);
}

TEST(client_core, a_peer_that_answers_others_gets_more_time) {
  client_world w;
  w.up(1);
  w.up(2);
  w.command(1);
  w.open();
  const auto slow = w.next();
  w.pass(200ms);
  w.query(2);
  w.answer(w.next(), reply_status::ok);
  w.pass(200ms);
  EXPECT_TRUE(w.sent.empty());
  w.pass(client_core::patience);
  EXPECT_EQ(w.next().to, peer(2));
  w.answer(slow, reply_status::ok);
  EXPECT_EQ(w.answers.size(), 2U);
}

TEST(client_core, an_open_outcome_is_asked_again_until_the_deadline) {
  client_world w;
  w.up(1);
  w.command(1, 1s);
  w.open();
  auto s = w.next();
  const auto number = numbers(s).number;
  int asked = 0;
  for (; w.answers.empty() && asked < 1000; ++asked) {
    w.answer(s, reply_status::unknown);
    while (w.sent.empty() && w.answers.empty())
      w.pass(5ms);
    if (!w.sent.empty()) {
      s = w.next();
      EXPECT_EQ(numbers(s).number, number);
    }
  }
  EXPECT_GT(asked, 3);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::unknown);
}

TEST(client_core, no_answer_at_all_is_unknown) {
  client_world w;
  w.up(1);
  w.command(1, 1s);
  w.open();
  w.next();
  w.pass(1s + 2 * client_core::grace);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::unknown);
  EXPECT_FALSE(w.answers[0].unreachable);
}

// It may have done something outside; a query of an actor can't have.
TEST(client_core, a_stateless_call_that_may_have_run_is_unknown) {
  client_world w;
  w.up(1);
  w.stateless(1, 1s);
  w.next();
  w.pass(1s + 2 * client_core::grace);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::unknown);
  w.sent.clear();
  // Nor does what another peer says of a later attempt make it undone.
  w.up(2);
  w.stateless(2, 1s);
  const auto s = w.next();
  w.answer(s, reply_status::unknown);
  while (w.answers.size() == 1) {
    w.pass(5ms);
    while (!w.sent.empty())
      w.answer(w.next(), reply_status::no_quorum);
  }
  EXPECT_EQ(w.answers[1].reply.status, reply_status::unknown);
  w.sent.clear();
  w.query(3);
  w.pass(10s);
  ASSERT_EQ(w.answers.size(), 3U);
  EXPECT_EQ(w.answers[2].reply.status, reply_status::deadline);
}

TEST(client_core, without_a_peer_a_call_was_never_sent) {
  client_world w;
  w.command(1, 1s);
  w.pass(2s);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::deadline);
  EXPECT_TRUE(w.answers[0].unreachable);
}

TEST(client_core, a_call_waits_for_a_peer) {
  client_world w;
  w.query(1);
  EXPECT_TRUE(w.sent.empty());
  w.pass(1s);
  w.up(1);
  w.answer(w.next(), reply_status::ok);
  EXPECT_EQ(w.answers.size(), 1U);
}

TEST(client_core, expired_before_any_other_attempt_gets_a_new_session) {
  client_world w;
  w.up(1);
  w.command(1);
  w.open(7);
  w.answer(w.next(), reply_status::expired);
  w.open(9); // the app is looked up again as well
  const auto again = w.next();
  EXPECT_EQ(numbers(again).session, 9U);
  EXPECT_EQ(numbers(again).number, 1U);
  w.answer(again, reply_status::ok);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::ok);
}

TEST(client_core, expired_after_a_lost_attempt_is_an_error) {
  client_world w;
  w.up(1);
  w.up(2);
  w.command(1);
  w.open();
  w.next();
  w.down(1);
  w.answer(w.next(), reply_status::expired);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::expired);
}

TEST(client_core, a_session_has_a_window) {
  client_world w;
  w.up(1);
  const auto calls = client_core::session_window + 5;
  for (std::uint64_t i = 1; i <= calls; ++i)
    w.command(i);
  w.open();
  ASSERT_EQ(w.sent.size(), client_core::session_window);
  const auto first = w.next();
  const auto second = w.next();
  w.answer(second, reply_status::ok); // the floor stays: 1 has no answer
  EXPECT_EQ(w.sent.size(), client_core::session_window - 2);
  w.answer(first, reply_status::ok);
  EXPECT_EQ(w.sent.size(), client_core::session_window);
  while (!w.sent.empty())
    w.answer(w.next(), reply_status::ok);
  EXPECT_EQ(w.answers.size(), calls);
  EXPECT_EQ(w.core.outstanding(), 0U);
}

TEST(client_core, an_unknown_app_is_asked_for_at_every_peer) {
  client_world w;
  w.up(1);
  w.up(2);
  w.command(1);
  w.answer(w.next(), reply_status::not_found);
  const auto second = w.next();
  EXPECT_EQ(second.to, peer(2));
  w.answer(second, reply_status::not_found);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::not_found);
}

TEST(client_core, a_strangers_answer_counts_for_nothing) {
  client_world w;
  w.up(1);
  w.up(2);
  w.query(1);
  auto s = w.next();
  auto forged = s;
  forged.to = peer(2); // was never asked
  w.answer(forged, reply_status::ok);
  EXPECT_TRUE(w.answers.empty());
  ++s.frame.call;
  w.answer(s, reply_status::ok);
  EXPECT_TRUE(w.answers.empty());
}

TEST(client_core, close_ends_calls_and_gives_sessions_back) {
  client_world w;
  w.up(1);
  w.command(1);
  w.open();
  w.next();
  w.core.close(w.out);
  w.take();
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::unknown);
  const auto closed = w.next();
  EXPECT_EQ(closed.frame.kind, client_call_kind::close_session);
  EXPECT_EQ(numbers(closed).session, 7U);
}

TEST(client_core, overload_is_told_before_anything_is_queued) {
  client_world w;
  for (std::uint64_t i = 0; i < client_core::calls_max; ++i)
    w.query(i);
  EXPECT_TRUE(w.answers.empty());
  w.query(client_core::calls_max);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::overloaded);
}

TEST(client_core, a_hint_is_followed_while_its_link_lives) {
  client_world w;
  w.up(1);
  w.up(2);
  w.command(1);
  w.open();
  const auto first = w.next();
  EXPECT_EQ(first.to, peer(1));
  w.answer_naming(first, peer(2));
  w.command(2); // straight to who answered
  const auto second = w.next();
  EXPECT_EQ(second.to, peer(2));
  EXPECT_EQ(numbers(second).session, 7U); // the group's, not the peer's
  w.down(2);
  const auto again = w.next();
  EXPECT_EQ(again.to, peer(1));
  EXPECT_EQ(numbers(again).number, numbers(second).number);
  w.answer_naming(again, peer(3)); // to which there is no link
  w.up(2);
  w.query(3);
  EXPECT_EQ(w.next().to, peer(1));
}

TEST(client_core, overload_is_repeated_after_its_pause) {
  client_world w;
  w.up(1);
  w.query(1);
  for (unsigned i = 0; i < client_core::overloads_max; ++i) {
    w.overloaded(w.next(), 40ms);
    w.pass(39ms);
    EXPECT_TRUE(w.sent.empty());
    w.pass(1ms);
    ASSERT_EQ(w.sent.size(), 1U);
  }
  w.overloaded(w.next(), 30ms); // enough: the caller gets to know
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::overloaded);
  EXPECT_EQ(w.answers[0].reply.retry_after, duration{30ms});
}

TEST(client_core, no_overload_is_repeated_beyond_the_deadline_or_the_budget) {
  client_world w;
  w.up(1);
  w.query(1);
  w.overloaded(w.next(), 6s);
  EXPECT_EQ(w.answers.size(), 1U);
  constexpr std::uint64_t calls = 1000;
  for (std::uint64_t token = 2; token < calls + 2; ++token) {
    w.query(token);
    w.overloaded(w.next(), 10ms);
    w.pass(10ms);
    while (!w.sent.empty())
      w.overloaded(w.next(), 1s);
    w.pass(1s);
    while (!w.sent.empty())
      w.answer(w.next(), reply_status::overloaded);
  }
  EXPECT_EQ(w.answers.size(), calls + 1);
  EXPECT_LE(static_cast<double>(w.core.repeated()),
            client_core::overload_reserve
                + client_core::overload_share * static_cast<double>(calls) + 1);
  EXPECT_GT(w.core.repeated(), 100U);
}

TEST(client_core, calls_beyond_the_window_wait_their_turn) {
  client_world w;
  w.up(1);
  for (std::uint64_t token = 1; token <= client_core::window + 2; ++token)
    w.query(token);
  EXPECT_EQ(w.sent.size(), client_core::window);
  w.answer(w.next(), reply_status::ok);
  EXPECT_EQ(w.sent.size(), client_core::window);
  w.pass(6s); // those that wait have deadlines like all others
  EXPECT_EQ(w.answers.size(), client_core::window + 2);
  EXPECT_EQ(w.core.outstanding(), 0U);
  w.sent.clear();
  w.query(9999);
  EXPECT_EQ(w.sent.size(), 1U);
}

TEST(client_core, stale_queries_are_spread_over_the_linked_peers) {
  client_world w;
  for (std::uint8_t n = 1; n <= 3; ++n)
    w.up(n);
  w.pass(10s); // who comes later starts slowly
  std::map<node_id, int> asked;
  for (std::uint64_t token = 1; token <= 300; ++token) {
    w.query(token, duration{1s});
    const auto q = w.next();
    ++asked[q.to];
    w.now += 1ms;
    w.answer_naming(q, peer(1)); // says nothing about who leads
  }
  EXPECT_EQ(asked.size(), 3U);
  for (const auto& [node, n] : asked)
    EXPECT_GT(n, 50);
  // One that is silent costs one call its pause, and then none.
  w.query(301, duration{1s});
  const auto frozen = w.next();
  w.pass(client_core::silence_max);
  const auto other = w.next();
  EXPECT_NE(other.to, frozen.to);
  w.answer(other, reply_status::ok);
  for (std::uint64_t token = 302; token <= 330; ++token) {
    w.query(token, duration{1s});
    const auto q = w.next();
    EXPECT_NE(q.to, frozen.to);
    w.answer(q, reply_status::ok);
  }
}

} // namespace
} // namespace banyan
