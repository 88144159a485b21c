// How nodes stand for whoever acts on it, of two sources.
#include "actors/pure/uptime/verdicts.hpp"
#include "days.hpp"

#include <gtest/gtest.h>

namespace banyan::uptime_test {
namespace {

verdict stands(standing s) {
  verdict v;
  v.is = s;
  return v;
}

TEST(verdicts, what_is_kept_here_counts_before_what_was_fetched) {
  verdict_book book;
  EXPECT_EQ(book.of(node(1)).is, standing::normal);
  book.fetched(node(1), stands(standing::hold));
  book.fetched(node(2), stands(standing::evacuate));
  EXPECT_EQ(book.of(node(1)).is, standing::hold);
  book.judged(node(1), stands(standing::normal));
  EXPECT_EQ(book.of(node(1)).is, standing::normal);
  EXPECT_EQ(book.of(node(2)).is, standing::evacuate);
  EXPECT_EQ(book.kept().size(), 1U);
}

TEST(verdicts, act_on_nothing_unless_the_policy_is_enforced) {
  verdict_book book;
  book.judged(node(1), stands(standing::evacuate));
  mesh_policy p;
  EXPECT_EQ(book.acting(node(1), p), standing::normal);
  p.enforce = true;
  EXPECT_EQ(book.acting(node(1), p), standing::evacuate);
  EXPECT_EQ(book.acting(node(2), p), standing::normal);
}

TEST(verdicts, judged_anew_nothing_old_is_left) {
  verdict_book book;
  book.judged(node(1), stands(standing::hold));
  book.fetched(node(2), stands(standing::hold));
  book.begin(false);
  EXPECT_EQ(book.of(node(1)).is, standing::normal);
  EXPECT_EQ(book.of(node(2)).is, standing::hold);
  EXPECT_EQ(book.next_fetched({}), node(2));
  EXPECT_EQ(book.next_fetched(node(3)), std::nullopt);
  book.begin(true); // the mesh is a full one now
  EXPECT_EQ(book.of(node(2)).is, standing::normal);
}

} // namespace
} // namespace banyan::uptime_test
