// Spot checks of hardware, with liars at both ends.
#include "actors/pure/hardware/challenger.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace banyan {
namespace {

using namespace std::chrono_literals;

node_id node(std::uint8_t n) {
  return node_id{std::array<std::uint8_t, 32>{n}};
}

/// The right answer to a challenge, as honest hardware gives it.
hardware_answer solved(const hardware_challenge& c) {
  hardware_answer a;
  a.number = c.number;
  auto proof = c.nonce.array();
  proof[31] ^= static_cast<std::uint8_t>(c.size);
  a.proof = digest{proof};
  if (c.kind == challenge_kind::bandwidth)
    a.data.assign(std::size_t{c.size} * 1024, 7);
  return a;
}

/// One observer and the members that it watches, each with a manner of its own.
struct watched {
  /// What it answers and after how long; nothing: no answer.
  using manner =
      std::function<std::optional<std::pair<hardware_answer, duration>>(
          const hardware_challenge&)>;
  struct member {
    challenge_subject as;
    manner answer;
  };

  std::map<node_id, member> members;
  seeded_random random{7};
  challenge_rhythm rhythm;
  challenger core{rhythm, random};
  mesh_policy policy;
  time_point now = time_point{} + 1h;
  bool busy = false;
  std::vector<finding_made> found;
  std::vector<std::pair<time_point, node_id>> asked;
  std::optional<hardware_challenge> last;

  static manner honest(duration takes = 100ms) {
    return [takes](const hardware_challenge& c) {
      return std::pair{solved(c), takes};
    };
  }
  void add(std::uint8_t n, std::uint8_t claim, manner m) {
    members[node(n)] = {{node(n), claim, true, true, false, 1ms, {}},
                        std::move(m)};
  }
  void carry_out(challenge_effects effects) {
    for (auto& e : effects)
      if (auto* s = std::get_if<solve_challenge>(&e)) {
        challenge_effects more;
        core.on_solved(s->what.number, solved(s->what), 50ms, now, more);
        carry_out(std::move(more));
      } else if (auto* c = std::get_if<send_challenge>(&e)) {
        asked.emplace_back(now, c->to);
        last = c->what;
        const auto a = members.at(c->to).answer(c->what);
        if (!a)
          continue;
        challenge_effects more;
        core.on_answer(c->to, a->first, now + a->second, more);
        carry_out(std::move(more));
      } else {
        found.push_back(std::get<finding_made>(e));
      }
  }
  void look() {
    std::vector<challenge_subject> all;
    for (const auto& [id, m] : members)
      all.push_back(m.as);
    challenge_effects out;
    core.on_look(all, policy, busy, now, out);
    carry_out(std::move(out));
  }
  void run_for(duration d, duration step = 10s) {
    for (const auto end = now + d; now < end; now += step)
      look();
  }
  std::uint8_t finds(std::uint8_t n) { return core.finding(node(n)); }
};

TEST(challenges, an_honest_claim_holds_and_is_tried_once_a_day) {
  watched w;
  w.add(1, 3, watched::honest());
  w.add(2, 1, watched::honest());
  w.run_for(1h + 1min);
  EXPECT_EQ(w.core.counters().held, 2U);
  EXPECT_TRUE(w.core.held_at(node(1)));
  w.run_for(7 * 24h, 1min);
  EXPECT_GE(w.core.counters().held, 2U * 7);
  EXPECT_LE(w.core.counters().held, 2U * 9);
  EXPECT_TRUE(w.found.empty());
  EXPECT_TRUE(w.core.doubts().empty());
}

TEST(challenges, come_at_a_time_that_nobody_knows_before) {
  std::set<duration> first;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    watched w;
    w.random = seeded_random{seed};
    w.add(1, 1, watched::honest());
    const auto begun = w.now;
    w.run_for(1h + 1min);
    ASSERT_FALSE(w.asked.empty());
    first.insert(w.asked[0].first - begun);
  }
  EXPECT_GE(first.size(), 15U);
}

TEST(challenges, each_has_a_nonce_of_its_own) {
  watched w;
  std::set<challenge_nonce> nonces;
  std::size_t count = 0;
  w.add(1, 2, [&](const hardware_challenge& c) {
    nonces.insert(c.nonce);
    ++count;
    return std::optional{std::pair{solved(c), duration{1ms}}};
  });
  w.run_for(10 * 24h, 1min);
  EXPECT_EQ(nonces.size(), count);
  EXPECT_GE(count, 18U);
}

/// Each way of not having what one claims, by its answers to memory challenges
/// above 60 MiB (tier 1 asks for 56) or to bulk above 128 KiB (tier 1's).
struct liar {
  const char* name;
  watched::manner manner;
};
class liars : public ::testing::TestWithParam<int> {
protected:
  static liar get(int n) {
    const auto small = [](const hardware_challenge& c) {
      return c.kind == challenge_kind::memory ? c.size <= 60 : c.size <= 128;
    };
    const auto with = [small](auto otherwise) -> watched::manner {
      return [=](const hardware_challenge& c)
                 -> std::optional<std::pair<hardware_answer, duration>> {
        if (small(c))
          return std::pair{solved(c), duration{100ms}};
        return otherwise(c);
      };
    };
    using answer = std::optional<std::pair<hardware_answer, duration>>;
    switch (n) {
    case 0:
      return {"slow", with([](const auto& c) -> answer {
                return std::pair{solved(c), duration{40s}};
              })};
    case 1:
      return {"wrong", with([](const auto& c) -> answer {
                auto a = solved(c);
                a.proof = digest{};
                return std::pair{a, duration{1ms}};
              })};
    case 2: {
      const auto old = std::make_shared<std::optional<digest>>();
      return {"replays", with([old](const auto& c) -> answer {
                auto a = solved(c);
                if (!*old)
                  *old = solved({c.number, c.kind, {}, c.size}).proof;
                a.proof = **old;
                return std::pair{a, duration{1ms}};
              })};
    }
    case 3:
      return {"says nothing",
              with([](const auto&) -> answer { return std::nullopt; })};
    case 4:
      return {"unable", with([](const auto& c) -> answer {
                hardware_answer a;
                a.number = c.number;
                a.outcome = challenge_outcome::unable;
                return std::pair{a, duration{1ms}};
              })};
    case 5:
      return {"thin line", with([](const auto& c) -> answer {
                return std::pair{solved(c),
                                 duration{c.kind == challenge_kind::memory
                                              ? duration{100ms}
                                              : duration{1s}}};
              })};
    default:
      return {"short data", with([](const auto& c) -> answer {
                auto a = solved(c);
                a.data.resize(a.data.size() / 2);
                return std::pair{a, duration{1ms}};
              })};
    }
  }
};

TEST_P(liars, keep_no_false_tier_and_get_the_one_that_they_have) {
  const auto [name, manner] = get(GetParam());
  SCOPED_TRACE(name);
  watched w;
  w.add(1, 3, manner);
  w.add(2, 3, watched::honest());
  w.run_for(3h);
  EXPECT_EQ(w.finds(1), 1);
  EXPECT_EQ(w.finds(2), 3);
  EXPECT_EQ(w.core.doubts(), (std::map<node_id, std::uint8_t>{{node(1), 1}}));
  ASSERT_FALSE(w.found.empty());
  EXPECT_FALSE(w.found.back().why.empty());
  w.run_for(5 * 24h, 1min); // tried again each day, never believed
  EXPECT_EQ(w.finds(1), 1);
  // With better hardware it is believed again.
  w.members[node(1)].answer = watched::honest();
  w.run_for(2 * 24h, 1min);
  EXPECT_EQ(w.finds(1), 3);
  EXPECT_TRUE(w.core.doubts().empty());
}

INSTANTIATE_TEST_SUITE_P(each, liars, ::testing::Range(0, 7));

TEST(challenges, a_single_failure_is_no_finding) {
  watched w;
  unsigned fails = 1;
  w.add(1, 2, [&](const hardware_challenge& c) {
    if (fails > 0) {
      --fails;
      return std::optional<std::pair<hardware_answer, duration>>{};
    }
    return std::optional{std::pair{solved(c), duration{1ms}}};
  });
  w.run_for(3h);
  EXPECT_EQ(w.core.counters().failed, 1U);
  EXPECT_TRUE(w.found.empty());
  EXPECT_EQ(w.finds(1), 2);
}

TEST(challenges, never_begin_while_one_of_the_two_is_busy) {
  watched w;
  w.add(1, 2, watched::honest());
  w.busy = true;
  w.run_for(24h, 1min);
  EXPECT_TRUE(w.asked.empty());
  EXPECT_EQ(w.core.counters().postponed, 0U); // that is no fault of the other
  w.busy = false;
  w.members[node(1)].as.busy = true;
  w.run_for(24h, 1min);
  EXPECT_TRUE(w.asked.empty());
  EXPECT_GT(w.core.counters().postponed, 0U);
  w.members[node(1)].as.busy = false;
  w.run_for(2h);
  EXPECT_GE(w.core.counters().held, 1U);
}

/// Ways of never being to be had.
class evasions : public ::testing::TestWithParam<int> {};

TEST_P(evasions, of_a_whole_week_prove_nothing) {
  watched w;
  w.add(1, 2, [](const hardware_challenge& c) {
    hardware_answer a;
    a.number = c.number;
    a.outcome = challenge_outcome::later;
    return std::optional{std::pair{a, duration{1ms}}};
  });
  auto& as = w.members[node(1)].as;
  as.busy = GetParam() == 1;
  as.heard = GetParam() != 2;
  as.answers = GetParam() != 3;
  w.run_for(6 * 24h, 1min);
  EXPECT_EQ(w.finds(1), 2);
  w.run_for(2 * 24h, 1min);
  EXPECT_EQ(w.finds(1), 0);
  as.busy = false;
  as.heard = as.answers = true;
  w.members[node(1)].answer = watched::honest();
  w.run_for(3h);
  EXPECT_EQ(w.finds(1), 2);
}

INSTANTIATE_TEST_SUITE_P(each, evasions, ::testing::Range(0, 4));

TEST(challenges, a_link_that_breaks_meanwhile_is_no_failure) {
  watched w;
  w.add(1, 2, [](const auto&) {
    return std::optional<std::pair<hardware_answer, duration>>{};
  });
  for (int i = 0; i < 50; ++i) {
    w.members[node(1)].as.heard = true;
    while (w.asked.size() == static_cast<std::size_t>(i))
      w.run_for(10s);
    w.members[node(1)].as.heard = false;
    w.look();
  }
  EXPECT_EQ(w.core.counters().failed, 0U);
}

TEST(challenges, a_claim_that_goes_down_and_up_again_starts_nothing_anew) {
  watched w;
  w.add(1, 3, liar{}.manner);
  w.members[node(1)].answer = [](const auto&) {
    return std::optional<std::pair<hardware_answer, duration>>{};
  };
  auto& as = w.members[node(1)].as;
  for (int i = 0; i < 24 * 6; ++i) {
    as.claim = i % 2 == 0 ? 3 : 2;
    w.run_for(10min);
  }
  as.claim = 3;
  w.run_for(10s);
  EXPECT_LT(w.finds(1), 2);
}

TEST(challenges, who_goes_away_with_a_doubt_comes_back_with_it) {
  watched w;
  w.add(1, 1, [](const auto&) {
    return std::optional<std::pair<hardware_answer, duration>>{};
  });
  w.run_for(3h);
  ASSERT_EQ(w.finds(1), 0);
  const auto gone = w.members.extract(node(1));
  w.run_for(10min);
  w.add(1, 1, watched::honest());
  w.look();
  EXPECT_EQ(w.finds(1), 0);
}

TEST(challenges, answers_that_nobody_asked_for_change_nothing) {
  watched w;
  w.add(1, 2, [](const auto&) {
    return std::optional<std::pair<hardware_answer, duration>>{};
  });
  w.add(2, 2, watched::honest());
  while (!w.last || w.asked.back().second != node(1))
    w.run_for(10s);
  const auto before = w.core.counters().failed + w.core.counters().held;
  auto a = solved(*w.last);
  a.proof = digest{};
  challenge_effects out;
  w.core.on_answer(node(2), a, w.now, out); // not the one that was asked
  a.number += 1;
  w.core.on_answer(node(1), a, w.now, out);
  a.number = 0;
  w.core.on_answer(node(9), a, w.now, out);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(w.core.counters().failed + w.core.counters().held, before);
}

TEST(challenges, beats_of_a_slow_disk_contradict_a_fast_ones_claim) {
  watched w;
  w.add(1, 3, watched::honest());
  w.members[node(1)].as.fsync_age = 190ms; // a loaded one, that is excused
  w.run_for(2h);
  EXPECT_EQ(w.finds(1), 3);
  w.members[node(1)].as.fsync_age = 300ms; // tier 1 lets 50 ms be 400
  w.run_for(2h);
  EXPECT_EQ(w.finds(1), 1);
  w.members[node(1)].as.fsync_age = 1ms;
  w.run_for(2h);
  EXPECT_EQ(w.finds(1), 3);
}

// ---- the end that is challenged

TEST(challenged_end, works_for_one_observer_at_a_time_and_for_no_stranger) {
  const challenge_rhythm r;
  challenged c{r};
  const time_point t{1h};
  EXPECT_FALSE(c.take(node(1), false, false, t));
  EXPECT_TRUE(c.take(node(1), true, false, t));
  EXPECT_FALSE(c.take(node(2), true, false, t));
  c.done();
  EXPECT_TRUE(c.take(node(2), true, false, t));
}

TEST(challenged_end, never_works_under_load) {
  challenged c{challenge_rhythm{}};
  EXPECT_FALSE(c.take(node(1), true, true, time_point{1h}));
  EXPECT_EQ(c.postponed(), 1U);
}

TEST(challenged_end, one_asker_cannot_keep_it_busy) {
  const challenge_rhythm r;
  challenged c{r};
  time_point t{1h};
  unsigned taken = 0;
  for (const auto end = t + r.again; t < end; t += 1s)
    if (c.take(node(1), true, false, t)) {
      ++taken;
      c.done();
    }
  EXPECT_EQ(taken, r.answers_max);
  EXPECT_TRUE(c.take(node(1), true, false, t + 1s));
}

} // namespace
} // namespace banyan
