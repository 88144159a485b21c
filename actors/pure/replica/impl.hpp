#pragma once
#include "actors/pure/replica/overlay.hpp"
#include "actors/pure/replica/repair_codec.hpp"
#include "actors/pure/replica/snapshot_transfer.hpp"
#include "actors/pure/replica/tables.hpp"
#include "base/planted.hpp"

#include <deque>
#include <map>
#include <set>
#include <unordered_map>

namespace banyan {

/// What `replica_core` is made of; the parts are in actors/pure/replica/, one
/// file per idea (see each member function's heading).
class replica_core::impl {
public:
  impl(replica_config config, random_source& random, const app_directory& apps);

  // recovery.cpp
  bool start(recovered_replica recovered, time_point now);
  void on_state_recovered(recovered_rows state, time_point now);
  void on_state_inconsistent(time_point now);

  // mending.cpp
  void on_row_damaged(bytes key, time_point now);

  // checkpoints.cpp
  void checkpoint(std::uint64_t number, time_point now);

  // core.cpp
  void flush(time_point now);
  /// Appends the effects gathered since the last time.
  void hand_out(replica_effects& out);
  void on_tick(time_point now);
  [[nodiscard]] time_point deadline() const;
  [[nodiscard]] replica_status status() const;
  [[nodiscard]] const replica_config& config() const { return config_; }

  // peers.cpp
  void on_group_frame(const node_id& from, const_bytes frame, time_point now);
  void on_evidence(const node_id& node, node_evidence what, time_point now);
  void on_node_seen(const node_id& node, incarnation seen, time_point now);
  void wake(time_point now);

  // storage.cpp
  void on_log_done(const store::log_done& done, time_point now);
  void on_state_committed(const store::order_id& order,
                          result<store::digest_at, store::store_errc> done,
                          time_point now);

  // turns.cpp
  void on_turn_results(std::vector<turn_result> results, time_point now);
  // host_losses.cpp
  void on_host_up(std::uint64_t version, time_point now);
  void on_host_down(std::uint64_t version, const turn_suspects& died_of,
                    time_point now);

  // versions.cpp
  void set_features(std::uint64_t number, feature_bits bits, time_point now);
  void set_version(std::uint64_t number, version_order order, time_point now);
  [[nodiscard]] version_health health(time_point now) const;

  // rows (row_reads.cpp)
  void on_state_read(const store::order_id& order,
                     result<std::optional<store::row>, store::store_errc> row,
                     time_point now);
  void on_state_scanned(const store::order_id& order,
                        result<store::scan_page, store::store_errc> page,
                        time_point now);

  // requests.cpp
  void on_request(std::uint64_t call, request_frame request, time_point now);
  void forget_call(std::uint64_t call);

  // exchange.cpp
  void on_stream(const stream_frame& frame, time_point now);
  void on_answers(const stream_frame& frame);

  // snapshots.cpp
  void on_staged(const store::order_id& order, order_stage::step step,
                 result<store::digest_at, store::store_errc> done,
                 time_point now);

  // closing.cpp
  void set_closed(bool closed, time_point now);
  void recover(const lineage_id& lineage, time_point now);

  // copies.cpp
  void on_copy(std::uint64_t token, copy_step step, time_point now);

  // changes.cpp
  void transfer_leadership(std::uint64_t number, std::optional<replica_ref> to,
                           time_point now);
  struct change_order {
    std::uint64_t number = 0;
    std::vector<replica_ref> learners;
    std::vector<replica_ref> in;
    std::vector<replica_ref> leaving;
    std::vector<replica_ref> demoted; ///< voters that become learners
  };
  void order_change(change_order order, time_point now);
  void set_stopped(std::uint64_t number, bool stopped, time_point now);
  void set_parked(bool parked, time_point now);

private:
  using role = role_changed::role;

  struct caller {
    std::uint64_t call = 0;
    time_point deadline;
  };
  /// A command on its way from its arrival to its committed entry.
  /// Bytes that count in a sum for as long as this lives.
  class counted_bytes {
  public:
    counted_bytes() = default;
    counted_bytes(std::size_t& sum, std::size_t n) : sum_{&sum}, n_{n} {
      sum += n;
    }
    counted_bytes(counted_bytes&& o) noexcept
        : sum_{std::exchange(o.sum_, nullptr)}, n_{o.n_} {}
    counted_bytes& operator=(counted_bytes&& o) noexcept {
      std::swap(sum_, o.sum_);
      std::swap(n_, o.n_);
      return *this;
    }
    ~counted_bytes() {
      if (sum_ != nullptr)
        *sum_ -= n_;
    }

  private:
    std::size_t* sum_ = nullptr;
    std::size_t n_ = 0;
  };
  struct pending {
    enum class state : std::uint8_t { recording, waiting, running, gated };
    std::uint64_t id = 0;
    state at = state::waiting;
    replica::turn_by by;
    bytes request; ///< `request_key`; empty: nobody can repeat it
    std::string actor;
    std::string command;
    bytes argument;
    counted_bytes holds; ///< a client's argument
    turn_origin origin = turn_origin::client;
    std::string caller_name;
    std::optional<stream_message> message; ///< by_stream
    std::vector<caller> callers;
    bool alone = false;
    replica::answer outcome;      ///< once gated
    time_point queued{};          ///< for the first time; none: not measured
    std::size_t ahead = 0;        ///< turns before it then, of its actor
    std::size_t actors_ahead = 0; ///< and actors before its own
  };
  /// How long one place of a queue takes, as lately seen.
  struct pace {
    duration each{};
    void saw(duration waited, std::size_t places) {
      const auto one = waited / static_cast<std::int64_t>(places);
      each += (one - each) / 8;
    }
    [[nodiscard]] duration of(std::size_t places) const {
      return each * static_cast<std::int64_t>(places);
    }
  };
  struct slot {
    std::deque<std::uint64_t> queue; ///< pending ids
    bool busy = false;
    bool ready = false; ///< is in `ready_`
    pace turns;         ///< since it was last without any
  };
  enum class look : std::uint8_t { none, state, watch, list };
  struct query {
    std::uint64_t id = 0;
    std::uint64_t call = 0;
    look what = look::none;
    std::optional<log_index> after;  ///< `watch`: only a newer state
    std::string prefix;              ///< `list`: of the keys
    std::string behind;              ///< `list`: this key
    std::size_t limit = 0;           ///< `list`
    std::vector<std::string> listed; ///< so far
    std::string actor;
    std::string command;
    bytes argument;
    counted_bytes holds; ///< it
    bool confirmed = false;
    bool done = false;
    log_index version;
    banyan::reply reply;
  };
  struct range_work {
    turn_range_rows found;
    bytes from; ///< full row key where to go on
    bool done = false;
    std::size_t size = 0;
  };
  /// One turn or query from its start until its result, over all rounds.
  struct run {
    turn_key key;
    std::uint64_t owner = 0; ///< pending or query id
    bool is_query = false;
    bool alone = false;
    bool launched = false;  ///< the host has it
    std::uint64_t host = 0; ///< of this version
    time_point launched_at;
    unsigned restarts = 0;
    std::string actor;
    std::uint64_t version = 0;
    std::uint32_t round = 0;
    std::vector<bytes> keys; ///< table keys asked for, by module keys
    std::vector<range_work> ranges;
    std::map<bytes, replica::row_version> loaded; ///< from the state
    std::set<bytes> asked;                        ///< reads under way
    std::size_t scans = 0;                        ///< under way
    std::optional<turn_result> finishing;         ///< waits for rows to erase
  };
  struct gate_item {
    std::uint64_t pending_id = 0;
    std::uint64_t query_id = 0;
    std::uint64_t call = 0; ///< with `direct`
    std::optional<banyan::reply> direct;
    std::vector<std::uint64_t> recorded; ///< poison records of pendings
    std::optional<std::pair<replica::stream_table::source, std::uint64_t>> took;
    std::uint64_t change = 0;
  };
  struct read_wait {
    std::uint64_t run = 0;
    bytes key;                        ///< a row
    std::optional<std::size_t> range; ///< or a page of this range
    bool erase_all = false;           ///< or the rows of a removed actor
    /// Or a row that another replica misses.
    std::optional<std::pair<replica_ref, std::uint64_t>> row_for;
    std::uint64_t copy = 0; ///< a range of keys for this token's copy
    std::uint64_t list = 0; ///< or a page for this query
    std::uint64_t snapshot = 0;
    replica_ref snapshot_peer;
    log_index applied; ///< snapshot scans: what the state held
  };
  struct in_flow {
    std::map<std::uint64_t, stream_message> buffer;
    bool running = false;
    bool gaps = false; ///< numbers are left out, never out of order
    std::uint64_t committed = 0;
  };
  struct log_order {
    store::log_write write;
    bool failed = false;
  };
  struct commit_order {
    store::order_id order;
    store::applied_meta meta;
  };
  /// A row that failed its checksum, until it is known to be right again.
  struct damaged_row {
    std::uint64_t number = 0;
    time_point since;
    time_point next_ask;
    time_point hopeless_at;
    unsigned asked = 0;
    log_index at_least; ///< where the state stood: no older answer counts
    banyan::term term;
    /// A row of the group's own that memory lacks, too: this replica is not
    /// whole before it has it.
    bool needed = false;
    /// It was: entries executed over the newer row may have left it alone, so
    /// the digest isn't right before it is put back.
    bool was_needed = false;
    std::optional<replica::row_given> answer;
    std::uint64_t rewritten_by = 0; ///< a state commit under way, or 0
    std::uint64_t mended_by = 0;    ///< the order that puts it back, or 0
  };
  /// The digests of one checkpoint, as the leader gathers them.
  struct comparison {
    std::map<replica_ref, store::state_digest> reports;
    time_point until;
    std::vector<std::uint64_t> numbers; ///< orders that wait for the end
    std::optional<store::state_digest> agreed;
    bool ended = false;
    std::set<replica_ref> odd;
  };
  /// Another version is wanted, and turns run that have to end first.
  struct switching {
    std::uint64_t number = 0; ///< of the order
    replica::version_entry entry;
    time_point until;
  };
  struct health_log {
    version_health seen;
    turn_health recent;  ///< of this minute
    turn_health earlier; ///< of the one before
    time_point since;
  };
  /// A copy of the state for somebody outside.
  struct state_copy {
    std::uint64_t pin = 0;
    std::size_t log_bytes = 0; ///< of the log as it began
    bytes position;
    bool rows_done = false;
    std::optional<time_point> asked; ///< for entries, the first time
    /// What was committed after that, by the first word of it.
    std::optional<log_index> covers;
    log_index next_entry;
    std::optional<store::applied_meta> meta; ///< where it ends, once known
    store::state_digest digest;
    time_point heard;
  };
  /// Who has to be told that it was removed.
  struct leaving_replica {
    static constexpr unsigned told_max = 5; ///< then it has to ask itself
    replica_ref who;
    log_index index;
    time_point next;
    unsigned told = 0;
    duration pause = std::chrono::milliseconds{20}; ///< not durable yet
  };
  enum class owner_kind : std::uint8_t { direct, pending, query };
  struct call_owner {
    owner_kind kind = owner_kind::direct;
    std::uint64_t id = 0;
  };

  // core.cpp: raft's effects, roles
  /// Also at the head of whatever sets what is committed from anything but
  /// raft's effects (a state that is recovered, installed or mended): an
  /// effect that raft still holds then would tell of a log that is no more.
  /// Never from an effect.
  void process_raft(time_point now);
  void on_effect(const raft::send& e, time_point now);
  void on_effect(const raft::persist& e, time_point now);
  void on_effect(const raft::committed& e, time_point now);
  void on_effect(const raft::truncated& e, time_point now);
  void on_effect(const raft::role_changed& e, time_point now);
  void on_effect(const raft::own_term_committed& e, time_point now);
  void on_effect(const raft::reads_confirmed& e, time_point now);
  void on_effect(const raft::reads_dropped& e, time_point now);
  void on_effect(const raft::fresh& e, time_point now);
  void on_effect(const raft::needs_snapshot& e, time_point now);
  void on_effect(const raft::configuration_changed& e, time_point now);
  void on_effect(const raft::replica_lost& e, time_point now);
  void on_effect(const raft::log_lost& e, time_point now);
  void on_effect(const raft::probe_leader& e, time_point now);
  void on_effect(const raft::leader_stopped& e, time_point now);
  void on_effect(const raft::asleep& e, time_point now);
  void on_effect(const raft::awake& e, time_point now);
  void on_effect(const raft::transfer_ended& e, time_point now);
  void take_over(time_point now);
  void step_down();
  void report_role();
  void close_failover(time_point now);
  void fail(std::string message, bool newer = false);
  void fail_on_later(log_index index);
  [[nodiscard]] bool may_propose() const;

  // recovery.cpp: what the state is good for
  bool start_log(store::recovered_log log, bool found, time_point now);
  void take_state(recovered_rows& state, time_point now);
  void lose_state(std::string why, bool quarantined, time_point now,
                  bool rows_are_right = false);
  void mark_given_up();
  void mark_again(time_point now);
  bool on_marked(const store::order_id& order, bool stored, time_point now);
  void become_whole(time_point now);
  void set_phase(state_phase phase, bool quarantined, std::string why);
  [[nodiscard]] bool whole() const {
    return phase_ == state_phase::whole
           || planted(planted_bug::pending_state_serves);
  }
  void ask_for_state(time_point now);
  void on_state_wanted(const replica_ref& from, const_bytes payload,
                       time_point now);
  void leave_the_lead(time_point now);
  void resume_leading(time_point now);
  void rebuild_hashes(const log_base& base);
  [[nodiscard]] std::vector<replica_ref> fellows() const;
  [[nodiscard]] bool lacks_state(const replica_ref& who, time_point now) const;

  // mending.cpp: damaged rows
  void open_damage(bytes key, time_point now);
  void close_damage(const std::vector<bytes>& keys);
  void leave_damage();
  void mend(time_point now);
  void mending_tick(time_point now);
  void ask_for_row(const bytes& key, damaged_row& d, time_point now);
  void on_row_wanted(const replica_ref& from, const_bytes payload,
                     time_point now);
  void on_row_given(const replica_ref& from, const_bytes payload,
                    time_point now);
  void give_row(const read_wait& w,
                const result<std::optional<store::row>, store::store_errc>& r);
  bool on_mended(const store::order_id& order,
                 const result<store::digest_at, store::store_errc>& done,
                 time_point now);
  void park(read_wait w);
  void order_parked(read_wait w);
  void order_row_for(read_wait w);

  // checkpoints.cpp: states compared
  void propose_checkpoint(time_point now);
  void stored_checkpoint(time_point now);
  void report_checkpoint(time_point now);
  void on_report(const replica_ref& from, const_bytes payload, time_point now);
  void on_verdict(const replica_ref& from, const_bytes payload, time_point now);
  void take_report(const replica_ref& from,
                   const replica::checkpoint_report& report, time_point now);
  void judge(log_index index, comparison& c, time_point now);
  void tell_verdict(const replica_ref& to, log_index index,
                    const comparison& c);
  void end_comparison(log_index index, comparison& c, bool done,
                      const std::string& why);
  void checkpoint_tick(time_point now);
  [[nodiscard]] time_point checkpoint_deadline() const;

  // apply.cpp: entries into overlay and tables, the output gate
  std::optional<log_index> propose(replica::entry_body body, time_point now);
  void execute(const replica::entry& e, log_index index, banyan::term t,
               bool undo);
  bool execute(const log_entry& e, bool undo);
  bool catch_up(log_index to, bool undo);
  void roll_back(log_index to);
  void release_gate(time_point now);
  void release(gate_item& item, log_index index, time_point now);
  [[nodiscard]] duration log_time(time_point now) const;

  // storage.cpp
  void order_commit_if_due(time_point now);
  void submit(order_commit c);
  void set_commit_due(time_point now);
  void take_commit(const store::order_id& order,
                   const result<store::digest_at, store::store_errc>& returned,
                   time_point now);
  store::order_id next_order();

  // log_orders.cpp
  void meet_full_log(time_point now);
  void leave_full_log();
  void retry_log(time_point now);
  bool free_log_space(time_point now);
  void refuse_queries_on_full_log();
  bool trim_log(bool all);
  void trim_behind_commit(time_point now);
  [[nodiscard]] digest hash_at(log_index index) const;
  [[nodiscard]] bool knows_hash(log_index index) const;

  // requests.cpp
  void answer(std::uint64_t call, banyan::reply r);
  void answer(std::uint64_t call, reply_status status,
              std::string message = {});
  [[nodiscard]] banyan::reply resting() const;
  banyan::reply not_leader(bool submitted) const;
  banyan::reply reply_of(const replica::answer& a, log_index index) const;
  void on_command(std::uint64_t call, request_frame& r, time_point now);
  void on_query(std::uint64_t call, request_frame& r, time_point now);
  void on_open_session(std::uint64_t call, time_point now);
  void on_close_session(std::uint64_t call, const request_frame& r,
                        time_point now);
  void attach(std::uint64_t call, pending& p, time_point deadline);
  bool refuse_overload(std::uint64_t call, const request_frame& r,
                       time_point now);
  void answer_kept(std::uint64_t call, log_index index, const_bytes kept);
  void answer_gated(std::uint64_t call, reply_status status,
                    std::string message);
  void session_request_done(const pending& p);
  void expire_calls(time_point now);
  void watch_deadline(std::uint64_t call, time_point deadline);
  void drop_pending(std::uint64_t id);
  void sweep_sessions(time_point now);

  // turns.cpp
  pending& add_pending(pending p);
  void enqueue(pending& p, bool front);
  void make_ready(const std::string& actor, slot& s);
  void pump_turns(time_point now);
  void note_queued(pending& p, time_point now);
  void note_wait(slot& s, pending& p, time_point now);
  [[nodiscard]] duration waited_at(const slot& s, time_point now) const;
  [[nodiscard]] duration expected_wait(const std::string& actor,
                                       time_point now) const;
  bool begin(pending& p, time_point now);
  void on_result(run& r, turn_result result, time_point now);
  void finish(pending& p, turn_result result, std::vector<bytes> also_erased,
              time_point now);
  bool conclude(pending& p, replica::turn_entry turn, time_point now);
  void retry_later(pending& p, time_point now);
  void end_run(std::uint64_t number);
  void actor_free(const std::string& actor);
  replica::answer answer_of(const turn_result& r) const;
  void add_effects(const pending& p, turn_result& r, replica::turn_entry& t,
                   time_point now);
  void add_reply_message(const pending& p, replica::turn_entry& t);
  void number_sends(replica::turn_entry& t) const;
  void record_poison(time_point now);
  // poison.cpp
  [[nodiscard]] bool is_suspect(const bytes& request) const;
  [[nodiscard]] bool is_recorded(const bytes& request,
                                 const replica::poison_record& r) const;
  [[nodiscard]] bool is_cleared(const bytes& request,
                                const replica::poison_record& r) const;
  void clear_suspects(time_point now);
  void on_cleared(const replica_ref& from, const_bytes payload, time_point now);
  void strike_out(const std::vector<bytes>& requests, const node_id& node,
                  incarnation since, incarnation until, time_point now);
  void pump_timers(time_point now);
  void launch(run& r);
  run& add_run(const std::string& actor, std::uint64_t owner, bool is_query);
  std::uint64_t open_pendings_of(std::uint64_t session) const;

  // versions.cpp
  [[nodiscard]] std::uint64_t version() const;
  [[nodiscard]] bool host_up() const;
  void propose_for(std::uint64_t number, replica::entry_body body,
                   time_point now);
  std::string row_after(version_order& o, group_versions& out) const;
  void step_version(time_point now);
  [[nodiscard]] bool turns_out() const;
  [[nodiscard]] std::uint32_t first_write(const replica::turn_entry& t) const;
  void note_version(time_point now);
  [[nodiscard]] bool newborn() const;
  void regather();
  void hand_out_turns(time_point now);
  void note_turn(const run& r, const turn_result& result, time_point now);
  void note_crash(time_point now);
  health_log& health_log_now(time_point now);

  // row_reads.cpp
  std::optional<replica::row_version> known(const run& r, const bytes& row);
  void gather(run& r);
  void gather_range(run& r, std::size_t n);
  void restart(run& r);
  void merge_page(run& r, range_work& w, const store::scan_page& page);
  void order_row(run& r, bytes row);
  [[nodiscard]] log_index version_of(const run& r);
  void erase_all_rows(run& r, const store::scan_page& page, time_point now);

  // queries.cpp
  void begin_query(query& q);
  void on_query_result(run& r, turn_result result, time_point now);
  void try_answer(query& q, time_point now);
  void drop_query(std::uint64_t id);
  void admit_query(std::uint64_t call, query q, request_frame& r,
                   time_point now);
  bool is_fresh(duration bound, time_point now);
  void ask_for_freshness(duration bound, time_point now);
  void take_fresh();
  [[nodiscard]] std::optional<log_index>
  committed_after(time_point asked) const;

  // looks.cpp
  static std::optional<look> look_named(std::string_view command);
  void on_look(std::uint64_t call, request_frame& r, time_point now);
  bool read_look(query& q, const bytes& argument) const;
  void look_ready(run& r);
  void answer_looks(time_point now);
  void finish_look(query& q, bytes result, log_index version, time_point now);
  void wake_watches(const std::string& actor);
  void forget_watch(const query& q);
  void scan_list(query& q, bytes from);
  void begin_list(query& q);
  void on_list_page(const read_wait& w, const store::scan_page& page,
                    time_point now);
  void end_list(query& q, bool more, time_point now);

  // exchange.cpp
  void take_messages(const stream_frame& frame, bool gaps);
  void pump_streams(time_point now);
  void pump_source(const replica::stream_table::source& from);
  void put_back(pending& p, const replica::by_stream& by);
  void send_acks();
  void propose_acks(time_point now);
  void took(const replica::turn_by& by, log_index index);

  // peers.cpp
  void send_frame(const replica_ref& to, group_frame_kind kind, bytes payload,
                  bool bulk);
  [[nodiscard]] unsigned rank(const node_id& lost, banyan::term led) const;
  void tell_leaving(time_point now);
  void on_retire(const_bytes payload);
  void on_left_out(const replica_ref& who, time_point now);
  void on_log_lost(const replica_ref& from, const_bytes payload);
  [[nodiscard]] bool readable(const raft::message& m);
  void refuse_later(log_index index);

  // snapshots.cpp
  void start_offer(const replica_ref& to, bool rebuild, time_point now);
  void drop_offer(const replica_ref& to);
  void install_done(const store::state_digest& sum, time_point now);
  void on_offer(const replica_ref& from, const_bytes payload, time_point now);
  void on_pull(const replica_ref& from, const_bytes payload, time_point now);
  void on_chunk(const replica_ref& from, const_bytes payload, time_point now);
  void on_entries(const replica_ref& from, const_bytes payload, time_point now);
  void send_chunk(const read_wait& w, const store::scan_page& page);
  void send_entries(const replica_ref& to, const replica::snapshot_pull& p,
                    time_point now);
  void pull(time_point now);
  void stage(order_stage::step what, std::vector<store::row_change> rows,
             store::applied_meta meta);
  void abandon_install();
  void finish_install(time_point now);
  void snapshot_tick(time_point now);

  // closing.cpp
  void on_load(std::uint64_t call, const request_frame& r, time_point now);
  [[nodiscard]] const lineage_id& stream_lineage() const {
    return config_.stream_lineage.is_none() ? config_.lineage
                                            : config_.stream_lineage;
  }

  // copies.cpp
  void copy_page(const read_wait& w, const store::scan_page& page);
  void copy_entries(std::uint64_t token, state_copy& c, time_point now);
  void end_copy(std::uint64_t token, std::string why);
  void copies_tick(time_point now);

  // changes.cpp
  void step_changes(time_point now);
  void end_change(std::uint64_t number, bool done, std::string why);

  replica_config config_;
  random_source& random_;
  const app_directory& apps_;
  std::unique_ptr<raft::core> raft_;
  std::vector<raft::effect> raft_effects_;
  bool processing_raft_ = false;
  replica_effects out_; ///< gathered since the last flush
  bool failed_ = false;

  // the state of the group
  replica::group_tables tables_;
  replica::overlay overlay_;
  replica::row_cache cache_;
  log_index committed_; ///< as far as raft's commits were processed
  duration log_time_{}; ///< at the last executed entry
  time_point log_time_at_;
  store::applied_meta state_meta_; ///< what a returned state commit holds
  std::optional<store::state_digest> state_digest_; ///< of `state_meta_`
  std::optional<raft::configuration> committed_configuration_;

  // what the state is good for
  state_phase phase_ = state_phase::pending;
  bool quarantined_ = false;
  bool readable_ = false; ///< its rows may be read: whole, or being mended
  time_point ask_state_at_ = never;
  unsigned asked_for_state_ = 0;
  time_point hand_over_at_ = never;           ///< leads without a state
  std::set<replica_ref> heard_;               ///< replicas that said anything
  std::map<replica_ref, time_point> lacking_; ///< said so, and until when
  std::map<bytes, damaged_row> damage_;
  std::vector<bytes> rows_gone_; ///< damaged, and mended with the whole state
  std::vector<read_wait> parked_reads_; ///< reads that met damage
  std::uint64_t mending_ = 0;           ///< the order that puts rows back, or 0
  std::uint64_t rows_mended_ = 0;
  std::uint64_t mark_ = 0;     ///< the order that stores "given up", or 0
  time_point mark_at_ = never; ///< it is to be stored then, if the rows stay

  // checkpoints
  std::deque<log_index> checkpoints_; ///< committed, not yet stored
  log_index checkpoint_at_;           ///< the last one executed
  std::size_t checkpoint_size_ = 0;   ///< proposed behind it
  std::optional<replica::checkpoint_report> report_; ///< this state's last
  bool report_settled_ = true;
  unsigned reported_ = 0;
  time_point report_next_ = never;
  std::map<log_index, comparison> comparisons_;
  std::vector<std::uint64_t> checkpoint_wanted_; ///< orders to compare
  bool compare_asked_ = false; ///< by a voter that was told of a conflict
  bool conflict_ = false;
  time_point conflict_retry_ = never;
  std::uint64_t digests_compared_ = 0;
  std::uint64_t digests_odd_ = 0;

  // roles
  bool leading_ = false;
  bool released_ = false; ///< the own no-op is committed
  banyan::term leading_term_;
  role role_ = role::follower;
  std::optional<replica_ref> leader_;
  std::optional<replica_ref> old_leader_;
  std::optional<time_point> detected_;
  time_point elected_;
  time_point first_commit_;
  bool failover_open_ = false;

  // log and state orders
  std::deque<log_order> log_orders_;
  bool log_full_ = false; ///< the first order found no room, the others wait
  time_point log_full_since_;
  time_point log_retry_at_ = never; ///< `never` too while it is tried again
  duration log_retry_wait_{};
  std::deque<digest> hashes_; ///< behind `hashes_base_`
  log_index hashes_base_;
  digest hash_base_;
  std::uint64_t orders_ = 0;
  std::optional<commit_order> commit_;
  std::set<std::uint64_t> commits_out_; ///< orders of any kind, not returned
  time_point commit_due_ = never;
  std::size_t log_bytes_ = 0; ///< data of the entries in memory, about
  std::map<std::uint64_t, read_wait> reads_; ///< by order number

  // requests
  std::unordered_map<std::uint64_t, call_owner> calls_;
  std::map<time_point, std::vector<std::uint64_t>> call_deadlines_;
  std::uint64_t ids_ = 0;
  /// Of clients' arguments here: of commands until their entry, of queries.
  /// Before the tables whose entries count in it.
  std::size_t held_bytes_ = 0;
  static constexpr std::size_t held_bytes_max = std::size_t{64} << 20;
  std::unordered_map<std::uint64_t, std::unique_ptr<pending>> pendings_;
  std::unordered_map<std::string, std::uint64_t> by_request_;
  std::unordered_map<std::uint64_t, std::uint64_t> session_open_;
  std::unordered_map<std::string, slot> slots_;
  std::deque<std::string> ready_;
  std::map<std::uint64_t, std::unique_ptr<run>> runs_;
  std::size_t command_runs_ = 0;
  std::size_t waiting_ = 0;
  pace ready_pace_; ///< of the places in `ready_`
  /// Turns begin since then; none: they wait for a host, a leader, a version.
  std::optional<time_point> flows_since_;
  std::uint64_t exclusive_ = 0; ///< the run that runs alone
  std::multimap<time_point, std::uint64_t> delayed_; ///< pendings to retry
  std::vector<turn_order> launching_;
  std::uint64_t launching_version_ = 0;
  std::set<std::uint64_t> hosts_up_; ///< by version
  std::optional<switching> switching_;
  std::uint64_t version_ran_ = 0;
  std::optional<std::uint64_t> version_told_; ///< `tables_.version_changes`
  bool young_told_ = false;
  bool sure_told_ = false; ///< that the version is committed
  std::unique_ptr<health_log> health_;
  log_index refused_later_; ///< as last said
  bool parked_ = false;
  std::map<log_index, std::vector<gate_item>> gate_;
  std::deque<std::pair<log_index, std::size_t>> proposed_;
  std::size_t uncommitted_bytes_ = 0;
  std::size_t unordered_bytes_ = 0; ///< proposed, in no log order yet
  std::unordered_map<std::uint64_t, query> queries_;
  std::size_t watching_ = 0; ///< of `queries_`: watches
  std::multimap<std::string, std::uint64_t> watches_; ///< those that wait
  std::vector<std::uint64_t> looks_due_; ///< runs whose row is here
  std::optional<raft::fresh> fresh_;     ///< the newest that counts here
  /// Each counts once this replica has committed so far; by age, a few.
  std::deque<raft::fresh> fresh_soon_;
  struct poison_due {
    std::uint64_t pending = 0;
    replica::poison_record record;
  };
  std::vector<poison_due> poison_due_;
  time_point clear_at_ = never; ///< says again whom it clears
  std::set<bytes> timers_queued_;
  time_point sessions_sweep_at_ = never;

  // streams
  replica::stream_sender sender_;
  std::map<replica::stream_table::source, in_flow> in_flows_;
  std::set<replica::stream_table::source> acks_due_;
  time_point ack_entry_at_ = never;
  std::deque<stream_frame> own_frames_; ///< from this group to itself

  // changes
  std::deque<change_order> changes_;
  std::uint64_t transfer_number_ = 0;
  time_point change_poll_at_ = never;
  static constexpr duration copy_patience = std::chrono::minutes{1};
  static constexpr std::size_t leaving_max = 64;
  std::vector<leaving_replica> leaving_;
  std::set<replica_ref> committed_members_;

  // snapshots
  std::map<replica_ref, replica::snapshot_offer_state> offers_;
  std::optional<replica::snapshot_install> install_;
  std::uint64_t snapshots_ = 0;
  std::map<std::uint64_t, state_copy> copies_; ///< by token
};

} // namespace banyan
