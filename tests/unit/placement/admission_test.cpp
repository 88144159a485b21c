// DESIGN section 9: load is shed at the door, by typed `overloaded` with a
// retry hint; bounds for clients, groups and peers; no app starves another.
#include "actors/pure/admission.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

template <class Id>
Id id(std::uint8_t n) {
  std::array<std::uint8_t, 32> b{};
  b[0] = n;
  return Id{b};
}

struct admitting : ::testing::Test {
  admitting() {
    o.limit_min = 4;
    o.limit_start = o.limit_max = 8;
    o.group_min = 8;
    o.client_max = 6;
    o.peer_max = 6;
    o.waiting_max = 20;
  }
  admission::call of(std::uint8_t app, std::uint32_t shard = 0,
                     std::string client = {}, duration left = 5s) {
    admission::call c;
    c.token = ++tokens;
    c.group = {id<app_id>(app), shard};
    c.client = std::move(client);
    c.until = now + left;
    return c;
  }
  /// Fills the limit with calls of app 1.
  admission fill() {
    admission a{o};
    for (std::size_t i = 0; i < o.limit_start; ++i)
      EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::go);
    return a;
  }

  admission_options o;
  time_point now{std::chrono::hours{1}};
  std::uint64_t tokens = 0;
};

TEST_F(admitting, beyond_the_limit_calls_wait_and_go_in_their_order) {
  auto a = fill();
  const auto first = of(1);
  const auto second = of(1);
  EXPECT_EQ(a.ask(first, now).what, admission::verdict::wait);
  EXPECT_EQ(a.ask(second, now).what, admission::verdict::wait);
  EXPECT_TRUE(a.release(now).go.empty());
  a.ended(1, true, now);
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{first.token});
  // Nobody overtakes who waits for the same group.
  a.ended(2, true, now);
  EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::wait);
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{second.token});
}

TEST_F(admitting, one_hot_app_starves_no_other) {
  auto a = fill();
  for (int i = 0; i < 10; ++i)
    a.ask(of(1), now);
  const auto rare = of(2);
  EXPECT_EQ(a.ask(rare, now).what, admission::verdict::wait);
  std::vector<std::uint64_t> went;
  for (std::uint64_t t = 1; t <= 2; ++t) {
    a.ended(t, true, now);
    const auto go = a.release(now).go;
    went.insert(went.end(), go.begin(), go.end());
  }
  EXPECT_EQ(std::count(went.begin(), went.end(), rare.token), 1);
}

TEST_F(admitting, an_app_whose_calls_hang_shuts_out_no_other) {
  o.limit_start = o.limit_max = 64;
  o.group_min = 64;
  auto a = fill();
  EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::wait);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::wait);
  a.ended(tokens - 1, true, now); // one of the four
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{tokens});
}

TEST_F(admitting, a_hot_group_leaves_room_for_the_others_of_its_app) {
  o.group_min = 3;
  admission a{o};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(a.ask(of(1, 0), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(of(1, 0), now).what, admission::verdict::wait);
  EXPECT_EQ(a.ask(of(1, 1), now).what, admission::verdict::go);
  EXPECT_TRUE(a.release(now).go.empty()); // there is room, but not for that
  a.ended(4 + 1, true, now);              // of the other group
  EXPECT_TRUE(a.release(now).go.empty());
  a.ended(1, true, now);
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{4});
}

TEST_F(admitting, a_client_has_its_bound) {
  admission a{o};
  for (std::size_t i = 0; i < o.client_max; ++i)
    EXPECT_EQ(a.ask(of(1, 0, "greedy"), now).what, admission::verdict::go);
  const auto no = a.ask(of(1, 0, "greedy"), now);
  EXPECT_EQ(no.what, admission::verdict::refuse);
  EXPECT_GE(no.retry_after, o.retry_min);
  EXPECT_TRUE(a.refusal({id<app_id>(1), 0}, "greedy"));
  EXPECT_FALSE(a.refusal({id<app_id>(1), 0}, "modest"));
  EXPECT_EQ(a.ask(of(1, 0, "modest"), now).what, admission::verdict::go);
  a.ended(1, true, now);
  EXPECT_EQ(a.ask(of(1, 0, "greedy"), now).what, admission::verdict::go);
}

TEST_F(admitting, a_peer_has_its_bound) {
  admission a{o};
  const auto there = [&] {
    auto c = of(1, static_cast<std::uint32_t>(tokens));
    c.peer = id<node_id>(9);
    return c;
  };
  for (std::size_t i = 0; i < o.peer_max; ++i)
    EXPECT_EQ(a.ask(there(), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(there(), now).what, admission::verdict::wait);
  EXPECT_EQ(a.ask(of(1, 200), now).what, admission::verdict::go);
}

TEST_F(admitting, what_would_miss_its_deadline_goes_first) {
  auto a = fill();
  const auto patient = of(1, 0, {}, 5s);
  const auto hasty = of(1, 0, {}, 20ms);
  EXPECT_EQ(a.ask(patient, now).what, admission::verdict::wait);
  EXPECT_EQ(a.ask(hasty, now).what, admission::verdict::wait);
  EXPECT_LE(a.deadline(), hasty.until);
  now += 20ms;
  auto out = a.release(now);
  EXPECT_EQ(out.late, std::vector<std::uint64_t>{hasty.token});
  EXPECT_EQ(a.waiting(), 1U);
  // And who could not be answered in time doesn't enter at all.
  const auto no = a.ask(of(1, 0, {}, 100us), now);
  EXPECT_EQ(no.what, admission::verdict::refuse);
}

TEST_F(admitting, a_full_queue_refuses_and_the_hint_grows_with_it) {
  auto a = fill();
  for (std::uint64_t t = 1; t <= 8; ++t) { // calls take 200 ms here
    now += 200ms;
    a.ended(t, true, now);
    a.ask(of(1), now);
  }
  while (a.waiting() < 5)
    a.ask(of(1), now);
  const auto few = a.refusal({id<app_id>(1), 0}, {});
  EXPECT_FALSE(few);
  duration last{};
  while (a.waiting() < o.waiting_max)
    ASSERT_EQ(a.ask(of(1), now).what, admission::verdict::wait);
  const auto no = a.ask(of(1), now);
  EXPECT_EQ(no.what, admission::verdict::refuse);
  last = no.retry_after;
  EXPECT_GT(last, o.retry_min);
  EXPECT_LE(last, o.retry_max);
  EXPECT_EQ(a.refused(), 1U);
}

TEST_F(admitting, a_queue_full_of_one_app_is_not_full_for_another) {
  o.group_min = 4; // half of the limit: other groups have places
  admission a{o};
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::go);
  while (a.waiting() < o.waiting_max)
    EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::wait);
  EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::refuse);
  EXPECT_TRUE(a.refusal({id<app_id>(1), 0}, {}));
  // Neither another app nor another group of this one is any the worse.
  EXPECT_FALSE(a.refusal({id<app_id>(2), 0}, {}));
  EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::go);
  for (std::uint32_t shard = 1; shard <= 3; ++shard)
    EXPECT_EQ(a.ask(of(1, shard), now).what, admission::verdict::go);
  EXPECT_EQ(a.under_way(), o.limit_start);
  for (std::size_t i = 0; i < o.waiting_max / 2; ++i) // its share
    EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::wait);
  EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::refuse);
}

TEST_F(admitting, who_comes_waits_no_less_than_who_waits_already) {
  auto a = fill(); // whose calls took no time, as far as is known
  EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::wait);
  now += 600ms;
  EXPECT_EQ(a.ask(of(1, 0, {}, 1s), now).what, admission::verdict::refuse);
  EXPECT_EQ(a.ask(of(1, 0, {}, 2s), now).what, admission::verdict::wait);
}

TEST_F(admitting, few_and_slow_answers_count_too) {
  o.limit_start = o.limit_max = 100;
  o.group_min = 500;
  admission a{o};
  const auto serve = [&](duration takes) {
    const auto c = of(1);
    ASSERT_EQ(a.ask(c, now).what, admission::verdict::go);
    now += takes;
    a.ended(c.token, true, now);
    a.release(now);
  };
  for (int i = 0; i < 200; ++i)
    serve(5ms);
  for (int i = 0; i < 40; ++i)
    serve(100ms); // one a round
  EXPECT_LT(a.limit(), o.limit_max);
}

TEST_F(admitting, watches_take_no_place) {
  auto a = fill();
  auto watch = of(1);
  watch.exempt = true;
  EXPECT_EQ(a.ask(watch, now).what, admission::verdict::go);
  EXPECT_EQ(a.under_way(), o.limit_start);
  a.ended(watch.token, true, now);
  EXPECT_EQ(a.under_way(), o.limit_start);
}

TEST_F(admitting, a_call_that_ends_while_it_waits_leaves_nothing) {
  auto a = fill();
  const auto c = of(1, 0, "x");
  EXPECT_EQ(a.ask(c, now).what, admission::verdict::wait);
  a.ended(c.token, false, now);
  EXPECT_EQ(a.waiting(), 0U);
  a.ended(1, true, now);
  EXPECT_TRUE(a.release(now).go.empty());
  EXPECT_EQ(a.deadline(), never);
}

TEST_F(admitting, the_limit_falls_with_slow_answers_and_comes_back) {
  o.limit_start = 100;
  o.limit_max = 200;
  o.group_min = 500;
  o.waiting_max = 1000;
  admission a{o};
  std::deque<std::uint64_t> out;
  const auto serve = [&](duration takes, int rounds) {
    for (int i = 0; i < rounds; ++i) {
      while (a.waiting() < 20) {
        const auto c = of(1);
        const auto what = a.ask(c, now).what;
        ASSERT_NE(what, admission::verdict::refuse);
        if (what == admission::verdict::go)
          out.push_back(c.token);
      }
      now += takes;
      for (auto t : std::exchange(out, {}))
        a.ended(t, true, now);
      for (auto t : a.release(now).go)
        out.push_back(t);
    }
  };
  serve(5ms, 400);
  EXPECT_EQ(a.limit(), o.limit_max);
  serve(50ms, 60);
  EXPECT_LT(a.limit(), 60U);
  EXPECT_GE(a.limit(), o.limit_min);
  serve(5ms, 3000);
  EXPECT_EQ(a.limit(), o.limit_max);
}

/// Whatever comes: the bounds hold, no call is lost, and what was refused or
/// late never went.
TEST_F(admitting, model) {
  o.group_min = 3;
  seeded_random random{5};
  admission a{o};
  std::map<std::uint64_t, admission::call> under_way;
  std::map<std::uint64_t, admission::call> waiting;
  const auto take = [&](const admission::turn& t) {
    for (auto token : t.late)
      EXPECT_EQ(waiting.erase(token), 1U);
    for (auto token : t.go) {
      ASSERT_EQ(waiting.count(token), 1U);
      under_way.insert(waiting.extract(token));
    }
  };
  for (int i = 0; i < 20000; ++i) {
    now += random.between(0ms, 3ms);
    if (random.chance(0.55)) {
      auto c =
          of(static_cast<std::uint8_t>(random.below(3)),
             static_cast<std::uint32_t>(random.below(3)),
             random.chance(0.5) ? "c" + std::to_string(random.below(4)) : "",
             random.between(1ms, 300ms));
      if (random.chance(0.5))
        c.peer = id<node_id>(static_cast<std::uint8_t>(1 + random.below(2)));
      switch (a.ask(c, now).what) {
      case admission::verdict::go:
        under_way[c.token] = c;
        break;
      case admission::verdict::wait:
        waiting[c.token] = c;
        break;
      case admission::verdict::refuse:
        break;
      }
    } else if (!under_way.empty()) {
      auto at = under_way.begin();
      std::advance(at, random.below(under_way.size()));
      a.ended(at->first, random.chance(0.9), now);
      under_way.erase(at);
    }
    take(a.release(now));
    ASSERT_EQ(a.under_way(), under_way.size());
    ASSERT_EQ(a.waiting(), waiting.size());
    ASSERT_LE(under_way.size(), o.limit_max);
    ASSERT_LE(waiting.size(), 2 * o.waiting_max);
    std::map<std::string, std::size_t> clients;
    std::map<group_id, std::size_t> groups;
    std::map<node_id, std::size_t> peers;
    for (const auto& [token, c] : under_way) {
      ++clients[c.client];
      ++groups[c.group];
      ++peers[c.peer];
    }
    for (const auto& [token, c] : waiting)
      ++clients[c.client];
    for (const auto& [client, n] : clients)
      ASSERT_TRUE(client.empty() || n <= o.client_max);
    for (const auto& [g, n] : groups)
      ASSERT_LE(n, o.group_min);
    for (const auto& [peer, n] : peers)
      ASSERT_TRUE(peer.is_none() || n <= o.peer_max);
  }
  EXPECT_GT(a.refused(), 100U);
  EXPECT_GT(a.late(), 10U);
}

} // namespace
} // namespace banyan
