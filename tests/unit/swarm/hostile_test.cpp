// `banyan sim --story hostile`, smaller and shorter.
#include "actors/sim/hostile.hpp"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

TEST(hostile_story, a_few_among_many_evict_nobody_and_move_nothing) {
  hostile_options o;
  o.nodes = 120;
  o.hostile = 2;
  o.groups = 60;
  o.each = 6s;
  const auto s = tell_hostile(o, [](const std::string&) { return true; });
  std::printf("%s", s.text.c_str());
  EXPECT_TRUE(s.held);
  ASSERT_EQ(s.reports.size(), lie_count);
  for (const auto& r : s.reports) {
    SCOPED_TRACE(to_string(r.what));
    EXPECT_EQ(r.dead, 0U);
    EXPECT_EQ(r.moved, 0U);
    EXPECT_EQ(r.misled, 0U);
    EXPECT_TRUE(r.told);
  }
}

} // namespace
} // namespace banyan::sim
