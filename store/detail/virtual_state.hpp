#pragma once
#include "base/random.hpp"
#include "store/detail/virtual_worker.hpp"
#include "store/state.hpp"

#include <map>

namespace banyan::store::detail {

/// What a simulated disk holds of the state; survives restarts.
struct virtual_rows {
  struct stored {
    row content;
    bool rotten = false; ///< its checksum would be wrong
  };
  struct group {
    replica_id replica;
    applied_meta meta;
    std::map<bytes, stored> rows; ///< by scan key
  };
  std::map<group_id, group> groups;
  bool full = false;
};

/// The state's contract over maps in virtual time: a commit happens whole at
/// the end of its time; a crash before that loses it whole.
class virtual_state final : public state {
public:
  struct times {
    std::function<duration()> sync;
    std::function<duration()> read;
  };

  virtual_state(virtual_rows& disk, const schedule_function& schedule,
                life alive, times takes)
      : disk_{disk}, takes_{std::move(takes)}, worker_{schedule,
                                                       std::move(alive)} {}

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
  using outcome = result<void, state_error>;
  struct stage {
    order_id order;
    std::map<bytes, virtual_rows::stored> rows;
  };

  outcome commit_now(const std::vector<group_commit>& batch);
  result<std::optional<row>, state_error> read_now(const group_id& group,
                                                   const bytes& key) const;
  scan_page scan_now(const group_id& group, const scan_request& request) const;
  stage* stage_of(const order_id& order);
  [[nodiscard]] outcome admit(const group_id& group,
                              const std::vector<row_change>& rows) const;

  virtual_rows& disk_;
  times takes_;
  std::map<group_id, stage> stages_;
  virtual_worker worker_;
};

} // namespace banyan::store::detail
