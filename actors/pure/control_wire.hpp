#pragma once
#include "actors/docs/app_documents.hpp"
#include "actors/pure/directory.hpp"
#include "actors/pure/door_wire.hpp"
#include "actors/pure/hardware/challenge_wire.hpp"
#include "actors/pure/home_wire.hpp"
#include "actors/pure/keepers_wire.hpp"
#include "actors/pure/module_wire.hpp"
#include "actors/pure/moves_wire.hpp"
#include "actors/pure/operator_wire.hpp"
#include "actors/pure/recovery.hpp"
#include "actors/pure/replica_core.hpp"
#include "actors/pure/uptime/wire.hpp"
#include "actors/pure/version_wire.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// What the nodes of a mesh tell each other about groups and apps, on the
/// `group` channel: docs/wire-groups.md, section 8. Plain data with canonical
/// codecs, as in replica_wire.hpp. A pure library: no thread, no clock.
namespace banyan {

/// What a frame begins with. Numbers are on the wire: never reused.
enum class control_kind : std::uint8_t {
  proof = 1,          ///< that the sender knows a group's secret
  view = 2,           ///< a leader announces its group
  documents = 3,      ///< the app documents that the sender holds, by version
  document = 4,       ///< one app's documents whole
  make_replica = 5,   ///< please make empty replicas and tell their ids
  replica_made = 6,   ///< their ids, synced
  failover = 7,       ///< a leader reports its failover
  host_state = 9,     ///< an app's host is exhausted on the sender, or well
  states = 10,        ///< the sender's replicas whose state isn't whole: all
  compare = 11,       ///< the receiver leads this group: compare its states
  stay = 12,          ///< a voter wants to give up its damaged log: please stay
  staying = 13,       ///< the answer, if it is yes
  modules = 14,       ///< the modules that the sender holds or fetches: all
  module_wanted = 15, ///< please send this piece of a module
  module_refused = 16, ///< the answer, if it can't be had
  trust = 17,          ///< the owners that the sender trusts: all
  draining = 22,       ///< the sender is drained, or not, and how far that is
  order = 23,          ///< of an operator, to a group's leader or to a node
  order_answer = 24,
  backup_wanted = 26, ///< the next part of a shard's copy, please
  backup_given = 27,  ///< that part, sealed; on the bulk lane
  recovery = 28,      ///< a recovery that an owner signed
  standings = 29,     ///< how do an app's replicas there stand; the answer

  // Versions of apps (version_wire.hpp).
  version_ready = 18, ///< the sender's host of a new version is up, or why not
  version_word = 19,  ///< a leader tells which version its group runs

  // For those who run the nodes (operator_wire.hpp).
  logs_wanted = 30,   ///< which lines did an app print there?
  logs = 31,          ///< the answer
  event = 32,         ///< something that the sender saw
  secret_wanted = 33, ///< the sender lacks the key of an app's secrets
  secret_key = 34,    ///< that key, sealed to the receiver
  host_wear = 36,     ///< an app's host on the sender is worn, or well

  // Where calls are served (door_wire.hpp).
  instance = 37,  ///< the sender serves a stateless app, or no more
  load = 38,      ///< how loaded the sender is
  distances = 39, ///< how far the sender measures others to be

  // Where not everybody is linked with everybody (keepers_wire.hpp).
  view_wanted = 40,   ///< who leads this group, or serves this app?
  view_told = 41,     ///< the answer, not from the leader itself
  instances = 42,     ///< the answer for a stateless app
  documents_sum = 43, ///< over the documents that the sender holds

  // Uptime (uptime/wire.hpp).
  days_wanted = 45, ///< please send the days that I lack
  days = 46,        ///< the answer, or the day that the sender just signed
  policy = 47,      ///< what an owner signed for the mesh

  // What hardware is there (hardware/challenge_wire.hpp).
  challenge = 49,        ///< please prove what you claim
  challenge_answer = 50, ///< the proof, or why not now

  // Where voters are at home (home_wire.hpp).
  pinned = 53,    ///< the sender's replicas that an operator put there: all
  pin_wanted = 54 ///< the receiver's replica is one of them
};

/// Entries of one list. A frame of the link ends above 8 MiB anyway.
inline constexpr std::size_t control_list_max = 100'000;
inline constexpr std::size_t control_error_bytes_max = 4096;
inline constexpr std::size_t owners_trusted_max = 256;

struct secret_proof {
  group_id group;
  digest proof;
};

struct documents_held {
  struct item {
    std::uint64_t number = 0; ///< of the version
    bool deleted = false;
  };
  std::map<app_id, item> apps;
};

/// Of an app that isn't signed yet, or of one that lives: then with its secret.
struct make_replicas {
  std::uint64_t token = 0; ///< the asker's, echoed
  app_id app;              ///< none (all zero): reserve ids before the genesis
  std::array<std::uint8_t, 16> nonce{};
  std::vector<std::uint32_t> shards; ///< ascending, at least one
  std::optional<sealed_secret> secret;
};
/// The error of a node that takes in as many copies as it may: ask it again.
inline constexpr std::string_view replicas_made_later =
    "two transfers into this node are under way: ask again";
struct replicas_made {
  std::uint64_t token = 0;
  std::map<std::uint32_t, replica_id> made; ///< by shard
  std::string error;                        ///< for people; one line
};

/// A failover that some leader of the mesh went through, phases in ms since
/// the loss was detected: finite numbers.
struct failover_record {
  std::string app;
  group_id group;
  banyan::term term;
  node_id leader;
  std::optional<node_id> old_leader;
  double elected_ms = 0;
  double first_commit_ms = 0;
  std::optional<double> first_reply_ms; ///< never negative
  std::int64_t at_unix_ms = 0;
};

struct host_state {
  std::string app;
  bool exhausted = false;
};
/// The sender's host can't run turns for longer than a hand-over takes, or is
/// well again.
struct host_wear {
  std::string app;
  bool worn = false;
};

/// An empty list takes back what was said before.
struct unready_replicas {
  struct item {
    group_id group;
    replica_id replica;
    state_phase phase = state_phase::pending; ///< never `whole`
  };
  std::vector<item> replicas;
};

struct compare_wanted {
  group_id group;
};

/// See actors/pure/parting.hpp.
struct stay_wanted {
  group_id group;
  replica_id asker; ///< of the sender
  std::uint64_t round = 0;
};
struct stay_promised {
  group_id group;
  replica_id who; ///< of the sender
  replica_id asker;
  std::uint64_t round = 0;
};

/// An empty list takes back what was said before.
struct modules_held {
  struct item {
    digest hash;
    std::uint16_t permille = 1000; ///< of its bytes; 1000: whole, and its own
  };
  std::vector<item> modules; ///< ascending
};
/// The piece comes on the channel `module` (module_wire.hpp).
struct module_wanted {
  digest hash;
  std::uint64_t offset = 0;
  std::uint64_t size = 0; ///< of the piece
};
struct module_refused {
  enum class reason : std::uint8_t {
    busy = 0,    ///< ask again a little later
    not_here = 1 ///< or not to be had from this peer
  };
  digest hash;
  std::uint64_t offset = 0;
  reason why = reason::busy;
};
struct owners_trusted {
  std::vector<owner_id> owners; ///< ascending
};
/// Whoever puts a backup together asks a node with a replica of the shard for
/// its copy, part by part. Any member may: the parts are for the owner alone.
struct backup_wanted {
  enum class step : std::uint8_t { begin = 0, rows = 1, entries = 2, end = 3 };
  std::uint64_t token = 0; ///< the asker's, for one copy
  group_id group;
  step what = step::begin;
  std::uint64_t number = 0; ///< of the part, from 0; the last one again is fine
  std::array<std::uint8_t, 16> file{}; ///< `backup::header::number`
};
struct backup_given {
  std::uint64_t token = 0;
  std::uint64_t number = 0;
  backup_wanted::step what = backup_wanted::step::begin; ///< what was asked
  bool last = false; ///< of the rows, or of the entries
  bytes data;        ///< empty: not yet, ask again soon
  std::string error; ///< for people; one line; not empty: the copy is over
};
/// `backup_given::data` of step `begin`.
struct backup_begun {
  lineage_id lineage;
  bool led = false;
  sealed_secret key;
};
bytes encode(const backup_begun& b);
bool decode(const_bytes in, backup_begun& out);
inline constexpr std::size_t backup_part_bytes_max = std::size_t{18} << 20;

/// For whoever doesn't hold it yet.
struct recovery_told {
  signed_document document;
};
/// Before a recovery is signed every node is asked what it has left of an app.
struct standings_told {
  std::uint64_t token = 0;
  app_id app;
  bool answer = false;                     ///< else it is the question
  std::vector<surviving_replica> replicas; ///< of the sender
};

/// A kind of a later version: skipped.
struct unknown_control {};

using control_frame = std::variant<
    unknown_control, secret_proof, group_view, documents_held, app_papers,
    make_replicas, replicas_made, failover_record, host_state, host_wear,
    unready_replicas, compare_wanted, stay_wanted, stay_promised, modules_held,
    module_wanted, module_refused, owners_trusted, drain_notice, operator_order,
    operator_answer, backup_wanted, backup_given, recovery_told, standings_told,
    logs_wanted, logs_held, event_told, secret_wanted, secret_key,
    version_ready, version_word, instance_word, node_load, distances_told,
    days_wanted, days_given, policy_told, pinned_replicas, pin_wanted,
    hardware_challenge, hardware_answer, view_wanted, view_told, instances_told,
    documents_sum>;

/// `f` is of a known kind and within the bounds above, but for an error's text,
/// which is cut and made one line.
void encode(const control_frame& f, bytes& out);
[[nodiscard]] bytes encoded_control(const control_frame& f);
/// False, with `out` of no use, on anything but one whole well-formed frame.
bool decode(const_bytes in, control_frame& out);

} // namespace banyan
