#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <set>

namespace banyan {
namespace {

TEST(base32, rfc_4648_vectors_in_lower_case_without_padding) {
  EXPECT_EQ(to_base32(as_bytes("")), "");
  EXPECT_EQ(to_base32(as_bytes("f")), "my");
  EXPECT_EQ(to_base32(as_bytes("fo")), "mzxq");
  EXPECT_EQ(to_base32(as_bytes("foo")), "mzxw6");
  EXPECT_EQ(to_base32(as_bytes("foob")), "mzxw6yq");
  EXPECT_EQ(to_base32(as_bytes("fooba")), "mzxw6ytb");
  EXPECT_EQ(to_base32(as_bytes("foobar")), "mzxw6ytboi");
}

TEST(base32, round_trips_and_refuses_stray_bits_and_characters) {
  seeded_random random{1};
  for (std::size_t size = 0; size < 70; ++size) {
    bytes b(size);
    random.fill(b.data(), size);
    bytes back;
    ASSERT_TRUE(from_base32(to_base32(b), back));
    EXPECT_EQ(back, b);
    ASSERT_TRUE(from_hex(to_hex(b), back));
    EXPECT_EQ(back, b);
  }
  bytes out;
  EXPECT_FALSE(from_base32("mz", out)); // 'z' leaves bits behind
  EXPECT_FALSE(from_base32("MY", out));
  EXPECT_FALSE(from_base32("m", out));
  EXPECT_FALSE(from_base32("m1", out));
  EXPECT_FALSE(from_hex("abc", out));
  EXPECT_FALSE(from_hex("zz", out));
}

TEST(ids, text_form_round_trips_and_sorts_with_the_bytes) {
  seeded_random random{2};
  std::set<node_id> ids;
  for (int i = 0; i < 100; ++i) {
    const node_id id{random.array<32>()};
    node_id back;
    ASSERT_TRUE(parse_id(to_string(id), back));
    EXPECT_EQ(back, id);
    EXPECT_EQ(short_string(id).size(), 8U);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 100U);
  node_id none;
  EXPECT_TRUE(none.is_none());
  EXPECT_FALSE(parse_id("abc", none));
}

TEST(random, a_seed_gives_the_same_numbers_again) {
  seeded_random a{7};
  seeded_random b{7};
  seeded_random c{8};
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto v = a.next();
    EXPECT_EQ(v, b.next());
    differs |= v != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(random, below_and_between_stay_in_their_bounds) {
  seeded_random random{3};
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(random.below(5));
    const auto d = random.between(10ms, 20ms);
    EXPECT_GE(d, 10ms);
    EXPECT_LT(d, 20ms);
  }
  EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2, 3, 4}));
}

} // namespace
} // namespace banyan
