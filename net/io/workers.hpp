#pragma once
#include "net/io/loop.hpp"

#include <cstddef>
#include <functional>
#include <memory>

namespace banyan::io {

/// Where work goes that blocks or computes for over a millisecond: resolving
/// names, verifying files, Argon2id. Disks have threads of their own.
class workers {
public:
  using task = std::function<void()>;
  virtual ~workers() = default;

  /// Runs `work` away from the loop, then `done` on the loop; `what` names it
  /// to the watchdog. Any thread. False, with neither called, when the queue
  /// is full: shed the request.
  virtual bool submit(task work, task done, const char* what) = 0;
};

/// Threads in production. The destructor finishes what is running, drops what
/// waits and calls no `done` after it; destroy it before the loop, on its
/// thread.
class thread_workers final : public workers {
public:
  static constexpr std::size_t queue_max = 1024;

  explicit thread_workers(loop& l, std::size_t threads = 2);
  ~thread_workers() override;
  bool submit(task work, task done, const char* what) override;

private:
  struct state;
  std::shared_ptr<state> state_;
};

/// Does the work as a task of the loop itself: for virtual loops.
class inline_workers final : public workers {
public:
  explicit inline_workers(loop& l) : loop_{l} {}
  bool submit(task work, task done, const char* what) override {
    loop_.post(
        [w = std::move(work), d = std::move(done)] {
          w();
          d();
        },
        what);
    return true;
  }

private:
  loop& loop_;
};

} // namespace banyan::io
