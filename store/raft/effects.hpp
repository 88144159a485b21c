#pragma once
#include "base/time.hpp"
#include "store/raft/configuration.hpp"
#include "store/raft/messages.hpp"

#include <optional>
#include <variant>
#include <vector>

namespace banyan::raft {

enum class role : std::uint8_t { follower, pre_candidate, candidate, leader };

/// Why a leader is believed to be gone.
enum class evidence : std::uint8_t {
  end_of_stream,      ///< its link ended
  refused,            ///< nobody listens at its address
  higher_incarnation, ///< its node lives again: this leadership died with it
  silence,            ///< the membership layer hears nothing from it
  stopped,            ///< it said so itself
};

/// Put this message on its way. Everything that must be durable before it
/// leaves has been: effects need no waiting of their own.
struct send {
  raft::message message;
};

/// Write to the log, in the order given, and call `persisted(number)` once it
/// is synced. Numbers rise by one; a completion covers all lower numbers.
struct persist {
  std::uint64_t number = 0;
  banyan::term term; ///< the core's, to go with the order
  /// The log is forgotten and begins anew behind this snapshot (after
  /// `install`); its `hash` is as given to `install`.
  std::optional<log_base> reset;
  std::optional<hard_state> state;
  /// Consecutive; whatever stood at or behind the first index is replaced.
  std::vector<log_entry> entries;
};

/// These entries are committed, in order, each exactly once per life. They may
/// not be durable here yet: see `core::persisted_index`.
struct committed {
  std::vector<log_entry> entries;
};

/// Entries from this index on are gone from this log: overlays drop them.
/// Comes before the `persist` that writes their replacement.
struct truncated {
  log_index from;
};

/// Role, term or known leader changed. A new leader's `last` is the index up to
/// which an overlay must reach before it takes a turn; nothing is released
/// before `own_term_committed`.
struct role_changed {
  raft::role role = role::follower;
  banyan::term term;
  std::optional<replica_ref> leader;
  log_index last;
};
/// This leader's no-op is committed: it may release.
struct own_term_committed {
  banyan::term term;
};

/// These queries (contexts given to `read`) may be answered from any state
/// that covers `index`.
struct reads_confirmed {
  std::vector<std::uint64_t> contexts;
  log_index index;
};
/// The leadership ended first: ask the next leader.
struct reads_dropped {
  std::vector<std::uint64_t> contexts;
};

/// A leader confirmed its quorum after `asked`: once this replica has applied
/// `index`, its state is no older than `asked`.
struct fresh {
  time_point asked;
  log_index index;
};

/// `peer` needs entries that are trimmed: send it a snapshot. Repeated after a
/// while unless `snapshot_started` was called.
struct needs_snapshot {
  replica_ref peer;
};

/// The configuration in force changed: in force from the moment that its entry
/// is in the log, so `committed` is false at first; it may also be undone by a
/// truncation. `committed` true: it stays.
struct configuration_changed {
  log_index index;
  raft::configuration configuration;
  bool committed = false;
};

/// `peer` said that it has no such replica: replace it as a lost disk.
struct replica_lost {
  replica_ref peer;
};

/// `peer` acknowledged the entry at `index` and refuses it now: its disk is an
/// older one, and its vote may be lost, too. It counts for nothing any more;
/// replace it as a lost disk. Repeated while it goes on.
struct log_lost {
  replica_ref peer;
  log_index index;
  banyan::term term; ///< of that entry
};

/// Somebody wants to stand while this replica still believes in `leader`:
/// find out at once, by every means, and call `leader_lost` if it is gone.
/// (The core has sent a `probe` by itself.)
struct probe_leader {
  replica_ref leader;
};

/// The leader said that it stops, and named nobody to follow it: rank this
/// replica and call `leader_lost`.
struct leader_stopped {
  replica_ref leader;
  banyan::term led;
};

/// The group sleeps under this leader: no timer, no beat. `incarnation` is its
/// node's; a higher one is evidence.
struct asleep {
  replica_ref leader;
  banyan::term term;
  banyan::incarnation incarnation;
};
struct awake {};

/// The end of a `transfer`: `done` when somebody else leads a later term.
struct transfer_ended {
  replica_ref to;
  bool done = false;
};

using effect =
    std::variant<send, persist, committed, truncated, role_changed,
                 own_term_committed, reads_confirmed, reads_dropped, fresh,
                 needs_snapshot, configuration_changed, replica_lost, log_lost,
                 probe_leader, leader_stopped, asleep, awake, transfer_ended>;

} // namespace banyan::raft
