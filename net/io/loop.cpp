#include "net/io/loop.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace banyan::io {

/// A posted function, queued as a job like any other.
struct loop::posted {
  task run;
  const char* what;
  loop* owner;

  static bool call(void* a, void* /*b*/, job_call c) {
    std::unique_ptr<posted> p{static_cast<posted*>(a)};
    if (c == job_call::run) {
      p->owner->doing(p->what);
      p->run();
    }
    return false;
  }
};

loop::~loop() {
  drop_jobs();
}

void loop::post(task f, const char* what) {
  enqueue({&posted::call, new posted{std::move(f), what, this}, nullptr});
}

void loop::enqueue_foreign(job j) {
  bool first = false;
  {
    const std::lock_guard<std::mutex> g{mutex_};
    foreign_.push_back(j);
    first = !has_foreign_.exchange(true);
  }
  if (first)
    wake();
}

void loop::take_foreign() {
  if (!has_foreign_.load(std::memory_order_acquire))
    return;
  {
    const std::lock_guard<std::mutex> g{mutex_};
    foreign_.swap(taken_);
    has_foreign_ = false;
  }
  jobs_.insert(jobs_.end(), taken_.begin(), taken_.end());
  taken_.clear();
}

timer_id loop::at(time_point due, task f, const char* what) {
  BANYAN_ASSERT(on_thread());
  return timers_.add(due, std::move(f), what);
}

bool loop::cancel(timer_id& id) {
  const auto old = std::exchange(id, timer_id{});
  if (!old.armed_once())
    return false;
  BANYAN_ASSERT(on_thread());
  return timers_.cancel(old);
}

void loop::clear_timers() {
  BANYAN_ASSERT(on_thread());
  timers_.clear();
}

void loop::flush_later(task f) {
  BANYAN_ASSERT(on_thread());
  flush_.push_back(std::move(f));
}

void loop::attach(timer_source& s) {
  BANYAN_ASSERT(on_thread());
  sources_.push_back(&s);
}

void loop::detach(timer_source& s) {
  BANYAN_ASSERT(on_thread());
  const auto i = std::find(sources_.begin(), sources_.end(), &s);
  BANYAN_ASSERT(i != sources_.end());
  sources_.erase(i);
}

void loop::watch(duration limit, std::function<void(const stall&)> report) {
  run_here(
      [this, limit, r = std::move(report)]() mutable {
        limit_ = limit;
        report_ = std::move(r);
        mark_ = std::chrono::steady_clock::now();
      },
      "watchdog");
}

void loop::check_slow() {
  const auto t = std::chrono::steady_clock::now();
  const auto held = t - mark_;
  mark_ = t;
  if (held <= limit_)
    return;
  stalls_.fetch_add(1, std::memory_order_relaxed);
  if (report_)
    report_({what_, held});
  mark_ = std::chrono::steady_clock::now(); // the report's time is its own
}

timer_source* loop::earliest(time_point& due) const noexcept {
  timer_source* found = nullptr;
  due = timers_.next();
  for (auto* s : sources_) {
    if (const auto t = s->next(); t < due) {
      due = t;
      found = s;
    }
  }
  return found;
}

void loop::fire(timer_source* s) {
  if (s) {
    what_ = "actor timer";
    s->fire_one();
  } else {
    const char* what = nullptr;
    const auto run = timers_.pop(what);
    what_ = what;
    run();
  }
  check();
}

bool loop::run_job() {
  if (jobs_.empty())
    return false;
  const auto j = jobs_.front();
  jobs_.pop_front();
  if (j.call(j.a, j.b, job_call::run))
    jobs_.push_back(j);
  check();
  return true;
}

void loop::flush() {
  if (flush_.empty())
    return;
  for (std::size_t i = 0; i < flush_.size(); ++i) { // a flush may ask for more
    const auto f = std::move(flush_[i]);
    what_ = "flush";
    f();
    check();
  }
  flush_.clear();
}

void loop::drop_jobs() {
  for (;;) {
    take_foreign();
    if (jobs_.empty())
      return;
    const auto j = jobs_.front();
    jobs_.pop_front();
    j.call(j.a, j.b, job_call::drop);
  }
}

void loop::swap_jobs(std::size_t i, std::size_t j) {
  if (jobs_[i].call != &posted::call && jobs_[j].call != &posted::call)
    std::swap(jobs_[i], jobs_[j]);
}

} // namespace banyan::io
