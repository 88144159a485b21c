// `banyan sim --story hostile`, smaller and shorter.
#include "actors/sim/hostile.hpp"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

TEST(hostile_story, a_few_among_many_evict_nobody_and_move_nothing) {
  hostile_options o;
  o.nodes = 80;
  o.hostile = 2;
  o.groups = 40;
  o.each = 5s;
  o.told = {lie::none,   lie::accuse, lie::incarnation, lie::leave,
            lie::mangle, lie::flood,  lie::pages,       lie::invent};
  const auto s = tell_hostile(o, [](const std::string&) { return true; });
  std::printf("%s", s.text.c_str());
  EXPECT_TRUE(s.held);
  ASSERT_EQ(s.reports.size(), o.told.size());
  for (const auto& r : s.reports) {
    SCOPED_TRACE(to_string(r.what));
    EXPECT_EQ(r.dead, 0U);
    EXPECT_EQ(r.moved, 0U);
    EXPECT_EQ(r.misled, 0U);
    EXPECT_TRUE(r.told);
  }
  // What no honest node would send names them all.
  for (const auto n : {3U, 4U, 5U})
    EXPECT_EQ(s.reports[n].found_out, 2U) << to_string(s.reports[n].what);
}

} // namespace
} // namespace banyan::sim
