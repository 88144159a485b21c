// Which modules a node keeps, hands out and takes.
#include "actors/pure/module_keep.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

digest module(std::uint8_t n) {
  return digest{std::array<std::uint8_t, 32>{n}};
}
constexpr std::uint64_t mib = std::uint64_t{1} << 20;

struct keeping : ::testing::Test {
  std::vector<digest> useless(std::set<digest> on_disk) {
    return k.useless(on_disk, now);
  }
  module_keep k;
  time_point now{1h};
};

TEST_F(keeping, what_a_spec_names_is_kept_and_handed_out) {
  k.name({module(1)}, now);
  now += 24h;
  EXPECT_TRUE(useless({module(1)}).empty());
  EXPECT_TRUE(k.may_serve(module(1), now));
  EXPECT_FALSE(k.may_serve(module(2), now));
}

TEST_F(keeping, what_none_names_any_more_goes_after_a_grace) {
  k.name({module(1)}, now);
  EXPECT_TRUE(useless({module(1)}).empty());
  k.name({}, now);
  EXPECT_FALSE(k.may_serve(module(1), now));
  now += 5min - 1s;
  EXPECT_TRUE(useless({module(1)}).empty());
  now += 1s;
  EXPECT_EQ(useless({module(1)}), std::vector<digest>{module(1)});
}

TEST_F(keeping, a_name_that_comes_back_in_time_saves_it) {
  k.name({module(1)}, now);
  k.name({}, now);
  now += 4min;
  k.name({module(1)}, now);
  now += 4min;
  k.name({}, now);
  now += 4min;
  EXPECT_TRUE(useless({module(1)}).empty());
}

TEST_F(keeping, what_a_start_finds_has_its_grace_from_then_on) {
  EXPECT_TRUE(useless({module(1)}).empty());
  now += 5min;
  EXPECT_EQ(useless({module(1)}).size(), 1U);
}

TEST_F(keeping, an_upload_waits_ten_minutes_for_its_papers) {
  EXPECT_EQ(k.upload(module(1), mib, now), module_keep::verdict::take);
  now += 9min;
  EXPECT_EQ(k.upload(module(1), mib, now), module_keep::verdict::take);
  EXPECT_TRUE(k.may_serve(module(1), now));
  now += 9min; // since its last piece
  EXPECT_TRUE(useless({module(1)}).empty());
  now += 1min;
  EXPECT_FALSE(k.may_serve(module(1), now));
  EXPECT_TRUE(useless({module(1)}).empty());
  now += 5min;
  EXPECT_EQ(useless({module(1)}).size(), 1U);
}

TEST_F(keeping, uploads_that_nothing_names_are_bounded) {
  for (std::uint8_t n = 1; n <= 16; ++n)
    EXPECT_EQ(k.upload(module(n), mib, now), module_keep::verdict::take);
  EXPECT_EQ(k.upload(module(17), mib, now), module_keep::verdict::too_many);
  EXPECT_EQ(k.upload(module(16), mib, now), module_keep::verdict::take);
  k.name({module(1)}, now); // deployed: it counts no more
  EXPECT_EQ(k.upload(module(17), mib, now), module_keep::verdict::take);
  EXPECT_EQ(k.upload(module(1), 512 * mib, now), module_keep::verdict::take);
}

TEST_F(keeping, so_is_the_sum_of_their_bytes) {
  for (std::uint8_t n = 1; n <= 4; ++n)
    EXPECT_EQ(k.upload(module(n), 512 * mib, now), module_keep::verdict::take);
  EXPECT_EQ(k.upload(module(5), mib, now), module_keep::verdict::too_many);
  now += 10min;
  EXPECT_EQ(k.upload(module(5), mib, now), module_keep::verdict::take);
}

} // namespace
} // namespace banyan
