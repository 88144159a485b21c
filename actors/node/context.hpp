#pragma once
#include "actors/host/turn_trail.hpp"
#include "actors/node/amnesia.hpp"
#include "actors/node/messages.hpp"
#include "actors/node/state_check.hpp"
#include "actors/pure/contested.hpp"
#include "actors/pure/control_wire.hpp"
#include "actors/pure/directory.hpp"
#include "actors/pure/event_log.hpp"
#include "actors/pure/group_guard.hpp"
#include "actors/pure/homing.hpp"
#include "actors/pure/log_ring.hpp"
#include "actors/pure/region_claims.hpp"
#include "actors/pure/retention.hpp"
#include "base/target.hpp"
#include "crypto/identity.hpp"
#include "net/io/loop.hpp"
#include "net/link/link_table.hpp"
#include "net/membership/membership.hpp"
#include "store/disk.hpp"

#include <caf/actor.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

namespace banyan {
class admission;
enum class standing : std::uint8_t; // actors/pure/uptime/policy.hpp
} // namespace banyan

namespace banyan::actors {

class hardware_shell;
class module_shell;
class reach;
class uptime_shell;
struct instance_load;

/// Where a node's app hosts come from: real ones, or the simulator's.
class host_factory {
public:
  virtual ~host_factory() = default;
  /// `file` names its module, or if that is empty `module`; `error` says why
  /// there is none here.
  virtual std::unique_ptr<host>
  make(host_options options, host_handlers handlers, std::string& error) = 0;
  /// Whether there is a module of that name here.
  [[nodiscard]] virtual bool has(const std::string& module) const = 0;
};

/// How an operator's move stands, as this node was asked for it.
struct move_report {
  std::uint64_t number = 0;
  std::string app;
  group_id group;
  node_id from;
  node_id to;
  operator_progress progress = operator_progress::under_way;
  bool over = false; ///< done, refused, or nobody knows
  std::uint16_t permille = 0;
  std::string message;
};

enum class log_level : std::uint8_t { debug, info, warning, error };
/// One line for the node runner; any thread.
using log_function = std::function<void(log_level, const std::string&)>;

/// A version of an app.
using app_host_id = std::pair<app_id, std::uint64_t>;

/// What a node is told at its start.
struct node_settings {
  std::string mesh_name;
  mesh_id mesh;
  std::string region;
  std::string zone;
  std::string target = target_here(); ///< of the modules that run here
  std::string version;
  /// What this peer knows; less than it does, and it works as an older one.
  feature_bits features = features_known;
  scrub_config scrub;
  duration uptime_minute = 1min; ///< shorter in tests
  /// Of the check of the state at this start; null: none was made.
  std::shared_ptr<const state_check_status> state_check;
  /// What apps were running here as the last process of this node ended.
  std::vector<left_trail> left_trails;
  directory_marks marks; ///< of the data directory, as it was at this start
  /// What a removed app leaves is kept for so much of this peer's running time.
  retention removed;
  homing_options homing; ///< of the voters of groups that are led here
  /// Permille of one CPU that the loop's thread used since this was last asked.
  std::function<std::uint16_t()> busy = [] { return std::uint16_t{0}; };
  /// Wall clock, ms since 1970: for reports and `ctx.now()`, never for order.
  std::function<std::int64_t()> unix_ms = [] { return std::int64_t{0}; };
  log_function log = [](log_level, const std::string&) {};
  /// For checkers that stand outside: each role that a replica here takes.
  std::function<void(const group_id&, const role_changed&)> on_role;
};

struct node_counters {
  std::uint64_t frames_unproven = 0; ///< group frames without a group proof
  std::uint64_t frames_bad = 0;      ///< undecodable; cost their link nothing
  std::uint64_t proofs_wrong = 0;
  std::uint64_t sends_refused = 0;
  std::uint64_t log_orders = 0;
  std::uint64_t state_commits = 0;
  std::uint64_t calls = 0;
  std::uint64_t requests_refused = 0; ///< by replicas and instances here
  std::uint64_t failovers = 0;
  std::uint64_t rows_damaged = 0;
  std::uint64_t rows_mended = 0;
  std::uint64_t states_lost = 0;
  std::uint64_t states_rebuilt = 0;
  std::uint64_t quarantines = 0; ///< of states here
  std::uint64_t digests_compared = 0;
  std::uint64_t conflicts = 0; ///< comparisons without a majority
  std::uint64_t logs_given_up = 0;
  std::uint64_t hosts_failed = 0;
  std::uint64_t turns_slow = 0;
  std::uint64_t handlers_threw = 0;
  std::uint64_t requests_poisoned = 0;
  std::uint64_t host_moves = 0; ///< of leaderships, away from hosts here
  std::uint64_t scrub_passes = 0;
  std::uint64_t scrub_state_bytes = 0;
  std::uint64_t scrub_log_bytes = 0;
};

/// What the actors of one node share: its seams and its tables. A plain object
/// of the loop's thread, made before the node's actors and gone after them.
/// Actors read it and send through it; each table has one actor that writes it
/// (named beside it).
class node_context final : public app_directory {
public:
  node_context(io::loop& l, random_source& r, const identity& k,
               node_settings s, store::disk& d, host_factory& h);

  io::loop& loop;
  random_source& random;
  const identity& key;
  const node_settings settings;
  store::disk& disk;
  host_factory& hosts;
  banyan::incarnation incarnation;  ///< of this boot; the node actor
  banyan::incarnation booted;       ///< the first of this boot
  net::link_table* links = nullptr; ///< the node's

  module_shell* modules = nullptr;    ///< the peer's; none before it begins
  reach* far = nullptr;               ///< the node's: to whom there is no link
  uptime_shell* uptime = nullptr;     ///< likewise
  hardware_shell* hardware = nullptr; ///< likewise

  directory known;   ///< apps: the supervisor; views: node and supervisor
  group_guard guard; ///< the node's
  node_counters counters;
  std::deque<failover_record> failovers; ///< newest last; the supervisor
  static constexpr std::size_t failovers_max = 10'000;
  event_log events;               ///< through `event` and `hear_event`
  std::function<void()> on_event; ///< one was added; the gateway's
  std::map<std::string, log_ring> app_lines; ///< of apps here, by name
  /// Another node's answer; the gateway's.
  std::function<void(const node_id&, logs_held)> on_logs;

  caf::actor node;
  caf::actor supervisor;
  caf::actor router;
  caf::actor scrub;
  caf::actor sent_calls; ///< what groups here send to stateless apps
  std::unordered_map<group_id, caf::actor> replicas; ///< the supervisor's
  /// Of stateless apps with a host here; the supervisor's.
  std::unordered_map<app_id, caf::actor> instances;
  /// Stateless apps that there are, or were; the supervisor's.
  std::set<app_id> stateless;
  /// Of the stateless apps that live, by name; the supervisor's.
  std::map<std::string, std::shared_ptr<instance_load>> instance_loads;
  banyan::admission* door = nullptr;   ///< the router's; null before it begins
  const router_core* routes = nullptr; ///< likewise
  /// One per version of an app whose host is wanted here; the supervisor's.
  std::map<app_host_id, caf::actor> apps;
  /// @name By app name; the supervisor's
  /// @{
  std::map<std::string, lineage_id> lineages;
  std::map<std::string, app_spec> specs;
  std::map<std::string, std::uint64_t> versions;
  /// Apps that were removed and whose data is kept here.
  struct removed_app {
    app_id id;
    duration left{}; ///< of the peers' running time
  };
  std::map<std::string, removed_app> removed;
  /// Encoded `app_papers`; those of a removed app until its name is taken.
  std::map<std::string, bytes> papers;
  std::map<std::string, std::string> host_errors;
  /// Of hosts that are up here, by version.
  std::map<std::string, std::map<std::uint64_t, module_info>> handlers;
  /// Nodes where the app's host is not well; this one too.
  std::map<std::string, std::set<node_id>> unwell_hosts;
  /// By name, two or more each, ascending by id: none of them is served.
  std::map<std::string, std::vector<contested_app>> conflicts;
  /// Of those that bear the name the one whose id begins so; empty: the only
  /// one. Null: there is none, or none such, and `why` says it.
  [[nodiscard]] const directory::app* app_named(const std::string& name,
                                                std::string_view id,
                                                std::string& why) const;
  /// @}
  /// What leaders say of the versions that their groups run, this node's too;
  /// the supervisor's.
  std::map<group_id, version_word> version_words;
  std::map<node_id, node_load> loads; ///< as they say themselves; the node's
  /// What members claim of their regions, and what is measured; the node's and
  /// `region_look`'s.
  region_watch region_claims;
  /// Two recoveries of one parent: neither serves. The supervisor's.
  std::set<group_id> lineage_conflicts;
  /// Replicas of a node whose state can't be relied upon right now, as it says
  /// itself; this node's too. The supervisor's.
  struct unready {
    replica_id id;
    state_phase phase = state_phase::pending;
  };
  std::unordered_map<node_id, std::unordered_map<group_id, unready>>
      unready_states;
  struct seen_process {
    net::boot_id boot;
    std::uint64_t number = 0;
  };
  std::unordered_map<node_id, seen_process> processes; ///< of members, linked
  std::uint64_t processes_seen = 0;
  /// A link to that node is up, by a process with this boot id. True: another
  /// one than on its last link, or the first.
  bool process_seen(const node_id& who, const net::boot_id& boot);
  /// Differs when its process is another one; 0: never linked.
  [[nodiscard]] std::uint64_t process_of(const node_id& who) const;
  /// `whole` unless the node said otherwise.
  [[nodiscard]] state_phase state_of(const group_id& g,
                                     const replica_ref& who) const;

  /// Groups of one node pair whose leader is the first and where the second
  /// has a replica, as a hash of (group, term): both ends compute it.
  [[nodiscard]] std::uint64_t leads_hash(const node_id& leader,
                                         const node_id& other) const;
  std::set<replica_id> made_this_boot; ///< the supervisor's
  /// Nodes that are drained, as they say; this one too. The supervisor's.
  std::map<node_id, drain_notice> draining;
  [[nodiscard]] bool is_drained(const node_id& who) const {
    return draining.count(who) != 0;
  }
  /// How a member stands by the mesh's policy, as this node reads it: `normal`
  /// unless the policy is enforced. What `uptime` says, but in tests.
  std::function<standing(const node_id&)> standing_of;
  /// Those that aren't `normal`.
  [[nodiscard]] std::map<node_id, standing> standings() const;
  /// By node: its replicas that an operator put there, as it says itself; this
  /// one too. The supervisor's.
  std::map<node_id, std::set<group_id>> pinned;
  std::deque<move_report> moves; ///< asked of this node, newest last

  net::membership* members = nullptr;               ///< the node's
  std::unordered_map<node_id, std::string> regions; ///< the node's

  [[nodiscard]] const node_id& self() const { return key.id(); }
  [[nodiscard]] std::optional<app> find(std::string_view name) const override;
  [[nodiscard]] bool same_region(const node_id& a,
                                 const node_id& b) const override;

  /// What that node's build knows, by its last record; 0: nothing is known of
  /// it.
  [[nodiscard]] feature_bits features_of(const node_id& who) const;

  /// To the replica of the group on this node, if there is one; what concerns
  /// a stateless app, to its instance.
  template <class T>
  bool tell_replica(const group_id& g, T message);
  /// To the host of a version of the app, if there is one here.
  template <class T>
  void tell_host(const app_host_id& host, T message);
  /// To those of all versions.
  template <class T>
  void tell_hosts(const app_id& app, const T& message);
  /// How this may be called, by the newest version here that has it; null: by
  /// none of them.
  [[nodiscard]] const handler_info* handler(const std::string& app_name,
                                            std::string_view command) const;

  /// @name Where not everybody is linked with everybody (reach.hpp)
  /// @{
  /// In this node's view everybody has a link with everybody.
  [[nodiscard]] bool full_mesh() const;
  /// It is this node, is heard on a link, or has none and is alive for all that
  /// the mesh knows.
  [[nodiscard]] bool reaches(const node_id& who) const;
  /// It is this node, or is heard on a link: for those that share a group.
  [[nodiscard]] bool hears(const node_id& who) const;
  [[nodiscard]] bool is_linked(const node_id& who) const;
  /// Something will be sent to it soon: its link is made now, if it is missing.
  void use_link(const node_id& who);
  /// Asks who leads that group, or serves that app, unless it was asked just
  /// now. `doubted`: what is known of it turned out to be wrong.
  void ask_view(const group_id& g, bool doubted = false);
  /// @}

  /// Queues a frame for a peer's link and sees that it leaves at the end of
  /// this turn. Without a link it waits until one is made, for what goes
  /// between members that aren't linked all the time. False when it is lost:
  /// the lane is full, or nothing can be made of that link.
  bool send(const node_id& to, net::channel c, const_bytes payload);
  /// The same, but for who has a link only, and no reason to keep it.
  bool tell(const node_id& to, net::channel c, const_bytes payload);
  /// Proves on the link to `to`, once, that this node belongs to `g`.
  void prove(const node_id& to, const group_id& g);
  /// A frame between replicas, after the proof that this link still lacks.
  void send_group(const node_id& to, const group_id& g, bool bulk,
                  const_bytes frame);
  /// To every peer with a link.
  void broadcast(net::channel c, const_bytes payload);

  /// To the router that asked a replica or an instance here.
  void answer_to(const node_id& router_of, std::uint64_t call, reply r);
  /// To the leader of the frame's addressee, wherever it is; may be lost. What
  /// concerns a stateless app: to who makes calls of it.
  void send_stream(const stream_frame& f);
  /// What a leader here says of its group: for this node's tables, its router
  /// and every peer; in a large mesh for the group's other nodes and its
  /// keepers.
  void publish(const group_view& v);
  /// Notes what happened, for `banyan events` of every peer. `app_name` may be
  /// empty; `about`: the node that it happened to. It is no log line.
  void event(event_kind k, std::string app_name, std::string text,
             std::optional<std::uint32_t> shard = std::nullopt,
             std::optional<node_id> about = std::nullopt);
  /// The same, about a group.
  void group_event(event_kind k, const group_id& g, std::string text,
                   std::optional<node_id> about = std::nullopt);
  /// What another node saw.
  void hear_event(const node_id& from, mesh_event e);
  [[nodiscard]] std::int64_t unix_ms() const { return settings.unix_ms(); }
  void log(log_level l, const std::string& line) const {
    settings.log(l, line);
  }

  /// Gathers the state commits of one turn into one transaction.
  void commit(store::group_commit c);

private:
  void flush_links_later();
  void flush_commits();

  bool links_dirty_ = false;
  std::vector<store::group_commit> commits_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace banyan::actors
