// DESIGN section 9: load is shed at the door, by typed `overloaded` with a
// retry hint; bounds for clients, groups and peers; no app starves another.
// Section 4: every queue is bounded, in bytes too.
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
    o.bytes_max = 1000;
    o.client_bytes_max = 400;
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
  admission::call heavy(std::uint8_t app, std::size_t bytes,
                        std::string client = {}) {
    auto c = of(app, 0, std::move(client));
    c.bytes = bytes;
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
  for (std::size_t i = 0; i < o.limit_start / 2; ++i) // its share
    EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::go);
  const auto rare = of(2);
  EXPECT_EQ(a.ask(rare, now).what, admission::verdict::wait);
  std::vector<std::uint64_t> went;
  for (std::uint64_t t = 1; t <= 6; ++t) {
    a.ended(t, true, now);
    const auto go = a.release(now).go;
    went.insert(went.end(), go.begin(), go.end());
  }
  EXPECT_EQ(std::count(went.begin(), went.end(), rare.token), 1);
}

TEST_F(admitting, an_app_whose_calls_hang_shuts_out_no_other) {
  o.limit_start = o.limit_max = 64;
  o.group_min = 64;
  auto a = fill(); // an app alone has everything
  const auto gone = of(9);
  EXPECT_EQ(a.ask(gone, now).what, admission::verdict::go);
  a.ended(gone.token, true, now); // and has no share any more
  EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::wait);
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::wait);
  a.ended(tokens - 1, true, now); // one of the 32
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{tokens});
  // Whoever comes next has its share as well, smaller as that is.
  for (int i = 0; i < 64 / 3; ++i)
    EXPECT_EQ(a.ask(of(3), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(of(3), now).what, admission::verdict::wait);
}

TEST_F(admitting, who_has_more_than_its_share_gives_it_back) {
  o.waiting_max = 100;
  auto a = fill();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(a.ask(of(1), now).what, admission::verdict::wait);
  const auto second = tokens + 1;
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::go);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::wait);
  EXPECT_EQ(a.under_way(), 12U);
  for (std::uint64_t t = 1; t <= 4; ++t) { // down to the limit: nobody goes
    a.ended(t, true, now);
    EXPECT_TRUE(a.release(now).go.empty());
  }
  EXPECT_EQ(a.under_way(), o.limit_start);
  a.ended(5, true, now); // below its share now: its own next one
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{9});
  // What the second app doesn't use is the first one's again.
  for (std::uint64_t t = second + 4; t < second + 14; ++t)
    a.ended(t, false, now);
  a.ended(second, true, now);
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{10});
}

TEST_F(admitting, one_place_is_everybodys_however_many_apps_there_are) {
  auto a = fill();
  for (std::uint8_t app = 2; app < 40; ++app) {
    EXPECT_EQ(a.ask(of(app), now).what, admission::verdict::go);
    const bool more = app <= o.limit_start / 2;
    EXPECT_EQ(a.ask(of(app), now).what,
              more ? admission::verdict::go : admission::verdict::wait);
  }
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
  EXPECT_TRUE(a.refusal({id<app_id>(1), 0}, "greedy", 0));
  EXPECT_FALSE(a.refusal({id<app_id>(1), 0}, "modest", 0));
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

TEST_F(admitting, a_peer_full_of_one_app_is_not_full_for_another) {
  o.limit_start = o.limit_max = 20;
  admission a{o};
  const auto there = [&](std::uint8_t app) {
    auto c = of(app, static_cast<std::uint32_t>(tokens));
    c.peer = id<node_id>(9);
    return c;
  };
  for (std::size_t i = 0; i < o.peer_max; ++i)
    EXPECT_EQ(a.ask(there(1), now).what, admission::verdict::go);
  for (std::size_t i = 0; i < o.peer_max / 2; ++i)
    EXPECT_EQ(a.ask(there(2), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(there(2), now).what, admission::verdict::wait);
}

TEST_F(admitting, arguments_have_their_bound_in_bytes) {
  admission a{o};
  EXPECT_EQ(a.ask(heavy(1, 600), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(1, 400), now).what, admission::verdict::go);
  EXPECT_EQ(a.bytes(), 1000U);
  const auto no = a.ask(heavy(1, 1), now);
  EXPECT_EQ(no.what, admission::verdict::refuse);
  EXPECT_NE(std::string{no.why}.find("bytes"), std::string::npos);
  EXPECT_GE(no.retry_after, o.retry_min);
  EXPECT_TRUE(a.refusal({id<app_id>(1), 0}, {}, 1));
  EXPECT_FALSE(a.refusal({id<app_id>(1), 0}, {}, 0));
  a.ended(1, true, now);
  EXPECT_EQ(a.bytes(), 400U);
  EXPECT_EQ(a.ask(heavy(1, 600), now).what, admission::verdict::go);
}

TEST_F(admitting, what_waits_holds_its_bytes_until_it_went_and_ended) {
  auto a = fill();
  const auto c = heavy(1, 900);
  EXPECT_EQ(a.ask(c, now).what, admission::verdict::wait);
  EXPECT_EQ(a.ask(heavy(1, 200), now).what, admission::verdict::refuse);
  EXPECT_EQ(a.waiting(), 1U);
  a.ended(1, true, now);
  EXPECT_EQ(a.release(now).go, std::vector<std::uint64_t>{c.token});
  EXPECT_EQ(a.bytes(), 900U);
  a.ended(c.token, true, now);
  EXPECT_EQ(a.bytes(), 0U);
  auto late = heavy(1, 900);
  late.until = now + 10ms;
  a.ask(of(1), now);
  EXPECT_EQ(a.ask(late, now).what, admission::verdict::wait);
  now += 10ms;
  EXPECT_EQ(a.release(now).late, std::vector<std::uint64_t>{late.token});
  EXPECT_EQ(a.bytes(), 0U);
}

TEST_F(admitting, an_app_whose_arguments_hang_shuts_out_no_other) {
  admission a{o};
  EXPECT_EQ(a.ask(heavy(1, 1000), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(2, 300), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(2, 200), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(2, 1), now).what, admission::verdict::refuse);
  // One argument goes for every app, though it be more than an even share.
  EXPECT_EQ(a.ask(heavy(3, 700), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(3, 1), now).what, admission::verdict::refuse);
  a.ended(1, true, now);
  EXPECT_EQ(a.bytes(), 1200U);
  EXPECT_EQ(a.ask(heavy(1, 300), now).what, admission::verdict::go);
}

TEST_F(admitting, bytes_that_an_app_let_go_of_are_in_its_share_again) {
  admission a{o};
  EXPECT_EQ(a.ask(heavy(1, 900), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(1, 100), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(2, 500), now).what, admission::verdict::go);
  a.ended(1, true, now);
  EXPECT_EQ(a.ask(heavy(3, 400), now).what, admission::verdict::go);
  EXPECT_EQ(a.bytes(), o.bytes_max);
  EXPECT_EQ(a.ask(heavy(1, 200), now).what, admission::verdict::go);
}

TEST_F(admitting, a_client_has_its_bound_in_bytes) {
  admission a{o};
  EXPECT_EQ(a.ask(heavy(1, 200, "greedy"), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(2, 200, "greedy"), now).what, admission::verdict::go);
  const auto no = a.ask(heavy(1, 1, "greedy"), now);
  EXPECT_EQ(no.what, admission::verdict::refuse);
  EXPECT_NE(std::string{no.why}.find("this client"), std::string::npos);
  EXPECT_EQ(a.ask(of(1, 0, "greedy"), now).what, admission::verdict::go);
  EXPECT_EQ(a.ask(heavy(1, 300, "modest"), now).what, admission::verdict::go);
  a.ended(1, true, now);
  EXPECT_EQ(a.ask(heavy(1, 200, "greedy"), now).what, admission::verdict::go);
}

TEST_F(admitting, clients_of_one_app_leave_some_bytes_to_the_next) {
  o.limit_start = o.limit_max = 2000;
  o.client_max = o.group_min = 2000;
  admission a{o};
  std::size_t before = 0;
  for (int client = 0; client < 8; ++client) { // each takes what it gets
    while (a.ask(heavy(1, 1, "c" + std::to_string(client)), now).what
           == admission::verdict::go)
      ;
    EXPECT_GT(a.bytes(), before) << client;
    EXPECT_LT(a.bytes(), o.bytes_max);
    before = a.bytes();
  }
  EXPECT_GT(before, o.bytes_max * 9 / 10);
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
  const auto few = a.refusal({id<app_id>(1), 0}, {}, 0);
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
  EXPECT_TRUE(a.refusal({id<app_id>(1), 0}, {}, 0));
  // Neither another app nor another group of this one is any the worse.
  EXPECT_FALSE(a.refusal({id<app_id>(2), 0}, {}, 0));
  EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::go);
  for (std::uint32_t shard = 1; shard <= 3; ++shard)
    EXPECT_EQ(a.ask(of(1, shard), now).what, admission::verdict::go);
  EXPECT_EQ(a.under_way(), o.limit_start);
  for (int i = 0; i < 3; ++i) // its share of those, and of those that wait
    EXPECT_EQ(a.ask(of(2), now).what, admission::verdict::go);
  for (std::size_t i = 0; i < o.waiting_max / 2; ++i)
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
/// late never went. Whoever got something beyond a bound had less than its even
/// share of it.
TEST_F(admitting, model) {
  o.group_min = 3;
  seeded_random random{5};
  admission a{o};
  using calls = std::map<std::uint64_t, admission::call>;
  calls under_way;
  calls waiting;
  const auto of_app = [](const calls& list, const app_id& app) {
    return static_cast<std::size_t>(
        std::count_if(list.begin(), list.end(), [&](const auto& c) {
          return c.second.group.app == app;
        }));
  };
  const auto bytes_of = [](const calls& list, const app_id* app) {
    std::size_t n = 0;
    for (const auto& [token, c] : list)
      n += app == nullptr || c.group.app == *app ? c.bytes : 0;
    return n;
  };
  const auto apps_with = [&](const app_id& app) {
    std::set<app_id> apps{app};
    for (const auto* list : {&under_way, &waiting})
      for (const auto& [token, c] : *list)
        apps.insert(c.group.app);
    return apps.size();
  };
  const auto fair = [](std::size_t max, std::size_t used, std::size_t wanted,
                       std::size_t own, std::size_t apps) {
    return used + wanted <= max || own == 0 || own + wanted <= max / apps;
  };
  const auto begins = [&](const admission::call& c) {
    const auto& app = c.group.app;
    EXPECT_TRUE(fair(o.limit_max, under_way.size(), 1, of_app(under_way, app),
                     apps_with(app)));
  };
  const auto holds = [&](const admission::call& c) {
    const auto& app = c.group.app;
    EXPECT_TRUE(fair(
        o.bytes_max, bytes_of(under_way, nullptr) + bytes_of(waiting, nullptr),
        c.bytes, bytes_of(under_way, &app) + bytes_of(waiting, &app),
        apps_with(app)));
  };
  const auto take = [&](const admission::turn& t) {
    for (auto token : t.late)
      EXPECT_EQ(waiting.erase(token), 1U);
    for (auto token : t.go) {
      ASSERT_EQ(waiting.count(token), 1U);
      begins(waiting.at(token));
      under_way.insert(waiting.extract(token));
    }
  };
  std::size_t beyond = 0;
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
      c.bytes = random.below(100);
      switch (a.ask(c, now).what) {
      case admission::verdict::go:
        begins(c);
        holds(c);
        under_way[c.token] = c;
        break;
      case admission::verdict::wait:
        EXPECT_TRUE(fair(o.waiting_max, waiting.size(), 1,
                         of_app(waiting, c.group.app), apps_with(c.group.app)));
        holds(c);
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
    } else if (!waiting.empty()) {
      a.ended(waiting.begin()->first, false, now);
      waiting.erase(waiting.begin());
    }
    take(a.release(now));
    ASSERT_EQ(a.under_way(), under_way.size());
    ASSERT_EQ(a.waiting(), waiting.size());
    ASSERT_EQ(a.bytes(),
              bytes_of(under_way, nullptr) + bytes_of(waiting, nullptr));
    ASSERT_LE(under_way.size(), o.limit_max * 11 / 6); // 1 + 1/2 + 1/3
    ASSERT_LE(waiting.size(), o.waiting_max * 11 / 6);
    beyond += under_way.size() > o.limit_max ? 1 : 0;
    std::map<std::string, std::pair<std::size_t, std::size_t>> clients;
    std::map<group_id, std::size_t> groups;
    std::map<node_id, std::size_t> peers;
    for (const auto& [token, c] : under_way) {
      ++groups[c.group];
      ++peers[c.peer];
    }
    for (const auto* list : {&under_way, &waiting})
      for (const auto& [token, c] : *list) {
        ++clients[c.client].first;
        clients[c.client].second += c.bytes;
      }
    for (const auto& [client, n] : clients) {
      ASSERT_TRUE(client.empty() || n.first <= o.client_max);
      ASSERT_TRUE(client.empty() || n.second <= o.client_bytes_max);
    }
    for (const auto& [g, n] : groups)
      ASSERT_LE(n, o.group_min);
    for (const auto& [peer, n] : peers)
      ASSERT_TRUE(peer.is_none() || n <= o.peer_max * 11 / 6);
  }
  EXPECT_GT(a.refused(), 100U);
  EXPECT_GT(a.late(), 10U);
  EXPECT_GT(beyond, 10U);
}

} // namespace
} // namespace banyan
