#pragma once
#include "actors/host/turn.hpp"
#include "actors/pure/replica_wire.hpp"
#include "actors/pure/turn_health.hpp"
#include "actors/pure/versions.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "store/log.hpp"
#include "store/raft/core.hpp"
#include "store/state.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace banyan {

// ---- what a replica needs to know ------------------------------------------

/// What a replica asks about its surroundings: which group an app's name leads
/// to (sends of actors are resolved by it on the leader as their turn ends) and
/// who lives in whose region. Pure: the same answer within one call.
class app_directory {
public:
  struct app {
    app_id id;
    lineage_id lineage;
    std::uint32_t shards = 1;
  };
  virtual ~app_directory() = default;
  [[nodiscard]] virtual std::optional<app>
  find(std::string_view name) const = 0;
  /// For the ranked elections on evidence.
  [[nodiscard]] virtual bool same_region(const node_id& /*a*/,
                                         const node_id& /*b*/) const {
    return true;
  }
};

/// What the app's code was running here as the last process of this node ended,
/// where that is known. Poison records of that process which name this node
/// are struck out for every other request.
struct left_turns {
  /// That process had those from `since` on and below `until`.
  incarnation since, until;
  std::vector<bytes> requests; ///< that turn's, and what hosts had died under
};

/// Limits and times of a group. The defaults are the design's.
struct replica_config {
  group_id group;
  lineage_id lineage;
  /// Of the group's streams: that of its birth. None: `lineage`.
  lineage_id stream_lineage;
  replica_ref self;
  /// This node's incarnation: poison records and sleep name it.
  banyan::incarnation incarnation;
  std::string app_name;
  std::uint32_t shards = 1;
  std::optional<left_turns> left;
  /// First start of the group: the voters of its genesis. Ignored when the log
  /// or the state holds a configuration. Empty: a learner that waits to be
  /// told (a replacement).
  std::vector<replica_ref> genesis_voters;
  /// What this node knows; entries that need more are refused.
  feature_bits features = features_known;
  /// The app's version that runs as long as no entry names one.
  std::uint64_t base_version = 0;
  /// How long turns that run may hold up a change of version, and so the turns
  /// that wait behind it; then it is given up for now.
  duration version_patience = std::chrono::seconds{2};
  /// Raft's times and flow limits.
  raft::options raft;
  bool closed = false; ///< see `set_closed`

  duration state_commit_interval = std::chrono::seconds{1};
  std::size_t state_commit_bytes = std::size_t{64} << 20;
  std::size_t waiting_turns_max = 20'000;   ///< in the group
  std::size_t waiting_per_actor_max = 4096; ///< for one actor
  /// A command that would wait longer than this for its turn, or than its own
  /// deadline, is refused as it comes.
  duration queue_time_max = std::chrono::seconds{1};
  std::size_t running_turns_max = 1024; ///< handed to the host at once
  std::size_t uncommitted_bytes_max = std::size_t{64} << 20;
  std::size_t cache_bytes = std::size_t{32} << 20; ///< actor values
  std::uint64_t session_answers_max = 1024;
  std::size_t sessions_max = 10'000;
  duration session_idle_max = std::chrono::hours{1}; ///< log time
  std::size_t idempotency_kept_min = 100'000;
  std::size_t idempotency_kept_max = 1'000'000;
  duration idempotency_age_min = std::chrono::minutes{10}; ///< log time
  std::size_t stream_window = 256; ///< messages sent and not acknowledged
  duration stream_resend_min = std::chrono::milliseconds{200};
  duration stream_resend_max = std::chrono::seconds{5};
  std::size_t snapshot_chunk_bytes = std::size_t{256} << 10;
  /// Entries kept behind the state commit, so that a voter that was away
  /// catches up from the log and needs no snapshot.
  std::uint64_t log_kept_entries = 50'000;
  std::size_t log_kept_bytes = std::size_t{64} << 20;
  /// Log kept in memory for those that copy the state, at most.
  std::size_t copy_log_bytes_max = std::size_t{256} << 20;
  std::size_t copies_max = 4; ///< at once
  /// The leader has the states compared after so many entries or bytes of
  /// entries, whichever comes first.
  std::uint64_t checkpoint_entries = 100'000;
  std::size_t checkpoint_bytes = std::size_t{256} << 20;
  /// How long a comparison waits for voters that say nothing.
  duration checkpoint_patience = std::chrono::seconds{10};
  /// After this long without an answer to a damaged row its actor is served
  /// elsewhere, if that is possible (`row_damaged::hopeless`).
  duration row_patience = std::chrono::seconds{3};
  duration ask_again_min = std::chrono::milliseconds{50};
  duration ask_again_max = std::chrono::seconds{2};
};

/// What the state holds of this replica. The shell scans the group's own rows
/// (kinds 3 and up, see `is_small_row`) before it hands them over.
struct recovered_rows {
  /// Nothing: there is no state. Once the log has lost its beginning that
  /// means: the state is lost.
  std::optional<store::applied_meta> meta;
  std::vector<store::row> small_rows;
  std::vector<bytes> damaged; ///< as the scans named them
  /// At `meta->index`; nothing: not known.
  std::optional<store::state_digest> digest;
};
struct recovered_replica {
  /// Nothing on a first start.
  std::optional<store::recovered_log> log;
  /// Nothing: it is still being verified, and `on_state_recovered` follows.
  std::optional<recovered_rows> state;
};

/// First bytes of row keys. Numbers are on disk: never reused.
enum class row_kind : std::uint8_t {
  actor = 1,
  table = 2,
  session = 3,
  answer = 4,
  idempotency = 5,
  outbox = 6,
  stream_out = 7,
  stream_in = 8,
  timer = 9,
  poison = 10,
  group = 11,
};
inline constexpr std::uint8_t row_kind_last = 11;
/// Whether a row belongs in `recovered_replica::small_rows`. A scan with the
/// one-byte prefix of each kind from `session` to `row_kind_last` finds all.
inline bool is_small_row(const_bytes key) {
  return !key.empty() && key[0] >= 3;
}

// ---- effects ---------------------------------------------------------------

/// An encoded `group_frame` for the replica's node. `bulk`: on the bulk lane;
/// otherwise on the control lane. May be lost.
struct send_group_frame {
  node_id to;
  bool bulk = false;
  bytes frame;
};
/// For `store::log::submit`; comes back by `on_log_done`. Order matters.
struct order_log {
  store::log_write write;
};
/// For `store::log::cut`.
struct order_log_cut {
  log_index index;
};
/// For `store::state::commit`, with those of other groups in one transaction;
/// comes back by `on_state_committed`.
struct order_commit {
  store::group_commit commit;
};
/// For `store::state::read`; comes back by `on_state_read`.
struct order_read {
  store::order_id order;
  bytes key;
};
/// For `store::state::scan`; comes back by `on_state_scanned`.
struct order_scan {
  store::order_id order;
  store::scan_request request;
};
/// For the staged install; each comes back by `on_staged`. `begin`'s order is
/// the stage's: put, finish and abort carry it.
struct order_stage {
  enum class step : std::uint8_t { begin, put, finish, abort };
  step what = step::begin;
  store::order_id order;
  std::vector<store::row_change> rows;         ///< put
  store::applied_meta meta;                    ///< finish
  std::optional<store::state_digest> expected; ///< finish: the sender's
};
/// For `host::submit` of that version's host, once the shell has set each
/// order's `now` (the wall clock); the results come back by `on_turn_results`.
struct order_turns {
  std::uint64_t version = 0;
  std::vector<turn_order> orders;
};
/// The answer to the request with this call number (`on_request`'s). Exactly
/// one per request while the replica lives.
struct answer_call {
  std::uint64_t call = 0;
  banyan::reply reply;
};
/// For the leader of `addressee(frame)`, wherever it is; may be lost.
struct send_stream {
  stream_frame frame;
};
struct role_changed {
  enum class role : std::uint8_t { follower, candidate, leader, learner };
  role now = role::follower;
  banyan::term term;
  std::optional<replica_ref> leader; ///< known leader of `term`
  /// Leader only: takes turns and answers from now on.
  bool serving = false;
};
struct configuration_changed {
  raft::configuration configuration;
  bool committed = false;
};
/// The group's phases since the old leader was missed. Once per own term with
/// a lost leader, at the first reply (or first commit when nobody waits).
struct failover_report {
  banyan::term term;
  std::optional<replica_ref> old_leader;
  time_point detected;
  time_point elected;
  time_point first_commit;
  std::optional<time_point> first_reply;
};
/// A voter or learner whose node says that it has no such replica: supervision
/// replaces it as a lost disk.
struct replica_lost {
  replica_ref who;
};
/// This replica is out of the configuration by a committed change behind which
/// the remaining voters are durable: its files may go.
struct replica_retired {};
/// Find out at once, by every means, whether this node lives: somebody wants
/// to stand against a leader that this replica still believes in.
struct probe_node {
  node_id node;
};
/// The host needs its supervisor.
struct host_trouble {
  enum class what : std::uint8_t {
    newer_state,   ///< this module can't read the state: lead elsewhere
    handler_threw, ///< its caller got an error, and nothing changed
    poisoned       ///< a request was given up: hosts or leaders died under it
  };
  what kind = what::handler_threw;
  std::string actor;
  std::string message;
};
/// A row of the live state failed its checksum. It is being fetched from the
/// other voters; until it is mended its actor serves nothing here.
struct row_damaged {
  bytes key;
  /// Nobody could give it for `row_patience`: a leader should hand over.
  bool hopeless = false;
};
/// It was put back, an entry has written it anew, or the whole state is
/// another.
struct row_mended {
  bytes key;
};
/// How far this replica's state can be relied upon.
enum class state_phase : std::uint8_t {
  whole,   ///< Normal.
  pending, ///< Not yet verified or read: votes and appends, nothing else.
  lost,    ///< As `pending`, until another voter's snapshot is installed.
};
struct state_phase_changed {
  state_phase now = state_phase::whole;
  bool quarantined = false; ///< lost since it differed from a majority
  std::string why;          ///< for people
};
/// A snapshot of this state didn't add up to its digest at the receiver: a
/// scrub of the group tells whose fault it was.
struct state_doubted {
  std::string why;
};
/// The leader compared the states at a checkpoint.
struct checkpoint_judged {
  log_index index;
  std::size_t compared = 0;     ///< replicas whose digest was looked at
  std::size_t agreeing = 0;     ///< the largest set with one digest
  bool conflict = false;        ///< no majority of the voters agrees
  std::vector<replica_ref> odd; ///< told to rebuild
};
/// The log or the state failed for good (`io`): this replica answers nothing
/// any more; the node gives up its roles.
struct replica_failed {
  std::string message;
  /// What was recovered can't be used: only this replica is affected.
  bool at_start = false;
  /// Nor may its id ever vote again: the disk is an older one.
  bool forgot = false;
  /// A later version of banyan-peer wrote it: nothing is wrong with it, and
  /// that version can go on with it.
  bool newer = false;
};
/// A leader sent an entry (or rows) that only a later version of banyan-peer
/// can read: refused, so this replica stays behind until it is updated.
struct entry_refused {
  log_index index;
  std::string why;
};
/// What the group's log says of the app's version: once the state is known, and
/// whenever it changes; on a leader by its whole log, elsewhere as far as it is
/// committed. Nothing: `replica_config::base_version` runs.
struct version_changed {
  std::optional<group_versions> versions;
  std::optional<state_written> written;
  feature_bits features = 0; ///< that the log asks for
  /// The entry that says `versions` is committed: no other log takes its place.
  bool committed = false;
  /// The log holds nothing but the group's birth.
  bool newborn = false;
};
/// How an operator's or supervisor's order (by its number) ended.
struct change_done {
  std::uint64_t number = 0;
  bool done = false; ///< committed and left any joint state
  std::string why;   ///< when not: for people
};
/// The answer to `on_copy`.
struct copy_given {
  enum class what : std::uint8_t {
    rows,    ///< `payload` is an encoded `replica::snapshot_chunk`
    entries, ///< an encoded `replica::snapshot_entries`
    wait,    ///< not yet: ask again soon
    failed,  ///< this replica can't; `why` is for people
  };
  std::uint64_t token = 0;
  what kind = what::wait;
  bool last = false; ///< of the rows, or of the entries
  bytes payload;
  std::string why;
};
/// Lines that app code logged.
struct app_log {
  std::string actor;
  std::vector<std::string> lines;
};

using replica_effect =
    std::variant<send_group_frame, order_log, order_log_cut, order_commit,
                 order_read, order_scan, order_stage, order_turns, answer_call,
                 send_stream, role_changed, configuration_changed,
                 failover_report, replica_lost, replica_retired, probe_node,
                 host_trouble, row_damaged, row_mended, state_phase_changed,
                 state_doubted, checkpoint_judged, replica_failed, change_done,
                 copy_given, app_log, entry_refused, version_changed>;
/// What the shell must do, in this order. Reused: the shell clears it.
using replica_effects = std::vector<replica_effect>;

// ---- status ----------------------------------------------------------------

/// What somebody outside the group wants of a copy of its state.
enum class copy_step : std::uint8_t {
  rows,    ///< the next range of keys; the first one begins the copy
  entries, ///< the next entries, all that were committed as they were asked for
           ///< first and before that (the leader's quorum is asked)
  end,     ///< no more
};

/// Why a node is thought to be gone, or that it is back. Raft's.
enum class node_evidence : std::uint8_t {
  link_down, ///< end of stream, reset, refused, a higher incarnation
  silent,    ///< no sign of life for the adaptive time
  link_up,   ///< a proven link: Raft frames may flow
  stopping,  ///< said itself that it stops leading
};

struct replica_progress {
  replica_ref who;
  bool voter = false;
  bool reachable = false; ///< answered this leader lately
  log_index durable;      ///< known to be on its disk
  bool snapshot = false;  ///< is being sent one
  time_point last_heard;
};
struct replica_status {
  role_changed::role role = role_changed::role::follower;
  bool serving = false;
  banyan::term term;
  std::optional<replica_ref> leader;
  log_index last;
  banyan::term last_term; ///< of the entry there
  log_index committed;
  log_index applied; ///< in the state, by a commit that returned
  raft::configuration configuration;
  std::vector<replica_progress> progress; ///< leader only
  std::size_t waiting_turns = 0;
  std::size_t running_turns = 0;
  std::size_t sessions = 0;
  duration log_time{};
  bool stopped = false; ///< by an operator, as an entry says
  bool asleep = false;

  state_phase state = state_phase::whole;
  bool quarantined = false; ///< the state differed from a majority's
  /// The replicas' states differ and no majority agrees: every request is
  /// answered `conflict` until a later checkpoint finds one that does.
  bool conflict = false;
  std::size_t rows_damaged = 0; ///< found, not yet mended
  std::uint64_t rows_mended = 0;
  std::uint64_t digests_compared = 0; ///< by this leader
  std::uint64_t digests_odd = 0;
  log_index checkpoint; ///< the last that this replica's state stood at
};

// ---- the core --------------------------------------------------------------

/// One replica of one group: Raft, and on top of it execution on the leader,
/// the overlay, sessions, the output gate, queries, streams, timers, poison
/// records and snapshots (DESIGN sections 6 to 8).
///
/// Pure: time and randomness come in, effects go out as data; no thread, clock,
/// socket or disk. One thread calls it. Inputs with foreign bytes never assert.
/// Every call appends to `out` what the shell must do, in this order. After
/// every batch of inputs (any number) it calls `flush`, where proposals, log
/// writes, messages and turns are made of what was gathered, so that many
/// inputs share one log write and one append per peer; then it arms one timer
/// for `deadline()`.
///
/// A state is relied upon only as far as it is known to be right: see
/// `state_phase`, `row_damaged` and `checkpoint_judged`. While it is not whole
/// this replica votes and appends, and never stands, leads, serves, answers
/// queries or gives rows to others.
///
/// What a crash leaves is what the log and the state hold: a new core started
/// from them continues. Completions of orders of an earlier life, term or
/// number count for nothing.
class replica_core {
public:
  /// `random` and `apps` are borrowed and must outlive the core.
  replica_core(replica_config config, random_source& random,
               const app_directory& apps);
  replica_core(const replica_core&) = delete;
  replica_core& operator=(const replica_core&) = delete;
  ~replica_core();

  /// Once, before anything else. False when the log can't be read or
  /// contradicts itself: the replica then has to be rebuilt under a new id.
  /// What a later version wrote is whole: true, and `replica_failed::newer`.
  /// What is wrong with the state only makes it `state_phase::lost`.
  [[nodiscard]] bool start(recovered_replica recovered, time_point now,
                           replica_effects& out);

  // -- from peers. `from` is the node that the link has proved.
  void on_group_frame(const node_id& from, const_bytes frame, time_point now,
                      replica_effects& out);
  void on_stream(const stream_frame& frame, time_point now,
                 replica_effects& out);
  /// What a stateless app answered to messages of this group, as a stream back
  /// to it under this group's own lineage. Each answer has the number of its
  /// message; who wants none gets none, so that numbers are left out. Only from
  /// this node's `sent_calls`, in order; acknowledged as a stream is.
  void on_answers(const stream_frame& frame, time_point now,
                  replica_effects& out);
  void on_evidence(const node_id& node, node_evidence what, time_point now,
                   replica_effects& out);

  /// A node was seen alive in this incarnation (a leader that sleeps may have
  /// died and come back meanwhile).
  void on_node_seen(const node_id& node, incarnation seen, time_point now,
                    replica_effects& out);
  /// Wakes a sleeping group: beats between the nodes disagree on who leads.
  void wake(time_point now, replica_effects& out);

  // -- from log, state and host
  /// While the log is full the first order waits for room, tried again after
  /// 50 ms to 2 s, and the others behind it; commands are `disk_full`, and so
  /// are queries that the log holds up. A `full` of another group tells that
  /// the node's log is: then this one gives up what it needn't keep.
  void on_log_done(const store::log_done& done, time_point now,
                   replica_effects& out);
  /// Once, after a `start` without a state: it is verified and read, or gone.
  void on_state_recovered(recovered_rows state, time_point now,
                          replica_effects& out);
  void on_state_committed(const store::order_id& order,
                          result<store::digest_at, store::store_errc> done,
                          time_point now, replica_effects& out);
  void on_state_read(const store::order_id& order,
                     result<std::optional<store::row>, store::store_errc> row,
                     time_point now, replica_effects& out);
  void on_state_scanned(const store::order_id& order,
                        result<store::scan_page, store::store_errc> page,
                        time_point now, replica_effects& out);
  /// The digest counts after `finish` only.
  void on_staged(const store::order_id& order, order_stage::step step,
                 result<store::digest_at, store::store_errc> done,
                 time_point now, replica_effects& out);
  /// A scrub or another reader found this row (by its scan key) damaged.
  void on_row_damaged(bytes key, time_point now, replica_effects& out);
  /// A scrub found that the rows don't add up to the kept digest: the state is
  /// `lost` from here on. A leader hands over first.
  void on_state_inconsistent(time_point now, replica_effects& out);
  void on_turn_results(std::vector<turn_result> results, time_point now,
                       replica_effects& out);
  /// The host of a version runs again (first start too): orders may be given.
  /// Until that of the group's own version is up, commands wait.
  void on_host_up(time_point now, replica_effects& out,
                  std::uint64_t version = 0);
  /// The host is gone with everything that was outstanding. What it may have
  /// died of gets a poison record; the rest just runs again.
  void on_host_down(const turn_suspects& died_of, time_point now,
                    replica_effects& out, std::uint64_t version = 0);

  // -- from routers
  /// `call` is the shell's number for where the answer goes; unique among the
  /// calls without an answer.
  void on_request(std::uint64_t call, request_frame request, time_point now,
                  replica_effects& out);
  /// Nobody waits for the answer any more (its link is gone). What runs, runs.
  void forget_call(std::uint64_t call);

  /// A copy of the state, for a backup: ranges of keys, then the entries that
  /// came meanwhile, up to an index that is as new as the first question for
  /// them. Any replica with a whole state serves; nothing stops. A copy that
  /// nobody asks for during a minute, or whose log grows by
  /// `copy_log_bytes_max`, is given up. One `copy_given` per call but `end`,
  /// unless the state is lost meanwhile.
  void on_copy(std::uint64_t token, copy_step step, time_point now,
               replica_effects& out);

  // -- from supervision and operators; each ends with a `change_done` that
  //    carries `number`, unless another leader took over meanwhile
  void transfer_leadership(std::uint64_t number, std::optional<replica_ref> to,
                           time_point now, replica_effects& out);
  void add_learner(std::uint64_t number, const replica_ref& who, time_point now,
                   replica_effects& out);
  /// One in, one out, in a single joint change; `in` must be a learner that
  /// has caught up, otherwise the change waits for it. With `in` alone the
  /// voters grow; with `leaving` alone they shrink.
  void change_voters(std::uint64_t number, std::vector<replica_ref> in,
                     std::vector<replica_ref> leaving, time_point now,
                     replica_effects& out);
  /// Some voters leave, others become learners, in a single joint change.
  void shrink_voters(std::uint64_t number, std::vector<replica_ref> leaving,
                     std::vector<replica_ref> demoted, time_point now,
                     replica_effects& out);
  void remove_learner(std::uint64_t number, const replica_ref& who,
                      time_point now, replica_effects& out);
  /// "Stopped by operator" is a log entry: requests get `stopped`.
  void set_stopped(std::uint64_t number, bool stopped, time_point now,
                   replica_effects& out);
  /// Has the states compared now: done once every voter that can be reached
  /// was looked at; `checkpoint_judged` comes before.
  void checkpoint(std::uint64_t number, time_point now, replica_effects& out);
  /// From here on this group's entries may need these bits: every node that has
  /// a replica knows them, and no other gets one.
  void set_features(std::uint64_t number, feature_bits bits, time_point now,
                    replica_effects& out);
  /// By an entry, which needs `feature::versions` to be asked for by a
  /// committed one. Where the version changes, turns that run come to their end
  /// first and later ones wait for the entry (not for its commit); then they
  /// run on the new version's host, which must be up.
  void set_version(std::uint64_t number, version_order order, time_point now,
                   replica_effects& out);
  /// The app rests (the ladder's last step): requests get `parked` until it is
  /// taken back. Not an entry: each leader decides.
  void set_parked(bool parked, time_point now, replica_effects& out);

  /// The app is being restored, or is removed and kept: no request, timer or
  /// message is taken and none is sent, until it is taken back. Requests get
  /// `parked`; only `load` is taken. Not an entry: documents say it.
  void set_closed(bool closed, time_point now, replica_effects& out);
  /// A majority of the voters is lost for good, and this replica is the one to
  /// go on from, alone, in a new lineage: its log gets a configuration with
  /// itself as the only voter. Frames of the lineage before are dropped from
  /// here on. Durable as soon as it leads; repeating it does no harm.
  void recover(const lineage_id& lineage, time_point now, replica_effects& out);

  /// Call at `deadline()` or earlier.
  void on_tick(time_point now, replica_effects& out);
  /// The end of a loop turn: proposes, executes and sends what was gathered.
  void flush(time_point now, replica_effects& out);
  [[nodiscard]] time_point deadline() const;

  [[nodiscard]] replica_status status() const;
  /// How turns fare here, as long as this replica leads.
  [[nodiscard]] version_health health(time_point now) const;
  [[nodiscard]] const replica_config& config() const noexcept;

private:
  class impl;
  std::unique_ptr<impl> impl_;
};

} // namespace banyan
