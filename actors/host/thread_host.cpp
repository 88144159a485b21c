#include "actors/host/thread_host.hpp"

#include "actors/host/turn_trail.hpp"
#include "base/assert.hpp"
#include "crypto/secret.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace banyan {

/// One thread and its queue. The thread holds it too, so a host that leaves a
/// hung thread behind needs nothing from it.
class thread_host::life : public std::enable_shared_from_this<life> {
public:
  life(thread_host& owner, loaded_module* linked)
      : owner_{&owner}, options_{owner.options_}, post_{owner.post_} {
    if (linked != nullptr)
      linked_ = *linked;
  }

  void begin() {
    thread_ = std::thread{[self = shared_from_this()] {
      pthread_setname_np(pthread_self(), "banyan-host");
      self->work();
    }};
  }

  void push(std::vector<turn_order> orders) {
    {
      const std::lock_guard lock{mutex_};
      for (auto& o : orders)
        queue_.push_back(std::move(o));
    }
    wake_.notify_one();
  }

  /// After this the thread posts nothing. Waits for it only if it is between
  /// turns, which takes microseconds.
  void end() {
    bool busy = false;
    {
      const std::lock_guard lock{mutex_};
      over_ = true;
      busy = busy_;
    }
    wake_.notify_one();
    if (busy)
      thread_.detach();
    else
      thread_.join();
  }

  /// Grows with every turn that begins or ends.
  [[nodiscard]] std::uint64_t progress() const noexcept { return progress_; }
  [[nodiscard]] std::optional<turn_key> running() {
    const std::lock_guard lock{mutex_};
    return running_;
  }

private:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t results_max = 64;
  static constexpr auto results_wait_max = std::chrono::microseconds{200};

  void work() {
    auto module = linked_ ? result<loaded_module, host_failed>{*linked_}
                          : load_module(options_.file, options_.module);
    if (!module)
      return fail(module.error());
    auto secrets = options_.secrets ? options_.secrets() : bytes{};
    auto runner = module_runner::open(*module, options_.config, secrets);
    wipe(secrets);
    if (!runner)
      return fail(runner.error());
    tell([this, info = module->info] {
      owner_->ready_ = true;
      owner_->handlers_.on_ready(info);
    });
    if (!options_.trail.empty())
      trail_ = turn_trail::open(options_.trail, options_.life);
    std::vector<turn_order> batch;
    while (next_batch(batch))
      run_batch(*runner, batch);
  }

  void fail(host_failed why) {
    why.died_of.known = true; // it ran none of them
    tell([this, why] {
      owner_->end_life();
      owner_->handlers_.on_failed(why);
    });
    set_busy(false);
  }

  bool next_batch(std::vector<turn_order>& batch) {
    batch.clear();
    std::unique_lock lock{mutex_};
    busy_ = false;
    wake_.wait(lock, [&] { return over_ || !queue_.empty(); });
    busy_ = !over_;
    batch.swap(queue_);
    return !over_;
  }

  void run_batch(module_runner& runner, const std::vector<turn_order>& batch) {
    std::vector<turn_result> results;
    auto since = clock::now();
    for (const auto& order : batch) {
      if (!set_running(order.key))
        return;
      if (trail_)
        trail_->begin(order.request.empty()
                          ? bytes{}
                          : trail_request(order.key.group, order.request));
      results.push_back(runner.run(order));
      if (trail_)
        trail_->end();
      ++progress_;
      const auto now = clock::now();
      if (results.size() >= results_max || now - since >= results_wait_max) {
        deliver(results);
        since = now;
      }
    }
    set_running(std::nullopt);
    deliver(results);
  }

  void deliver(std::vector<turn_result>& results) {
    if (results.empty())
      return;
    auto sent = std::make_shared<std::vector<turn_result>>(std::move(results));
    results.clear();
    tell([this, sent] {
      owner_->outstanding_ -= sent->size();
      owner_->watch_.progressed(owner_->clock_());
      owner_->handlers_.on_results(std::move(*sent));
    });
  }

  bool set_running(std::optional<turn_key> key) {
    const std::lock_guard lock{mutex_};
    running_ = std::move(key);
    ++progress_;
    return !over_;
  }
  void set_busy(bool busy) {
    const std::lock_guard lock{mutex_};
    busy_ = busy;
  }

  /// Runs `event` on the loop if this life is still its host's by then. Posts
  /// under the lock: after end() the loop may be gone.
  void tell(std::function<void()> event) {
    const std::lock_guard lock{mutex_};
    if (over_)
      return;
    post_([self = shared_from_this(), event = std::move(event)] {
      if (!self->is_over())
        event();
    });
  }
  bool is_over() {
    const std::lock_guard lock{mutex_};
    return over_;
  }

  thread_host* owner_; ///< loop thread only, and only while not over
  host_options options_;
  post_function post_;
  std::optional<loaded_module> linked_;
  std::unique_ptr<turn_trail> trail_; ///< the thread's
  std::thread thread_;

  std::atomic<std::uint64_t> progress_{0};
  std::mutex mutex_; ///< guards all below
  std::condition_variable wake_;
  std::vector<turn_order> queue_;
  std::optional<turn_key> running_;
  bool busy_ = true; ///< loading, or in a batch
  bool over_ = false;
};

thread_host::thread_host(host_options options, host_handlers handlers,
                         post_function post, clock_function clock,
                         const host_catalog* catalog)
    : options_{std::move(options)}, handlers_{std::move(handlers)},
      post_{std::move(post)}, clock_{std::move(clock)}, catalog_{catalog},
      watch_{options_.turn_time_slow, options_.turn_time_max} {
}

thread_host::~thread_host() {
  stop();
}

void thread_host::start() {
  BANYAN_ASSERT(!life_);
  begin();
}

void thread_host::begin() {
  attempt_ = std::make_shared<char>();
  progress_ = 0;
  watch_.progressed(clock_());
  loaded_module linked;
  const bool from_catalog = options_.file.empty() && catalog_ != nullptr;
  if (from_catalog) {
    auto found = catalog_->find(options_.module);
    if (!found)
      return report(found.error());
    linked = *found;
  }
  life_ = std::make_shared<life>(*this, from_catalog ? &linked : nullptr);
  life_->begin();
}

void thread_host::submit(std::vector<turn_order> orders) {
  if (!life_ || orders.empty())
    return;
  if (outstanding_ == 0)
    watch_.progressed(clock_());
  outstanding_ += orders.size();
  life_->push(std::move(orders));
}

void thread_host::end_life() {
  if (life_)
    life_->end();
  life_.reset();
  ready_ = false;
  outstanding_ = 0;
}

void thread_host::restart() {
  end_life();
  begin();
}

void thread_host::stop() {
  end_life();
  attempt_.reset();
}

time_point thread_host::deadline() const {
  const bool waiting = life_ && (outstanding_ > 0 || !ready_);
  return waiting ? watch_.deadline() : never;
}

void thread_host::on_time(time_point now) {
  if (now < deadline())
    return;
  const std::uint64_t progress = life_->progress();
  if (progress != progress_) {
    progress_ = progress;
    watch_.progressed(now);
    return;
  }
  const auto verdict = watch_.judge(now);
  if (verdict == turn_watch::verdict::slow && handlers_.on_slow)
    handlers_.on_slow(life_->running(), options_.turn_time_slow);
  if (verdict != turn_watch::verdict::hung)
    return;
  host_failed why{host_errc::hung,
                  options_.module + ": a turn ran longer than "
                      + std::to_string(options_.turn_time_max
                                       / std::chrono::milliseconds{1})
                      + " ms",
                  {true, life_->running()}};
  if (!ready_)
    why.message = options_.module + ": loading the module takes too long";
  end_life();
  report(std::move(why));
}

void thread_host::report(host_failed why) {
  post_([this, why = std::move(why), still = std::weak_ptr{attempt_}] {
    if (!still.expired())
      handlers_.on_failed(why);
  });
}

} // namespace banyan
