#include "base/result.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace banyan {
namespace {

enum class test_errc : unsigned char { broken = 1 };

result<std::unique_ptr<int>, test_errc> make(bool works) {
  if (!works)
    return failure{test_errc::broken};
  return std::make_unique<int>(3);
}

TEST(result, holds_a_value_or_an_error) {
  auto good = make(true);
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(**good, 3);
  auto moved = std::move(good).value();
  EXPECT_EQ(*moved, 3);
  auto bad = make(false);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error(), test_errc::broken);
}

TEST(result, void_is_success_or_an_error) {
  result<void, test_errc> good;
  EXPECT_TRUE(good.ok());
  result<void, test_errc> bad = failure{test_errc::broken};
  EXPECT_EQ(bad.error(), test_errc::broken);
}

TEST(result_death, reading_the_wrong_side_aborts_and_names_node_and_seed) {
  set_assert_context("node=abcd seed=17");
  EXPECT_DEATH(static_cast<void>(*make(false)),
               "assertion failed: ok\\(\\).*node=abcd seed=17");
  set_assert_context("");
}

} // namespace
} // namespace banyan
