#include "counter.hpp"

#include <gtest/gtest.h>

#include <limits>

TEST(counter_example, adds_and_starts_at_zero) {
  count c;
  EXPECT_EQ(counter::get(c), 0);
  EXPECT_EQ(counter::add(c, {5}).value(), 5);
  EXPECT_EQ(counter::add(c, {-7}).value(), -2);
  EXPECT_EQ(counter::get(c), -2);
}

TEST(counter_example, refuses_to_overflow) {
  count c{std::numeric_limits<std::int64_t>::max()};
  EXPECT_EQ(counter::add(c, {1}).why().code, "overflow");
  EXPECT_EQ(c.value, std::numeric_limits<std::int64_t>::max());
}
