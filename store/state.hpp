#pragma once
#include "base/result.hpp"
#include "store/errors.hpp"
#include "store/order.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace banyan::store {

/// What a group's rows are, in 32 bytes: the sum of their `row_hash`es as four
/// little-endian u64 lanes mod 2^64. The order of writes doesn't matter; two
/// replicas with the same rows have the same digest. All zero: no rows.
using state_digest = strong_bytes<struct state_digest_tag, 32>;

/// BLAKE2b-256 over app ‖ shard ‖ index ‖ length of key ‖ key ‖ value.
digest row_hash(const group_id& group, const_bytes key, log_index index,
                const_bytes value);
void add(state_digest& sum, const digest& row_hash);
void subtract(state_digest& sum, const digest& row_hash);

/// A state operation that failed; `damaged` names the row.
struct state_error {
  store_errc code = store_errc::io;
  std::string message;
  group_id group;
  bytes key; ///< of the damaged row
};

/// A row as stored: `index` is the entry that wrote it.
struct row {
  bytes key;
  shared_bytes value;
  log_index index;
};

/// Writes a row, or erases it when there is no value.
struct row_change {
  bytes key;
  std::optional<shared_bytes> value;
  log_index index;
};

/// Up to where a group's rows stand.
struct applied_meta {
  log_index index;
  banyan::term term;
  digest hash;         ///< the log's hash chain at `index`
  bytes configuration; ///< Raft's, as of `index`
  bytes opaque;        ///< the replica's own
};

/// A group's digest and the applied index that it stands for. While a row that
/// was put back without meta is newer than that index, it stands for neither.
struct digest_at {
  group_id group;
  log_index index;
  state_digest digest;
};

/// What one group contributes to a commit.
struct group_commit {
  order_id order;
  /// Applied in the order given. The same key may come twice.
  std::vector<row_change> rows;
  /// Absent when a damaged row is only put back.
  std::optional<applied_meta> meta;
  /// A few bytes that may take the room which is kept for what only takes away.
  bool essential = false;
};

struct scan_request {
  bytes prefix; ///< at most `scan_prefix_max` bytes
  /// Where to begin, inclusive: empty, `scan_key(key)`, or `scan_page::next`.
  bytes from;
  std::size_t bytes_max = std::size_t{1} << 20; ///< keys + values; one row at
                                                ///< least is returned
  std::size_t rows_max = 10'000;
};

struct scan_page {
  std::vector<row> rows; ///< in the order of `scan_key`
  bytes next;            ///< where the next page begins; empty at the end
  /// Scan keys in this range whose row is damaged; they are not in `rows`.
  std::vector<bytes> damaged;
};

/// A piece of the re-reading of a group's rows.
struct scrub_page {
  bytes next; ///< where the next piece begins; empty: the pass is over
  std::uint64_t rows = 0;
  std::uint64_t bytes_read = 0;
  std::vector<bytes> damaged; ///< scan keys of rows with a wrong checksum
  /// With the last piece of a pass without a break and without damage: whether
  /// the rows' digest, computed anew, is the one that is kept. False (also
  /// before the end, which then doesn't come): rows are gone, old or too many,
  /// or a key is damaged, and the group's state has to be rebuilt.
  std::optional<bool> digest_matches;
};

/// A group found at open.
struct recovered_state {
  group_id group;
  replica_id replica;
  applied_meta meta;
  bool damaged = false; ///< the meta can't be read: rebuild from the others
  state_digest digest;  ///< at `meta.index`
};

/// How the state came up. Groups not named have no state here.
struct state_opening {
  std::vector<recovered_state> groups; ///< by group
  /// The check called it bad: it was set aside under this name, and a new one
  /// was begun. Every group that had a state here has lost it.
  std::optional<std::string> set_aside;
  std::string damage; ///< what was found bad, for people
  /// It can't be opened at all; every order fails with this.
  std::optional<store_error> error;
};

/// Keys longer than `row_key_plain_max` are stored under their first
/// `scan_prefix_max` bytes ‖ 0xff ‖ hash, the same on every node: rows come in
/// the order of this form. Shorter keys are their own scan key.
bytes scan_key(const_bytes key);
inline constexpr std::size_t row_key_plain_max = 480;
inline constexpr std::size_t scan_prefix_max = 448;
/// Longer keys and values are `too_large`.
inline constexpr std::size_t row_key_max = std::size_t{1} << 16;
inline constexpr std::size_t row_value_max = std::size_t{1} << 30;

/// The applied state of all groups on this node: rows (key → value) per group.
/// What it holds can be rebuilt from log and other voters.
///
/// Loop thread only; every call returns at once and completes later on the loop
/// thread, in the order given: a read sees every commit submitted before it. A
/// commit is one transaction, synced before it completes; a crash leaves all of
/// it or nothing. Reading a row with a bad checksum gives `damaged`, never
/// bytes. Nothing completes after the state was destroyed. Until it is open
/// (its check may take long) orders wait.
class state {
public:
  using done = std::function<void(result<void, state_error>)>;
  using read_done =
      std::function<void(result<std::optional<row>, state_error>)>;
  using scan_done = std::function<void(result<scan_page, state_error>)>;

  /// For each part of the batch, in its order.
  using commit_results = std::vector<result<digest_at, state_error>>;
  using commit_done = std::function<void(commit_results)>;
  using finish_done = std::function<void(result<digest_at, state_error>)>;
  using scrub_done = std::function<void(result<scrub_page, state_error>)>;
  using open_handler = std::function<void(const state_opening&)>;

  virtual ~state() = default;

  /// Calls `handler` once, when the state is open: on the loop thread, never
  /// inside this call, also when it has been open for long. Before any order
  /// that was given after this completes.
  virtual void on_open(open_handler handler) = 0;

  /// All groups in one transaction; when that is refused each group in one of
  /// its own, so that none answers for another. Of one group all parts are
  /// stored or none is. `full`: nothing of it changed; a commit that only
  /// erases still works then. `stale`: the group's rows belong to another
  /// replica id (a new one begins with a stage or a drop), or there are none
  /// yet and `meta` is absent. Overwriting or erasing a damaged row computes
  /// the group's digest anew from all its rows: rare, and may take long.
  virtual void commit(std::vector<group_commit> batch, commit_done on_done) = 0;

  /// The row, nothing when there is none, or `damaged`. A scan is `damaged` as
  /// a whole, without a key, when it can't be told which rows are missing.
  virtual void read(const group_id& group, bytes key, read_done on_done) = 0;
  virtual void scan(const group_id& group, scan_request request,
                    scan_done on_done) = 0;

  /// Re-reads and verifies rows from `from` on (empty: begins a pass; else
  /// `scrub_page::next`), about `bytes_max` of them. Commits may come between
  /// the pieces of a pass. One pass at a time per group.
  virtual void scrub(const group_id& group, bytes from, std::size_t bytes_max,
                     scrub_done on_done) = 0;

  /// Staged install of a snapshot: rows are written beside the live ones and
  /// replace them in one transaction at `stage_finish`. One stage per group; a
  /// second begin drops the first; a crash drops it. The others answer `stale`
  /// when `order.replica` or `order.number` isn't that of the stage's begin.
  /// `stage_finish` with the sender's digest at `meta.index`: `mismatch` when
  /// the staged rows are others; then nothing is switched and the stage is
  /// gone.
  virtual void stage_begin(order_id order, done on_done) = 0;
  virtual void stage_put(order_id order, std::vector<row_change> rows,
                         done on_done) = 0;
  virtual void stage_finish(order_id order, applied_meta meta,
                            std::optional<state_digest> expected,
                            finish_done on_done) = 0;
  virtual void stage_abort(order_id order, done on_done) = 0;

  /// Forgets a group: rows, meta and stage. A state that was found wrong goes
  /// the same way, whatever replica id wrote it.
  virtual void drop(order_id order, done on_done) = 0;
};

} // namespace banyan::store
