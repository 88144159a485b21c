#include "hello.hpp"

#include <gtest/gtest.h>

TEST(hello_example, greets_by_name) {
  EXPECT_EQ(hello::greet({}, {"Ann"}).value(), "hello, Ann");
}

TEST(hello_example, greets_nobody) {
  const auto no = hello::greet({}, {});
  ASSERT_FALSE(no.ok());
  EXPECT_EQ(no.why().code, "nobody");
}
