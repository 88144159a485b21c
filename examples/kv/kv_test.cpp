#include "kv.hpp"

#include <gtest/gtest.h>

TEST(kv_example, put_append_get) {
  entry e;
  EXPECT_EQ(kv::get(e), std::nullopt);
  kv::append(e, {"a"});
  kv::append(e, {"b"});
  EXPECT_EQ(kv::get(e), "ab");
  kv::put(e, {"c"});
  EXPECT_EQ(kv::get(e), "c");
}

TEST(kv_example, compare_and_swap) {
  entry e;
  EXPECT_FALSE(kv::cas(e, {"x", "y"}));
  EXPECT_TRUE(kv::cas(e, {std::nullopt, "y"}));
  EXPECT_FALSE(kv::cas(e, {std::nullopt, "z"}));
  EXPECT_TRUE(kv::cas(e, {"y", "z"}));
  EXPECT_EQ(kv::get(e), "z");
}

TEST(kv_example, delete_removes_the_actor) {
  entry e{"x"};
  banyan::context ctx;
  kv::delete_(e, ctx);
  EXPECT_TRUE(ctx.removed());
}
