// The host on a thread and its virtual twin: slow, hung, dead, restarted.
#include "actors/host/thread_host.hpp"
#include "actors/host/turn_trail.hpp"
#include "actors/host/virtual_host.hpp"

#include <banyan/app.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

namespace host_test {

std::atomic<bool> stuck{false};
std::atomic<bool> inside{false}; ///< of a turn that is stuck

struct nothing {
  std::int64_t n = 0;
  BANYAN_FIELDS(n);
};
struct patient : banyan::app<patient, nothing> {
  static std::int64_t next(nothing& s) { return ++s.n; }
  static void fail(nothing&) { throw std::runtime_error{"broke"}; }
  static void hang(nothing&) {
    inside = true;
    while (stuck)
      std::this_thread::yield();
    inside = false;
  }
};
BANYAN_APP(patient, next, fail, hang)

using namespace banyan;

/// A loop that other threads post to; the test runs it.
class test_loop {
public:
  void post(std::function<void()> f) {
    {
      const std::lock_guard lock{mutex_};
      queue_.push_back(std::move(f));
      ++posts;
    }
    wake_.notify_one();
  }
  /// Runs what is posted until `done()`; false after 20 s.
  template <class Done>
  bool until(Done&& done) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!done()) {
      std::function<void()> f;
      {
        std::unique_lock lock{mutex_};
        if (!wake_.wait_until(lock, end, [&] { return !queue_.empty(); }))
          return false;
        f = std::move(queue_.front());
        queue_.erase(queue_.begin());
      }
      f();
    }
    return true;
  }
  std::atomic<int> posts{0};

private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<void()>> queue_;
};

struct events {
  std::vector<module_info> ready;
  std::vector<turn_result> results;
  std::vector<host_failed> failed;
  host_handlers handlers() {
    return {[this](const module_info& m) { ready.push_back(m); },
            [this](std::vector<turn_result> r) {
              ++batches;
              for (auto& one : r)
                results.push_back(std::move(one));
            },
            [this](const host_failed& f) { failed.push_back(f); }};
  }
  int batches = 0;
};

std::vector<turn_order> orders(const char* command, std::uint64_t first,
                               std::uint64_t count) {
  std::vector<turn_order> out(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    out[i].actor = "a";
    out[i].command = command;
    out[i].key.number = first + i;
  }
  return out;
}

class threads : public testing::Test {
protected:
  threads() { catalog.add(module_table<patient>()); }
  std::unique_ptr<thread_host> make(host_options o) {
    return std::make_unique<thread_host>(
        std::move(o), seen.handlers(),
        [this](std::function<void()> f) { loop.post(std::move(f)); },
        [this] { return now; }, &catalog);
  }
  std::unique_ptr<thread_host> make() {
    host_options o;
    o.module = "patient";
    return make(o);
  }
  host_catalog catalog;
  test_loop loop;
  events seen;
  time_point now{};
};

TEST_F(threads, a_batch_has_one_result_per_order) {
  auto h = make();
  h->start();
  h->submit(orders("next", 1, 50)); // before it is ready
  EXPECT_EQ(h->outstanding(), 50U);
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 50; }));
  EXPECT_EQ(seen.ready.size(), 1U);
  EXPECT_EQ(seen.ready[0].app, "patient");
  EXPECT_EQ(h->outstanding(), 0U);
  for (std::uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(seen.results[i].key.number, i + 1);
    EXPECT_EQ(seen.results[i].outcome, turn_outcome::ok);
  }
  EXPECT_EQ(h->deadline(), never);
}

TEST_F(threads, results_come_in_batches) {
  auto h = make();
  h->start();
  ASSERT_TRUE(loop.until([&] { return seen.ready.size() == 1; }));
  h->submit(orders("next", 1, 1000));
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 1000; }));
  EXPECT_LT(seen.batches, 1000);
  EXPECT_EQ(loop.posts, seen.batches + 1);
}

TEST_F(threads, a_throwing_handler_is_a_result) {
  auto h = make();
  h->start();
  h->submit(orders("fail", 1, 2));
  h->submit(orders("next", 3, 1));
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 3; }));
  EXPECT_EQ(seen.results[0].message, "fail: broke");
  EXPECT_EQ(seen.results[2].outcome, turn_outcome::ok);
  EXPECT_TRUE(seen.failed.empty());
}

TEST_F(threads, a_hung_turn_is_seen_and_left_behind) {
  stuck = true;
  auto h = make();
  h->start();
  ASSERT_TRUE(loop.until([&] { return seen.ready.size() == 1; }));
  h->submit(orders("hang", 7, 1));
  h->submit(orders("next", 8, 5));
  while (seen.failed.empty()) { // the turn begins, then makes no progress
    now = h->deadline();
    h->on_time(now);
    if (h->deadline() == never)
      break;
  }
  ASSERT_TRUE(loop.until([&] { return seen.failed.size() == 1; }));
  EXPECT_EQ(seen.failed[0].why, host_errc::hung);
  EXPECT_EQ(seen.failed[0].message, "patient: a turn ran longer than 10000 ms");
  EXPECT_TRUE(seen.results.empty());
  EXPECT_EQ(h->outstanding(), 0U);
  h->submit(orders("next", 20, 1)); // dropped
  EXPECT_EQ(h->outstanding(), 0U);

  h->restart();
  h->submit(orders("next", 30, 1));
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 1; }));
  EXPECT_EQ(seen.results[0].key.number, 30U);
  EXPECT_EQ(seen.ready.size(), 2U);
  stuck = false; // lets the old thread end
}

// As in a process of its own: the file outlives the peer that a turn ended.
TEST_F(threads, a_turn_that_runs_is_named_in_the_trail) {
  const auto dir = std::filesystem::temp_directory_path()
                   / ("banyan-thread-trail-" + std::to_string(::getpid()));
  std::filesystem::create_directory(dir);
  while (inside) // another test's thread, which was left behind
    std::this_thread::yield();
  stuck = true;
  host_options o;
  o.module = "patient";
  o.life = incarnation{4};
  o.trail = (dir / trail_name("patient", 1)).string();
  auto h = make(o);
  h->start();
  auto one = orders("hang", 7, 1);
  one[0].request = {'r'};
  h->submit(std::move(one));
  while (!inside)
    std::this_thread::yield();
  const auto left = take_trails(dir);
  std::filesystem::remove_all(dir);
  stuck = false;
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 1; }));
  ASSERT_EQ(left.size(), 1U);
  EXPECT_TRUE(left[0].running);
  EXPECT_EQ(left[0].since, incarnation{4});
  EXPECT_EQ(left[0].requests,
            std::vector<bytes>{trail_request(group_id{}, bytes{'r'})});
}

TEST_F(threads, progress_is_no_hang) {
  auto h = make();
  h->start();
  h->submit(orders("next", 1, 100));
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 100; }));
  now += 1h;
  h->submit(orders("next", 101, 1));
  h->on_time(now);
  EXPECT_EQ(h->deadline(), now + 1s); // slow then, hung 9 s later
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 101; }));
  EXPECT_TRUE(seen.failed.empty());
}

TEST_F(threads, restart_and_stop_drop_what_is_outstanding) {
  auto h = make();
  h->start();
  h->submit(orders("next", 1, 100));
  h->restart();
  h->submit(orders("next", 1000, 1));
  ASSERT_TRUE(loop.until([&] { return !seen.results.empty(); }));
  EXPECT_EQ(seen.results[0].key.number, 1000U);
  h->submit(orders("next", 2000, 100));
  h->stop();
  h->stop();
  bool idle = false;
  loop.post([&] { idle = true; });
  ASSERT_TRUE(loop.until([&] { return idle; }));
  EXPECT_EQ(seen.results.size(), 1U);
}

TEST_F(threads, what_cannot_be_loaded_is_a_failure) {
  host_options o;
  o.module = "nobody";
  auto from_catalog = make(o);
  from_catalog->start();
  ASSERT_TRUE(loop.until([&] { return seen.failed.size() == 1; }));
  EXPECT_EQ(seen.failed[0].why, host_errc::not_found);
  o.file = "/nowhere/nobody.so";
  auto from_file = make(o);
  from_file->start();
  ASSERT_TRUE(loop.until([&] { return seen.failed.size() == 2; }));
  EXPECT_EQ(seen.failed[1].why, host_errc::not_found);
  EXPECT_EQ(from_file->deadline(), never);
  from_file->restart(); // still not there
  ASSERT_TRUE(loop.until([&] { return seen.failed.size() == 3; }));
  host_options bad;
  bad.module = "patient";
  bad.config = {0x01};
  auto refused = make(bad);
  refused->start();
  ASSERT_TRUE(loop.until([&] { return seen.failed.size() == 4; }));
  EXPECT_EQ(seen.failed[3].why, host_errc::refused);
  EXPECT_TRUE(seen.ready.empty());
}

TEST_F(threads, modules_run_from_files) {
  host_options o;
  o.module = "counter";
  o.file = std::string{BANYAN_TEST_APPS} + "/counter.so";
  auto h = make(o);
  h->start();
  auto batch = orders("get", 1, 1);
  batch[0].query = true;
  h->submit(std::move(batch));
  ASSERT_TRUE(loop.until([&] { return seen.results.size() == 1; }));
  EXPECT_EQ(seen.results[0].answer, bytes{0});
}

// ---- the virtual twin -------------------------------------------------------

class simulated : public testing::Test {
protected:
  simulated() {
    catalog.add(module_table<patient>());
    host_options o;
    o.module = "patient";
    h = std::make_unique<virtual_host>(
        o, seen.handlers(),
        [this](duration after, std::function<void()> f) {
          timers.emplace(now + after, std::move(f));
        },
        [this] { return now; }, catalog, random);
  }
  /// Runs all timers up to `end`, and the host's own deadline.
  void advance(duration by) {
    const time_point end = now + by;
    for (;;) {
      const time_point next = std::min(
          timers.empty() ? never : timers.begin()->first, h->deadline());
      if (next > end)
        break;
      now = std::max(now, next);
      if (!timers.empty() && timers.begin()->first <= now) {
        auto f = std::move(timers.begin()->second);
        timers.erase(timers.begin());
        f();
      } else {
        h->on_time(now);
      }
    }
    now = end;
  }
  host_catalog catalog;
  seeded_random random{1};
  std::multimap<time_point, std::function<void()>> timers;
  time_point now{};
  events seen;
  std::unique_ptr<virtual_host> h;
};

TEST_F(simulated, runs_the_same_table) {
  h->start();
  h->submit(orders("next", 1, 3));
  EXPECT_TRUE(seen.results.empty()); // never inside a call
  advance(1ms);
  EXPECT_EQ(seen.ready.size(), 1U);
  ASSERT_EQ(seen.results.size(), 3U);
  EXPECT_EQ(seen.batches, 1);
  EXPECT_EQ(h->deadline(), never);
}

TEST_F(simulated, can_be_slow) {
  h->start();
  advance(1ms);
  h->delays(1s, 2s);
  h->submit(orders("next", 1, 1));
  advance(999ms);
  EXPECT_TRUE(seen.results.empty());
  advance(1s + 2ms);
  EXPECT_EQ(seen.results.size(), 1U);
}

TEST_F(simulated, can_hang) {
  h->start();
  advance(1ms);
  h->hang();
  h->submit(orders("next", 5, 2));
  advance(9s);
  EXPECT_TRUE(seen.failed.empty());
  advance(2s);
  ASSERT_EQ(seen.failed.size(), 1U);
  EXPECT_EQ(seen.failed[0].why, host_errc::hung);
  ASSERT_TRUE(seen.failed[0].died_of.turn);
  EXPECT_EQ(seen.failed[0].died_of.turn->number, 5U);
  h->submit(orders("next", 6, 1)); // dropped
  h->restart();
  h->submit(orders("next", 7, 1));
  advance(1ms);
  ASSERT_EQ(seen.results.size(), 1U);
  EXPECT_EQ(seen.results[0].key.number, 7U);
}

TEST_F(simulated, can_die) {
  h->start();
  advance(1ms);
  h->submit(orders("next", 1, 2));
  h->die();
  EXPECT_TRUE(seen.failed.empty()); // never inside a call
  advance(1s);
  ASSERT_EQ(seen.failed.size(), 1U);
  EXPECT_EQ(seen.failed[0].why, host_errc::died);
  EXPECT_TRUE(seen.results.empty());
  h->restart();
  advance(1ms);
  EXPECT_EQ(seen.ready.size(), 2U);
}

TEST(simulation, the_same_seed_takes_the_same_time) {
  const auto run = [](std::uint64_t seed) {
    host_catalog catalog;
    catalog.add(module_table<patient>());
    seeded_random random{seed};
    std::vector<duration> waits;
    std::vector<std::function<void()>> due;
    events seen;
    host_options o;
    o.module = "patient";
    virtual_host h{o,
                   seen.handlers(),
                   [&](duration after, std::function<void()> f) {
                     waits.push_back(after);
                     due.push_back(std::move(f));
                   },
                   [] { return time_point{}; },
                   catalog,
                   random};
    h.start();
    for (std::uint64_t i = 0; i < 20; ++i) {
      h.submit(orders("next", i, 1));
      auto now = std::move(due);
      due.clear();
      for (auto& f : now)
        f();
    }
    return waits;
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

} // namespace host_test
