#include "store/detail/worker_thread.hpp"

#include <pthread.h>

namespace banyan::store::detail {

worker_thread::worker_thread()
    : thread_{[this] {
        pthread_setname_np(pthread_self(), "banyan-store");
        run();
      }} {
}

worker_thread::~worker_thread() {
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void worker_thread::push(std::function<void()> job) {
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void worker_thread::push_idle(std::function<void()> job) {
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    idle_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void worker_thread::run() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock<std::mutex> hold{mutex_};
      wake_.wait(hold,
                 [&] { return stop_ || !jobs_.empty() || !idle_.empty(); });
      if (stop_ && jobs_.empty())
        return;
      auto& from = jobs_.empty() ? idle_ : jobs_;
      job = std::move(from.front());
      from.pop_front();
    }
    job();
  }
}

} // namespace banyan::store::detail
