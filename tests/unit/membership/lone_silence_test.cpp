// On the rings, where packets get lost: silence that one observer alone hears.
#include "tests/unit/membership/mesh.hpp"

#include <gtest/gtest.h>

namespace banyan::net::testing {
namespace {

class lone_silence : public ::testing::Test {
protected:
  lone_silence() {
    // So long that a silence of a few seconds is over before.
    m.every = [](membership_config& cfg) { cfg.liveness.lone_silence = 5s; };
    m.found_again(24);
    rings all{m.mesh_name(), nullptr};
    for (std::size_t i = 0; i < m.size(); ++i)
      all.set(m.id(i), true);
    while (all.places(m.id(observer), m.id(subject)) == 0)
      ++observer;
  }
  /// Whether anybody else hears that the two don't hear each other, which they
  /// don't for a while.
  bool heard_of() {
    m.sever(observer, subject);
    const auto heard = [&] {
      for (std::size_t i = 0; i < m.size(); ++i)
        for (const auto s : {observer, subject})
          if (i != observer && i != subject
              && m.sees(i, s) == member_state::suspect)
            return true;
      return false;
    };
    const bool found = m.run_until(heard, 3'200ms, 10ms).has_value();
    m.sever(observer, subject, false);
    m.run_for(8s);
    return found;
  }
  void beats_come_late() {
    m.loss = 0.1;
    m.run_for(10s);
    m.loss = 0;
    m.run_for(5s);
  }

  mesh m{12};
  std::size_t subject = 0;
  std::size_t observer = 1;
};

TEST_F(lone_silence, is_told_at_once_where_nothing_gets_lost) {
  EXPECT_TRUE(heard_of());
}

TEST_F(lone_silence, waits_where_beats_came_late_and_is_told_to_nobody) {
  beats_come_late();
  EXPECT_FALSE(heard_of());
  // What was lost before is forgotten after a while.
  m.run_for(30s);
  EXPECT_TRUE(heard_of());
}

TEST_F(lone_silence, that_lasts_is_told_and_others_follow_at_once) {
  beats_come_late();
  m.freeze(subject);
  const auto known = m.run_until(
      [&] { return m.all_see(subject, member_state::dead); }, 30s, 10ms);
  ASSERT_TRUE(known);
  EXPECT_GE(*known, 6s); // a second or two, then five
  EXPECT_LT(*known, 10s);
}

TEST_F(lone_silence, does_not_delay_a_death_that_is_sure) {
  beats_come_late();
  m.kill(subject);
  const auto known = m.run_until(
      [&] { return m.all_see(subject, member_state::dead); }, 30s, 10ms);
  ASSERT_TRUE(known);
  EXPECT_LT(*known, 2s);
}

} // namespace
} // namespace banyan::net::testing
