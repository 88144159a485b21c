#include "net/io/asio_loop.hpp"

#include "base/assert.hpp"
#include "net/io/detail/asio_context.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <pthread.h>
#include <sched.h>

#include <csignal>
#include <future>

namespace banyan::io {

namespace {

/// Fairness: so many jobs at most between two looks at the sockets.
constexpr std::size_t jobs_per_turn = 256;

void pin(int cpu) {
  if (cpu < 0)
    return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/// Signals go to the thread that waits for them on purpose, never here.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  for (const int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
    sigdelset(&all, s);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

} // namespace

asio_loop::asio_loop(thread t, int cpu) : state_{std::make_unique<state>()} {
  // A write to a closed connection is an error of that connection, whoever
  // writes; the default would end the process.
  std::signal(SIGPIPE, SIG_IGN);
  if (t != thread::own)
    return;
  std::promise<void> started;
  thread_ = std::thread{[this, cpu, &started] {
    block_signals();
    pthread_setname_np(pthread_self(), "banyan-loop");
    pin(cpu);
    own(std::this_thread::get_id());
    started.set_value();
    turns();
  }};
  started.get_future().wait();
}

asio_loop::~asio_loop() {
  if (thread_.joinable()) {
    BANYAN_ASSERT(!on_thread());
    stop();
    thread_.join();
  }
  own(std::this_thread::get_id());
  drop_jobs();
  clear_timers();
}

void asio_loop::wake() {
  boost::asio::post(state_->context, [] {}); // any handler ends run_one()
}

void asio_loop::run() {
  BANYAN_ASSERT(!thread_.joinable());
  own(std::this_thread::get_id());
  state_->quit = false;
  turns();
}

void asio_loop::stop() {
  post([this] { state_->quit = true; }, "stop");
}

void asio_loop::drain() {
  if (on_thread()) {
    BANYAN_ASSERT(!state_->in_turn);
    for (bool more = true; more;) {
      take_foreign();
      more = run_job();
      flush();
    }
    return;
  }
  // Jobs are FIFO: those queued before have run when ours does; they may have
  // queued more, so until there is none.
  for (bool busy = true; busy;) {
    std::promise<bool> p;
    post([this, &p] { p.set_value(!jobs_.empty()); }, "drain");
    busy = p.get_future().get();
  }
}

void asio_loop::turns() {
  auto& s = *state_;
  const auto guard = boost::asio::make_work_guard(s.context);
  s.context.restart(); // without work it stopped by itself since the last run
  time_point due;
  s.in_turn = true;
  while (!s.quit) {
    begin("turn");
    take_foreign();
    for (const auto t = now();;) {
      auto* source = earliest(due);
      if (due > t)
        break;
      fire(source);
    }
    for (std::size_t n = 0; n < jobs_per_turn && run_job(); ++n) {
    }
    flush();
    if (s.quit)
      break;
    if (!jobs_.empty()) {
      s.context.poll();
      continue;
    }
    earliest(due); // a job may have armed one
    if (due < s.armed) {
      // Only when it got earlier: a later or cancelled timer costs one idle
      // turn at most, not a system call each.
      s.armed = due;
      s.timer.expires_at(due);
      s.timer.async_wait([&s](boost::system::error_code e) {
        if (!e)
          s.armed = never;
      });
    }
    s.context.run_one();
  }
  s.in_turn = false;
}

} // namespace banyan::io
