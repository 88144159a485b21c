#pragma once
#include "base/ids.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace banyan {

/// How a group stands, as its leader last told everybody.
enum class group_health : std::uint8_t {
  healthy = 0,   ///< every voter of the spec is reachable and up to date
  degraded = 1,  ///< serves, but with fewer voters than the spec asks for
  no_quorum = 2, ///< no majority: nothing is served
  parked = 3,    ///< the app failed on every voter and rests
  conflict = 4,  ///< two histories or two owners: an owner must decide
};
const char* to_string(group_health h) noexcept;

/// A voter or learner as its leader sees it.
struct replica_view {
  replica_ref who;
  std::uint8_t state = 0;        ///< `replica_state` as a number
  std::uint16_t permille = 1000; ///< caught up, of what the leader has
};
enum class replica_state : std::uint8_t {
  current = 0,     ///< follows within a batch
  catching_up = 1, ///< entries or a snapshot are on their way
  unreachable = 2,
};
const char* to_string(replica_state s) noexcept;

/// What the leader of a group announces to all peers whenever it changes.
struct group_view {
  group_id group;
  banyan::term term;
  replica_ref leader; ///< none (all zero) when the leader steps down
  std::vector<replica_view> voters;
  std::vector<replica_view> learners;
  log_index committed;
  group_health health = group_health::healthy;
  /// Counts the announcements of one leader in one term: the newest wins.
  std::uint64_t number = 0;
};
inline constexpr std::size_t group_replicas_max = 16;
void encode(const group_view& v, bytes& out);
bool decode(const_bytes in, group_view& out);

/// Which apps there are and who leads what: a hint for routing and reports,
/// safety never rests on it. Pure; one per node.
class directory {
public:
  struct app {
    app_id id;
    std::string name;
    std::uint32_t shards = 0;
    /// By shard: who was chosen at birth; views replace it as they come in.
    std::vector<std::vector<replica_ref>> born;
    /// Served by instances: one shard, nobody was chosen at birth.
    bool stateless = false;
    /// Another app bears its name: neither is served until an owner removes
    /// one. `put_app` and `remove_app` say so.
    bool contested = false;
  };

  void put_app(app a);
  void remove_app(const app_id& id);
  /// Of two that bear the name the one with the smaller id, on every node; it
  /// is `contested`.
  [[nodiscard]] const app* find_app(std::string_view name) const;
  /// Those whose name another one has as well are found too.
  [[nodiscard]] const app* find_app(const app_id& id) const;
  /// By name: one of each.
  [[nodiscard]] const std::map<std::string, app, std::less<>>& apps() const {
    return apps_;
  }

  /// Above so many views, those of unknown apps are refused.
  static constexpr std::size_t unknown_views_max = 20'000;
  /// True when `v` is news: a later term, or a later number of the same. From
  /// its leader; takes the place of whatever others said.
  bool put_view(const group_view& v);
  /// The same at second hand: never instead of what its leader said, unless
  /// that is in doubt or older. Of known apps only.
  bool put_told(const group_view& v);
  /// Who asked the leader of that view was disappointed: whatever is told next
  /// counts.
  void doubt(const group_id& g);
  /// Of a view that there is: its leader didn't say it to this node.
  [[nodiscard]] bool at_second_hand(const group_id& g) const {
    return told_views_.count(g) != 0;
  }
  /// Goes up with each change of the views.
  [[nodiscard]] std::uint64_t views_changed() const { return views_changed_; }
  /// Null until a leader has announced itself.
  [[nodiscard]] const group_view* view(const group_id& g) const;
  template <class F>
  void each_view(F f) const {
    for (const auto& [group, v] : views_)
      f(v);
  }
  /// The nodes to ask for `g`, the leader first if known; empty for an unknown
  /// group. Of a stateless app: the nodes of its instances that are heard.
  [[nodiscard]] std::vector<node_id> candidates(const group_id& g) const;
  [[nodiscard]] std::optional<node_id> leader(const group_id& g) const;
  /// Who is heard right now; without it everybody is.
  void set_liveness(std::function<bool(const node_id&)> alive) {
    alive_ = std::move(alive);
  }
  [[nodiscard]] bool heard(const node_id& node) const {
    return !alive_ || alive_(node);
  }
  /// More than half of the group's known voters are heard.
  [[nodiscard]] bool majority_alive(const group_id& g) const;

  /// Above so many apps of one node, its words on unknown apps are dropped.
  static constexpr std::size_t told_apps_max = 4096;
  /// An instance of a stateless app serves on `node`, or no more; `number`: of
  /// the version that it runs. Words may come before the app's documents.
  void put_instance(const app_id& of, const node_id& node, bool up,
                    std::uint64_t number = 0);
  /// That node's words were an earlier process's.
  void forget_instances(const node_id& node);
  /// Empty if there is none; whether those nodes are heard isn't looked at.
  [[nodiscard]] const std::set<node_id>& instances(const app_id& of) const;
  /// Of the version that the instance there runs; 0: none is known.
  [[nodiscard]] std::uint64_t instance_number(const app_id& of,
                                              const node_id& node) const;
  /// Where instances serve, from somebody who should know it: all of them, but
  /// for nodes that `spare` holds for, which speak for themselves.
  void put_instances_told(const app_id& of,
                          const std::map<node_id, std::uint64_t>& nodes,
                          const std::function<bool(const node_id&)>& spare);

  /// Who is in this node's region; without it everybody is.
  void set_nearness(std::function<bool(const node_id&)> near) {
    near_ = std::move(near);
  }
  [[nodiscard]] bool near(const node_id& node) const {
    return !near_ || near_(node);
  }

private:
  /// One of those that bear the name is shown, contested if there are others.
  void settle_name(const std::string& name);
  struct served {
    std::set<node_id> nodes;
    std::map<node_id, std::uint64_t> numbers; ///< of each of them
  };
  std::function<bool(const node_id&)> alive_;
  std::function<bool(const node_id&)> near_;
  std::map<std::string, app, std::less<>> apps_;
  std::map<app_id, app> hidden_; ///< behind one with a smaller id in `apps_`
  std::unordered_map<app_id, std::string> names_;
  std::unordered_map<group_id, group_view> views_;
  std::set<group_id> told_views_; ///< of those, at second hand
  std::set<group_id> doubted_;    ///< likewise
  std::uint64_t views_changed_ = 0;
  std::unordered_map<app_id, served> served_;
  std::unordered_map<node_id, std::set<app_id>> told_; ///< who serves what
};

} // namespace banyan
