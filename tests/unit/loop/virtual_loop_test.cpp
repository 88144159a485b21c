#include "actors/loop/virtual_loop.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace banyan::actors {
namespace {

TEST(VirtualLoop, TimeStandsStillWhileWorkIsReadyAndThenJumps) {
  virtual_loop l;
  const auto start = l.now();
  time_point job_at;
  time_point timer_at;
  l.at(start + 1h, [&] { timer_at = l.now(); });
  l.post([&] { job_at = l.now(); });
  EXPECT_TRUE(l.step());
  EXPECT_EQ(job_at, start);
  EXPECT_TRUE(l.step());
  EXPECT_EQ(timer_at, start + 1h);
  EXPECT_FALSE(l.step());
}

TEST(VirtualLoop, RunUntilStopsAtItsTime) {
  virtual_loop l;
  const auto start = l.now();
  std::string seen;
  l.at(start + 2s, [&] { seen += 'b'; });
  l.at(start + 1s, [&] { seen += 'a'; });
  l.run_until(start + 1500ms);
  EXPECT_EQ(seen, "a");
  EXPECT_EQ(l.now(), start + 1500ms);
  l.run_for(500ms);
  EXPECT_EQ(seen, "ab");
}

TEST(VirtualLoop, WorkThatATimerMakesRunsBeforeTheNextTimer) {
  virtual_loop l;
  const auto t = l.now() + 1s;
  std::string seen;
  l.at(t, [&] {
    seen += '1';
    l.post([&] { seen += 'w'; });
  });
  l.at(t, [&] { seen += '2'; });
  l.run_until(t);
  EXPECT_EQ(seen, "1w2");
}

TEST(VirtualLoop, RunUntilTrueSaysWhetherItBecameTrue) {
  virtual_loop l;
  bool done = false;
  l.after(2s, [&] { done = true; });
  EXPECT_FALSE(l.run_until_true([&] { return done; }, l.now() + 1s));
  EXPECT_TRUE(l.run_until_true([&] { return done; }, l.now() + 1h));
}

TEST(VirtualLoop, FlushesFollowTheJobThatAskedForThem) {
  virtual_loop l;
  std::string seen;
  l.post([&] {
    seen += 'j';
    l.flush_later([&] { seen += 'f'; });
  });
  l.post([&] { seen += 'k'; });
  l.drain();
  EXPECT_EQ(seen, "jfk");
}

TEST(VirtualLoop, PostedTasksKeepTheirOrderUnderEveryShuffle) {
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    virtual_loop l{seed};
    std::string seen;
    for (char c = 'a'; c <= 'h'; ++c)
      l.post([&seen, c] { seen += c; });
    l.drain();
    ASSERT_EQ(seen, "abcdefgh");
  }
}

TEST(VirtualLoop, TheTraceHashFollowsTimeAndValues) {
  const auto run = [](int delay, int value) {
    virtual_loop l;
    l.after(std::chrono::milliseconds(delay), [&] { l.trace(1, value); });
    l.run_for(1s);
    EXPECT_EQ(l.traced(), 1u);
    return l.trace_hash();
  };
  EXPECT_EQ(run(5, 7), run(5, 7));
  EXPECT_NE(run(5, 7), run(6, 7));
  EXPECT_NE(run(5, 7), run(5, 8));
}

TEST(VirtualLoopDeathTest, AnotherThreadMayNotLeaveWork) {
  EXPECT_DEATH(
      {
        virtual_loop l;
        std::thread{[&] { l.post([] {}); }}.join();
      },
      "another thread left work");
}

} // namespace
} // namespace banyan::actors
