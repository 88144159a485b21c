#include "base/random.hpp"
#include "crypto/sealed_stream.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

struct sealed_stream : ::testing::Test {
  sealed_stream() {
    stream_sealer s{key.clone(), to_bytes("context")};
    parts.push_back(s.seal(as_bytes("one"), false));
    parts.push_back(s.seal({}, false));
    parts.push_back(s.seal(as_bytes("three"), true));
  }
  [[nodiscard]] stream_opener opener(std::string_view context = "context") {
    return {key.clone(), to_bytes(context)};
  }
  seeded_random random{3};
  secret_bytes<32> key{random};
  std::vector<bytes> parts;
  bytes out;
};

TEST_F(sealed_stream, opens_in_order_and_knows_its_end) {
  auto o = opener();
  ASSERT_TRUE(o.open(parts[0], out));
  EXPECT_EQ(to_text(out), "one");
  ASSERT_TRUE(o.open(parts[1], out));
  EXPECT_TRUE(out.empty());
  EXPECT_FALSE(o.ended());
  ASSERT_TRUE(o.open(parts[2], out));
  EXPECT_EQ(to_text(out), "three");
  EXPECT_TRUE(o.ended());
  EXPECT_FALSE(o.open(parts[2], out));
}

TEST_F(sealed_stream, any_changed_bit_is_found) {
  for (std::size_t i = 0; i < parts[0].size(); ++i)
    for (const int bit : {1, 128}) {
      auto bad = parts[0];
      bad[i] = static_cast<std::uint8_t>(bad[i] ^ bit);
      EXPECT_FALSE(opener().open(bad, out)) << i;
    }
}

TEST_F(sealed_stream, order_context_and_key_count) {
  EXPECT_FALSE(opener().open(parts[1], out));
  EXPECT_FALSE(opener("another").open(parts[0], out));
  stream_opener other{secret_bytes<32>{random}, to_bytes("context")};
  EXPECT_FALSE(other.open(parts[0], out));
  EXPECT_FALSE(opener().open({}, out));
  EXPECT_FALSE(opener().open(const_bytes{parts[0]}.first(16), out));
}

TEST_F(sealed_stream, a_part_passes_for_no_last_one) {
  auto o = opener();
  ASSERT_TRUE(o.open(parts[0], out));
  auto cut = parts[1];
  cut[0] = 1;
  EXPECT_FALSE(o.open(cut, out));
}

} // namespace
} // namespace banyan
