// Who gives up a damaged log when: never so many that no majority is left.
#include "actors/pure/parting.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace banyan {
namespace {

using namespace std::chrono_literals;

replica_ref ref(std::uint8_t n) {
  return {node_id{{n}}, replica_id{{n}}};
}

/// Voters of one group, and frames between them that may be lost.
struct group_of {
  struct frame {
    std::size_t from;
    std::size_t to;
    std::uint64_t round;
    bool promise;
  };
  explicit group_of(std::size_t n) : gone(n, false) {
    for (std::size_t i = 0; i < n; ++i)
      all.push_back(ref(static_cast<std::uint8_t>(i + 1)));
    for (const auto& r : all) {
      voters.emplace_back(r);
      voters.back().set_voters(all, {});
    }
  }
  [[nodiscard]] std::size_t left() const {
    return static_cast<std::size_t>(
        std::count(gone.begin(), gone.end(), false));
  }
  void tick(std::size_t n) {
    if (gone[n])
      return;
    const auto round =
        voters[n].on_tick(now, [](const node_id&) { return std::uint64_t{1}; });
    if (!round)
      return;
    for (std::size_t to = 0; to < all.size(); ++to)
      if (voters[n].others().count(all[to]) != 0)
        wire.push_back({n, to, *round, false});
  }
  void deliver(std::size_t place) {
    const auto f = wire[place];
    wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(place));
    if (gone[f.to])
      return;
    if (!f.promise) {
      if (voters[f.to].on_question(all[f.from], 1))
        wire.push_back({f.to, f.from, f.round, true});
    } else if (voters[f.to].on_promise(all[f.from], f.round)) {
      gone[f.to] = true;
    }
  }
  void settle() {
    for (int i = 0; i < 100; ++i, now += 1s) {
      for (std::size_t n = 0; n < all.size(); ++n)
        tick(n);
      while (!wire.empty())
        deliver(0);
    }
  }
  /// Its leader has put a new replica in the place of one that is gone.
  void replace(std::size_t n) {
    all[n].replica = replica_id{{static_cast<std::uint8_t>(100 + n)}};
    gone[n] = false;
    voters[n] = parting{all[n]};
    for (auto& v : voters)
      v.set_voters(all, {});
  }

  time_point now{1h};
  std::vector<replica_ref> all;
  std::vector<parting> voters;
  std::vector<bool> gone;
  std::deque<frame> wire;
};

TEST(parting, one_whose_log_is_damaged_goes_where_the_others_stay) {
  group_of g{3};
  g.voters[1].want(g.now);
  g.settle();
  EXPECT_EQ(g.gone, (std::vector<bool>{false, true, false}));
}

TEST(parting, of_two_at_once_one_waits_until_the_other_is_replaced) {
  group_of g{3};
  g.voters[0].want(g.now);
  g.voters[1].want(g.now);
  g.settle();
  EXPECT_EQ(g.gone, (std::vector<bool>{true, false, false}));
  g.replace(0);
  g.settle();
  EXPECT_EQ(g.gone, (std::vector<bool>{false, true, false}));
}

TEST(parting, nobody_goes_from_one_or_two) {
  for (const std::size_t n : {1U, 2U}) {
    group_of g{n};
    g.voters[0].want(g.now);
    g.settle();
    EXPECT_EQ(g.left(), n);
  }
}

TEST(parting, an_answer_to_another_round_counts_for_nothing) {
  parting p{ref(1)};
  p.set_voters({ref(1), ref(2), ref(3)}, {});
  time_point now{1h};
  const auto life = [](const node_id&) { return std::uint64_t{1}; };
  p.want(now);
  const auto first = p.on_tick(now, life);
  ASSERT_TRUE(first);
  EXPECT_FALSE(p.on_promise(ref(2), *first));
  EXPECT_FALSE(p.on_tick(now, life)) << "not before its time";
  now += parting::first_pause;
  const auto second = p.on_tick(now, life);
  ASSERT_TRUE(second);
  EXPECT_FALSE(p.on_promise(ref(3), *first));
  EXPECT_FALSE(p.on_promise(ref(3), *second)) << "the other's is of before";
  EXPECT_TRUE(p.on_promise(ref(2), *second));
}

TEST(parting, who_has_promised_stays_until_the_other_lives_anew) {
  parting p{ref(2)};
  p.set_voters({ref(1), ref(2), ref(3)}, {});
  time_point now{1h};
  auto known = std::uint64_t{5};
  const auto life = [&](const node_id&) { return known; };
  EXPECT_TRUE(p.on_question(ref(1), known));
  p.want(now);
  EXPECT_FALSE(p.on_tick(now, life));
  known = std::uint64_t{6}; // it started again: its log was read, and was whole
  EXPECT_TRUE(p.on_tick(now, life));
}

TEST(parting, a_promise_ends_a_round_that_is_under_way) {
  parting p{ref(2)};
  p.set_voters({ref(1), ref(2), ref(3)}, {});
  const time_point now{1h};
  p.want(now);
  const auto round =
      p.on_tick(now, [](const node_id&) { return std::uint64_t{1}; });
  ASSERT_TRUE(round);
  EXPECT_FALSE(p.on_promise(ref(3), *round));
  EXPECT_TRUE(p.on_question(ref(1), std::uint64_t{1}))
      << "the lower goes first";
  EXPECT_FALSE(p.on_promise(ref(1), *round));
  EXPECT_FALSE(p.on_promise(ref(3), *round));
}

TEST(parting, a_joint_change_needs_both_majorities_to_stay) {
  parting p{ref(1)};
  p.set_voters({ref(1), ref(2), ref(3)}, {ref(1), ref(4), ref(5)});
  const time_point now{1h};
  p.want(now);
  const auto round =
      p.on_tick(now, [](const node_id&) { return std::uint64_t{1}; });
  ASSERT_TRUE(round);
  EXPECT_FALSE(p.on_promise(ref(2), *round));
  EXPECT_FALSE(p.on_promise(ref(3), *round));
  EXPECT_FALSE(p.on_promise(ref(4), *round));
  EXPECT_TRUE(p.on_promise(ref(5), *round));
}

TEST(parting, no_stranger_makes_a_voter_promise) {
  parting p{ref(1)};
  p.set_voters({ref(1), ref(2), ref(3)}, {});
  EXPECT_FALSE(p.on_question(ref(9), std::uint64_t{1}));
  EXPECT_FALSE(p.on_question(ref(1), std::uint64_t{1}));
}

/// Any number of voters, any order, any loss: a majority is there at any time,
/// and once all is delivered every damaged log has gone.
TEST(parting, a_majority_stays_whatever_is_damaged) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    seeded_random dice{seed};
    const auto size = 3 + 2 * dice.below(3);
    group_of g{size};
    std::vector<bool> was(size, false);
    for (std::size_t n = 0; n < size; ++n)
      if (dice.chance(0.6)) {
        g.voters[n].want(g.now + dice.between(0s, 2s));
        was[n] = true;
      }
    for (int step = 0; step < 400; ++step) {
      if (!g.wire.empty() && dice.chance(0.7)) {
        const auto place = dice.below(g.wire.size());
        if (dice.chance(0.1))
          g.wire.erase(g.wire.begin() + static_cast<std::ptrdiff_t>(place));
        else
          g.deliver(place);
      } else {
        g.now += 300ms;
        g.tick(dice.below(size));
      }
      ASSERT_GT(g.left() * 2, size) << "seed " << seed;
    }
    std::vector<bool> replaced(size, false);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t n = 0; n < size; ++n)
        if (g.gone[n]) {
          replaced[n] = true;
          g.replace(n);
        }
      g.settle();
      ASSERT_GT(g.left() * 2, size) << "seed " << seed;
    }
    for (std::size_t n = 0; n < size; ++n)
      if (g.gone[n])
        replaced[n] = true;
    EXPECT_EQ(replaced, was) << "seed " << seed;
  }
}

} // namespace
} // namespace banyan
