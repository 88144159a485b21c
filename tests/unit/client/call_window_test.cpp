#include "actors/client/call_window.hpp"

#include <gtest/gtest.h>

namespace banyan::test {
namespace {

struct window_world {
  call_window window;
  time_point now{1s};
  unsigned ends = 0;

  void fill() {
    while (window.has_place())
      window.began();
    window.missed();
  }
  /// Everything under way comes back within `took`; `refused` of a hundred are.
  /// More wait for places.
  void turn(duration took, unsigned refused = 0, duration deadline = 1s) {
    const auto n = window.under_way();
    const auto end = now + std::max(took, duration{call_window::round_min});
    for (std::size_t i = 0; i < n; ++i) {
      now += (end - now) / static_cast<std::int64_t>(n - i);
      if (ends++ % 100 < refused)
        window.overloaded(now);
      else
        window.answered(took, deadline, now);
      window.ended();
      window.missed();
    }
  }
  void turns(int n, duration took, unsigned refused = 0) {
    for (int i = 0; i < n; ++i) {
      fill();
      turn(took, refused);
    }
  }
};

TEST(call_window, is_open_while_calls_are_answered) {
  window_world w;
  w.turns(50, 10ms);
  EXPECT_EQ(w.window.size(), call_window::size_max);
  EXPECT_EQ(w.window.usual(), duration{10ms});
}

TEST(call_window, what_is_not_used_is_given_back) {
  window_world w;
  w.turns(50, 10ms);
  for (int i = 0; i < 2000; ++i) {
    w.now += 10ms;
    w.window.began();
    w.window.ended();
    w.window.answered(10ms, 1s, w.now);
  }
  EXPECT_EQ(w.window.size(), call_window::size_start);
}

TEST(call_window,
     falls_when_calls_are_refused_and_recovers_within_two_seconds) {
  window_world w;
  w.turns(5, 5ms);
  w.turns(20, 5ms, 100);
  EXPECT_EQ(w.window.size(), 1U);
  const auto end = w.now;
  while (w.window.size() < 300 && w.now < end + 10s)
    w.turns(1, 5ms);
  EXPECT_LE(w.now, end + 2s);
}

TEST(call_window, one_hot_group_of_many_does_not_close_it) {
  window_world w;
  w.turns(100, 5ms, 5);
  EXPECT_GT(w.window.size(), 900U);
  w.turns(20, 5ms, 100);
  const auto small = w.window.size();
  w.turns(100, 5ms, 5);
  EXPECT_GT(w.window.size(), 10 * small);
}

TEST(call_window, falls_while_most_wait_for_a_quarter_of_their_deadline) {
  window_world w;
  w.turns(5, 5ms);
  w.turns(30, 400ms);
  EXPECT_EQ(w.window.size(), call_window::slow_min);
}

TEST(call_window, falls_while_a_tenth_waits_for_half_of_its_deadline) {
  window_world w;
  w.turns(5, 5ms);
  for (int i = 0; i < 50; ++i) {
    w.fill();
    for (std::size_t n = w.window.under_way(); n > 0; --n) {
      w.now += 100us;
      w.window.answered(n % 5 == 0 ? 600ms : 100ms, 1s, w.now);
      w.window.ended();
    }
    w.now += 100ms;
  }
  EXPECT_EQ(w.window.size(), call_window::slow_min);
}

TEST(call_window, what_is_needed_is_more_than_the_mean_where_latencies_differ) {
  window_world w;
  w.turns(5, 100ms);
  EXPECT_EQ(w.window.needed(), duration{100ms});
  for (int i = 0; i < 1000; ++i) {
    w.now += 1ms;
    w.window.answered(i % 2 == 0 ? 300ms : 100ms, 1s, w.now);
  }
  EXPECT_NEAR(to_ms(w.window.usual()), 200, 20);
  EXPECT_NEAR(to_ms(w.window.needed()), 400, 50);
}

TEST(call_window, a_queue_that_lasts_does_not_become_usual) {
  window_world w;
  w.turns(5, 5ms);
  // 10,000 a second are served, and the window is always full: for 10 minutes
  // nobody waits for much more than a quarter of the deadline at the peers.
  const auto end = w.now + 600s;
  std::size_t too_slow = 0;
  int n = 0;
  for (; w.now < end; ++n) {
    w.fill();
    const auto took = w.window.under_way() * 1000us;
    w.turn(took);
    too_slow += n > 30 && took > 400ms ? 1 : 0;
  }
  EXPECT_EQ(too_slow, 0U);
}

TEST(call_window, an_app_that_is_slow_by_itself_is_left_alone) {
  window_world w;
  w.turns(100, 400ms);
  EXPECT_EQ(w.window.size(), call_window::size_max);
}

TEST(call_window, an_app_that_becomes_slow_gets_its_window_back) {
  window_world w;
  w.turns(20, 5ms);
  w.turns(20, 400ms);
  EXPECT_LT(w.window.size(), 100U);
  w.turns(150, 400ms);
  EXPECT_EQ(w.window.size(), call_window::size_max);
}

TEST(call_window, what_has_time_may_wait_longer) {
  window_world w;
  w.turns(5, 5ms);
  for (int i = 0; i < 30; ++i) {
    w.fill();
    w.turn(400ms, 0, 5s);
  }
  EXPECT_EQ(w.window.size(), call_window::size_max);
}

} // namespace
} // namespace banyan::test
