#include "store/detail/threaded_log.hpp"

#include <pthread.h>

namespace banyan::store::detail {

result<std::unique_ptr<threaded_log>, store_error>
threaded_log::open(std::unique_ptr<file_system> files,
                   std::unique_ptr<random_source> random, log_options options,
                   post_function post, std::function<time_point()> now,
                   log_recovery& found) {
  auto engine = log_engine::open(*files, *random, std::move(options), found);
  if (!engine)
    return failure{engine.error()};
  return std::unique_ptr<threaded_log>{
      new threaded_log{std::move(files), std::move(random), std::move(*engine),
                       std::move(post), std::move(now)}};
}

threaded_log::threaded_log(std::unique_ptr<file_system> files,
                           std::unique_ptr<random_source> random,
                           std::unique_ptr<log_engine> engine,
                           post_function post, std::function<time_point()> now)
    : files_{std::move(files)}, random_{std::move(random)}, engine_{std::move(
                                                                engine)},
      front_{std::move(now)}, post_{std::move(post)}, writer_{
                                                          [this] { run(); }} {
}

threaded_log::~threaded_log() {
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    stop_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

void threaded_log::on_done(done_handler handler) {
  front_.on_done(std::move(handler));
}

void threaded_log::push(log_order order) {
  bool first = false;
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    first = queue_.empty();
    queue_.push_back(std::move(order));
  }
  if (first)
    wake_.notify_one();
}

void threaded_log::submit(log_write write) {
  const auto group = write.order.group;
  push(front_.stamp(std::move(write), group));
}

void threaded_log::cut(const group_id& group, const replica_id& replica,
                       log_index index) {
  push({log_cut{group, replica, index}, 0});
}

void threaded_log::drop(order_id order) {
  const auto group = order.group;
  push(front_.stamp(log_drop{order}, group));
}

void threaded_log::scrub(log_place from, std::size_t bytes_max,
                         scrub_done on_done) {
  {
    const std::lock_guard<std::mutex> hold{mutex_};
    scrubs_.emplace_back(
        [this, from, bytes_max, on_done = std::move(on_done)]() mutable {
          auto found = engine_->scrub(from, bytes_max);
          post_([found = std::move(found), on_done = std::move(on_done)] {
            on_done(found);
          });
        });
  }
  wake_.notify_one();
}

time_point threaded_log::oldest_pending() const {
  return front_.oldest_pending();
}

void threaded_log::run() {
  pthread_setname_np(pthread_self(), "banyan-log");
  std::deque<log_order> taken;
  std::function<void()> scrub;
  bool more = engine_->tidy();
  for (;;) {
    {
      std::unique_lock<std::mutex> hold{mutex_};
      wake_.wait(hold, [&] {
        return stop_ || more || !queue_.empty() || !taken.empty()
               || !scrubs_.empty();
      });
      if (stop_ && queue_.empty() && taken.empty())
        return;
      if (!scrubs_.empty()) {
        scrub = std::move(scrubs_.front());
        scrubs_.pop_front();
      }
      if (taken.empty())
        taken.swap(queue_);
      else
        while (!queue_.empty()) {
          taken.push_back(std::move(queue_.front()));
          queue_.pop_front();
        }
    }
    if (const auto now = std::exchange(scrub, nullptr))
      now();
    engine_->begin(taken);
    std::vector<log_done> done;
    if (engine_->has_batch())
      engine_->finish(done);
    if (!done.empty())
      post_([this, done = std::move(done)] { front_.deliver(done); });
    more = engine_->tidy();
  }
}

} // namespace banyan::store::detail
