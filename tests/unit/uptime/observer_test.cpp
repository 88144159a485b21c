#include "actors/pure/uptime/observer.hpp"
#include "days.hpp"

#include <gtest/gtest.h>

namespace banyan::uptime_test {
namespace {

using looks = std::vector<subject_look>;

/// Looks through whole minutes.
struct watcher {
  day_observer core;
  std::vector<observation> over;
  day_time at{500, 0};

  void look(const looks& l) {
    auto out = core.on_look(l, at);
    if (out.over)
      over.push_back(std::move(*out.over));
  }
  void minutes(std::uint32_t n, const looks& l) {
    for (; n > 0; --n) {
      for (unsigned i = 0; i < day_observer::looks_a_minute; ++i)
        look(l);
      if (++at.minute == minutes_a_day)
        at = {at.day + 1, 0};
    }
  }
  /// Of the day that goes on; the minute before is written by a next look.
  tally so_far(std::uint8_t n) const {
    const auto* s = core.written().find(node(n));
    return s == nullptr ? tally{} : tally{s->observed.count(), s->up.count()};
  }
};
bool is(const tally& t, std::uint32_t counted, std::uint32_t up) {
  return t == tally{counted, up};
}

const looks all{{node(1), true}, {node(2), true}, {node(3), true}};
const looks without_3{{node(1), true}, {node(2), true}, {node(3), false}};

TEST(observer, writes_down_who_was_up_each_minute) {
  watcher w;
  w.minutes(10, all);
  w.minutes(5, without_3);
  w.minutes(1, all);
  EXPECT_TRUE(is(w.so_far(1), 15, 15));
  EXPECT_TRUE(is(w.so_far(3), 15, 10));
}

TEST(observer, signs_one_document_a_day) {
  watcher w;
  w.minutes(2 * minutes_a_day + 1, all);
  ASSERT_EQ(w.over.size(), 2U);
  EXPECT_EQ(w.over[0].day, 500U);
  EXPECT_EQ(w.over[1].day, 501U);
  EXPECT_EQ(w.over[1].find(node(2))->up.count(), minutes_a_day);
}

TEST(observer, minutes_in_which_it_saw_less_than_half_dont_count) {
  watcher w;
  const looks half{{node(1), true}, {node(2), false}};
  const looks less{{node(1), true}, {node(2), false}, {node(3), false}};
  w.minutes(3, less);
  w.minutes(2, half);
  w.minutes(1, all);
  EXPECT_TRUE(is(w.so_far(2), 2, 0));
}

TEST(observer, the_dead_are_down_and_dont_count_among_those_to_be_seen) {
  watcher w;
  const looks lonely{{node(1), true},
                     {node(2), false, true},
                     {node(3), false, true},
                     {node(4), false, true}};
  w.minutes(4, lonely);
  w.minutes(1, all);
  EXPECT_TRUE(is(w.so_far(2), 4, 0));
  EXPECT_TRUE(is(w.so_far(1), 4, 4));
}

TEST(observer, planned_drain_does_not_count) {
  watcher w;
  looks drained = without_3;
  drained[2].planned = true;
  w.minutes(5, all);
  w.look(all); // and in the middle of a minute
  w.minutes(7, drained);
  w.minutes(2, all);
  EXPECT_TRUE(is(w.so_far(3), 6, 6));
  EXPECT_TRUE(is(w.so_far(1), 13, 13));
}

TEST(observer, a_minute_that_it_slept_through_is_not_observed) {
  watcher w;
  w.minutes(2, all);
  w.look(without_3); // one look of six, then it is stopped
  w.at.minute += 30;
  w.minutes(2, all);
  EXPECT_TRUE(is(w.so_far(3), 3, 3));
  EXPECT_FALSE(w.core.written().find(node(1))->observed.test(10));
}

TEST(observer, a_short_restart_of_a_subject_costs_no_minute) {
  watcher w;
  w.look(without_3);
  w.look(without_3);
  for (int i = 0; i < 4; ++i)
    w.look(all);
  w.at.minute = 1;
  w.look(all);
  EXPECT_TRUE(is(w.so_far(3), 1, 1));
}

TEST(observer, time_that_comes_again_changes_nothing) {
  watcher w;
  w.minutes(10, all);
  w.at.minute = 2; // the clock went back
  w.minutes(8, without_3);
  w.minutes(1, all);
  EXPECT_TRUE(is(w.so_far(3), 10, 10));
}

TEST(observer, a_clock_that_went_back_a_day_signs_no_day_twice) {
  watcher w;
  w.minutes(minutes_a_day + 10, all); // signed 500
  w.at = {500, 100};
  w.minutes(minutes_a_day, without_3); // over once more
  w.minutes(10, all);
  ASSERT_EQ(w.over.size(), 1U);
  EXPECT_EQ(w.over[0].find(node(3))->up.count(), minutes_a_day);
}

TEST(observer, a_clock_that_ran_ahead_drops_what_it_wrote_there) {
  watcher w;
  w.minutes(10, all);
  w.at = {900, 5};
  w.minutes(10, all);
  w.at = {501, 0};
  w.minutes(10, all);
  ASSERT_EQ(w.over.size(), 1U);
  EXPECT_EQ(w.over[0].day, 500U);
  EXPECT_EQ(w.core.written().day, 501U);
  EXPECT_TRUE(is(w.so_far(1), 9, 9));
}

TEST(observer, the_day_in_progress_survives_a_restart) {
  watcher w;
  w.minutes(100, without_3);
  watcher next;
  next.at = {500, 120};
  next.core.resume(w.core.written());
  next.minutes(10, all);
  EXPECT_TRUE(is(next.so_far(3), 99 + 9, 9));
  watcher later; // the day ended while it was down
  later.at = {501, 3};
  later.core.resume(w.core.written());
  later.minutes(1, all);
  ASSERT_EQ(later.over.size(), 1U);
  EXPECT_EQ(later.over[0].day, 500U);
}

TEST(observer, a_day_that_is_signed_is_not_begun_again) {
  watcher w;
  w.core.is_over(500);
  w.minutes(100, all);
  EXPECT_TRUE(is(w.so_far(1), 0, 0));
  w.at = {501, 0};
  w.minutes(3, all);
  EXPECT_TRUE(w.over.empty());
  EXPECT_TRUE(is(w.so_far(1), 2, 2));
}

TEST(observer, subjects_are_bounded) {
  watcher w;
  looks many;
  for (std::uint8_t i = 0; i < subjects_max + 20; ++i)
    many.push_back({node(i), true});
  w.minutes(3, many);
  EXPECT_EQ(w.core.written().subjects.size(), subjects_max);
}

// One that is evacuated says that it is drained: its minutes count, or it would
// choose what is known of it.
TEST(planned, an_evacuation_is_nobodys_plan) {
  EXPECT_TRUE(is_planned(true, standing::normal));
  EXPECT_TRUE(is_planned(true, standing::hold));
  EXPECT_FALSE(is_planned(true, standing::evacuate));
  EXPECT_FALSE(is_planned(true, standing::excluded));
  EXPECT_FALSE(is_planned(false, standing::normal));
}

// A clock that is wrong for a while costs no document.
TEST(clock_trust, a_jump_forgets_nothing_for_an_hour) {
  constexpr auto hour = 60 * day_observer::looks_a_minute;
  clock_trust c;
  const auto look = [&](std::uint32_t day, unsigned n) {
    for (unsigned i = 0; i < n; ++i)
      c.on_look(day);
  };
  look(500, hour);
  EXPECT_EQ(c.forget_before(), 0U) << "it began with a jump";
  look(500, 1);
  EXPECT_TRUE(c.steady());
  EXPECT_EQ(c.forget_before(), 500 - days_kept);
  look(501, 1); // the next day is no jump
  EXPECT_EQ(c.forget_before(), 501 - days_kept);
  look(900, 100);
  EXPECT_EQ(c.forget_before(), 0U);
  look(501, hour); // and back: it counts from there
  EXPECT_EQ(c.forget_before(), 0U);
  look(501, 1);
  EXPECT_EQ(c.forget_before(), 501 - days_kept);
  clock_trust early; // 1970
  for (unsigned i = 0; i < 2 * hour; ++i)
    early.on_look(3);
  EXPECT_EQ(early.forget_before(), 0U);
}

} // namespace
} // namespace banyan::uptime_test
