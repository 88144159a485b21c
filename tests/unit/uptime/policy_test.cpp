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

node_id node_of(std::uint8_t n) {
  std::array<std::uint8_t, 32> raw{};
  raw[0] = n;
  return node_id{raw};
}

TEST(policy, a_list_of_nodes_is_read_as_it_was_written) {
  mesh_policy p;
  const auto without = encode(p);
  p.nodes = {{node_of(3), node_of(1), node_of(3)}, {node_of(2), node_of(1)}};
  EXPECT_EQ(p.nodes.allowed().size(), 2U);
  EXPECT_EQ(p.nodes.leaving().size(), 1U); // 1 is allowed
  mesh_policy back;
  const auto good = encode(p);
  ASSERT_TRUE(decode(good, back));
  EXPECT_TRUE(back == p);
  EXPECT_TRUE(p != mesh_policy{});
  EXPECT_TRUE(back.nodes.allows(node_of(1)));
  EXPECT_FALSE(back.nodes.allows(node_of(2)));
  EXPECT_TRUE(back.nodes.lets_in(node_of(2)));
  EXPECT_FALSE(back.nodes.lets_in(node_of(4)));
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(decode(const_bytes{good}.first(n), back)) << n;
  // Without a list everybody may come, and the bytes are what they were.
  EXPECT_TRUE(mesh_policy{}.nodes.allows(node_of(4)));
  EXPECT_EQ(encode(mesh_policy{}), without);
}

TEST(policy, lists_that_are_no_lists_are_refused) {
  mesh_policy p;
  p.nodes = {{}, {node_of(1)}};
  EXPECT_NE(why_invalid(p), ""); // nobody could take a replica
  mesh_policy back;
  EXPECT_FALSE(decode(encode(p), back));
  std::vector<node_id> many(allowed_nodes::leaving_max + 1);
  for (std::size_t n = 0; n < many.size(); ++n) {
    std::array<std::uint8_t, 32> raw{9};
    raw[1] = static_cast<std::uint8_t>(n >> 8U);
    raw[2] = static_cast<std::uint8_t>(n);
    many[n] = node_id{raw};
  }
  p.nodes = {{node_of(1)}, many};
  EXPECT_NE(why_invalid(p), "");
  EXPECT_FALSE(decode(encode(p), back));
  // Out of order, or one twice: not what anybody signed here.
  const auto two = packed_ids({node_of(1), node_of(2)});
  std::vector<node_id> out;
  EXPECT_TRUE(unpack_ids(two, out));
  EXPECT_FALSE(unpack_ids(packed_ids({node_of(2), node_of(1)}), out));
  EXPECT_FALSE(unpack_ids(packed_ids({node_of(1), node_of(1)}), out));
  EXPECT_FALSE(unpack_ids(const_bytes{two}.first(63), out));
}

TEST(policy, a_file_of_node_ids) {
  std::vector<node_id> out;
  std::string why;
  const auto one = to_string(node_of(1));
  const auto two = to_string(node_of(2));
  ASSERT_TRUE(read_ids("# ours\n " + one + " # in Oslo\r\n\n" + two, out, why))
      << why;
  EXPECT_EQ(out, (std::vector<node_id>{node_of(1), node_of(2)}));
  EXPECT_FALSE(read_ids(one + "\n" + two.substr(0, 8), out, why));
  EXPECT_EQ(why.rfind("line 2", 0), 0U) << why;
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
