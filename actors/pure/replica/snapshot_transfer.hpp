#pragma once
#include "actors/pure/replica/tables.hpp"

#include <optional>

/// Fuzzy snapshots: the receiver pulls rows in chunks (key ranges, each with a
/// hash) that were read at applied indexes between i and j, then the entries
/// (i, j], and switches to j in one transaction. Every row change is absolute,
/// so replaying entries over rows that hold some of them already ends right.
namespace banyan::replica {

/// "There is a snapshot for you." Resumable as long as `log_base` is not past
/// the index at which the receiver began.
struct snapshot_offer {
  std::uint64_t number = 0;
  log_index index;    ///< i: the rows are at least this new
  log_index log_base; ///< entries behind it can be had
};
struct snapshot_pull {
  enum class part : std::uint8_t {
    rows = 0,
    entries = 1,
    done = 2,
    mismatch = 3, ///< what came doesn't add up to the digest that came with it
  };
  std::uint64_t number = 0;
  part what = part::rows;
  bytes from;      ///< rows: where to begin (as in `store::scan_request`)
  log_index index; ///< entries: the first wanted; done: where it switched to
};
struct snapshot_chunk {
  std::uint64_t number = 0;
  bytes from; ///< echo
  bytes next; ///< empty: that was all
  log_index applied;
  std::vector<store::row> rows;
  digest hash; ///< over the rows
};
struct snapshot_entries {
  std::uint64_t number = 0;
  std::vector<log_entry> entries;
  /// With the last ones: where the receiver stands once it has applied them.
  std::optional<store::applied_meta> meta;
  /// Of the rows there; nothing: the sender doesn't know it.
  std::optional<store::state_digest> digest;
};
digest hash_rows(const std::vector<store::row>& rows);

bytes encode(const snapshot_offer& m);
bytes encode(const snapshot_pull& m);
bytes encode(const snapshot_chunk& m);
bytes encode(const snapshot_entries& m);
bool decode(const_bytes in, snapshot_offer& out);
bool decode(const_bytes in, snapshot_pull& out);
/// Checks the hash, too.
bool decode(const_bytes in, snapshot_chunk& out);
bool decode(const_bytes in, snapshot_entries& out);

/// What the sender keeps per receiver.
struct snapshot_offer_state {
  std::uint64_t number = 0;
  log_index index;
  time_point last_heard;
  time_point offered;
  /// For a replica that lost its state and has its log: entries go on to it
  /// meanwhile, and any voter with a whole state may be the sender.
  bool rebuild = false;
  std::uint64_t pin = 0; ///< with `rebuild`: keeps the entries that it needs
};

/// What the receiver keeps. Lost in a crash: it begins again.
struct snapshot_install {
  replica_ref from;
  std::uint64_t number = 0;
  log_index begin;  ///< i: the smallest applied index of any part
  log_index newest; ///< the largest applied index of any chunk
  bytes position;
  bool rows_done = false;
  bool finishing = false;
  log_index next_entry;
  group_tables tables;
  duration log_time{};
  store::order_id stage;
  unsigned staging = 0; ///< stage orders under way
  std::optional<store::applied_meta> meta;
  std::optional<store::state_digest> digest;
  time_point last_pull;
  time_point last_heard; ///< an offer, rows or entries came
};

} // namespace banyan::replica
