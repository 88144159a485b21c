// What one client's address may use up: bounds, and who is forgotten.
#include "net/io/detail/door_guard.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace banyan::io::detail {
namespace {

door_guest guest(const std::string& address) {
  return door_guest{*literal(address, 1)};
}

const time_point start{};

TEST(door_guard, a_guest_has_its_burst_and_then_its_rate) {
  door_guard g{{100, 200, 0, 10}};
  const auto a = guest("192.0.2.1");
  for (int i = 0; i < 200; ++i)
    ASSERT_FALSE(g.request(a, start)) << i;
  const auto wait = g.request(a, start);
  ASSERT_TRUE(wait);
  EXPECT_LE(*wait, 10ms);
  EXPECT_GE(*wait, 9ms);
  // Who knocks meanwhile doesn't lose what grows back.
  EXPECT_TRUE(g.request(a, start + 5ms));
  EXPECT_FALSE(g.request(a, start + 11ms));
  EXPECT_TRUE(g.request(a, start + 11ms));
  int passed = 0;
  for (int ms = 12; ms <= 1011; ++ms)
    passed += g.request(a, start + std::chrono::milliseconds{ms}) ? 0 : 1;
  EXPECT_NEAR(passed, 100, 1);
}

TEST(door_guard, guests_do_not_share) {
  door_guard g{{1, 1, 0, 10}};
  EXPECT_FALSE(g.request(guest("192.0.2.1"), start));
  EXPECT_TRUE(g.request(guest("192.0.2.1"), start));
  EXPECT_FALSE(g.request(guest("192.0.2.2"), start));
}

TEST(door_guard, an_ipv6_network_is_one_guest) {
  EXPECT_TRUE(guest("2001:db8:1:2::1") == guest("2001:db8:1:2:ffff::9"));
  EXPECT_FALSE(guest("2001:db8:1:2::1") == guest("2001:db8:1:3::1"));
  EXPECT_TRUE(guest("::ffff:192.0.2.1") == guest("192.0.2.1"));
  EXPECT_FALSE(guest("::ffff:192.0.2.1") == guest("192.0.2.2"));
}

TEST(door_guard, a_guests_name_is_its_own) {
  EXPECT_EQ(guest("2001:db8:1:2::1").name(), guest("2001:db8:1:2:f::9").name());
  EXPECT_EQ(guest("::ffff:192.0.2.1").name(), guest("192.0.2.1").name());
  std::set<std::string> names;
  for (const auto* a : {"2001:db8:1:2::1", "2001:db8:1:3::1", "::1",
                        "192.0.2.1", "192.0.2.2", "0.0.0.0", "0.0.0.1"})
    EXPECT_TRUE(names.insert(guest(a).name()).second) << a;
}

TEST(door_guard, zero_is_no_limit) {
  door_guard g{{0, 0, 0, 10}};
  const auto a = guest("192.0.2.1");
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_FALSE(g.request(a, start));
    ASSERT_TRUE(g.connect(a));
  }
  g.disconnect(a);
  EXPECT_EQ(g.remembered(), 0u);
}

TEST(door_guard, no_more_are_remembered_than_it_may_and_the_idle_go_first) {
  door_guard g{{1, 1, 0, 3}};
  const auto busy = guest("192.0.2.1");
  EXPECT_FALSE(g.request(busy, start));
  for (int i = 2; i < 250; ++i) {
    EXPECT_FALSE(g.request(guest("192.0.2." + std::to_string(i)), start)) << i;
    EXPECT_TRUE(g.request(busy, start)) << i; // still known
    EXPECT_LE(g.remembered(), 3u);
  }
  EXPECT_FALSE(g.request(guest("192.0.2.2"), start)); // forgotten: anew
}

TEST(door_guard, connections_have_a_bound_and_come_back) {
  door_guard g{{1, 1, 2, 3}};
  const auto a = guest("192.0.2.1");
  EXPECT_TRUE(g.connect(a));
  EXPECT_TRUE(g.connect(a));
  EXPECT_FALSE(g.connect(a));
  EXPECT_TRUE(g.connect(guest("192.0.2.2")));
  g.disconnect(a);
  EXPECT_TRUE(g.connect(a));
  EXPECT_FALSE(g.connect(a));
}

} // namespace
} // namespace banyan::io::detail
