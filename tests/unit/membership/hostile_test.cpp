// One hostile member among five honest ones (DESIGN section 5): it has the mesh
// key and a link to each, and says over them, in its own name, whatever it
// likes. It evicts nobody and hides no death, and what no honest node would
// send is counted where it arrives.
#include "net/membership/messages.hpp"
#include "tests/unit/membership/mesh.hpp"

#include <gtest/gtest.h>

namespace banyan::net::testing {
namespace {

struct one_of_six : ::testing::Test {
  static constexpr std::size_t honest = 5;
  static constexpr std::size_t liar = honest;
  mesh m{606};
  seeded_random dice{607};
  std::uint64_t number = 1'000'000;

  void SetUp() override { m.found(honest + 1); }
  void say_bytes(const bytes& payload, channel on = channel::membership) {
    for (std::size_t n = 0; n < honest; ++n)
      if (m[n].up())
        m.inject(liar, n, on, payload);
  }
  void say(const membership_message& what) { say_bytes(encode(what)); }
  report accuse(std::size_t subject, bool down = true) {
    return m.says(liar, subject, ++number, down);
  }
  member_document sign(const member_record& r) {
    return member_document::make(m[liar].key, m.mesh_name(), r);
  }
  /// The lie, every 100 ms for ten seconds; then one dies, and all know.
  template <class Lie>
  void lie_on(Lie lie) {
    for (int n = 0; n < 100; ++n) {
      lie();
      m.run_for(100ms);
    }
    for (std::size_t a = 0; a < honest; ++a)
      for (const auto& e : m.all<member_changed>(a))
        if (m.index_of(e.second.node, 0) < honest) {
          EXPECT_NE(e.second.to, member_state::dead) << a;
          EXPECT_NE(e.second.to, member_state::left) << a;
        }
    m.kill(0);
    EXPECT_TRUE(m.run_until(
        [&] {
          lie();
          for (std::size_t a = 1; a < honest; ++a)
            if (m.sees(a, 0) != member_state::dead)
              return false;
          return true;
        },
        5s, 100ms));
  }
  /// That the node which saw least of it has counted.
  std::uint64_t least(std::uint64_t membership_counters::*counter) {
    auto n = UINT64_MAX;
    for (std::size_t a = 1; a < honest; ++a)
      n = std::min(n, m.core(a).counters().*counter);
    return n;
  }
};

TEST_F(one_of_six, who_accuses_the_healthy_evicts_nobody) {
  lie_on([&] {
    for (std::size_t n = 0; n < honest; ++n)
      if (m[n].up())
        say(news_message{{}, {accuse(n)}});
  });
}

TEST_F(one_of_six, who_claims_huge_incarnations_evicts_nobody) {
  constexpr auto huge = incarnation{UINT64_MAX - 1};
  lie_on([&] {
    auto own = m.core(liar).own();
    own.incarnation = huge;
    own.number = ++number;
    say(news_message{{sign(own)}, {}});
    for (std::size_t n = 0; n < honest; ++n) {
      if (!m[n].up())
        continue;
      auto r = accuse(n);
      r.observer_incarnation = huge;
      r.sign(m[liar].key, m.mesh_name());
      say(news_message{{}, {r}});
      r.subject_incarnation = huge;
      r.sign(m[liar].key, m.mesh_name());
      say(news_message{{}, {r}});
      auto theirs = m.core(n).own(); // with a key that isn't theirs
      theirs.incarnation = huge;
      say(news_message{{sign(theirs)}, {}});
    }
  });
  EXPECT_GE(least(&membership_counters::signatures_bad), 100U);
}

TEST_F(one_of_six, who_tells_all_that_they_are_dead_costs_a_number_a_second) {
  const auto before = m.core(1).counters().refutations;
  lie_on([&] {
    for (std::size_t n = 0; n < honest; ++n)
      if (m[n].up())
        m.inject(liar, n, channel::membership,
                 encode(membership_message{
                     verdict_message{m.core(n).own().incarnation}}));
  });
  EXPECT_LE(m.core(1).counters().refutations - before, 17U);
}

TEST_F(one_of_six, who_forges_leaves_is_found_out) {
  lie_on([&] {
    for (std::size_t n = 0; n < honest; ++n)
      if (m[n].up()) {
        auto r = m.core(n).own();
        r.number += 1;
        r.word = member_word::left;
        say(news_message{{sign(r)}, {}});
      }
  });
  EXPECT_GE(least(&membership_counters::signatures_bad), 100U);
  EXPECT_GE(m.all<misbehaved>(1).size(), 100U);
  for (const auto& e : m.all<misbehaved>(1))
    EXPECT_EQ(e.second.node, m.id(liar)) << e.second.what;
}

TEST_F(one_of_six,
       who_repeats_reorders_and_changes_what_was_said_moves_nothing) {
  std::vector<bytes> said;
  for (std::size_t n = 0; n < honest; ++n) {
    said.push_back(encode(news_message{{}, {accuse(n)}}));
    said.push_back(encode(news_message{{}, {accuse(n, false)}}));
    said.push_back(encode(news_message{{sign(m.core(n).own())}, {}}));
  }
  said.push_back(encode(news_message{{sign(m.core(liar).own())}, {}}));
  lie_on([&] {
    for (int n = 0; n < 10; ++n) {
      auto one = said[dice.below(said.size())];
      say_bytes(one); // in any order, again and again
      one[dice.below(one.size())] ^=
          static_cast<std::uint8_t>(1U << dice.below(8));
      say_bytes(one);
      one.resize(dice.below(one.size() + 1));
      say_bytes(one, n % 2 == 0 ? channel::membership : channel::beat);
    }
  });
  EXPECT_GT(least(&membership_counters::frames_bad), 0U);
  EXPECT_GT(least(&membership_counters::signatures_bad), 0U);
}

TEST_F(one_of_six, who_floods_hides_no_death) {
  bytes rubbish(4096);
  dice.fill(rubbish.data(), rubbish.size());
  lie_on([&] {
    for (int turn = 0; turn < 20; ++turn) {
      for (std::size_t n = 0; n < honest; ++n)
        if (m[n].up())
          say(news_message{{}, {accuse(n, turn % 2 == 0)}});
      say_bytes(rubbish);
    }
  });
  EXPECT_GE(least(&membership_counters::frames_bad), 1'000U);
}

} // namespace
} // namespace banyan::net::testing
