#include "words.hpp"

#include <gtest/gtest.h>

TEST(words_example, counts_and_ranks) {
  const auto r =
      words::count({}, {"The cat, the dog and THE bird; a cat!", 2}).value();
  EXPECT_EQ(r.words, 9);
  EXPECT_EQ(r.distinct, 6);
  ASSERT_EQ(r.top.size(), 2U);
  EXPECT_EQ(r.top[0].word, "the");
  EXPECT_EQ(r.top[0].times, 3);
  EXPECT_EQ(r.top[1].word, "cat");
}

TEST(words_example, of_nothing_there_are_none) {
  const auto r = words::count({}, {" ,;\n", 10}).value();
  EXPECT_EQ(r.words, 0);
  EXPECT_TRUE(r.top.empty());
}

TEST(words_example, refuses_a_report_without_end) {
  EXPECT_EQ(words::count({}, {"a", 101}).why().code, "too_many");
}
