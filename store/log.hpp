#pragma once
#include "base/time.hpp"
#include "store/errors.hpp"
#include "store/order.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace banyan::store {

/// The hash chain of a log: BLAKE2b-256 over the hash of everything before ‖
/// term ‖ index ‖ kind ‖ data (numbers as 8, 8 and 1 little-endian bytes). Two
/// logs with one hash at an index hold the same entries up to it.
digest chain_hash(const digest& previous, const log_entry& entry);

/// One order to the log. Its parts take effect together, in the order of the
/// members below, or not at all.
struct log_write {
  order_id order;
  /// Drop whatever the group's log holds and begin just behind `*reset`: for
  /// an installed snapshot. Needed when `order.replica` differs from the one
  /// that wrote last. A group not seen before begins at zero without it.
  std::optional<log_base> reset;
  std::optional<hard_state> hard;
  /// Ascending without gaps. The first one truncates every entry of the group
  /// at or past its index; it is above the base and at most one past the end.
  std::vector<log_entry> entries;
};

/// A `log_write` that is on disk (synced), or why it is not.
struct log_done {
  order_id order;
  /// `full`: nothing of it counts, and neither does any later write of the
  /// group given before this was delivered: those fail with `stale`. `io`: for
  /// good. `too_large`: over `log::order_bytes_max`.
  std::optional<store_errc> error;
  /// The chain hash at each entry of the order; empty on error.
  std::vector<digest> hashes;
};

/// What one group's log held at open.
struct recovered_log {
  group_id group;
  replica_id replica;
  hard_state hard;
  log_base base;
  std::vector<log_entry> entries; ///< base.index + 1 and on
  digest end_hash;                ///< base.hash when there are no entries
  /// Entries or a vote that had been synced are, or may be, gone. The group
  /// must not vote or append under this replica id again; `entries` is what
  /// could be saved. Reported at every open until the group is dropped or reset
  /// under another replica id.
  bool damaged = false;
  std::string damage; ///< what is missing, for people
};

struct log_recovery {
  std::vector<recovered_log> logs; ///< by group
  /// True when bytes inside the synced length were bad: then every group that
  /// can't be proved whole is marked damaged, and the bytes were set aside.
  bool damaged = false;
  std::vector<std::string> set_aside; ///< files kept for `recover`
  /// Bytes of a last batch that was never synced; normal after a power cut.
  std::uint64_t torn_bytes = 0;
};

/// Where a scrub of the log goes on; a default one begins a pass.
struct log_place {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
};

/// What one piece of a scrub read.
struct log_scrub {
  std::uint64_t bytes_read = 0;
  std::optional<log_place> next; ///< nothing: the pass is over
  /// Bad bytes, for people: segment and place.
  std::vector<std::string> damage;
  /// Groups whose entries lay there. What the replica still holds in memory is
  /// the truth: it gives its log again (one write with `reset`, `hard` and all
  /// entries), or gives itself up. A restart before that finds it damaged.
  std::vector<group_id> groups;
};

/// Votes, terms and entries of all groups of a node, in one sequence of synced
/// batches: all orders that wait share one write and one fdatasync.
///
/// Loop thread only. Orders take effect in the order given; completions come in
/// the same order, on the loop thread, never inside `submit`. A crash leaves
/// every completed order, and of the others a prefix, each whole or not at all.
/// After a completion with `io` all later orders fail with `io`. None comes
/// after the log was destroyed; what had been submitted may still get written.
class log {
public:
  /// The entries' bytes in one order.
  static constexpr std::size_t order_bytes_max = std::size_t{16} << 20;

  /// A write that found the log full is given again sooner than that, or not
  /// at all: a group that is silent for longer has nothing to write any more.
  static constexpr duration full_patience = std::chrono::seconds{5};

  using done_handler = std::function<void(const std::vector<log_done>&)>;

  virtual ~log() = default;

  /// Where completions go: all of one wake-up in one call. Set it before the
  /// first `submit`; it may call back into the log.
  virtual void on_done(done_handler handler) = 0;

  virtual void submit(log_write write) = 0;

  /// The log may forget entries up to and with `index`: their effects are in a
  /// state commit that returned. Never past what was submitted; lower than the
  /// base is ignored. No completion: a crash may bring the entries back.
  virtual void cut(const group_id& group, const replica_id& replica,
                   log_index index) = 0;

  /// Forgets the group: log, vote and replica id. Completes as an order.
  virtual void drop(order_id order) = 0;

  using scrub_done = std::function<void(const log_scrub&)>;
  /// Re-reads about `bytes_max` synced bytes from `from` on (one batch at
  /// least) and verifies checksums and hash chains, between two batches of
  /// writing. Completes on the loop thread. A segment with bad bytes is left
  /// then: what is whole in it is written anew elsewhere, and it is set aside
  /// when no group needs it any more. A start after that finds no damage.
  virtual void scrub(log_place from, std::size_t bytes_max,
                     scrub_done on_done) = 0;

  /// When the oldest order without completion was submitted, or the first one
  /// of a group that found the log `full`, has written nothing since and still
  /// tries (`full_patience`); `never` when there is none. A leader whose disk
  /// hangs or is full is seen by this.
  [[nodiscard]] virtual time_point oldest_pending() const = 0;
};

} // namespace banyan::store
