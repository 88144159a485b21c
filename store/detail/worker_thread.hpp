#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace banyan::store::detail {

/// A thread that runs jobs one after the other: the store thread. Destroying it
/// runs what was pushed before.
class worker_thread {
public:
  worker_thread();
  worker_thread(const worker_thread&) = delete;
  worker_thread& operator=(const worker_thread&) = delete;
  ~worker_thread();

  /// Any thread.
  void push(std::function<void()> job);
  /// Runs when no other job waits; dropped at destruction.
  void push_idle(std::function<void()> job);

private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_; ///< under mutex_
  std::deque<std::function<void()>> idle_; ///< under mutex_
  bool stop_ = false;                      ///< under mutex_
  std::thread thread_;
};

} // namespace banyan::store::detail
