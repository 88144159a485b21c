#pragma once
#include "actors/node/backup.hpp"
#include "actors/node/context.hpp"
#include "actors/node/replica.hpp"
#include "actors/pure/instances.hpp"
#include "actors/pure/parting.hpp"
#include "actors/pure/placement.hpp"
#include "actors/pure/rollout.hpp"
#include "actors/pure/sums_compared.hpp"
#include "actors/pure/supervision.hpp"

#include <caf/stateful_actor.hpp>

#include <list>
#include <map>
#include <set>

namespace banyan::actors {

class operator_desk;
struct instance_load;

struct supervisor_start {
  std::vector<owner_id> trusted;
  /// Mesh `local`: any peer signs for everybody.
  std::optional<identity> local_owner;
  raft::options raft;
  duration request_timeout = 5s;
  duration tick = 100ms;
  std::function<void(int code, const std::string& why)> fatal;
};

/// The supervisor of a node's groups: keeps the apps' documents, makes, starts
/// and drops replicas, replaces voters that are gone (as their leader's
/// supervisor), starts the apps' hosts, and answers deploys.
class group_supervisor : public std::enable_shared_from_this<group_supervisor> {
public:
  group_supervisor(caf::event_based_actor* self, node_context& ctx,
                   supervisor_start start);
  ~group_supervisor();

  /// First: what the disk holds of apps, and their replicas here.
  void load_papers();
  void on_tick();
  /// At once, or in a large mesh once it was asked who leads the app's groups.
  void when_known(const std::string& app, std::function<void()> then);
  /// The disk is older than what the mesh saw, up to that incarnation: gives up
  /// every replica, then calls `then`.
  void give_up_all(incarnation seen, std::function<void()> then);
  void halt();
  void on_control(control_in& m);
  void on_peer_up(const node_id& node);
  void on_news(replica_news& m);
  void on_host_news(const host_news& m);
  void on_log_done(const log_done_in& m);
  void on_down(const caf::down_msg& m);
  void on_compare_wanted(const compare_in& m) { compare(m.group); }
  void on_damaged_log(const log_damaged_in& m) { on_log_damaged(m); }
  /// Asks to be told what the state holds, once it is open.
  void await_state();
  void plan(plan_in& m);
  void deploy(deploy_in& m);
  void take_papers(papers_in& m);
  void remove(remove_in& m);
  void stop(stop_in& m);
  void operate(operate_in& m);
  void backup(backup_in& m);
  void on_copy(copy_in& m) { backups_.on_copy(m); }
  void plan_recovery(recover_plan_in& m);
  void take_recoveries(recover_in& m);

private:
  friend class operator_desk; ///< what operators order (operator_desk.hpp)
  /// Where a leader is with its group's version.
  struct rollout_seat {
    std::uint64_t number = 0;               ///< of the order under way, or 0
    rollout_step step;                      ///< that it is for
    time_point give_up = never;             ///< on it
    time_point retry_at{};                  ///< after one that came to nothing
    bool dirty = true;                      ///< something changed
    bool pending = false;                   ///< the last step was not to rest
    std::uint64_t watched = 0;              ///< this version,
    time_point since{};                     ///< since then
    std::map<node_id, time_point> away;     ///< members unheard, since
    std::unique_ptr<version_health> health; ///< while that matters
    std::optional<version_word> told;
    time_point told_at{};
  };
  struct local_replica {
    replica_id id;
    lineage_id lineage; ///< in which it speaks
    caf::actor actor;
    role_changed role;
    state_phase phase = state_phase::pending; ///< as it said last
    bool state_told = false;     ///< it knows what the disk holds of it
    std::uint64_t rows_open = 0; ///< damaged, and not yet mended
    parting going;               ///< once its log was found damaged
    bool votes = true; ///< by the newest configuration, unless unknown
    raft::configuration configuration;
    bool configured = false;
    std::set<replica_ref> lost_learners; ///< said that they aren't there
    voter_watch watch;        ///< voters that this leader can't reach
    time_point handed_over{}; ///< last, because it was cut off itself
    std::map<node_id, time_point> cut_off; ///< voters only others hear, since
    bool parked = false;                   ///< by order, as long as it leads
    time_point host_move_at{}; ///< when leadership may move for a host again
    bool adding = false;       ///< a learner or voter change is under way
    std::uint64_t number = 0;  ///< of the order that is under way
    time_point give_up = never;
    std::optional<replica_ref> newcomer;
    version_changed version;    ///< what its log says of it
    bool version_known = false; ///< it said so
    std::uint64_t base = 0;     ///< the version that it runs otherwise
    time_point newborn_until{}; ///< made with its group, just now
    rollout_seat roll;
    std::vector<node_id> refused;   ///< candidates that could not
    time_point gave_way{};          ///< last, as its node lacked the code
    time_point left_out_at = never; ///< asks then whether it was removed
    time_point retry_at{};
    time_point surplus_at = never; ///< its learner that nobody needs goes then
  };
  // ---- the apps' documents (papers.cpp)
  /// Verifies, stores and puts to use; `from` is told nothing back.
  void adopt(const app_papers& p, const node_id* from, deploy_function done);
  void install(const app_record& a);
  /// After a change of who bears it.
  void show_name(const std::string& name);
  void use_secret(const app_record& a);
  void uninstall(const app_record& a);

  // ---- secrets of apps (secrets.cpp)
  /// False: the host can't start without them; `host_errors` says which.
  [[nodiscard]] bool give_secrets(const app_record& a, std::uint64_t number,
                                  const app_spec& spec, host_options& o,
                                  std::string& why);
  std::shared_ptr<const secret_bytes<32>> find_secret_key(const app_record& a,
                                                          std::uint64_t number,
                                                          const app_spec& spec);
  void forget_secrets(const app_id& app);
  void ask_for_secrets(time_point now);
  [[nodiscard]] std::set<node_id> may_have_secrets(const app_record& a,
                                                   std::uint64_t number) const;
  void on_secret_wanted(const node_id& from, const secret_wanted& m);
  void on_secret_key(const secret_key& m);

  void tell_papers(const node_id& to, const app_papers& p);
  void on_documents(const node_id& from, const documents_held& theirs);

  // ---- in meshes where not everybody is linked (far_papers.cpp)
  [[nodiscard]] documents_sum sum_of_documents() const;
  void tell_views_to_all();
  void tell_documents(const node_id& to);
  void tell_recoveries(const node_id& to);
  void on_sum(const node_id& from, const documents_sum& theirs);
  void list_documents(const node_id& to);
  /// Now and then: documents with a neighbour, views with the keepers.
  void tick_far(time_point now);
  void keep_told(time_point now);
  /// Who will need the module that an operator brought here finds it here.
  void offer_modules(const app_record& a, time_point now);

  // ---- this node's replicas (local_replicas.cpp)
  void begin_replicas(const app_record& a);
  /// Makes a new one.
  void begin_replica(const app_record& a, std::uint32_t shard,
                     const replica_id& id, bool rows_may_be_left,
                     std::function<void()> then = nullptr);
  void drop_rows(const store::order_id& order);
  /// Again and again until there is room for it: what it frees may be what a
  /// full disk lacks.
  void drop_log(const group_id& g, const replica_id& id);
  void on_log_dropped(const group_id& g, std::optional<store::store_errc> e);
  void spawn(const app_record& a, std::uint32_t shard, const replica_id& id);
  void start_host(const app_record& a, std::uint64_t number,
                  const app_spec& spec);
  void stop_replica(const group_id& g);
  void forget_replica(const group_id& g);
  /// A replica that its group's leader doesn't name asks it whether it was
  /// removed, now and then: the answer is `replica_retired`.
  void ask_if_left_out(const group_id& g, local_replica& r, time_point now);
  /// This node's log or vote of a group can't be trusted any more: the replica
  /// ends here and its leader replaces it. Log and rows stay, for `recover`.
  void give_up_replica(const group_id& g, const std::string& why);

  // ---- the hosts of apps' versions (app_hosts.cpp)
  struct app_base { ///< what groups run whose logs name no version
    std::uint64_t number = 0;
    app_spec spec;
  };
  struct host_seat {
    bool up = false;
    bool exhausted = false;
    bool worn = false;
    std::string why = "its host starts"; ///< it isn't up
    std::uint32_t state_version = 0;
    time_point stop_at = never; ///< no group here needs it any more
  };
  [[nodiscard]] app_base base_of(const app_record& a) const;
  void load_base(const app_record& a);
  /// Some group here may run a version that its log doesn't name.
  [[nodiscard]] bool runs_unnamed(const app_id& app) const;
  void keep_base(const app_record& newer,
                 std::vector<store::documents::change>& changes);
  void forget_base(const app_id& app);
  [[nodiscard]] std::optional<app_spec> spec_of(const app_record& a,
                                                std::uint64_t number) const;
  [[nodiscard]] static std::uint64_t running(const local_replica& r);
  /// Starts the hosts that this node's groups need and marks others to stop.
  void want_hosts(const app_id& app);
  void stop_host(const app_host_id& id);
  void tick_hosts(time_point now);
  void sum_up_hosts(const app_id& app);

  // ---- stateless apps (instances.cpp)
  struct instance_seat {
    std::string name;
    bool placed = false; ///< here, when that was looked at last
    bool covered = true; ///< likewise
    instance_keeper keeper;
    caf::actor actor; ///< none while no host of the app is here
    std::shared_ptr<instance_load> load;
    std::map<std::uint64_t, app_spec> specs; ///< of versions started here
  };
  /// `count` of the members that may run it, in placement order.
  [[nodiscard]] placed instances_of(const app_spec& s,
                                    const std::array<std::uint8_t, 16>& nonce,
                                    std::uint32_t count) const;
  /// It is among the first N, as this node reads the members.
  [[nodiscard]] bool should_run(const app_record& a, const node_id& node) const;
  void place_seat(const app_record& a);
  deploy_answer plan_instances(const app_spec& s,
                               const std::array<std::uint8_t, 16>& nonce) const;
  void keep_instances(time_point now);
  void keep_instance(const app_id& id, time_point now);
  instance_seat& seat_of(const app_record& a);
  void start_instance_host(const app_record& a, instance_seat& seat,
                           std::uint64_t number);
  void tell_instance_word(const app_id& id, instance_seat& seat,
                          const tell_instance& t);
  void tell_instances(const node_id& to);
  void end_instance(const app_id& id, instance_seat& seat);
  void drop_instance(const app_id& id);
  [[nodiscard]] bool instances_busy() const;

  // ---- updates (rollout.cpp)
  void roll_out(const group_id& g, local_replica& r, time_point now);
  [[nodiscard]] rollout_facts facts_of(const group_id& g, const app_record& a,
                                       local_replica& r, time_point now);
  void carry_out(const group_id& g, const app_record& a, local_replica& r,
                 const rollout_facts& f, const rollout_step& step,
                 time_point now);
  /// True when the order was one of these.
  bool on_rolled(const group_id& g, local_replica& r, const change_done& d);
  void on_version(const group_id& g, local_replica& r, version_changed& v);
  void look_at_updates(const app_id& app);
  void tell_word(const group_id& g, const app_record& a, local_replica& r,
                 const rollout_step& step, time_point now);
  void tell_ready(const app_id& app, const node_id* to);
  void tell_versions(const node_id& to);
  void on_version_ready(const node_id& from, const version_ready& m);
  void on_version_word(const node_id& from, const version_word& m);
  /// Why a module that writes this state version can't take over any more;
  /// empty: it can.
  [[nodiscard]] std::string why_too_low(const app_record& a,
                                        std::uint32_t state_version) const;

  // ---- what the disk has lost (damage.cpp)
  void on_state_open(const store::state_opening& o);
  void give_state(const group_id& g, local_replica& r);
  void on_phase(const group_id& g, local_replica& r,
                const state_phase_changed& p);
  void on_judged(const group_id& g, const checkpoint_judged& j);
  void on_row(const group_id& g, local_replica& r, const row_damaged& d);
  void tell_states(const node_id* to);
  void on_states(const node_id& from, const unready_replicas& theirs);
  void compare(const group_id& g);
  void on_compare(const node_id& from, const compare_wanted& m);
  void on_log_damaged(const log_damaged_in& m);
  void ask_to_stay(time_point now);
  void on_stay(const node_id& from, const stay_wanted& m);
  void on_staying(const node_id& from, const stay_promised& m);
  void look_aside();
  [[nodiscard]] bool all_voters_well() const;
  /// Drops states that were set aside once nobody can need them any more.
  void clear_aside(time_point now);

  void refresh_sharing();
  void put_documents(std::vector<store::documents::change> changes,
                     std::function<void()> then);

  // ---- recoveries (recovery.cpp)
  void load_recoveries();
  [[nodiscard]] lineage_state lineage_of(const group_id& g) const;
  [[nodiscard]] std::string why_refused(const signed_document& d,
                                        app_recovery& r,
                                        reply_status& status) const;
  void keep_recovery(const signed_document& d, const app_recovery& r,
                     const node_id* from, std::function<void()> then);
  void apply_lineage(const group_id& g);
  void say_given_up(const app_record& a, std::uint32_t shard);
  void on_recovery(const node_id& from, const recovery_told& t);
  void on_standings(const node_id& from, standings_told& t);
  void standings_here(const app_id& app,
                      std::function<void(std::vector<surviving_replica>)> done);
  void end_recovery_plan(std::uint64_t token);
  void recovery_tick(time_point now);
  /// The recovered line that the replica here leads, when no document says so
  /// yet.
  [[nodiscard]] std::optional<lineage_id> unnoted_line(const group_id& g) const;

  // ---- removed apps, and closed ones (removed.cpp)
  void forget_removed(const app_record& a);
  void reopen(const app_record& a);
  void count_removed(time_point now);
  void drop_data(const app_record& a);
  [[nodiscard]] duration kept_for(const app_id& app) const;
  /// Its data was kept for as long as promised, here.
  [[nodiscard]] bool is_over(const app_id& app) const;
  /// Living peers that don't know `needed`, as text; empty: all do.
  [[nodiscard]] std::string older_peers(feature_bits needed) const;
  /// Being restored, or removed and kept, or in conflict about its lineage.
  [[nodiscard]] bool closed(const group_id& g) const;
  void refresh_closed(const app_record& a);

  // ---- deploys (deploy.cpp)
  using made_function = std::function<void(std::map<std::uint32_t, replica_id>,
                                           std::string error)>;
  struct making { ///< one `make_replicas` that we asked for
    node_id node;
    made_function done;
    time_point until;
  };
  struct module_trial { ///< a host that only shows whether a module opens
    std::unique_ptr<host> on;
    /// Why it doesn't open, or its state version; null: over.
    std::function<void(std::string why, std::uint32_t state_version)> done;
    time_point until;
  };
  /// Opens the module with the spec's configuration, here; `why` is empty if
  /// that went well.
  void try_module(
      const app_spec& s,
      std::function<void(std::string why, std::uint32_t state_version)> done);
  void end_trials(time_point now);
  void deploy_tried(deploy_in& m, std::uint32_t state_version);
  /// For a replica of `s`, if given: its modules decide, too.
  [[nodiscard]] std::vector<candidate>
  candidates(const app_spec* s = nullptr) const;
  [[nodiscard]] placement_need need_of(const app_spec& s) const;
  deploy_answer place_all(const app_spec& s,
                          const std::array<std::uint8_t, 16>& nonce) const;
  void prepare(const app_spec& s, deploy_answer planned, deploy_function done);
  void ask_to_make(const node_id& node, const app_record* app,
                   const std::array<std::uint8_t, 16>& nonce,
                   std::vector<std::uint32_t> shards, made_function done);
  void make_here(const make_replicas& m, made_function done);
  /// One more copy may come here now.
  [[nodiscard]] bool takes_in(time_point now);
  void on_make_replica(const node_id& from, const make_replicas& m);
  void on_replica_made(const node_id& from, replicas_made& m);
  void sign_and_adopt(const app_spec& s, const deploy_answer& prepared,
                      deploy_function done);

  // ---- where the code is (distribution.cpp)
  /// What the papers here name is kept, and fetched if this node may need it.
  void name_modules();
  [[nodiscard]] bool may_host(const app_record& a) const;
  /// This node's code for the app is on its way: does `then` once it is here,
  /// `otherwise` when that takes too long.
  void await_code(const app_record& a, std::function<void()> then,
                  std::function<void(std::string why)> otherwise);
  void end_waits(time_point now);
  /// Of `all`, those that have the spec's code already; all if none has.
  [[nodiscard]] std::vector<candidate> with_code(std::vector<candidate> all,
                                                 const app_spec& s) const;
  /// A leader whose node lacks the code gives way to a voter that has it.
  void lead_where_the_code_is(const group_id& g, local_replica& r,
                              time_point now);
  /// Empty, or why the modules that the spec names can't be deployed.
  void judge_modules(const app_spec& s,
                     std::function<void(std::string why)> done);
  /// Living peers that would not take this owner's documents, this one too.
  [[nodiscard]] std::vector<node_id> refusing(const owner_id& owner) const;
  void papers_judged(papers_in& m);

  // ---- repair (repair.cpp)
  void repair(const group_id& g, local_replica& r, time_point now);
  void add_newcomer(const group_id& g, local_replica& r,
                    const std::optional<voter_watch::due>& instead,
                    time_point now,
                    const std::optional<node_id>& to = std::nullopt);
  /// Takes in and lets go in one joint change.
  void change(const group_id& g, local_replica& r, group_order o,
              time_point now);
  [[nodiscard]] std::vector<candidate> able_candidates(const local_replica& r,
                                                       const app_spec& s) const;
  /// A learner that is gone only burdens its group. True: it is being removed.
  bool drop_lost_learner(const group_id& g, local_replica& r, time_point now);
  [[nodiscard]] bool is_lost(const local_replica& r,
                             const replica_ref& who) const;
  [[nodiscard]] bool may_begin(const group_id& g, time_point now) const;
  void order(const group_id& g, local_replica& r, group_order o);
  void on_change_done(const group_id& g, const change_done& d);
  void on_failover(const group_id& g, const failover_report& f);
  void on_failover_frame(const node_id& from, failover_record& rec);
  void keep(failover_record r);

  // ---- the ladder and hand-overs (ladder.cpp)
  struct app_trouble { ///< the nodes where an app's host is not well
    std::set<node_id> exhausted;
    std::set<node_id> worn; ///< or exhausted
  };
  void tell_troubles(const node_id& to);
  void forget_troubles(const node_id& of);
  void on_host_state(const node_id& from, const host_state& m);
  void on_host_wear(const node_id& from, const host_wear& m);
  void on_host_trouble(const group_id& g, local_replica& r,
                       const host_trouble& t);
  /// Moves leaderships, parks and unparks, as far as this node leads.
  void judge_hosts(const std::string& app);
  /// How the hosts that this node's groups of the app run on stand.
  void stand_here(const std::string& app, bool exhausted, bool worn);
  void judge_host(const std::string& app, const group_id& g, local_replica& r);
  void move_for_host(const std::string& app, const group_id& g,
                     local_replica& r, const node_id& to, bool worn_only);
  void hand_over_if_cut_off(const group_id& g, local_replica& r,
                            time_point now);

  caf::event_based_actor* self_;
  node_context& ctx_;
  supervisor_start start_;
  std::map<app_id, app_record> apps_;
  std::map<group_id, local_replica> replicas_;
  struct first_write {
    replica_id id;
    std::function<void()> then;
  };
  std::map<group_id, first_write> first_writes_;
  /// Replicas that were made here for groups that live: since then.
  std::map<group_id, time_point> taken_in_;
  struct log_drop {
    replica_id id;
    duration wait; ///< if it is refused
  };
  std::map<group_id, log_drop> drops_; ///< not known to be done
  /// What the state held as it was opened, by group; nothing until then.
  std::optional<std::map<group_id, store::recovered_state>> states_;
  bool states_changed_ = false; ///< who is unready: tell the others
  time_point aside_look_{};
  std::vector<std::string> aside_; ///< states that were set aside
  bool halted_ = false;            ///< no replica starts any more
  std::map<std::uint64_t, making> makings_;
  intake_waits intakes_; ///< of nodes that take in others first
  std::list<module_trial> trials_;
  struct code_wait {
    std::shared_ptr<char> life; ///< of what waits for the module
    std::function<void(std::string why)> otherwise;
    digest hash;
    time_point until;
  };
  std::list<code_wait> code_waits_;
  std::map<app_id, time_point> asked_to_host_;      ///< lately, by a leader
  std::map<node_id, std::vector<owner_id>> trusts_; ///< as they said
  time_point modules_named_at_{};
  std::map<std::string, app_trouble> troubles_; ///< by app
  std::set<std::string> parked_;                ///< apps, as was said
  std::map<app_id, app_base> bases_; ///< where it isn't the newest version
  std::map<app_host_id, host_seat> seats_;
  std::map<app_id, instance_seat> instances_;
  time_point instances_at_{};             ///< placements are looked at then
  time_point instances_told_at_{};        ///< and what is up is told again
  struct far_state {                      ///< see far_papers.cpp
    std::set<node_id> sharing;            ///< groups with this node
    time_point compare_at{};              ///< documents, with a neighbour
    std::map<node_id, time_point> listed; ///< what is here, to them, at
    sums_compared compared;
    bool was_full = true; ///< everybody is told of views
    /// What is led or served here, and whom that was told as its keepers.
    struct told {
      std::vector<node_id> keepers;
      time_point at;
    };
    std::map<group_id, told> told;
    group_id told_up_to;
    std::map<app_id, time_point> offered; ///< modules brought here, until
  };
  far_state far_;
  std::set<app_id> hosts_changed_; ///< what is wanted has to be looked at
  std::map<app_id, std::map<node_id, version_ready>> ready_;
  std::map<group_id, time_point> word_at_;
  time_point ready_again_{};
  backup_service backups_;
  /// By version, as far as they were needed.
  std::map<app_host_id, std::shared_ptr<const secret_bytes<32>>> secret_keys_;
  std::map<app_host_id, time_point> secrets_wanted_; ///< asks for the key then
  std::map<group_id, std::map<lineage_id, signed_document>> recoveries_;
  struct recovery_plan { ///< one that asks around
    recover_plan_in wanted;
    app_id app;
    std::set<node_id> open; ///< have not answered
    std::vector<surviving_replica> answers;
    time_point until;
  };
  std::map<std::uint64_t, recovery_plan> recovery_plans_;
  time_point removed_counted_at_ = never;
  std::uint64_t next_number_ = 0;
  std::unique_ptr<operator_desk> desk_;
  std::function<void()> stopped_;
  bool stopping_ = false; ///< hands over whatever it leads, until it ends
  time_point stop_until_ = never;
  time_point hand_over_at_{}; ///< while it stops: asks its leaders again then
};

struct supervisor_actor_state {
  static inline const char* name = "supervisor";
  std::shared_ptr<group_supervisor> shell;
  std::unique_ptr<io::timer> timer;
};
caf::behavior
supervisor_actor(caf::stateful_actor<supervisor_actor_state>* self,
                 node_context* ctx, std::shared_ptr<supervisor_start> start);

} // namespace banyan::actors
