// The checker sees what it is there to see.
#include "sim/history.hpp"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

counter_history::event at(int from_ms, int until_ms, std::int64_t value,
                          bool stale = false) {
  const time_point zero{1s};
  return {zero + std::chrono::milliseconds{from_ms},
          zero + std::chrono::milliseconds{until_ms}, value, stale};
}

} // namespace

TEST(counter_history, a_good_history_passes) {
  counter_history h;
  h.added(at(0, 10, 2)); // overlaps the next: either order
  h.added(at(5, 9, 1));
  h.read(at(6, 12, 1));
  h.read(at(11, 12, 2));
  auto past = at(20, 21, 1, true); // of the past, and says so
  past.age_max = 2s;
  h.read(past);
  h.added(at(20, 30, 3));
  h.read(at(21, 22, 3)); // seen before it was answered
  EXPECT_TRUE(h.check().empty());
}

TEST(counter_history, an_addition_applied_twice_is_seen) {
  counter_history h;
  h.added(at(0, 1, 1));
  h.added(at(2, 3, 3));
  EXPECT_EQ(h.check().size(), 1U);
}

TEST(counter_history, a_lost_addition_is_seen) {
  counter_history h;
  h.added(at(0, 1, 1));
  h.added(at(0, 4, 2));
  h.added(at(2, 3, 1)); // by a leader that never had the first
  EXPECT_FALSE(h.check().empty());
}

TEST(counter_history, a_read_of_the_past_is_seen) {
  counter_history h;
  h.added(at(0, 1, 1));
  h.read(at(2, 3, 0));
  EXPECT_EQ(h.check().size(), 1U);
}

TEST(counter_history, a_stale_read_over_its_bound_is_seen) {
  counter_history h;
  h.added(at(0, 1, 1));
  auto read = at(1000, 1001, 0, true);
  read.age_max = 1s;
  h.read(read); // begun before the addition's answer, by the bound
  EXPECT_TRUE(h.check().empty());
  read.age_max = 900ms;
  h.read(read);
  EXPECT_EQ(h.check().size(), 1U);
}

TEST(counter_history, two_reads_against_time_are_seen) {
  counter_history h;
  h.added(at(0, 10, 1));
  h.read(at(1, 2, 1));
  h.read(at(3, 4, 0));
  EXPECT_EQ(h.check().size(), 1U);
}

TEST(counter_history, a_read_of_what_was_not_asked_for_yet_is_seen) {
  counter_history h;
  h.read(at(0, 1, 1));
  h.added(at(5, 6, 1));
  EXPECT_FALSE(h.check().empty());
}

} // namespace banyan::sim
