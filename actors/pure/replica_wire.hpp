#pragma once
#include "base/bytes.hpp"
#include "base/codec.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// What travels between routers and replicas (`request_frame`, `reply_frame`,
/// on the request and reply channels) and between the replicas of one group or
/// of two groups (`group_frame`, `stream_frame`, on the group and bulk
/// channels). Plain data with canonical codecs: `encode` appends to a buffer,
/// `decode` gives `false` on anything but a whole well-formed frame, whatever
/// the bytes. A pure library: no thread, no clock.
namespace banyan {

/// Bounds that every decoder enforces before it allocates.
inline constexpr std::size_t actor_key_bytes_max = 255;
inline constexpr std::size_t name_bytes_max = 255; ///< app, command, query
inline constexpr std::size_t argument_bytes_max = std::size_t{1} << 20;
inline constexpr std::size_t load_bytes_max = std::size_t{7} << 20;
inline constexpr std::size_t result_bytes_max = std::size_t{1} << 20;
inline constexpr std::size_t message_text_bytes_max = 4096;
inline constexpr std::size_t idempotency_key_bytes_max = 255;

/// @name Queries of the runtime's own, which no app code runs for
/// An actor's stored state: [index, blob or nil].
/// A newer one than that of an index (uint; nothing: the present one), as soon
/// as there is one; the same answer.
/// Actors of the group by key: [prefix, behind this key, at most so many] →
/// [[key…], more]. The frame's key is ignored.
/// @{
inline constexpr std::string_view look_state = "_state";
inline constexpr std::string_view look_watch = "_watch";
inline constexpr std::string_view look_list = "_ls";
/// @}

/// The shard of `key` in an app of `shards` groups (at least 1). Part of the
/// stored format: FNV-1a 64, finished by splitmix64, modulo `shards`.
std::uint32_t shard_of(std::string_view key, std::uint32_t shards) noexcept;

/// How a call ended. Numbers are on the wire and in log entries: never reused.
/// Statuses up to `overloaded_session` can be stored answers.
enum class reply_status : std::uint8_t {
  ok = 0,
  rejected = 1,         ///< The app said no: `code`, `message`.
  invalid_argument = 2, ///< The module refused the argument.
  not_found = 3,        ///< No such command, query or app.
  app_failed = 4,       ///< The handler threw, or its host died under it.
  poisoned = 5,         ///< Three deaths under this request: not run again.
  too_large = 6,        ///< Result, state or effects over a bound.
  conflict = 7,         ///< Idempotency key used before with another body.
  expired = 8,          ///< Session closed or number below its floor: not run.
  overloaded = 9,       ///< A bounded queue is full: not run, try later.
  deadline = 10,        ///< Time ran out before it ran: provably not executed.
  unknown = 11,         ///< Sent, outcome not known; the same id is safe again.
  not_leader = 12,      ///< Ask `leader`, if named. See `submitted`.
  no_such_replica = 13, ///< This node has no such replica of the group.
  parked = 14,          ///< The app failed everywhere and rests.
  stopped = 15,         ///< Stopped by an operator.
  no_quorum = 16,       ///< No majority of the group's voters is reachable.
  disk_full = 17,
  unauthorized = 18,
  forbidden = 19,
};
const char* to_string(reply_status s) noexcept;

/// (session, number): a client numbers its requests per group session from 1
/// and confirms with `floor` that it needs no answer numbered below it.
struct session_request {
  std::uint64_t session = 0; ///< the log index of the entry that opened it
  std::uint64_t number = 0;
  std::uint64_t floor = 0;
};
/// An `Idempotency-Key`: scoped by the group to (app, actor, key).
struct idempotency_request {
  std::string key;
};
/// `monostate`: a call that nobody will repeat; it runs at most once.
using request_identity =
    std::variant<std::monostate, session_request, idempotency_request>;

enum class request_kind : std::uint8_t {
  command = 0,
  query = 1,
  open_session = 2,  ///< Answer: `reply.session`. Key and command are ignored.
  close_session = 3, ///< Identity names the session. Answers `ok`.
  load = 4, ///< Argument: entries to be loaded into an app that is restored.
};

/// Where the caller saw an earlier attempt of this request end in a dead link:
/// the group then counts a poison record before it runs it again.
struct outstanding_at {
  node_id node;
  banyan::incarnation incarnation;
};

/// One call on its way to a group's leader (or any voter, for stale queries).
struct request_frame {
  std::uint64_t call = 0; ///< the asker's own number, echoed by the reply
  group_id group;
  request_kind kind = request_kind::command;
  std::string key;     ///< the actor
  std::string command; ///< command or query name
  bytes argument;      ///< msgpack
  request_identity identity;
  /// What is left of the caller's deadline as the frame is sent.
  duration deadline_left = std::chrono::seconds{5};
  /// Queries only: answered by any voter no staler than this; none =
  /// linearizable.
  std::optional<duration> max_staleness;
  std::optional<outstanding_at> outstanding;
};

/// What a group (or a node without it) answers.
struct reply {
  reply_status status = reply_status::ok;
  bytes result;              ///< msgpack, with `ok`
  std::string code;          ///< with `rejected`: the app's own code
  std::string message;       ///< for people
  banyan::term term;         ///< of the leader that answered
  log_index index;           ///< of the command's entry; a query: what it read
  std::uint64_t session = 0; ///< `open_session`'s answer
  /// `not_leader`: whom to ask instead, when known.
  std::optional<replica_ref> leader;
  /// `not_leader`: an earlier leader may have put it in its log, so when the
  /// asker's time runs out the outcome is `unknown`, not `deadline`.
  bool submitted = false;
  std::optional<duration> retry_after;
};

struct reply_frame {
  std::uint64_t call = 0;
  banyan::reply reply;
};

void encode(const request_frame& f, bytes& out);
bool decode(const_bytes in, request_frame& out);
void encode(const reply_frame& f, bytes& out);
bool decode(const_bytes in, reply_frame& out);

// ---- between replicas of one group -----------------------------------------

enum class group_frame_kind : std::uint8_t {
  raft = 1,            ///< payload: a Raft message, opaque here
  no_such_replica = 2, ///< answer to any frame for a replica that isn't here
  snapshot_offer = 3,
  snapshot_pull = 4,
  snapshot_chunk = 5,
  snapshot_entries = 6,
  retire = 7,       ///< from the leader to a replica whose removal is settled
  state_wanted = 8, ///< from a replica without a usable state
  row_wanted = 9,
  row_given = 10,
  checkpoint_report = 11,  ///< to the leader: a digest at a checkpoint
  checkpoint_verdict = 12, ///< from the leader: agreed, odd or no majority
  left_out = 13, ///< to the leader, which doesn't name this replica any more
  log_lost = 14, ///< from the leader: you lack what you acknowledged
  cleared = 15,  ///< to the leader: what the sender did not die of
};

/// The envelope of everything between two replicas of a group. Who holds
/// another lineage drops it; who is not `to` answers `no_such_replica`.
struct group_frame {
  group_id group;
  lineage_id lineage;
  replica_id from;
  replica_id to;
  group_frame_kind kind = group_frame_kind::raft;
  bytes payload;
};
void encode(const group_frame& f, bytes& out);
bool decode(const_bytes in, group_frame& out);
/// Only the group of an encoded group frame, for dispatch; false on garbage.
bool peek_group(const_bytes in, group_id& out);

// ---- between groups --------------------------------------------------------

/// What one actor sends to another, as it stands in the outbox.
struct stream_message {
  enum class kind : std::uint8_t { call = 1, reply = 2 };
  std::uint64_t number = 0; ///< in its stream, from 1
  kind what = kind::call;
  std::string from_app;
  std::string from_key; ///< the actor that sent it
  std::string to_app;   ///< as the sender named it
  std::string to_key;
  std::string command; ///< a reply: the sender's `on_reply` command
  bytes argument;      ///< a reply: as `reply_argument` makes it
  /// A call: the command that takes the answer at the sender; empty = none.
  std::string on_reply;
};

/// Messages of one stream, in order, to the leader of `to`; or, with no
/// messages and `acknowledged`, the way back. A stream is (source group,
/// lineage) → destination group.
struct stream_frame {
  group_id from;       ///< source group
  lineage_id lineage;  ///< of the source group
  group_id to;         ///< destination group
  bool is_ack = false; ///< goes to the leader of `from`
  /// Every message up to it took effect. With messages: as the sender knows.
  std::uint64_t acknowledged = 0;
  std::vector<stream_message> messages;
};
void encode(const stream_frame& f, bytes& out);
bool decode(const_bytes in, stream_frame& out);
/// One message as an element of a frame or of an outbox row.
void encode(writer& out, const stream_message& m);
bool decode(reader& in, stream_message& m);
/// The group whose leader must see it (`from` for acknowledgements).
inline const group_id& addressee(const stream_frame& f) {
  return f.is_ack ? f.from : f.to;
}

} // namespace banyan
