#pragma once
#include "store/detail/disk_thread.hpp"
#include "store/detail/lmdb_store.hpp"
#include "store/detail/worker_thread.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace banyan::store::detail {

/// The state in LMDB, used on the store thread. Orders wait until it is open.
class threaded_state final : public state {
public:
  /// What opening gave; without a store every order fails with
  /// `opening.error`.
  struct opened {
    std::unique_ptr<lmdb_store> store;
    state_opening opening;
  };

  /// Closed until `open`.
  threaded_state(std::shared_ptr<worker_thread> worker, post_function post);
  /// Waits for what was submitted, then closes the database. What came before
  /// the state was open is dropped.
  ~threaded_state() override;

  /// Once: runs `how` on the store thread, and then all that waits.
  void open(std::function<opened()> how);

  /// `open`, for one who may come after this was destroyed. Loop thread.
  using opener = std::function<void(std::function<opened()>)>;
  [[nodiscard]] std::weak_ptr<const opener> door() const { return door_; }

  void on_open(open_handler handler) override;
  void commit(std::vector<group_commit> batch, commit_done on_done) override;
  void read(const group_id& group, bytes key, read_done on_done) override;
  void scan(const group_id& group, scan_request request,
            scan_done on_done) override;
  void scrub(const group_id& group, bytes from, std::size_t bytes_max,
             scrub_done on_done) override;
  void stage_begin(order_id order, done on_done) override;
  void stage_put(order_id order, std::vector<row_change> rows,
                 done on_done) override;
  void stage_finish(order_id order, applied_meta meta,
                    std::optional<state_digest> expected,
                    finish_done on_done) override;
  void stage_abort(order_id order, done on_done) override;
  void drop(order_id order, done on_done) override;

private:
  /// Runs `job` on the store thread and its result through `on_done` here.
  template <class Job, class Done>
  void run(Job job, Done on_done);
  void push(std::function<void()> job);
  void clean_later();

  /// The store thread's, once it is open.
  std::shared_ptr<opened> state_ = std::make_shared<opened>();
  std::shared_ptr<worker_thread> worker_;
  std::shared_ptr<loop_poster> post_;
  std::shared_ptr<const opener> door_ = std::make_shared<const opener>(
      [this](std::function<opened()> how) { open(std::move(how)); });
  bool opening_ = false;
  std::vector<std::function<void()>> held_; ///< until `open`
};

} // namespace banyan::store::detail
