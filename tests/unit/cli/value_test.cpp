#include "actors/bin/cli/value.hpp"

#include <gtest/gtest.h>

namespace banyan::cli {
namespace {

bytes sample() {
  bytes b;
  writer w{b};
  w.map(6).text("node").text("abc").text("term").uint(7);
  w.text("ms").number(1.25).text("old").nil().text("delta").sint(-3);
  w.text("list").array(2).boolean(true).blob(bytes{1, 2});
  return b;
}

TEST(Value, ReadsEveryType) {
  value v;
  ASSERT_TRUE(value::decode(sample(), v));
  EXPECT_EQ(v["node"].text(), "abc");
  EXPECT_EQ(v["term"].uint(), 7u);
  EXPECT_EQ(v["term"].shown(), "7");
  EXPECT_EQ(v["ms"].number(), 1.25);
  EXPECT_EQ(v["ms"].shown(), "1.25");
  EXPECT_TRUE(v["old"].is_nil());
  EXPECT_EQ(v["old"].shown(), "");
  EXPECT_EQ(v["delta"].shown(), "-3");
  ASSERT_EQ(v["list"].items().size(), 2u);
  EXPECT_EQ(v["list"].items()[0].shown(), "true");
}

TEST(Value, WhatAPeerDidNotSayIsNil) {
  value v;
  ASSERT_TRUE(value::decode(sample(), v));
  EXPECT_TRUE(v["absent"]["deeper"].is_nil());
  EXPECT_EQ(v["absent"].uint(), 0u);
  EXPECT_TRUE(v["node"].items().empty());
}

TEST(Value, EveryTruncationIsRefused) {
  const auto whole = sample();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    value v;
    EXPECT_FALSE(value::decode(const_bytes{whole}.first(n), v)) << n;
  }
}

TEST(Value, DepthAndTrailingBytesAreRefused) {
  value v;
  bytes deep(10'000, 0x91);
  deep.push_back(0xC0);
  EXPECT_FALSE(value::decode(deep, v));
  EXPECT_FALSE(value::decode(bytes{0xC0, 0xC0}, v));
  EXPECT_FALSE(value::decode(bytes{0x81, 0x01, 0x02}, v)); // a key, no text
}

TEST(NumberText, HasNoDigitsThatSayNothing) {
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(12), "12");
  EXPECT_EQ(number_text(12.5), "12.5");
  EXPECT_EQ(number_text(12.3456), "12.346");
  EXPECT_EQ(number_text(100), "100");
}

} // namespace
} // namespace banyan::cli
