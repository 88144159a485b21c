#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace banyan::bin {

/// Lines on their way to a thread that writes them. Whoever puts one in never
/// waits: of more than `most` that wait the oldest are lost, and counted.
/// Memory is taken by the lines that wait alone.
class log_queue {
public:
  struct line {
    int level = 0; ///< the writer's
    std::chrono::system_clock::time_point at;
    std::string text;
  };
  /// Both are called by the queue's own thread. `lost` comes before the line
  /// that follows the gap.
  struct writer {
    std::function<void(const line&)> write;
    std::function<void(std::size_t lines)> lost;
  };

  log_queue(std::size_t most, writer w);
  log_queue(const log_queue&) = delete;
  log_queue& operator=(const log_queue&) = delete;
  ~log_queue(); ///< writes what waits

  void put(line l); ///< any thread

private:
  void run();

  const std::size_t most_;
  const writer writer_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<line> lines_; ///< under mutex_
  std::size_t lost_ = 0;   ///< under mutex_
  bool stop_ = false;      ///< under mutex_
  std::thread thread_;
};

} // namespace banyan::bin
