#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace banyan {

/// A voter or learner of a group: one life of a log on one node. A node whose
/// log may have lost anything comes back under a new replica id.
struct replica_ref {
  node_id node;
  replica_id replica;
  friend bool operator==(const replica_ref& a, const replica_ref& b) {
    return a.node == b.node && a.replica == b.replica;
  }
  friend bool operator!=(const replica_ref& a, const replica_ref& b) {
    return !(a == b);
  }
  friend bool operator<(const replica_ref& a, const replica_ref& b) {
    return a.node != b.node ? a.node < b.node : a.replica < b.replica;
  }
};

/// What the log can hold. Numbers are on disk and on the wire: never reused.
enum class entry_kind : std::uint8_t {
  no_op = 0,         ///< A new leader's first entry; no data.
  command = 1,       ///< Opaque to Raft and log: the replica's effects.
  configuration = 2, ///< A membership change of the group (Raft's own).
};

struct log_entry {
  banyan::term term;
  log_index index;
  entry_kind kind = entry_kind::no_op;
  shared_bytes data;
};

/// What a voter may never forget. Synced before a message that rests on it.
struct hard_state {
  banyan::term term;
  std::optional<replica_ref> vote;
  friend bool operator==(const hard_state& a, const hard_state& b) {
    return a.term == b.term && a.vote == b.vote;
  }
};

/// Where a log begins: just behind a snapshot. Zero for a fresh log.
struct log_base {
  log_index index;
  banyan::term term;
  digest hash; ///< the hash chain up to and with `index`
};

} // namespace banyan
