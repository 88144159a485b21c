#pragma once
#include "actors/pure/replica/rows.hpp"
#include "actors/pure/versions.hpp"

#include <variant>

/// What command entries of the log hold. Canonical, versioned; every replica
/// derives the same rows from them. On disk: types and fields are only added,
/// and a new type is written only once all voters know it.
namespace banyan::replica {

/// How a command ended, as it is kept for a retry.
struct answer {
  reply_status status = reply_status::ok;
  bytes result;
  std::string code;
  std::string message;
};
bytes encode(const answer& a);
bool decode(const_bytes in, answer& out);

using hash16 = std::array<std::uint8_t, 16>;

// Who asked for a turn.
struct by_session {
  std::uint64_t session = 0;
  std::uint64_t number = 0;
  std::uint64_t floor = 0;
};
struct by_idempotency {
  hash16 key{};  ///< of actor and key
  hash16 body{}; ///< of command and argument
};
struct by_stream {
  group_id from;
  lineage_id lineage;
  std::uint64_t number = 0;
};
struct by_timer {
  bytes id;         ///< see `timer_row`
  log_index set_at; ///< the entry that set it
};
using turn_by = std::variant<std::monostate, by_session, by_idempotency,
                             by_stream, by_timer>;

/// The request's name for poison records and duplicate checks; empty when it
/// has none.
bytes request_key(const turn_by& by, std::string_view actor);

/// A message that goes into the outbox; its number is in `message`.
struct outgoing {
  group_id to;
  stream_message message;
};
struct timer_value {
  duration due{}; ///< log time
  std::string command;
  bytes argument;
};
struct timer_set {
  bytes id; ///< empty: unnamed
  timer_value value;
};
bytes encode(const timer_value& t);
bool decode(const_bytes in, timer_value& out);

/// One turn: every command makes one, whatever came of it.
struct turn_entry {
  turn_by by;
  std::string actor;
  replica::answer answer;
  std::optional<shared_bytes> state; ///< none: unchanged
  bool removed = false;
  std::vector<turn_row> rows;
  std::vector<outgoing> sends;
  std::vector<timer_set> timers;
  std::vector<bytes> cancelled; ///< timer ids
  /// Idempotency keys of entries up to it are forgotten.
  log_index idempotency_floor;
  /// The first write in this group under that state version; 0: not a first.
  /// Needs `feature::versions`.
  std::uint32_t first_of_state_version = 0;
};
struct open_session_entry {
  std::vector<std::uint64_t> closed; ///< the longest idle, to make room
};
struct close_sessions_entry {
  std::vector<std::uint64_t> closed;
};
struct poison_record {
  node_id node;
  banyan::incarnation incarnation;
};
struct poison_entry {
  struct item {
    bytes request;
    std::vector<poison_record> records; ///< all that stand, the new one too
  };
  std::vector<item> items;
};
struct stream_ack_entry {
  struct item {
    group_id to;
    std::uint64_t acknowledged = 0;
  };
  std::vector<item> items;
};
struct stop_entry {
  bool stopped = false;
};
/// Every replica stores its state exactly as this entry leaves it, so that the
/// digests can be compared. Part of version 1: every release knows it.
struct checkpoint_entry {};
/// From here on entries may need these bits: whoever lacks one of them can't
/// hold a replica of this group. Written once every node that has one knows
/// them; so is, whatever its number, each entry that needs one.
struct features_entry {
  feature_bits bits = 0;
};
/// Which version of the app runs from here on, whole: the row that it leaves.
struct version_entry {
  group_versions versions;
  /// Turns may have been taken before any entry named a version: this state
  /// version counts as written.
  bool written = false;
};
using entry_body =
    std::variant<turn_entry, open_session_entry, close_sessions_entry,
                 poison_entry, stream_ack_entry, stop_entry, checkpoint_entry,
                 features_entry, version_entry>;

struct entry {
  duration log_time{}; ///< since the group's birth, at this entry
  entry_body body;
};
bytes encode(const entry& e);
/// False on anything that this version can't have written.
bool decode(const_bytes in, entry& out);
/// It can't be read by who knows these bits, but a later version may well have
/// written it: another version of entries, a kind beyond the known ones, or
/// bits that are asked for.
bool is_later(const_bytes in, feature_bits known);

bytes encode(const state_written& w);
bool decode(const_bytes in, state_written& out);
bytes encode_bits(feature_bits bits);
bool decode_bits(const_bytes in, feature_bits& out);

bytes encode(const std::vector<poison_record>& records);
bool decode(const_bytes in, std::vector<poison_record>& out);

/// The replica's own part of `store::applied_meta`.
struct meta_opaque {
  duration log_time{};
};
bytes encode(const meta_opaque& m);
bool decode(const_bytes in, meta_opaque& out);

hash16 idempotency_key_hash(std::string_view actor, std::string_view key);
hash16 body_hash(std::string_view command, const_bytes argument);

} // namespace banyan::replica
