// A restored image, seen from its first evidence on (DESIGN sections 5 and 7).
#include "tests/unit/membership/mesh.hpp"

#include <gtest/gtest.h>

namespace banyan::net::testing {
namespace {

/// Where the effect stands among all that a machine's core asked for.
template <class Effect>
std::size_t place_of(const mesh::machine& m) {
  for (std::size_t i = 0; i < m.log.size(); ++i)
    if (std::holds_alternative<Effect>(m.log[i].what))
      return i;
  return m.log.size();
}

// Between the first evidence and the verdict (a clone could explain it too) the
// node votes no more, and no incarnation that would hide the evidence is asked
// for before the evidence is told.
TEST(rollback, the_first_evidence_is_told_before_a_higher_incarnation) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    mesh m{60 + seed};
    m.found(5);
    m.run_for(2s);
    const auto known = m.boot_from_old_image(4);
    ASSERT_TRUE(m.run_until(
        [&] { return !m.all<rolled_back>(4).empty() && m.settled(); }, 10s));
    const auto suspected = m.all<rolled_back_suspected>(4);
    ASSERT_EQ(suspected.size(), 1U) << seed;
    EXPECT_LE(suspected[0].first, m.all<rolled_back>(4)[0].first);
    const auto told = place_of<rolled_back_suspected>(m[4]);
    EXPECT_LT(told, place_of<rolled_back>(m[4]));
    std::size_t hiding = 0;
    for (std::size_t i = 0; i < m[4].log.size(); ++i)
      if (const auto* p = std::get_if<persist_incarnation>(&m[4].log[i].what);
          p && p->value > known) {
        ++hiding;
        EXPECT_GT(i, told);
      }
    EXPECT_GT(hiding, 0U);
  }
}

TEST(rollback, an_ordinary_restart_is_not_suspected) {
  mesh m{71};
  m.found(3);
  for (int boots = 0; boots < 3; ++boots) {
    m.kill(2);
    m.run_for(100ms);
    m.start(2);
    ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  }
  EXPECT_TRUE(m.all<rolled_back_suspected>(2).empty());
}

} // namespace
} // namespace banyan::net::testing
