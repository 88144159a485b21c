#include "actors/pure/uptime/policy.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(policy, default_is_observe_only) {
  const mesh_policy p;
  EXPECT_FALSE(p.enforce);
  EXPECT_EQ(p.hold_below, 9'900);
  EXPECT_EQ(p.evacuate_below, 9'700);
  EXPECT_EQ(p.exclude_below, 9'500);
  EXPECT_EQ(p.window_days, 7);
  EXPECT_EQ(p.observed_days_min, 7);
  EXPECT_EQ(why_invalid(p), "");
}

TEST(policy, reads_what_it_wrote) {
  mesh_policy p;
  p.enforce = true;
  p.hold_below = 9'950;
  p.min_tier = 2;
  p.tiers[1].memory_mib = 1'000'000;
  mesh_policy back;
  ASSERT_TRUE(decode(encode(p), back));
  EXPECT_TRUE(back == p);
  const auto good = encode(p);
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(decode(const_bytes{good}.first(n), back)) << n;
}

TEST(policy, unknown_keys_are_skipped) {
  bytes later{0x82, 1, 0xc3, 60, 0xa1, 'x'}; // {1: true, 60: "x"}
  mesh_policy p;
  ASSERT_TRUE(decode(later, p));
  EXPECT_TRUE(p.enforce);
}

TEST(policy, thresholds_out_of_order_are_no_policy) {
  mesh_policy p;
  p.evacuate_below = 9'950;
  EXPECT_NE(why_invalid(p), "");
  mesh_policy back;
  EXPECT_FALSE(decode(encode(p), back));
  p = {};
  p.window_days = 0;
  EXPECT_NE(why_invalid(p), "");
  p = {};
  p.exclude_below = 9'800;
  EXPECT_NE(why_invalid(p), "");
}

TEST(policy, as_people_write_it) {
  mesh_policy p;
  std::string why;
  ASSERT_TRUE(set_all(p,
                      "# ours\nenforce = true\nhold_below = 99.5 # percent\n"
                      "\n[tier2]\ncores = 4\r\nmemory_mib=8000",
                      why))
      << why;
  EXPECT_TRUE(p.enforce);
  EXPECT_EQ(p.hold_below, 9'950);
  EXPECT_EQ(p.tiers[1].cores, 4U);
  EXPECT_EQ(p.tiers[1].memory_mib, 8'000U);
  EXPECT_EQ(p.tiers[0].cores, 1U);
  for (const auto& s : settings_of(p)) {
    mesh_policy again;
    ASSERT_TRUE(set(again, s.name, s.value, why)) << s.name << ": " << why;
    EXPECT_EQ(s.usual, again == mesh_policy{}) << s.name;
  }
}

TEST(policy, says_what_is_wrong_with_a_line) {
  mesh_policy p;
  std::string why;
  EXPECT_FALSE(set_all(p, "\nenforce = yes", why));
  EXPECT_EQ(why, "line 2: enforce must be true or false");
  for (const auto* bad :
       {"hold_below = 101", "hold_below = 99.999", "hold_below = -1",
        "window_days = 300", "tier4.cores = 1", "min_tier = one", "enforce"})
    EXPECT_FALSE(set_all(p, bad, why)) << bad;
}

TEST(policy, percentages_as_people_read_them) {
  EXPECT_EQ(percent_text(9'900), "99");
  EXPECT_EQ(percent_text(9'950), "99.5");
  EXPECT_EQ(percent_text(9'905), "99.05");
}

} // namespace
} // namespace banyan
