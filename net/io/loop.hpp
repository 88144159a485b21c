#pragma once
#include "base/time.hpp"
#include "net/io/detail/timer_heap.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace banyan::io {

/// Foreign timers that a loop fires beside its own: a CAF clock.
class timer_source {
public:
  virtual ~timer_source() = default;
  /// When its earliest timer is due; `never` without one.
  [[nodiscard]] virtual time_point next() const noexcept = 0;
  /// Fires exactly the earliest one.
  virtual void fire_one() = 0;
};

/// What held the loop for longer than it may.
struct stall {
  const char* what; ///< The label of the task, timer, actor or I/O handler.
  duration held;
};

/// The engine on which a node's I/O, timers and actors run, one after another.
///
/// Two policies supply clock and waiting: `asio_loop` (a thread, real time,
/// sockets) and `virtual_loop` (no thread, virtual time, deterministic). One
/// turn = work from other threads, timers that are due, a bounded number of
/// jobs, then the flushes that the turn asked for.
///
/// Any thread: `now`, `post`, `run_here`, `enqueue`, `on_thread`, `drain`.
/// All else: the loop's thread only (asserted where it is cheap). Nothing that
/// runs here may block; the watchdog names what did.
///
/// Labels (`what`) are borrowed for ever: string literals.
class loop {
public:
  using task = std::function<void()>;

  enum class job_call : std::uint8_t {
    run, ///< Do the work; true: queue it again, behind the others.
    drop ///< The loop ends: only free what the job holds. Result ignored.
  };
  /// Work without an allocation of its own: 24 bytes, copied about freely.
  struct job {
    bool (*call)(void* a, void* b, job_call c) = nullptr;
    void* a = nullptr;
    void* b = nullptr;
  };

  loop() = default;
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  virtual ~loop();

  [[nodiscard]] virtual time_point now() const noexcept = 0;
  /// Runs what is ready, and what that makes ready, until no job is left; no
  /// timers are awaited. Never from within a turn (asserted).
  virtual void drain() = 0;
  /// May the caller touch what belongs to the loop?
  [[nodiscard]] bool on_thread() const noexcept {
    return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }

  /// Queues `f` behind all that is ready. Tasks posted by one thread run in
  /// the order of the calls.
  void post(task f, const char* what = "posted task");
  /// Runs `f` now when called on the loop's thread, else posts it.
  void run_here(task f, const char* what = "posted task") {
    if (on_thread())
      f();
    else
      post(std::move(f), what);
  }
  void enqueue(job j) {
    if (on_thread())
      jobs_.push_back(j);
    else
      enqueue_foreign(j);
  }

  /// Calls `f` once at `due` or soon after; timers fire in the order of
  /// (due, call of `at`). A timer in the past fires in this turn or the next.
  timer_id at(time_point due, task f, const char* what = "timer");
  timer_id after(duration d, task f, const char* what = "timer") {
    return at(now() + d, std::move(f), what);
  }
  /// Frees the timer's task at once and resets `id`. False if it has fired,
  /// was cancelled or never existed.
  bool cancel(timer_id& id);
  /// Forgets every timer of its own; before what their tasks mention goes.
  void clear_timers();

  /// Calls `f` once, at the end of this turn, after all of its jobs: where
  /// links seal and send what the turn queued. One call per `flush_later`.
  void flush_later(task f);

  void attach(timer_source& s);
  void detach(timer_source& s);

  /// Reports every task, timer, job or I/O handler that held the loop for more
  /// than `limit` of real time; zero: off. `report` runs on the loop's thread.
  void watch(duration limit, std::function<void(const stall&)> report);
  /// Names what runs now, for the watchdog; a handler may say it more
  /// precisely as it goes. Lasts until the next one starts.
  void doing(const char* what) noexcept { what_ = what; }
  [[nodiscard]] std::uint64_t stalls() const noexcept {
    return stalls_.load(std::memory_order_relaxed);
  }
  /// Runs an I/O handler under the watchdog's eye.
  template <class F>
  void measured(const char* what, F&& f) {
    begin(what);
    f();
    check();
  }

protected:
  /// Another thread left work: end the wait. Any thread.
  virtual void wake() = 0;
  void own(std::thread::id id) noexcept {
    owner_.store(id, std::memory_order_relaxed);
  }

  void take_foreign();
  /// The next timer's owner, null for our own; `due` is `never` without one.
  timer_source* earliest(time_point& due) const noexcept;
  void fire(timer_source* s);
  bool run_job(); ///< False: there was none.
  void flush();
  void drop_jobs();
  /// Exchanges two queued jobs unless one is a posted task: those keep order.
  void swap_jobs(std::size_t i, std::size_t j);
  void begin(const char* what) noexcept {
    what_ = what;
    if (limit_ > duration::zero())
      mark_ = std::chrono::steady_clock::now();
  }
  void check() {
    if (limit_ > duration::zero())
      check_slow();
  }

  std::deque<job> jobs_;

private:
  struct posted;
  void enqueue_foreign(job j);
  void check_slow();

  detail::timer_heap timers_;
  std::vector<timer_source*> sources_;
  std::vector<task> flush_;
  std::atomic<std::thread::id> owner_{std::this_thread::get_id()};

  duration limit_ = duration::zero();
  time_point mark_{};
  const char* what_ = "";
  std::function<void(const stall&)> report_;
  std::atomic<std::uint64_t> stalls_{0};

  std::mutex mutex_;
  std::atomic<bool> has_foreign_{false};
  std::vector<job> foreign_;
  std::vector<job> taken_;
};

/// A timer that is armed at most once at a time and cancelled with its owner.
/// The loop must outlive it; loop's thread only.
class timer {
public:
  explicit timer(loop& l) : loop_{l} {}
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer() { cancel(); }

  /// Replaces what was armed before.
  void arm(time_point due, loop::task f, const char* what = "timer") {
    cancel();
    id_ = loop_.at(due, std::move(f), what);
  }
  void cancel() { loop_.cancel(id_); }

private:
  loop& loop_;
  timer_id id_;
};

} // namespace banyan::io
