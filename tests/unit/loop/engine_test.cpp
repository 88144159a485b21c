// The rules of net/io/loop.hpp, on real time: no test sleeps, each waits for
// what it asked for.
#include "net/io/asio_loop.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace banyan::io {
namespace {

/// Runs `f` on the loop's thread and waits for its result.
template <class F>
auto ask(loop& l, F f) {
  std::promise<decltype(f())> p;
  l.post([&] { p.set_value(f()); });
  return p.get_future().get();
}

TEST(Loop, PostsOfOneThreadRunInOrder) {
  asio_loop l;
  std::vector<int> seen;
  for (int i = 0; i < 10'000; ++i)
    l.post([&seen, i] { seen.push_back(i); });
  const auto n = ask(l, [&] { return seen.size(); });
  ASSERT_EQ(n, 10'000u);
  for (int i = 0; i < 10'000; ++i)
    ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(Loop, PostsOfManyThreadsAllRunOnTheLoop) {
  asio_loop l;
  int sum = 0; // the loop's alone
  bool foreign = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i)
        l.post([&] {
          foreign = foreign || !l.on_thread();
          ++sum;
        });
    });
  }
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(ask(l, [&] { return sum; }), 20'000);
  EXPECT_FALSE(foreign);
}

TEST(Loop, RunHereIsImmediateOnTheLoopAndPostedElsewhere) {
  asio_loop l;
  EXPECT_TRUE(ask(l, [&] {
    bool ran = false;
    l.run_here([&] { ran = true; });
    return ran;
  }));
  std::promise<bool> p;
  l.run_here([&] { p.set_value(l.on_thread()); });
  EXPECT_TRUE(p.get_future().get());
}

TEST(Loop, TimersFireInTimeThenCallOrder) {
  asio_loop l{asio_loop::thread::caller};
  std::string seen;
  const auto t = l.now();
  l.at(t + 2ms, [&] { seen += 'c'; });
  l.at(t + 1ms, [&] { seen += 'a'; });
  l.at(t + 1ms, [&] { seen += 'b'; });
  l.at(t + 3ms, [&] { l.stop(); });
  l.run();
  EXPECT_EQ(seen, "abc");
  EXPECT_GE(l.now(), t + 3ms);
}

TEST(Loop, AnEarlierTimerArmedLaterStillFiresFirst) {
  asio_loop l{asio_loop::thread::caller};
  std::string seen;
  const auto t = l.now();
  l.at(t + 10s, [&] { seen += "late"; });
  l.post([&] {
    l.at(t + 1ms, [&] {
      seen += "early";
      l.stop();
    });
  });
  l.run();
  EXPECT_EQ(seen, "early");
}

TEST(Loop, CancelFreesTheTaskAtOnceAndFiresNothing) {
  asio_loop l{asio_loop::thread::caller};
  auto held = std::make_shared<int>(1);
  bool fired = false;
  auto id = l.after(1ms, [&fired, held] { fired = true; });
  EXPECT_EQ(held.use_count(), 2);
  auto copy = id;
  EXPECT_TRUE(l.cancel(id));
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(l.cancel(id));
  // The slot serves another timer now: the old id must not hit it.
  bool other = false;
  l.after(1ms, [&] { other = true; });
  EXPECT_FALSE(l.cancel(copy));
  l.after(2ms, [&] { l.stop(); });
  l.run();
  EXPECT_FALSE(fired);
  EXPECT_TRUE(other);
}

TEST(Loop, ATimerMayCancelAndArmOthersAsItFires) {
  asio_loop l{asio_loop::thread::caller};
  const auto t = l.now();
  int fired = 0;
  timer_id second = l.at(t + 2ms, [&] { fired += 100; });
  l.at(t + 1ms, [&] {
    ++fired;
    EXPECT_TRUE(l.cancel(second));
    l.at(t + 2ms, [&] {
      ++fired;
      l.stop();
    });
  });
  l.run();
  EXPECT_EQ(fired, 2);
}

TEST(Loop, TenThousandTimersInAnyOrderFireSorted) {
  asio_loop l{asio_loop::thread::caller};
  const auto t = l.now();
  std::vector<int> seen;
  std::vector<timer_id> ids;
  std::uint32_t x = 1;
  for (int i = 0; i < 10'000; ++i) {
    x = x * 1664525u + 1013904223u;
    const auto due = static_cast<int>(x >> 20);
    ids.push_back(l.at(t + std::chrono::nanoseconds(due),
                       [&seen, due] { seen.push_back(due); }));
  }
  for (std::size_t i = 0; i < ids.size(); i += 3)
    EXPECT_TRUE(l.cancel(ids[i]));
  l.at(t + 1ms, [&] { l.stop(); });
  l.run();
  EXPECT_EQ(seen.size(), 6'666u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(Loop, FlushesRunOnceAfterTheTurnsJobs) {
  asio_loop l{asio_loop::thread::caller};
  std::string seen;
  l.post([&] {
    seen += '1';
    l.flush_later([&] { seen += 'f'; });
  });
  l.post([&] {
    seen += '2';
    l.post([&] { l.stop(); });
  });
  l.run();
  EXPECT_EQ(seen, "12f");
}

TEST(Loop, AFlushMayAskForAnother) {
  asio_loop l{asio_loop::thread::caller};
  int n = 0;
  l.post([&] {
    l.flush_later([&] {
      ++n;
      l.flush_later([&] {
        ++n;
        l.stop();
      });
    });
  });
  l.run();
  EXPECT_EQ(n, 2);
}

TEST(Loop, AJobThatIsNotDoneGoesBehindTheOthers) {
  struct work {
    asio_loop& l;
    std::string& seen;
    char name;
    int left;
    static bool call(void* a, void* /*b*/, loop::job_call c) {
      auto* w = static_cast<work*>(a);
      if (c == loop::job_call::drop)
        return false;
      w->seen += w->name;
      if (--w->left > 0)
        return true;
      if (w->name == 'b')
        w->l.stop();
      return false;
    }
  };
  asio_loop l{asio_loop::thread::caller};
  std::string seen;
  work a{l, seen, 'a', 2};
  work b{l, seen, 'b', 3};
  l.enqueue({&work::call, &a, nullptr});
  l.enqueue({&work::call, &b, nullptr});
  l.run();
  EXPECT_EQ(seen, "ababb");
}

TEST(Loop, WhatIsQueuedAtTheEndIsFreedNotRun) {
  auto held = std::make_shared<int>(1);
  bool ran = false;
  {
    asio_loop l{asio_loop::thread::caller};
    l.post([held, &ran] { ran = true; });
    l.after(1h, [held, &ran] { ran = true; });
    EXPECT_EQ(held.use_count(), 3);
  }
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(ran);
}

TEST(Loop, DrainFromOutsideWaitsForWorkThatMakesWork) {
  asio_loop l;
  int depth = 0;
  std::function<void()> more = [&] {
    if (++depth < 1000)
      l.post(more);
  };
  l.post(more);
  l.drain();
  EXPECT_EQ(ask(l, [&] { return depth; }), 1000);
}

TEST(Loop, TheWatchdogNamesWhatHeldTheLoop) {
  asio_loop l{asio_loop::thread::caller};
  std::vector<std::string> names;
  l.watch(5ms, [&](const stall& s) {
    EXPECT_GT(s.held, 5ms);
    names.emplace_back(s.what);
  });
  const auto burn = [] {
    const auto end = std::chrono::steady_clock::now() + 8ms;
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  l.post(burn, "slow task");
  l.post([] {}, "quick task");
  l.post([&] {
    l.doing("inner step");
    burn();
  });
  l.after(1ms, burn, "slow timer");
  l.after(
      2ms, [&] { l.measured("slow read", burn); }, "reader");
  l.after(3ms, [&] { l.stop(); });
  l.run();
  // A busy machine may hold up others as well; these four are sure.
  for (const char* n : {"slow task", "inner step", "slow timer", "slow read"})
    EXPECT_EQ(std::count(names.begin(), names.end(), n), 1) << n;
  EXPECT_GE(l.stalls(), 4u);
}

} // namespace
} // namespace banyan::io
