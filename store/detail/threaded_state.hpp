#pragma once
#include "store/detail/disk_thread.hpp"
#include "store/detail/lmdb_store.hpp"
#include "store/detail/worker_thread.hpp"

#include <memory>

namespace banyan::store::detail {

/// The state in LMDB, used on the store thread.
class threaded_state final : public state {
public:
  threaded_state(std::unique_ptr<lmdb_store> store,
                 std::shared_ptr<worker_thread> worker, post_function post);
  /// Waits for what was submitted, then closes the database.
  ~threaded_state() override;

  void commit(std::vector<group_commit> batch, done on_done) override;
  void read(const group_id& group, bytes key, read_done on_done) override;
  void scan(const group_id& group, scan_request request,
            scan_done on_done) override;
  void stage_begin(order_id order, done on_done) override;
  void stage_put(order_id order, std::vector<row_change> rows,
                 done on_done) override;
  void stage_finish(order_id order, applied_meta meta, done on_done) override;
  void stage_abort(order_id order, done on_done) override;
  void drop(order_id order, done on_done) override;

private:
  /// Runs `job` on the store thread and its result through `on_done` here.
  template <class Job, class Done>
  void run(Job job, Done on_done);
  void clean_later();

  std::shared_ptr<lmdb_store> store_; ///< the store thread's
  std::shared_ptr<worker_thread> worker_;
  std::shared_ptr<loop_poster> post_;
};

} // namespace banyan::store::detail
