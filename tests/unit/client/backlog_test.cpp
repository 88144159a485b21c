// What a client does when there is too much: windows, shares, its backlog.
#include "tests/unit/client/client_world.hpp"

#include <algorithm>
#include <map>

namespace banyan::test {
namespace {

/// What one app may have under way at the start.
constexpr auto alone = call_window::size_start;

/// So many queries of `app` at once; `w.sent` are those that went.
void flood(client_world& w, std::uint64_t& token, const std::string& app,
           std::size_t calls, duration deadline) {
  for (std::size_t i = 0; i < calls; ++i)
    w.ask(++token, app, deadline);
}

std::size_t refusals(const client_world& w) {
  return static_cast<std::size_t>(
      std::count_if(w.answers.begin(), w.answers.end(), [](const auto& a) {
        return a.reply.status == reply_status::overloaded;
      }));
}

TEST(client_backlog, calls_beyond_the_window_wait_their_turn) {
  client_world w;
  w.up(1);
  for (std::uint64_t token = 1; token <= alone + 2; ++token)
    w.query(token);
  EXPECT_EQ(w.sent.size(), alone);
  w.answer(w.next(), reply_status::ok);
  EXPECT_EQ(w.sent.size(), alone);
  w.pass(6s); // those that wait have deadlines like all others
  EXPECT_EQ(w.answers.size(), alone + 2);
  EXPECT_EQ(w.core.outstanding(), 0U);
  w.sent.clear();
  w.query(9999);
  EXPECT_EQ(w.sent.size(), 1U);
}

TEST(client_backlog, overload_is_told_before_anything_is_queued) {
  client_world w;
  // Three quarters of what isn't kept for those that have hardly any.
  constexpr auto most = client_core::calls_max * 15 / 16 * 3 / 4;
  std::uint64_t token = 0;
  flood(w, token, "hog", most, 5s);
  EXPECT_TRUE(w.answers.empty());
  w.ask(++token, "hog", 5s);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::overloaded);
  EXPECT_GE(w.answers[0].reply.retry_after, duration{10ms});
  w.ask(++token, "other", 5s); // whose share is not used up
  EXPECT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.core.refused(), 1U);
}

TEST(client_backlog, what_could_not_be_answered_in_time_is_refused_at_once) {
  client_world w;
  w.up(1);
  std::uint64_t token = 0;
  flood(w, token, "counter", alone, 5s);
  w.now += 200ms; // so long does a call take here
  for (std::size_t n = alone; n > 0; --n) {
    w.answer(w.next(), reply_status::ok);
    w.ask(++token, "counter", 5s);
  }
  w.answers.clear();
  // Each window of calls takes 200 ms: those that wait behind two of them would
  // hardly be answered within a second.
  for (std::size_t n = 0; n < 4 * alone; ++n)
    w.ask(++token, "counter", 1s);
  EXPECT_EQ(w.sent.size(), alone);
  const auto held = w.core.outstanding() - alone;
  EXPECT_GT(held, alone);
  EXPECT_LE(held, 2 * alone);
  ASSERT_EQ(refusals(w), 4 * alone - held);
  EXPECT_EQ(w.core.refused(), 4 * alone - held);
  for (const auto& a : w.answers) {
    EXPECT_FALSE(a.unreachable);
    EXPECT_GE(a.reply.retry_after, duration{10ms});
    EXPECT_LE(a.reply.retry_after, duration{2s});
  }
  // Who has time may wait.
  w.ask(++token, "counter", 5s);
  EXPECT_EQ(w.core.outstanding(), alone + held + 1);
}

TEST(client_backlog, who_finds_a_place_is_never_refused) {
  client_world w;
  w.up(1);
  std::uint64_t token = 0;
  w.ask(++token, "slow", 5s);
  w.now += 900ms;
  w.answer(w.next(), reply_status::ok);
  w.ask(++token, "slow", 100ms); // one can never know
  EXPECT_EQ(w.sent.size(), 1U);
  EXPECT_EQ(w.core.refused(), 0U);
}

TEST(client_backlog, what_waits_in_vain_leaves_before_its_deadline) {
  client_world w;
  w.up(1);
  std::uint64_t token = 0;
  w.ask(++token, "counter", 5s);
  w.now += 100ms; // what a call takes
  w.answer(w.next(), reply_status::ok);
  w.answers.clear();
  flood(w, token, "counter", alone, 5s); // nobody answers these
  w.sent.clear();
  const auto begun = w.now;
  w.ask(++token, "counter", 1s);
  while (w.answers.empty() && w.now < begun + 2s)
    w.pass(10ms);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].token, token);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::overloaded);
  EXPECT_LE(w.now, begun + 900ms);
  for (const auto& s : w.sent)
    EXPECT_NE(s.frame.call, 100 + token);
}

TEST(client_backlog, apps_that_hang_leave_places_to_others) {
  client_world w;
  w.up(1);
  std::uint64_t token = 0;
  for (int n = 0; n < 30; ++n) // apps without a quorum
    flood(w, token, "hangs" + std::to_string(n), 2000, 5s);
  EXPECT_LT(w.sent.size(), client_core::window);
  w.sent.clear();
  for (int n = 0; n < 1000; ++n) {
    w.ask(++token, "lives", 1s);
    ASSERT_EQ(w.sent.size(), 1U);
    w.answer(w.next(), reply_status::ok);
    w.now += 1us;
  }
}

TEST(client_backlog, apps_with_a_backlog_take_turns) {
  client_world w;
  w.up(1);
  std::uint64_t token = 0;
  flood(w, token, "hog", 3000, 60s);
  flood(w, token, "two", 1500, 60s);
  flood(w, token, "three", 1500, 60s);
  std::map<std::string, std::size_t> begun;
  for (int n = 0; n < 3000; ++n) {
    const auto s = w.next();
    ++begun[s.frame.app];
    w.now += 10us;
    w.answer(s, reply_status::ok);
  }
  for (const auto* app : {"hog", "two", "three"})
    EXPECT_GE(begun[app], 500U) << app;
}

TEST(client_backlog, overload_is_repeated_after_its_pause) {
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

TEST(client_backlog, no_overload_is_repeated_while_others_wait) {
  client_world w;
  w.up(1);
  std::uint64_t token = 0;
  flood(w, token, "counter", alone + 1, 5s);
  w.overloaded(w.next(), 40ms);
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::overloaded);
}

TEST(client_backlog, no_overload_is_repeated_beyond_deadline_or_budget) {
  client_world w;
  w.up(1);
  w.query(1);
  w.overloaded(w.next(), 6s);
  EXPECT_EQ(w.answers.size(), 1U);
  w.pass(client_core::retry_max);
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
    w.pass(10ms);
  }
  EXPECT_EQ(w.answers.size(), calls + 1);
  EXPECT_LE(static_cast<double>(w.core.repeated()),
            client_core::overload_reserve
                + client_core::overload_share * static_cast<double>(calls) + 1);
  EXPECT_GT(w.core.repeated(), 100U);
}

TEST(client_backlog, retry_after_holds_back_the_group_and_no_other) {
  client_world w;
  w.up(1);
  w.ask(1, "counter", 5s);
  w.answer(w.next(), reply_status::ok, 0, 8); // eight shards
  const auto shard = shard_of("hits", 8);
  std::string other = "a";
  while (shard_of(other, 8) == shard)
    ++other[0];
  w.answers.clear();
  w.ask(2, "counter", 5s);
  w.overloaded(w.next(), 300ms);
  w.ask(3, "counter", 5s); // waits
  EXPECT_TRUE(w.sent.empty());
  w.ask(4, "counter", 200ms); // can't
  ASSERT_EQ(w.answers.size(), 1U);
  EXPECT_EQ(w.answers[0].token, 4U);
  EXPECT_EQ(w.answers[0].reply.status, reply_status::overloaded);
  EXPECT_EQ(w.answers[0].reply.retry_after, duration{300ms});
  w.ask(5, "counter", 5s, other);
  w.ask(6, "another", 5s);
  EXPECT_EQ(w.sent.size(), 2U);
  w.sent.clear();
  w.pass(299ms);
  EXPECT_TRUE(w.sent.empty());
  w.pass(1ms);
  EXPECT_EQ(w.sent.size(), 2U); // 2 again, and 3
}

TEST(client_backlog, who_was_held_back_has_not_queued_for_so_long) {
  client_world w;
  w.up(1);
  std::uint64_t token = 0;
  w.ask(++token, "counter", 5s);
  w.now += 10ms;
  w.answer(w.next(), reply_status::ok, 0, 8); // eight shards
  std::string other = "a";
  while (shard_of(other, 8) == shard_of("hits", 8))
    ++other[0];
  w.answers.clear();
  w.ask(++token, "counter", 5s);
  w.overloaded(w.next(), 1500ms);
  constexpr std::size_t held = 20;
  for (std::size_t i = 0; i < held; ++i)
    w.ask(++token, "counter", 5s);
  w.pass(1400ms);
  while (w.sent.size() < alone) // its other shards fill the app's window
    w.ask(++token, "counter", 5s, other);
  w.pass(150ms);
  EXPECT_EQ(refusals(w), 0U);
  EXPECT_EQ(w.core.outstanding(), alone + held + 1);
}

TEST(client_backlog, a_pause_of_years_is_one_of_seconds) {
  client_world w;
  w.up(1);
  w.ask(1, "counter", 5s);
  w.answer(w.next(), reply_status::ok, 0, 1);
  w.ask(2, "counter", 5s);
  w.overloaded(w.next(), std::chrono::hours{100000});
  w.ask(3, "counter", 5s);
  EXPECT_TRUE(w.sent.empty());
  w.pass(client_core::retry_max);
  EXPECT_EQ(w.sent.size(), 1U);
}

TEST(client_backlog, a_call_that_any_may_answer_waits_when_all_are_overloaded) {
  client_world w;
  w.up(1);
  w.up(2);
  w.stale_query(1);
  const auto first = w.next();
  w.overloaded(first, 200ms);
  w.stale_query(2); // the other one is asked
  const auto second = w.next();
  EXPECT_NE(second.to, first.to);
  w.overloaded(second, 100ms);
  w.stale_query(3);
  EXPECT_TRUE(w.sent.empty());
  w.pass(100ms); // the second is free again
  EXPECT_GE(w.sent.size(), 1U);
  for (const auto& s : w.sent)
    EXPECT_EQ(s.to, second.to);
}

TEST(client_backlog, a_slow_answer_is_asked_for_twice_within_the_budget_only) {
  client_world w;
  w.up(1);
  w.up(2);
  std::uint64_t token = 0;
  flood(w, token, "counter", alone, 30s);
  const auto asked = w.sent.size();
  w.ask(++token, "quick", 30s);
  auto quick = std::move(w.sent.back());
  w.sent.pop_back();
  for (int n = 0; n < 100; ++n) { // the peer speaks, and is only slow
    w.pass(20ms);
    w.answer(quick, reply_status::ok);
    w.ask(++token, "quick", 30s);
    quick = std::move(w.sent.back());
    w.sent.pop_back();
  }
  EXPECT_GT(w.core.repeated(), 0U);
  EXPECT_LE(static_cast<double>(w.core.repeated()),
            client_core::overload_reserve
                + client_core::overload_share
                      * (static_cast<double>(asked) + 100));
}

TEST(client_backlog, apps_that_were_only_asked_for_are_forgotten) {
  client_world w;
  w.up(1);
  for (std::uint64_t n = 1; n <= 10000; ++n) {
    w.ask(n, "no" + std::to_string(n), 1s);
    w.answer(w.next(), reply_status::not_found);
  }
  EXPECT_LE(w.core.apps(), client_core::apps_max);
  w.command(10001);
  w.open();
  w.answer(w.next(), reply_status::ok);
  for (std::uint64_t n = 1; n <= 1000; ++n) {
    w.ask(n, "no" + std::to_string(n), 1s);
    w.answer(w.next(), reply_status::not_found);
  }
  w.command(10002); // its session is still known
  EXPECT_EQ(numbers(w.next()).number, 2U);
}

} // namespace
} // namespace banyan::test
