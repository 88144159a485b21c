// DESIGN section 9: power of two choices on calls under way × latency, the own
// region first, ejection of failing instances, a retry budget of 10 %.
#include "actors/pure/balancer.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

node_id node(std::uint8_t n) {
  std::array<std::uint8_t, 32> id{};
  id[0] = n;
  return node_id{id};
}

/// Instances that serve one call after another on virtual time, and callers
/// that each wait for an answer before they call again.
struct balancing : ::testing::Test {
  struct server {
    duration takes = 1ms;
    bool fails = false;
    bool frozen = false;
    time_point busy_until{};
    std::size_t calls = 0;
    std::size_t unanswered = 0;
  };
  struct open_call {
    std::uint64_t token = 0;
    node_id at;
    bool failed = false;
  };

  void have(std::size_t n, std::size_t near = SIZE_MAX) {
    std::vector<balanced_instance> list;
    for (std::uint8_t i = 0; i < n; ++i) {
      list.push_back({node(i), i < near, false, 1ms});
      servers[node(i)];
    }
    b.set(list, now);
  }
  /// Where a call without history of its own goes; it begins there.
  node_id begin() {
    b.count_call();
    const auto at = b.choose({}, now);
    EXPECT_TRUE(at);
    const auto token = ++tokens;
    b.began(token, *at, now);
    auto& s = servers[*at];
    ++s.calls;
    if (s.frozen) {
      ++s.unanswered;
      return *at;
    }
    s.busy_until = std::max(s.busy_until, now) + s.takes;
    ends.emplace(s.busy_until, open_call{token, *at, s.fails});
    return *at;
  }
  bool end_next() {
    if (ends.empty())
      return false;
    const auto first = ends.begin();
    now = std::max(now, first->first);
    b.ended(first->second.token,
            first->second.failed ? balanced_end::failed
                                 : balanced_end::answered,
            now);
    ends.erase(first);
    return true;
  }
  /// So many callers for so many calls.
  void run(std::size_t callers, std::size_t calls) {
    for (std::size_t i = 0; i < callers; ++i)
      begin();
    for (std::size_t i = callers; i < calls && end_next(); ++i)
      begin();
    while (end_next()) {
    }
  }
  void forget_calls() {
    for (auto& [at, s] : servers)
      s.calls = 0;
  }

  seeded_random random{11};
  balancer b{random};
  time_point now{std::chrono::hours{1}};
  std::map<node_id, server> servers;
  std::multimap<time_point, open_call> ends;
  std::uint64_t tokens = 0;
};

TEST_F(balancing, nobody_there_is_no_choice) {
  EXPECT_FALSE(b.choose({}, now));
}

TEST_F(balancing, equals_share_equally) {
  have(5);
  run(20, 5000);
  for (const auto& [at, s] : servers) {
    EXPECT_GT(s.calls, 800u);
    EXPECT_LT(s.calls, 1200u);
  }
}

TEST_F(balancing, the_slow_one_gets_its_part_and_no_more) {
  have(3);
  servers[node(0)].takes = 10ms;
  run(12, 3000);
  // A tenth as quick: about a 21st of the calls.
  EXPECT_LT(servers[node(0)].calls, 400u);
  EXPECT_GT(servers[node(0)].calls, 10u);
}

TEST_F(balancing, a_frozen_instance_costs_each_caller_at_most_one_call) {
  have(3);
  run(8, 800);
  servers[node(1)].frozen = true;
  run(8, 2000);
  EXPECT_LE(servers[node(1)].unanswered, 8u);
}

TEST_F(balancing, who_fails_is_ejected_and_tried_again_with_one_call) {
  have(4);
  run(4, 400);
  auto& bad = servers[node(2)];
  bad.fails = true;
  bad.takes = 10us; // fast failures attract nobody
  forget_calls();
  run(8, 2000);
  EXPECT_EQ(b.ejections(), 1u);
  EXPECT_LT(bad.calls, 12u);
  // Its time is over: one call, which fails, and out it is, for longer.
  now += 2s;
  forget_calls();
  run(8, 400);
  EXPECT_EQ(bad.calls, 1u);
  EXPECT_EQ(b.ejections(), 2u);
  now += 1500ms;
  forget_calls();
  run(8, 400);
  EXPECT_EQ(bad.calls, 0u);
  // Well again: one call is answered, then it comes back slowly.
  bad.fails = false;
  bad.takes = 1ms;
  now += 10s;
  forget_calls();
  run(8, 400);
  EXPECT_GT(bad.calls, 1u);
  EXPECT_LT(bad.calls, 80u);
  now += 10s;
  forget_calls();
  run(8, 2000);
  EXPECT_GT(bad.calls, 300u);
}

TEST_F(balancing, at_most_half_are_ejected) {
  have(4);
  for (auto& [at, s] : servers)
    s.fails = true;
  run(8, 400);
  EXPECT_EQ(b.ejections(), 2u);
  EXPECT_TRUE(b.choose({}, now));
}

TEST_F(balancing, the_own_region_comes_first_and_spills_over_when_loaded) {
  have(4, 2);
  for (std::uint8_t i = 2; i < 4; ++i)
    servers[node(i)].takes = 4ms;
  run(2, 1000);
  EXPECT_EQ(servers[node(2)].calls + servers[node(3)].calls, 0u);
  run(60, 3000);
  EXPECT_GT(servers[node(2)].calls + servers[node(3)].calls, 100u);
  EXPECT_GT(servers[node(0)].calls, servers[node(2)].calls);
}

TEST_F(balancing, without_its_own_region_it_takes_another) {
  have(4, 2);
  run(4, 200);
  // Both fail; one is ejected, and half the calls find the other.
  servers[node(0)].fails = servers[node(1)].fails = true;
  run(4, 200);
  forget_calls();
  run(4, 200);
  EXPECT_GT(servers[node(2)].calls + servers[node(3)].calls, 100u);
  // They are gone: what is left gets all, at once and equally.
  b.set({{node(2), false}, {node(3), false}}, now);
  EXPECT_EQ(b.size(), 2u);
  forget_calls();
  run(4, 200);
  EXPECT_EQ(servers[node(2)].calls + servers[node(3)].calls, 200u);
  EXPECT_GT(servers[node(2)].calls, 60u);
  EXPECT_GT(servers[node(3)].calls, 60u);
  // And back: the own region has it again, once it is no longer new.
  b.set({{node(0)}, {node(1)}, {node(2), false}, {node(3), false}}, now);
  servers[node(0)].fails = servers[node(1)].fails = false;
  now += 6s;
  run(2, 20);
  forget_calls();
  run(2, 200);
  EXPECT_GT(servers[node(0)].calls + servers[node(1)].calls, 150u);
}

// The region stands still, but nobody has said so yet: what hangs there is what
// each caller had under way.
TEST_F(balancing, a_region_that_froze_costs_each_caller_at_most_one_call) {
  have(4, 2);
  run(4, 400);
  servers[node(0)].frozen = servers[node(1)].frozen = true;
  forget_calls();
  for (int i = 0; i < 6; ++i)
    begin();
  EXPECT_LE(servers[node(0)].unanswered + servers[node(1)].unanswered, 6u);
  while (end_next()) {
  }
  now += 100ms;
  const auto hang = servers[node(0)].unanswered + servers[node(1)].unanswered;
  run(6, 600);
  EXPECT_EQ(servers[node(0)].unanswered + servers[node(1)].unanswered, hang);
  EXPECT_GE(servers[node(2)].calls + servers[node(3)].calls, 600u);
}

TEST_F(balancing, a_new_instance_starts_slowly) {
  have(2);
  run(8, 400);
  forget_calls();
  have(3);
  run(4, 400); // 0.15 s of five
  EXPECT_LT(servers[node(2)].calls, 60u);
  now += 5s;
  forget_calls();
  run(8, 3000);
  EXPECT_GT(servers[node(2)].calls, 700u);
}

TEST_F(balancing, the_share_of_a_new_instance_grows) {
  have(4);
  run(4, 400);
  have(5);
  const auto begin = now;
  std::size_t before = 0;
  // In parts of 1,000 calls, at so many seconds after it came.
  for (const auto at : {0, 1, 2}) { // then it is nearly an equal
    now = begin + std::chrono::seconds{at};
    forget_calls();
    run(4, 1000);
    const auto part = servers[node(4)].calls;
    EXPECT_GT(part, before + 10) << at << " s";
    before = part;
    if (at == 0) {
      EXPECT_LT(part, 60u); // a quarter of what an equal gets
    }
  }
  now = begin + 5s;
  forget_calls();
  run(4, 1000);
  EXPECT_GT(servers[node(4)].calls, 150u);
  EXPECT_LT(servers[node(4)].calls, 250u);
}

TEST_F(balancing, a_share_is_not_for_the_sake_of_one_that_is_slow) {
  for (int i = 0; i < 50; ++i) {
    balancer fresh{random};
    fresh.set({{node(0)}, {node(1)}}, now);
    fresh.back(node(1), now); // starts slowly
    fresh.began(1, node(0), now);
    now += 60ms;
    fresh.ended(1, balanced_end::answered, now);
    EXPECT_EQ(fresh.choose({}, now), node(1));
    now += 50ms;
    EXPECT_EQ(fresh.choose({}, now), node(1));
  }
}

// What others once took makes it no better: it answers nothing.
TEST_F(balancing, who_let_a_call_hang_is_left_alone_until_it_answers) {
  have(3);
  b.began(900, node(0), now);
  for (std::uint64_t i = 1; i < 3; ++i) {
    b.began(900 + i, node(static_cast<std::uint8_t>(i)), now);
    b.ended(900 + i, balanced_end::answered, now + 50ms);
  }
  now += 100ms;
  b.ended(900, balanced_end::given_up, now); // its second attempt was answered
  std::uint64_t token = 910;
  for (int i = 0; i < 20; ++i, now += 40ms) { // the others are loaded
    const auto at = b.choose({}, now);
    EXPECT_NE(at, node(0));
    b.began(++token, *at, now);
    b.ended(token - 2, balanced_end::answered, now);
  }
  b.ended(token, balanced_end::answered, now);
  b.ended(token - 1, balanced_end::answered, now);
  now += 10s; // then one call, for less than a slow one's time
  const auto tried = b.choose({node(1), node(2)}, now);
  ASSERT_EQ(tried, node(0));
  EXPECT_EQ(b.patience(now), 100ms);
  EXPECT_EQ(b.patience_at(node(0), now), 10ms);
  b.began(990, node(0), now);
  now += 10ms;
  b.ended(990, balanced_end::given_up, now);
  now += 999ms; // and it is left alone again
  EXPECT_NE(b.choose({}, now), node(0));
  now += 1ms;
  b.began(991, node(0), now);
  b.ended(991, balanced_end::answered, now + 5ms);
  EXPECT_EQ(b.patience_at(node(0), now), 100ms);
  EXPECT_EQ(b.ejections(), 0u);
}

TEST_F(balancing, the_own_instance_is_asked_until_it_is_loaded) {
  have(4);
  b.set({{node(0), true, true, 0ms},
         {node(1), true, false, 1ms},
         {node(2), true, false, 1ms},
         {node(3), true, false, 1ms}},
        now);
  run(1, 500);
  EXPECT_EQ(servers[node(0)].calls, 500u);
  forget_calls();
  run(40, 4000); // one after another takes each of them as long
  EXPECT_LT(servers[node(0)].calls, 2200u);
  EXPECT_GT(servers[node(1)].calls, 400u);
  servers[node(0)].takes = 100ms;
  run(40, 400);
  forget_calls();
  run(40, 2000);
  EXPECT_LT(servers[node(0)].calls, 200u);
}

TEST_F(balancing, some_alone_are_chosen_and_share_what_is_known) {
  const std::vector<balanced_instance> one{{node(0)}, {node(1)}, {node(2)}};
  const std::vector<balanced_instance> other{{node(2)}, {node(3)}};
  for (int i = 0; i < 50; ++i) {
    EXPECT_NE(b.choose_of(one, {node(0)}, now), node(0));
    EXPECT_EQ(b.choose_of(other, {node(2)}, now), node(3));
  }
  EXPECT_FALSE(b.choose_of(other, {node(2), node(3)}, now));
  now += 10s;
  b.began(900, node(2), now); // frozen, as a call for the other shard found
  now += 200ms;
  for (int i = 0; i < 50; ++i)
    EXPECT_NE(b.choose_of(one, {}, now), node(2));
  for (std::uint8_t n = 0; n < 255; ++n)
    ASSERT_TRUE(b.choose_of({{node(n)}}, {}, now));
  ASSERT_TRUE(b.choose_of(one, {}, now)); // bounded, but for who is asked
  EXPECT_LT(b.size(), 256u);
  EXPECT_EQ(b.looks(now).size(), b.size());
}

TEST_F(balancing, who_is_back_is_forgiven_and_starts_slowly) {
  have(3);
  for (std::uint64_t i = 0; i < 3; ++i) {
    b.began(900 + i, node(1), now);
    b.ended(900 + i, balanced_end::failed, now);
  }
  EXPECT_EQ(b.ejections(), 1u);
  run(4, 200);
  EXPECT_EQ(servers[node(1)].calls, 0u);
  b.back(node(1), now);
  run(4, 400);
  EXPECT_GT(servers[node(1)].calls, 0u);
  EXPECT_LT(servers[node(1)].calls, 80u);
  b.back(node(77), now); // nobody's
}

TEST_F(balancing, patience_follows_the_quickest) {
  EXPECT_EQ(b.patience(now), 100ms);
  have(2);
  EXPECT_EQ(b.patience(now), 100ms);
  for (auto& [at, s] : servers)
    s.takes = 50ms;
  run(2, 20);
  EXPECT_EQ(b.patience(now), 400ms);
  servers[node(0)].takes = 3s; // earns itself none
  run(2, 20);
  EXPECT_LE(b.patience(now), 400ms);
}

TEST_F(balancing, who_is_given_up_late_three_times_is_ejected) {
  have(2);
  const auto give_up = [&](duration after) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      b.began(++tokens + 900, node(0), now);
      b.ended(tokens + 900, balanced_end::given_up, now + after);
    }
  };
  give_up(10ms); // the other's answer was there: nothing against it
  EXPECT_EQ(b.ejections(), 0u);
  now += 60s;
  give_up(150ms);
  EXPECT_EQ(b.ejections(), 1u);
}

TEST_F(balancing, what_was_tried_is_left_out_while_others_are_there) {
  have(2);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(b.choose({node(0)}, now), node(1));
  EXPECT_TRUE(b.choose({node(0), node(1)}, now));
}

TEST_F(balancing, an_overloaded_one_is_left_alone_for_a_moment) {
  have(2);
  b.began(900, node(0), now);
  b.ended(900, balanced_end::overloaded, now);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(b.choose({}, now), node(1));
  b.began(901, node(0), now);
  b.ended(901, balanced_end::overloaded, now, 700ms);
  now += 650ms;
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(b.choose({}, now), node(1));
  now += 350ms;
  std::set<node_id> seen;
  for (int i = 0; i < 50; ++i)
    seen.insert(*b.choose({}, now));
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(balancing, retries_are_a_tenth_of_the_calls) {
  have(3);
  for (int i = 0; i < 1000; ++i)
    b.count_call();
  std::size_t repeats = 0;
  while (b.may_repeat(now))
    ++repeats;
  EXPECT_GE(repeats, 100u);
  EXPECT_LE(repeats, 110u);
  // A quiet router may repeat something now and then.
  now += 20s;
  repeats = 0;
  while (b.may_repeat(now))
    ++repeats;
  EXPECT_EQ(repeats, 10u);
}

TEST_F(balancing, ends_of_who_left_are_nothing) {
  have(2);
  b.began(900, node(0), now);
  b.set({{node(1)}}, now);
  b.ended(900, balanced_end::failed, now);
  b.ended(901, balanced_end::failed, now);
  b.began(902, node(0), now); // no longer there
  EXPECT_EQ(b.choose({}, now), node(1));
  EXPECT_EQ(b.looks(now).size(), 1u);
}

} // namespace
} // namespace banyan
