#include "actors/bin/log_queue.hpp"

#include <pthread.h>

#include <utility>

namespace banyan::bin {

log_queue::log_queue(std::size_t most, writer w)
    : most_{most}, writer_{std::move(w)}, thread_{[this] {
        pthread_setname_np(pthread_self(), "banyan-lines");
        run();
      }} {
}

log_queue::~log_queue() {
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void log_queue::put(line l) {
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    if (lines_.size() >= most_) {
      lines_.pop_front();
      ++lost_;
    }
    lines_.push_back(std::move(l));
  }
  wake_.notify_one();
}

void log_queue::run() {
  for (;;) {
    line next;
    std::size_t lost = 0;
    {
      std::unique_lock<std::mutex> hold{mutex_};
      wake_.wait(hold, [&] { return stop_ || !lines_.empty(); });
      if (lines_.empty())
        return;
      next = std::move(lines_.front());
      lines_.pop_front();
      lost = std::exchange(lost_, 0);
    }
    if (lost > 0)
      writer_.lost(lost);
    writer_.write(next);
  }
}

} // namespace banyan::bin
