#pragma once
#include "store/detail/files.hpp"
#include "store/detail/row_codec.hpp"
#include "store/detail/scrub_pass.hpp"
#include "store/detail/watermark.hpp"
#include "store/errors.hpp"
#include "store/state.hpp"

#include <lmdb.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace banyan::store::detail {

struct lmdb_options {
  std::size_t map_bytes = std::size_t{64} << 30;
  std::size_t bytes_max = 0; ///< soft quota; 0: the map
  /// The file system's type (`statfs`), and whether one is refused.
  std::function<result<std::int64_t, store_error>(const std::string&)> statfs;
};

/// `damaged`, or `unreadable` for another version's.
result<void, store_error> check_format(const_bytes value,
                                       const std::string& path);

/// The newest transaction that is known to have been synced in this folder.
result<std::uint64_t, store_error> committed_transaction(file_system& folder);

/// Rows and metas in LMDB, synchronous. One thread at a time; one instance per
/// file in a process (a second would destroy isolation) and one process.
class lmdb_store {
public:
  using outcome = result<void, state_error>;

  static result<std::unique_ptr<lmdb_store>, store_error>
  open(const std::filesystem::path& dir, const lmdb_options& options,
       std::vector<recovered_state>& found);
  lmdb_store(const lmdb_store&) = delete;
  lmdb_store& operator=(const lmdb_store&) = delete;
  ~lmdb_store();

  using commit_outcome = result<std::vector<digest_at>, state_error>;

  /// One transaction.
  commit_outcome commit(const std::vector<group_commit>& batch);
  /// As `state::commit`.
  state::commit_results commit_each(const std::vector<group_commit>& batch);
  result<std::optional<row>, state_error> read(const group_id& group,
                                               const bytes& key);
  result<scan_page, state_error> scan(const group_id& group,
                                      const scan_request& request);
  result<scrub_page, state_error>
  scrub(const group_id& group, const bytes& from, std::size_t bytes_max);
  outcome stage_begin(const order_id& order);
  outcome stage_put(const order_id& order, const std::vector<row_change>& rows);
  result<digest_at, state_error>
  stage_finish(const order_id& order, const applied_meta& meta,
               const std::optional<state_digest>& expected);
  outcome stage_abort(const order_id& order);
  outcome drop(const order_id& order);

  /// Deletes some rows that nothing refers to; true when more are left.
  bool clean_some();

private:
  struct group_state {
    std::uint64_t number = 0;
    replica_id replica;
    bool damaged = false;
    log_index index; ///< of the stored meta
    state_digest digest;
  };
  struct stage {
    std::uint64_t number = 0;
    order_id order;
    state_digest digest;
  };
  /// Where rows go within one transaction; counts once that is committed.
  struct target {
    group_id group;
    std::uint64_t number = 0;
    state_digest digest;
    std::optional<scrub_pass> pass;
    bool unsure = false; ///< a damaged row went: sum up anew
  };
  class read_txn;
  class write_txn;

  lmdb_store() = default;
  result<void, store_error> lock(const std::filesystem::path& dir);
  result<void, store_error> open_env(const std::filesystem::path& dir,
                                     const lmdb_options& options);
  result<void, store_error> load(std::vector<recovered_state>& found);
  int commit(write_txn& txn);
  state_error fault(int code, const group_id& group, const char* what);
  /// Adds up what is to be written.
  static void count(const std::vector<row_change>& changes, std::size_t& rows,
                    std::size_t& bytes);
  outcome admit(std::size_t rows, std::size_t bytes, const group_id& group);
  bool has_room(std::size_t bytes);
  bool was_cut_short();
  result<std::size_t, int> used_bytes();
  std::optional<state_error> refuses(const group_commit& c) const;
  target target_of(const group_commit& c);
  int put_rows(MDB_txn* txn, target& into, const std::vector<row_change>& rows);
  int sum_up(MDB_txn* txn, target& into);
  int put_meta(MDB_txn* txn, const group_id& group, const group_meta& meta);
  int put_digest(MDB_txn* txn, const target& of);
  static std::optional<state_error>
  too_large(const group_id& group, const std::vector<row_change>& rows);
  stage* stage_of(const order_id& order);
  void check_readers();

  std::unique_ptr<file_system> files_;
  /// The newest transaction that was synced: LMDB doesn't notice when the page
  /// that names it is lost, and goes on from the one before.
  std::optional<watermark> synced_;
  MDB_env* env_ = nullptr;
  MDB_dbi rows_ = 0;
  MDB_dbi groups_db_ = 0;
  std::size_t bytes_max_ = 0;
  std::size_t page_bytes_ = 4096;
  std::size_t allocated_ = 0; ///< of the file, as far as we asked for it
  int lock_ = -1;
  std::pair<std::uint64_t, std::uint64_t> registered_{0, 0};
  bool failed_ = false;
  std::uint64_t next_number_ = 1;
  std::map<group_id, group_state> groups_;
  std::map<group_id, stage> stages_;
  scrub_passes passes_;
  std::vector<std::uint64_t> garbage_; ///< numbers whose rows nobody names
  std::chrono::steady_clock::time_point readers_checked_{};
};

} // namespace banyan::store::detail
