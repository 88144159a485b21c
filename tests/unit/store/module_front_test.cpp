// `modules` as a node sees them: on a thread, and on a simulated disk.
#include "crypto/hash.hpp"
#include "store/data_dir.hpp"
#include "store/virtual_disk.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>

namespace banyan::store {
namespace {

/// A loop that the test turns.
class hand_loop {
public:
  post_function post() {
    return [this](std::function<void()> f) {
      const std::lock_guard<std::mutex> g{mutex_};
      queue_.push_back(std::move(f));
      more_.notify_all();
    };
  }
  void until(const std::function<bool()>& done) {
    while (!done()) {
      std::unique_lock<std::mutex> g{mutex_};
      more_.wait(g, [this] { return !queue_.empty(); });
      const auto f = std::move(queue_.front());
      queue_.pop_front();
      g.unlock();
      f();
    }
  }

private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> queue_;
};

const bytes code(100'000, 7);
const digest name = hash(code);

TEST(module_thread, completes_in_order_and_knows_what_is_here) {
  std::string dir = "/tmp/banyan-module-thread-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  hand_loop l;
  disk_options o;
  o.post = l.post();
  o.segment_bytes = std::size_t{1} << 20;
  o.map_bytes = std::size_t{64} << 20;
  {
    auto at = data_dir::open(dir).value();
    auto d = open_disk(at, o).value();
    EXPECT_TRUE(d.modules->list().empty());
    std::vector<int> order;
    const auto noted = [&order](int n) {
      return [&order, n](const result<void, store_error>& r) {
        EXPECT_TRUE(r.ok());
        order.push_back(n);
      };
    };
    d.modules->append(name, 0, const_bytes{code}.first(60'000).copy(),
                      noted(1));
    d.modules->append(name, 60'000, const_bytes{code}.from(60'000).copy(),
                      noted(2));
    d.modules->finish(name, noted(3));
    bytes got;
    d.modules->read(name, 59'999, 10, [&](result<bytes, store_error> r) {
      got = r.value();
      order.push_back(4);
    });
    l.until([&] { return order.size() == 4; });
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
    EXPECT_EQ(got, bytes(10, 7));
    EXPECT_TRUE(d.modules->list().at(name).whole);
    d.modules->append(name, 0, bytes(1), [](const auto&) {
      FAIL() << "nothing completes once it is gone";
    });
  }
  auto at = data_dir::open(dir).value();
  auto d = open_disk(at, o).value();
  EXPECT_EQ(d.modules->list().at(name).bytes, code.size());
  bool checked = false;
  d.modules->check(name, [&](const result<void, store_error>& r) {
    EXPECT_TRUE(r.ok());
    checked = true;
  });
  l.until([&] { return checked; });
  d = {};
  std::filesystem::remove_all(dir);
}

/// Virtual time, by hand.
struct virtual_machine {
  std::multimap<time_point, std::function<void()>> timers;
  time_point now{};
  virtual_disk disk{{},
                    [this](duration d, std::function<void()> f) {
                      timers.emplace(now + d, std::move(f));
                    },
                    [this] { return now; }};
  void run() {
    while (!timers.empty()) {
      now = timers.begin()->first;
      const auto f = std::move(timers.begin()->second);
      timers.erase(timers.begin());
      f();
    }
  }
};

TEST(virtual_modules, keep_the_contract_over_a_power_cut) {
  virtual_machine m;
  auto d = m.disk.open();
  int done = 0;
  const auto count = [&](const result<void, store_error>& r) {
    EXPECT_TRUE(r.ok());
    ++done;
  };
  d.modules->append(name, 0, code, count);
  d.modules->finish(name, count);
  EXPECT_TRUE(d.modules->list().empty()); // nothing is here at once
  m.run();
  EXPECT_EQ(done, 2);
  ASSERT_TRUE(d.modules->list().at(name).whole);
  d.modules->append(hash(bytes{1}), 0, {1}, count);
  m.disk.crash();
  m.run();
  EXPECT_EQ(done, 2); // that process is gone
  auto later = m.disk.open();
  EXPECT_TRUE(later.modules->list().at(name).whole);
  later.modules->check(name, count);
  m.run();
  EXPECT_EQ(done, 3);
}

TEST(virtual_modules, a_full_disk_and_a_drop) {
  virtual_machine m;
  auto d = m.disk.open();
  m.disk.set_full(true);
  store_errc why{};
  d.modules->append(name, 0, code, [&](const result<void, store_error>& r) {
    why = r.error().code;
  });
  m.run();
  EXPECT_EQ(why, store_errc::full);
  m.disk.set_full(false);
  bool dropped = false;
  d.modules->append(name, 0, code, nullptr);
  d.modules->drop(name, [&](const auto&) { dropped = true; });
  m.run();
  EXPECT_TRUE(dropped);
  EXPECT_TRUE(d.modules->list().empty());
}

} // namespace
} // namespace banyan::store
