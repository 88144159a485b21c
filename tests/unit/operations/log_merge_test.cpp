// The lines of one app from several nodes, as one.
#include "actors/pure/log_merge.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

node_id node(std::uint8_t n) {
  return node_id{std::array<std::uint8_t, 32>{n}};
}

log_line line(std::uint64_t number, std::int64_t at, std::string text) {
  return {number, at, log_source::out, "", std::move(text)};
}

class merge : public ::testing::Test {
protected:
  std::string taken() {
    std::vector<log_merge::line_of> out;
    m.take(out, bytes_max);
    std::string s;
    for (const auto& l : out)
      s += l.line.text;
    return s;
  }
  std::size_t asked() {
    std::vector<log_merge::ask> out;
    m.wanted(now, out);
    last = out;
    return out.size();
  }
  std::vector<node_id> silent() {
    std::vector<node_id> out;
    m.take_silent(out);
    return out;
  }
  log_merge m;
  std::size_t bytes_max = SIZE_MAX;
  std::vector<log_merge::ask> last;
  time_point now = time_point{} + 1h;
};

TEST_F(merge, lines_come_in_the_order_of_time_once_no_earlier_one_can_come) {
  m.add(node(1));
  m.add(node(2));
  EXPECT_EQ(asked(), 2U);
  EXPECT_EQ(asked(), 0U) << "each is asked once";
  m.on_answer(node(1), {line(1, 10, "a"), line(2, 30, "c")}, false);
  EXPECT_EQ(taken(), "") << "the other one may have an earlier line";
  m.on_answer(node(2), {line(9, 20, "b"), line(11, 40, "d")}, false);
  EXPECT_EQ(taken(), "abcd");
  EXPECT_TRUE(m.round_over());
}

// One answer of a peer that lies must not be more than a reader is sent at
// once.
TEST_F(merge, only_so_many_bytes_are_handed_on_at_once) {
  m.add(node(1));
  asked();
  m.on_answer(node(1), {line(1, 10, "a"), line(2, 20, "b"), line(3, 30, "c")},
              false);
  bytes_max = log_ring::size_of(line(1, 10, "a")) + 1;
  EXPECT_EQ(taken(), "ab");
  EXPECT_FALSE(m.round_over());
  EXPECT_EQ(taken(), "c");
  EXPECT_TRUE(m.round_over());
}

TEST_F(merge, a_node_with_more_is_asked_on_behind_its_last_line) {
  m.add(node(1));
  m.add(node(2));
  asked();
  m.on_answer(node(1), {line(1, 10, "a"), line(2, 20, "b")}, true);
  m.on_answer(node(2), {line(5, 30, "d")}, false);
  EXPECT_EQ(taken(), "ab") << "the first may have one before d";
  ASSERT_EQ(asked(), 1U);
  EXPECT_EQ(last[0].node, node(1));
  EXPECT_EQ(last[0].after, 2U);
  m.on_answer(node(1), {line(3, 25, "c")}, false);
  EXPECT_EQ(taken(), "cd");
}

TEST_F(merge, a_node_that_does_not_answer_in_time_is_named_and_not_waited_for) {
  m.add(node(1));
  m.add(node(2));
  asked();
  m.on_answer(node(1), {line(1, 10, "a")}, false);
  EXPECT_EQ(m.deadline(), now + log_merge::patience);
  now += log_merge::patience;
  m.on_tick(now);
  EXPECT_EQ(taken(), "a");
  EXPECT_EQ(silent(), std::vector<node_id>{node(2)});
  EXPECT_TRUE(m.round_over());
  m.begin_round();
  EXPECT_EQ(asked(), 1U);
  m.on_answer(node(1), {line(2, 20, "b")}, false);
  EXPECT_EQ(taken(), "b");
  now += log_merge::silent_pause;
  m.begin_round();
  EXPECT_EQ(asked(), 2U) << "it is asked again";
  now += log_merge::patience;
  m.on_tick(now);
  EXPECT_EQ(silent(), std::vector<node_id>{node(1)}) << "it was named before";
}

TEST_F(merge, a_node_that_comes_back_tells_what_it_had) {
  m.add(node(1));
  asked();
  m.on_no_answer(node(1), now);
  EXPECT_TRUE(m.round_over());
  now += log_merge::silent_pause;
  ASSERT_EQ(asked(), 1U);
  m.on_answer(node(1), {line(1, 10, "a")}, false);
  EXPECT_EQ(taken(), "a");
  m.begin_round();
  asked();
  m.on_no_answer(node(1), now);
  EXPECT_EQ(silent().size(), 2U) << "each time it falls silent";
}

TEST_F(merge, lines_that_come_again_unasked_or_of_a_stranger_are_dropped) {
  m.add(node(1));
  asked();
  m.on_answer(node(1), {line(1, 10, "a")}, false);
  m.on_answer(node(1), {line(5, 12, "unasked")}, false);
  m.on_answer(node(7), {line(1, 1, "x")}, false);
  EXPECT_EQ(taken(), "a");
  m.begin_round();
  asked();
  m.on_answer(node(1), {line(1, 10, "a"), line(2, 11, "b")}, false);
  EXPECT_EQ(taken(), "b");
}

TEST_F(merge, says_more_and_gives_nothing_ends_the_round) {
  m.add(node(1));
  asked();
  m.on_answer(node(1), {}, true);
  EXPECT_TRUE(m.round_over());
}

} // namespace
} // namespace banyan
