#pragma once
#include "base/random.hpp"
#include "store/detail/disk_thread.hpp"
#include "store/detail/files.hpp"
#include "store/detail/log_engine.hpp"
#include "store/detail/log_front.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace banyan::store::detail {

/// The log with a writer thread of its own. While one fdatasync runs, orders
/// gather; the next batch takes them all. Destroying it writes and syncs what
/// was submitted, without completions.
class threaded_log final : public log {
public:
  /// Recovers on the calling thread, then starts the writer.
  static result<std::unique_ptr<threaded_log>, store_error>
  open(std::unique_ptr<file_system> files,
       std::unique_ptr<random_source> random, log_options options,
       post_function post, std::function<time_point()> now,
       log_recovery& found);
  ~threaded_log() override;

  void on_done(done_handler handler) override;
  void submit(log_write write) override;
  void cut(const group_id& group, const replica_id& replica,
           log_index index) override;
  void drop(order_id order) override;
  void scrub(log_place from, std::size_t bytes_max,
             scrub_done on_done) override;
  [[nodiscard]] time_point oldest_pending() const override;

private:
  threaded_log(std::unique_ptr<file_system> files,
               std::unique_ptr<random_source> random,
               std::unique_ptr<log_engine> engine, post_function post,
               std::function<time_point()> now);
  void push(log_order order);
  void run();

  std::unique_ptr<file_system> files_;
  std::unique_ptr<random_source> random_;
  std::unique_ptr<log_engine> engine_; ///< writer thread's
  log_front front_;                    ///< loop thread's
  loop_poster post_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<log_order> queue_; ///< under mutex_
  /// Run by the writer between two batches.
  std::deque<std::function<void()>> scrubs_; ///< under mutex_
  bool stop_ = false;                        ///< under mutex_
  std::thread writer_;
};

} // namespace banyan::store::detail
