#pragma once
#include "base/random.hpp"
#include "store/detail/scrub_pass.hpp"
#include "store/detail/virtual_worker.hpp"
#include "store/state.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace banyan::store::detail {

/// What a simulated disk holds of the state; survives restarts.
struct virtual_rows {
  struct stored {
    row content;
    digest hash;         ///< as it was written; rot doesn't reach it
    bool rotten = false; ///< its seal would be wrong
    /// It lies under another key than it was written with: the seal covers the
    /// key, so that it shows, but only to who meets it.
    bool misnamed = false;
  };
  struct group {
    replica_id replica;
    applied_meta meta;
    std::map<bytes, stored> rows; ///< by scan key
    state_digest digest;          ///< as kept; rows may have gone since
    bool rotten = false;          ///< the meta's checksum would be wrong
  };
  using groups_by_id = std::map<group_id, group>;

  groups_by_id groups;
  bool torn = false; ///< its structure is bad: a check gives it up
  std::map<std::string, groups_by_id> aside;
  std::uint64_t aside_number = 0;
  std::uint64_t commits = 0;
  bool full = false;
  unsigned failing_commits = 0; ///< so many end with `io`
  unsigned failing_reads = 0;
  bool misdirect = false; ///< the next row lands under another's key
  std::function<void(const group_id&, const replica_id&, const applied_meta&,
                     const state_digest&)>
      on_commit;

  /// What `verify_state` would say: empty when it may be opened.
  [[nodiscard]] std::string check() const;
};

/// The digest of the rows that are there.
state_digest sum_of(const virtual_rows::group& g);

/// The state's contract over maps in virtual time: a commit happens whole at
/// the end of its time; a crash before that loses it whole.
class virtual_state final : public state {
public:
  struct times {
    std::function<duration()> sync;
    std::function<duration()> read;
    /// Of the check at open; nothing: trusted, open at once.
    std::optional<duration> check;
    /// One more change of the disk; false when its power was cut by it.
    std::function<bool()> change;
  };

  /// `owner` keeps `disk` and `schedule` alive.
  virtual_state(std::shared_ptr<void> owner, virtual_rows& disk,
                const schedule_function& schedule, life alive, times takes);

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

  /// Empty until it is open.
  [[nodiscard]] const state_opening& opening() const { return opening_; }

private:
  using outcome = result<void, state_error>;
  struct stage {
    order_id order;
    std::map<bytes, virtual_rows::stored> rows;
    state_digest digest;
  };

  void open_now(bool checked);
  commit_results commit_now(const std::vector<group_commit>& batch);
  outcome refuses(const group_commit& c) const;
  outcome readable(const group_id& group, const bytes& key);
  result<std::optional<row>, state_error> read_now(const group_id& group,
                                                   const bytes& key);
  result<scan_page, state_error> scan_now(const group_id& group,
                                          const scan_request& request);
  result<scrub_page, state_error>
  scrub_now(const group_id& group, const bytes& from, std::size_t bytes_max);
  outcome put_now(const order_id& order, const std::vector<row_change>& rows);
  result<digest_at, state_error>
  finish_now(const order_id& order, const applied_meta& meta,
             const std::optional<state_digest>& expected);
  stage* stage_of(const order_id& order);
  [[nodiscard]] outcome admit(const group_id& group,
                              const std::vector<row_change>& rows) const;
  void put_rows(const group_id& group,
                std::map<bytes, virtual_rows::stored>& into,
                state_digest& digest, const std::vector<row_change>& rows,
                scrub_pass* pass);
  /// Runs `job` in its turn and tells its result.
  template <class Job, class Done>
  void run(const std::function<duration()>& takes, Job job, Done on_done);

  std::shared_ptr<void> owner_;
  virtual_rows& disk_;
  times takes_;
  std::map<group_id, stage> stages_;
  scrub_passes passes_;
  std::set<group_id> damaged_; ///< their meta was bad at open
  state_opening opening_;
  virtual_worker worker_;
};

} // namespace banyan::store::detail
