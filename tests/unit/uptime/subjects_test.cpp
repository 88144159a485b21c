#include "actors/pure/uptime/subjects.hpp"
#include "days.hpp"

#include <gtest/gtest.h>

#include <set>

namespace banyan::uptime_test {
namespace {

using state = uptime_subjects::state;

node_id member(std::uint32_t n) {
  std::array<std::uint8_t, 32> v{};
  v[0] = static_cast<std::uint8_t>(n);
  v[1] = static_cast<std::uint8_t>(n >> 8);
  v[31] = 1;
  return node_id{v};
}
uptime_subjects mesh_of(std::uint32_t size) {
  uptime_subjects s{orchard()};
  for (std::uint32_t n = 0; n < size; ++n)
    s.put(member(n), state::living);
  return s;
}
std::set<node_id> subjects(const uptime_subjects& s, const node_id& of) {
  std::set<node_id> out;
  for (const auto& one : s.subjects_of(of))
    out.insert(one.node);
  return out;
}

TEST(uptime_subjects, all_in_a_full_mesh) {
  auto s = mesh_of(17);
  EXPECT_TRUE(s.full());
  EXPECT_EQ(s.subjects_of(member(3)).size(), 16U);
  s.put(member(5), state::dead);
  s.put(member(6), state::left);
  const auto now = s.subjects_of(member(3));
  ASSERT_EQ(now.size(), 15U);
  EXPECT_EQ(now.back().node, member(5)); // the dead last
  EXPECT_TRUE(now.back().dead);
  EXPECT_TRUE(s.counts(member(6), member(3))); // of days when it was there
  EXPECT_FALSE(s.counts(member(3), member(3)));
  EXPECT_FALSE(s.counts(member(99), member(3)));
}

TEST(uptime_subjects, ring_successors_above_17) {
  const auto s = mesh_of(100);
  EXPECT_FALSE(s.full());
  for (std::uint32_t n = 0; n < 100; ++n) {
    const auto watched = s.subjects_of(member(n));
    EXPECT_LE(watched.size(), 8U);
    EXPECT_GE(watched.size(), 5U);
    for (const auto& w : watched) {
      EXPECT_TRUE(s.counts(member(n), w.node));
      const auto by = s.observers_of(w.node);
      EXPECT_EQ(std::count(by.begin(), by.end(), member(n)), 1);
    }
  }
}

TEST(uptime_subjects, the_dead_stay_observed_and_those_behind_them_too) {
  auto s = mesh_of(100);
  const auto me = member(7);
  const auto before = subjects(s, me);
  const auto lost = *before.begin();
  s.put(lost, state::dead);
  const auto after = subjects(s, me);
  EXPECT_EQ(after.count(lost), 1U);
  for (const auto& n : before)
    EXPECT_EQ(after.count(n), 1U);
  for (const auto& n : after)
    EXPECT_TRUE(s.counts(me, n));
  s.put(lost, state::left);
  EXPECT_EQ(subjects(s, me).count(lost), 0U);
}

TEST(uptime_subjects, nobody_chooses_whom_it_may_judge) {
  const auto s = mesh_of(1000);
  std::size_t of = 0;
  for (std::uint32_t n = 0; n < 1000; ++n)
    of += s.counts(member(n), member(500)) ? 1 : 0;
  EXPECT_LE(of, uptime_subjects::reach * net::ring_count);
  EXPECT_GE(of, 20U);
}

} // namespace
} // namespace banyan::uptime_test
