#include "sim/shrink.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace banyan::sim {
namespace {

std::vector<std::size_t> up_to(std::size_t n) {
  std::vector<std::size_t> out(n);
  std::iota(out.begin(), out.end(), 0U);
  return out;
}

bool has(const std::vector<std::size_t>& some, std::size_t x) {
  return std::find(some.begin(), some.end(), x) != some.end();
}

} // namespace

TEST(shrink, finds_the_two_that_it_takes) {
  const auto fails = [](const auto& some) {
    return has(some, 3) && has(some, 31);
  };
  EXPECT_EQ(shrink(up_to(40), fails, 1000), (std::vector<std::size_t>{3, 31}));
}

TEST(shrink, finds_that_it_takes_none) {
  EXPECT_TRUE(shrink(
                  up_to(40), [](const auto&) { return true; }, 10)
                  .empty());
}

TEST(shrink, keeps_all_that_it_takes) {
  const auto fails = [](const auto& some) { return some.size() == 7; };
  EXPECT_EQ(shrink(up_to(7), fails, 1000), up_to(7));
}

TEST(shrink, ends_after_so_many_tries_with_something_that_fails) {
  std::size_t asked = 0;
  const auto fails = [&](const auto& some) {
    ++asked;
    return has(some, 17);
  };
  const auto out = shrink(up_to(1000), fails, 5);
  EXPECT_TRUE(has(out, 17));
  EXPECT_LT(out.size(), 1000U);
  EXPECT_LE(asked, 5U);
}

} // namespace banyan::sim
