#include "net/io/workers.hpp"

#include <pthread.h>

#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace banyan::io {

struct thread_workers::state {
  struct order {
    task work;
    task done;
    const char* what;
  };

  explicit state(loop& l) : target{l} {}

  void serve(const std::shared_ptr<state>& self) {
    std::unique_lock<std::mutex> g{mutex};
    for (;;) {
      some.wait(g, [&] { return stopping || !orders.empty(); });
      if (stopping)
        return;
      auto o = std::move(orders.front());
      orders.pop_front();
      g.unlock();
      o.work();
      o.work = nullptr;
      g.lock();
      if (stopping)
        return;
      // Under the lock: after `stopping` the loop may be gone.
      target.post(
          [self, d = std::move(o.done)] {
            if (!self->closed) // the loop's own flag: no order is lost to it
              d();
          },
          o.what);
    }
  }

  loop& target;
  std::mutex mutex;
  std::condition_variable some;
  std::deque<order> orders;
  bool stopping = false;
  bool closed = false;
  std::vector<std::thread> threads;
};

thread_workers::thread_workers(loop& l, std::size_t threads)
    : state_{std::make_shared<state>(l)} {
  for (std::size_t i = 0; i < threads; ++i) {
    state_->threads.emplace_back([s = state_] {
      sigset_t all; // signals go to the thread that waits for them
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, nullptr);
      pthread_setname_np(pthread_self(), "banyan-worker");
      s->serve(s);
    });
  }
}

thread_workers::~thread_workers() {
  state_->closed = true;
  {
    const std::lock_guard<std::mutex> g{state_->mutex};
    state_->stopping = true;
  }
  state_->some.notify_all();
  for (auto& t : state_->threads)
    t.join();
  state_->threads.clear();
  state_->orders.clear();
}

bool thread_workers::submit(task work, task done, const char* what) {
  {
    const std::lock_guard<std::mutex> g{state_->mutex};
    if (state_->stopping || state_->orders.size() >= queue_max)
      return false;
    state_->orders.push_back({std::move(work), std::move(done), what});
  }
  state_->some.notify_one();
  return true;
}

} // namespace banyan::io
