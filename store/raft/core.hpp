#pragma once
#include "base/random.hpp"
#include "store/raft/effects.hpp"
#include "store/raft/log_view.hpp"
#include "store/raft/progress.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace banyan::raft {

struct options {
  /// A follower without a leader waits a random time in [min, max).
  duration election_min = 300ms;
  duration election_max = 600ms;
  duration beat_interval = 100ms;
  /// A leader that heard no quorum for this long steps down.
  duration quorum_timeout = 600ms;
  /// How long a pre-vote answer is held while the leader is probed.
  duration pre_vote_hold = 250ms;
  /// Evidence lets rank k stand after k times this, plus a random part of it.
  duration rank_step = 15ms;
  duration transfer_timeout = 1000ms;
  /// A leader puts its group to sleep after this long with nothing to do;
  /// `duration::max()`: never.
  duration sleep_after = 3000ms;
  duration snapshot_repeat = 1000ms; ///< between two `needs_snapshot`
  flow_limits flow;
};

/// What a replica remembers over a restart. `entries` follow `base`; `applied`
/// lies between base and the last entry. `configuration` is the one in force
/// at `base`, or at `applied`; those in the entries are taken from there. When
/// the applied state is a snapshot that the log had not heard of (a crash in
/// `install`), `base` is the snapshot, without entries unless the log holds its
/// last one, and the log on disk must be reset to it first.
struct restart_state {
  hard_state state;
  log_base base;
  raft::configuration configuration;
  std::vector<log_entry> entries;
  log_index applied;
};

enum class propose_errc : std::uint8_t {
  not_leader = 1, ///< `leader()` may know who is.
  transferring,   ///< Leadership is being handed over: ask again shortly.
  too_large,      ///< Over `entry_bytes_max`.
};

struct peer_status {
  replica_ref peer;
  bool voter = false;
  log_index match;
  peer_state state = peer_state::probe;
  /// The last message of this term from it; says nothing while asleep.
  time_point heard;
};

/// One replica of one Raft group, without I/O: time, bytes and completions come
/// in, effects are collected and handed out by `flush`.
///
/// Use: any number of inputs, then `flush(now, out)` and carry out what it
/// appended, in order; call `tick` at `deadline()`. Many proposals and messages
/// before one flush become one log write and one append per peer.
///
/// Durability: votes, acknowledgements of entries and this replica's own share
/// in a commit wait for `persisted`. A leader's appends and a candidate's
/// questions leave at once, beside its own write; it leads only after its own
/// vote is durable. After a crash construct anew from what the log holds.
///
/// Configurations count from the moment that their entry is in the log
/// (committed or not), as in the Raft thesis; so they need no durable commit
/// index. No clock and no lease bears on safety: time only decides when
/// somebody asks.
///
/// Foreign input never asserts; what makes no sense is dropped and counted.
class core {
public:
  /// `random` must outlive the core. A group with a single voter elects itself
  /// at the first tick.
  core(replica_ref self, options opts, random_source& random,
       restart_state from, time_point now);

  // --- inputs -------------------------------------------------------------
  /// A message for this replica's node and group. One for another replica id
  /// is answered by `no_such_replica`.
  void step(time_point now, const message& m);
  /// Call at `deadline()` or earlier.
  void tick(time_point now);
  /// `never` when only an input can change anything.
  [[nodiscard]] time_point deadline() const;
  /// The write `number` and all before it are synced.
  void persisted(time_point now, std::uint64_t number);
  /// Appends all effects since the last flush to `out`.
  void flush(time_point now, std::vector<effect>& out);

  /// Appends a command to the leader's log; it is committed when `committed`
  /// shows it, or lost when the term is.
  result<log_index, propose_errc> propose(time_point now, shared_bytes data);
  /// Changes the configuration: simple when it touches at most one voter, else
  /// joint and left automatically. One at a time.
  result<log_index, change_errc>
  propose_change(time_point now, const std::vector<change>& changes);
  /// A linearizable query: `reads_confirmed` or `reads_dropped` follows with
  /// `context`. @returns false (and no effect follows) when not leading.
  [[nodiscard]] bool read(time_point now, std::uint64_t context);
  /// On any replica: ask the leader to confirm its quorum; `fresh` follows if
  /// it does. False without a known leader.
  bool confirm(time_point now);
  /// Hands leadership to a voter; `transfer_ended` follows. False when not
  /// leading, already transferring, or `to` is no other voter.
  bool transfer(time_point now, const replica_ref& to);

  /// Evidence that `leader` is gone. Nothing happens unless it is the leader
  /// that this replica follows. `rank`: see `election_rank`; rank 0 stands at
  /// once.
  void leader_lost(time_point now, const node_id& leader, evidence why,
                   unsigned rank);
  /// A node was seen alive in this incarnation, on a new link. The leader's,
  /// while asleep under a lower one: that is `evidence::higher_incarnation`. A
  /// peer's, by the leader: its process may be another one, on an older disk,
  /// so that it has to show again what it has, and until then nothing that it
  /// acknowledged counts.
  void node_seen(time_point now, const node_id& node, incarnation seen,
                 unsigned rank);
  /// Wakes the group: a leader beats again, a follower asks its leader.
  void wake(time_point now);
  /// The incarnation of this node, named when a group is put to sleep. Without
  /// one the leader never does.
  void set_incarnation(incarnation own) { incarnation_ = own; }
  /// A majority of the voters is lost for good, and whoever decides that has
  /// fenced off those that may come back (see `replica_core::recover`): the log
  /// gets a configuration with this replica as the only voter, in a term above
  /// all that it knows, and it elects itself. Everything in its log is kept.
  void recover(time_point now);
  /// While false this replica votes and appends but never stands, and hands
  /// over when it leads (unverified state, stopped application).
  void set_may_lead(time_point now, bool may);

  // --- snapshots and log --------------------------------------------------
  /// The caller began to send `peer` a snapshot that ends at `index`: entries
  /// behind `index` stay until it is finished or failed.
  void snapshot_started(time_point now, const replica_ref& peer,
                        log_index index);
  void snapshot_finished(time_point now, const replica_ref& peer,
                         log_index index);
  void snapshot_failed(time_point now, const replica_ref& peer);
  /// This replica's applied state was replaced by a snapshot at `base` (already
  /// durable). Nothing happens (false) when the log knows as much.
  bool install(time_point now, const log_base& base, const configuration& conf);
  /// The applied state, unknown at the start (then `restart_state::applied` is
  /// the base and its configuration may be empty), stands at `at`, where `conf`
  /// is in force. False, changing nothing, when the log doesn't hold that entry
  /// or has cut it: `install` may help.
  [[nodiscard]] bool state_known(time_point now, const log_base& at,
                                 const configuration& conf);
  /// Somebody knows that the entry `index` of term `t` is committed. A follower
  /// whose log holds it commits as far.
  void learn_committed(time_point now, log_index index, banyan::term t);
  /// Forgets entries up to `index`, as far as committed, durable and not
  /// pinned; @returns the base now in force: the caller cuts the disk there.
  log_index trim(log_index index);
  /// While pinned, entries behind `index` stay. @returns a handle.
  std::uint64_t pin(log_index index);
  void unpin(std::uint64_t handle);

  // --- what it knows ------------------------------------------------------
  [[nodiscard]] const replica_ref& self() const noexcept { return self_; }
  [[nodiscard]] raft::role role() const noexcept { return role_; }
  [[nodiscard]] banyan::term term() const noexcept { return hard_.term; }
  [[nodiscard]] const std::optional<replica_ref>& leader() const noexcept {
    return leader_;
  }
  [[nodiscard]] bool leads() const noexcept { return role_ == role::leader; }
  /// Leads, and an entry of its own term is committed.
  [[nodiscard]] bool leads_committed() const;
  [[nodiscard]] bool is_asleep() const noexcept { return asleep_; }
  [[nodiscard]] log_index committed_index() const noexcept {
    return committed_;
  }
  [[nodiscard]] log_index persisted_index() const noexcept {
    return log_.persisted();
  }
  [[nodiscard]] const log_view& log() const noexcept { return log_; }
  /// The latest in the log, committed or not.
  [[nodiscard]] const raft::configuration& configuration() const;
  /// Where it stands in the log, or the base of a log that begins with it.
  [[nodiscard]] log_index configuration_index() const {
    return configurations_.back().index;
  }
  [[nodiscard]] bool change_pending() const;
  [[nodiscard]] bool transferring() const noexcept {
    return transfer_.has_value();
  }
  /// A leader's view of the others; empty elsewhere.
  [[nodiscard]] std::vector<peer_status> peers() const;
  /// When the oldest write that is not yet `persisted` was ordered; `never`
  /// when none is open.
  [[nodiscard]] time_point oldest_write() const;
  /// Why a leader was last given up before its time, if ever.
  [[nodiscard]] std::optional<evidence> last_evidence() const noexcept {
    return last_evidence_;
  }
  /// The committed configuration that the log view begins with, for a
  /// snapshot that ends at `committed_index`.
  [[nodiscard]] const raft::configuration& committed_configuration() const;
  /// Foreign messages that made no sense.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
  /// Aborts when the core's own state contradicts itself.
  void check_invariants() const;

private:
  struct held_message {
    std::uint64_t after = 0; ///< the write that must be synced first
    raft::message message;
  };
  struct held_pre_vote {
    replica_ref from;
    pre_vote asked;
    time_point until;
  };
  struct open_write {
    std::uint64_t number = 0;
    time_point ordered;
    banyan::term vote_of; ///< carries the vote for itself in this term, or 0
  };
  struct configuration_at {
    log_index index;
    raft::configuration conf;
  };
  struct transfer_state {
    replica_ref to;
    time_point until;
    bool told = false;
  };
  struct remote_read {
    replica_ref from;
    std::uint64_t number = 0;
  };
  /// Queries of one ReadIndex round.
  struct read_round {
    std::uint64_t number = 0; ///< 0: none
    log_index index;          ///< committed when the round was sent
    time_point sent;
    replica_set acks;
    std::vector<std::uint64_t> contexts;
    std::vector<remote_read> remotes;
  };

  // election.cpp
  void become_follower(time_point now, banyan::term t,
                       std::optional<replica_ref> leader);
  void become_leader(time_point now);
  void stop_leading(banyan::term led, bool replaced,
                    const std::vector<replica_ref>& followers);
  void forget_leader(time_point now);
  void stand(time_point now, bool asked_by_leader);
  void campaign(time_point now);
  void count_votes(time_point now);
  [[nodiscard]] bool may_stand() const;
  [[nodiscard]] bool up_to_date(log_index last, banyan::term last_term) const;
  void arm_election(time_point now);
  void report_role();
  void heard_leader(time_point now, const message& m);
  /// Takes note of the sender as the leader of this term; false when that
  /// cannot be.
  bool from_leader(time_point now, const message& m);
  void answer_pre_vote(const replica_ref& to, const pre_vote& asked,
                       bool granted);
  void settle_pre_votes(bool leader_answered);
  void expire_pre_votes(time_point now);
  void on(time_point now, const message& m, const pre_vote& b);
  void on(time_point now, const message& m, const pre_vote_answer& b);
  void on(time_point now, const message& m, const vote& b);
  void on(time_point now, const message& m, const vote_answer& b);
  void on(time_point now, const message& m, const timeout_now& b);
  void on(time_point now, const message& m, const stopped_leading& b);
  void on(time_point now, const message& m, const probe& b);

  // replication.cpp
  void add_entry(entry_kind kind, shared_bytes data);
  void refuses_what_it_had(time_point now, progress& p, log_index index);
  void accept_entries(const raft::append& b);
  void send_appends(time_point now);
  bool send_append(time_point now, progress& p, bool even_empty);
  void send_beats(time_point now);
  void count_commit(time_point now);
  void commit_to(time_point now, log_index index);
  void configuration_entry(const log_entry& e);
  void configurations_truncated(log_index from);
  void forget_old_configurations();
  void refresh_peers(time_point heard, log_index next_index);
  void go_on_from_configuration(time_point now);
  progress* find(const replica_ref& peer);
  [[nodiscard]] const progress* find(const replica_ref& peer) const;
  void on(time_point now, const message& m, const raft::append& b);
  void on(time_point now, const message& m, const append_answer& b);
  void on(time_point now, const message& m, const beat& b);
  void on(time_point now, const message& m, const beat_answer& b);
  void on(time_point now, const message& m, const no_such_replica& b);

  // reads.cpp
  void start_round(time_point now);
  void send_round();
  void settle_round();
  void drop_reads();
  void on(time_point now, const message& m, const round_question& b);
  void on(time_point now, const message& m, const round_answer& b);
  void on(time_point now, const message& m, const confirm_question& b);
  void on(time_point now, const message& m, const confirm_answer& b);

  // sleep.cpp
  [[nodiscard]] bool nothing_to_do() const;
  /// True when it takes the place of the beats.
  bool offer_sleep(time_point now);
  void fall_asleep();
  void busy(time_point now);
  void busy_if_asleep(time_point now);
  void on(time_point now, const message& m, const raft::sleep& b);
  void on(time_point now, const message& m, const sleep_answer& b);

  // core.cpp
  void post(const replica_ref& to, message_body body);
  /// Leaves once everything so far is synced.
  void post_durable(const replica_ref& to, message_body body);
  void release_held();
  [[nodiscard]] bool unordered() const;
  void order_write(time_point now);
  void tick_leader(time_point now);
  void answer_old_term(const message& m);
  void advance_transfer();
  /// The voter that would take over with the least delay; null when alone.
  [[nodiscard]] const progress* best_heir() const;

  const replica_ref self_;
  const options opts_;
  random_source& random_;

  hard_state hard_;
  bool state_dirty_ = false;      ///< hard_ differs from what was ordered last
  std::optional<log_base> reset_; ///< a log reset that no write carries yet
  log_view log_;
  log_index committed_;
  /// Those in force from some index on, ascending; the first is at or below
  /// `committed_`, the last is in force.
  std::vector<configuration_at> configurations_;

  raft::role role_ = role::follower;
  std::optional<replica_ref> leader_;
  std::optional<replica_ref> lost_leader_; ///< the last one, until evidence
  std::optional<evidence> last_evidence_;
  time_point heard_leader_ = time_point::min();
  time_point election_at_ = never;
  bool may_lead_ = true;
  bool handing_over_ = false; ///< stops leading, and told another to stand

  std::uint64_t campaign_ = 0; ///< of the present (pre-)campaign
  bool own_vote_durable_ = false;
  std::map<replica_ref, bool> votes_;
  std::vector<held_pre_vote> held_pre_votes_;

  std::vector<progress> peers_; ///< sorted; while leading
  log_index term_start_;        ///< this leader's no-op
  time_point beat_at_ = never;
  time_point quorum_check_ = never;
  std::optional<transfer_state> transfer_;

  std::vector<std::uint64_t> waiting_reads_;
  std::vector<remote_read> waiting_remotes_;
  read_round round_;
  std::uint64_t rounds_ = 0;
  std::uint64_t confirm_number_ = 0;
  time_point confirm_sent_ = time_point::min();

  incarnation incarnation_;
  bool asleep_ = false;
  bool settling_ = false;   ///< the leader offers to sleep
  time_point settle_until_; ///< then it gives up for a while
  time_point idle_since_;
  incarnation leader_incarnation_; ///< while asleep

  std::deque<open_write> writes_;
  std::uint64_t write_number_ = 0;
  std::uint64_t write_synced_ = 0;
  std::deque<held_message> held_;
  std::map<std::uint64_t, log_index> pins_;
  std::uint64_t pin_number_ = 0;

  std::vector<effect> effects_;
  std::uint64_t refused_ = 0;
};

/// The order in which voters stand on evidence: those in the region of the lost
/// leader first, then by a hash of replica id and term. `same_region` answers
/// for a voter. Not a voter: the number of voters.
unsigned election_rank(const configuration& c, const replica_ref& self,
                       const node_id& lost, term led,
                       const std::function<bool(const node_id&)>& same_region);

} // namespace banyan::raft
