#pragma once
#include "store/data_dir.hpp"
#include "store/virtual_disk.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace banyan::store::test {

/// Where to put what no fsync has to wait for.
inline std::filesystem::path fast_place() {
  const std::filesystem::path memory{"/dev/shm"};
  std::error_code code;
  return std::filesystem::is_directory(memory, code)
             ? memory
             : std::filesystem::temp_directory_path();
}

/// A folder that goes with its owner.
class scratch_folder {
public:
  explicit scratch_folder(const std::filesystem::path& in =
                              std::filesystem::temp_directory_path()) {
    std::string name = in / "banyan-store-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
      std::abort();
    path_ = name;
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

/// The loop of a test: runs what the disk threads post, on this thread.
class test_loop {
public:
  post_function poster() {
    return [this](std::function<void()> f) {
      const std::lock_guard<std::mutex> hold{mutex_};
      posted_.push_back(std::move(f));
      wake_.notify_one();
    };
  }
  /// Runs until `done()`; aborts the test when nothing comes for long.
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      std::function<void()> f;
      {
        std::unique_lock<std::mutex> hold{mutex_};
        ASSERT_TRUE(wake_.wait_for(hold, std::chrono::seconds{60},
                                   [&] { return !posted_.empty(); }));
        f = std::move(posted_.front());
        posted_.pop_front();
      }
      f();
    }
  }

private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;
};

/// The real disk in a scratch folder.
class real_disk {
public:
  real_disk() { boot(); }
  ~real_disk() { stop(); }
  real_disk(const real_disk&) = delete;
  real_disk& operator=(const real_disk&) = delete;

  disk& use() { return disk_; }
  void run_until(const std::function<bool()>& done) { loop_.run_until(done); }
  /// A clean stop and a new start.
  void restart() {
    stop();
    boot();
  }
  [[nodiscard]] const std::filesystem::path& path() const {
    return folder_.path();
  }
  /// From the next start on the state's check ends when it is told to.
  void check_takes_long() { checked_ = true; }
  /// Of the instance that runs; `damage` empty: it is good.
  void end_check(const std::string& damage) {
    ASSERT_TRUE(told_);
    std::exchange(told_, nullptr)({damage.empty(), damage});
  }
  /// What the check says is what counts.
  void damage_state() {}
  void stop() {
    disk_ = {};
    dir_.reset();
  }
  void boot() {
    auto dir = data_dir::open(folder_.path() / "data");
    ASSERT_TRUE(dir.ok()) << dir.error().message;
    dir_.emplace(std::move(*dir));
    disk_options how;
    how.post = loop_.poster();
    how.segment_bytes = 1 << 20;
    how.map_bytes = 64 << 20;
    if (checked_)
      how.state_check = [this](const auto&, auto done) {
        told_ = std::move(done);
      };
    auto opened = open_disk(*dir_, how);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    disk_ = std::move(*opened);
  }

private:
  scratch_folder folder_;
  test_loop loop_;
  bool checked_ = false;
  std::function<void(state_verdict)> told_;
  std::optional<data_dir> dir_;
  disk disk_;
};

/// Closures by virtual time.
class virtual_time {
public:
  schedule_function scheduler() {
    return [this](duration d, std::function<void()> f) {
      due_.emplace(now_ + d, std::move(f));
    };
  }
  std::function<time_point()> clock() {
    return [this] { return now_; };
  }
  bool step() {
    if (due_.empty())
      return false;
    auto first = due_.begin();
    now_ = first->first;
    const auto f = std::move(first->second);
    due_.erase(first);
    f();
    return true;
  }
  void run_until(const std::function<bool()>& done) {
    while (!done())
      ASSERT_TRUE(step());
  }
  [[nodiscard]] time_point now() const { return now_; }

private:
  time_point now_{};
  std::multimap<time_point, std::function<void()>> due_;
};

/// The simulated disk behind the same face.
class simulated_disk {
public:
  simulated_disk() { boot(); }

  disk& use() { return disk_; }
  void run_until(const std::function<bool()>& done) { time_.run_until(done); }
  void restart() {
    disk_ = {};
    boot();
  }
  void crash() {
    virtual_.crash();
    disk_ = {};
    boot();
  }
  void check_takes_long() { virtual_.set_check_time(1h, 1h + 1ns); }
  /// It finds by itself what is bad.
  void end_check(const std::string&) {}
  void damage_state() { ASSERT_TRUE(virtual_.rot_state()); }
  virtual_disk& faults() { return virtual_; }
  virtual_time& time() { return time_; }

private:
  void boot() { disk_ = virtual_.open(); }

  virtual_time time_;
  virtual_disk virtual_{virtual_disk::options{}, time_.scheduler(),
                        time_.clock()};
  disk disk_;
};

} // namespace banyan::store::test
