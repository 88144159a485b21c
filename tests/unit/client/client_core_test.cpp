#include "tests/unit/client/client_world.hpp"

#include <map>

namespace banyan::test {
namespace {

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
  w.command(1);
  w.open();
  const auto first = w.next();
  for (std::uint64_t i = 2; i <= client_core::session_window; ++i) {
    w.command(i);
    w.answer(w.next(), reply_status::ok);
  }
  const auto next = client_core::session_window + 1;
  w.command(next); // the floor stays: 1 has no answer
  w.command(next + 1);
  EXPECT_TRUE(w.sent.empty());
  w.answer(first, reply_status::ok);
  ASSERT_EQ(w.sent.size(), 2U);
  EXPECT_EQ(numbers(w.sent[0]).number, next);
  while (!w.sent.empty())
    w.answer(w.next(), reply_status::ok);
  EXPECT_EQ(w.answers.size(), next + 1);
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
} // namespace banyan::test
