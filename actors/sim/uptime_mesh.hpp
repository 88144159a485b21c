#pragma once
#include "actors/pure/drain.hpp"
#include "actors/pure/evacuation.hpp"
#include "actors/pure/homing.hpp"
#include "actors/pure/placement.hpp"
#include "actors/pure/supervision.hpp"
#include "actors/pure/uptime/observer.hpp"
#include "actors/pure/uptime/policy.hpp"
#include "actors/pure/uptime/score.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// A mesh for weeks of virtual time, minute by minute: what its nodes see of
/// each other, what the policy makes of that, and where that moves voters. The
/// decisions are those of production (observer, score, verdict, placement,
/// drain, evacuation, evictions, homing); simulated are outages, and that a
/// copy takes some minutes.
namespace banyan::sim {

/// Why a voter moved.
enum class move_cause : std::uint8_t {
  lost,
  drained,
  evacuated,
  evicted,
  home
};
inline constexpr std::size_t move_causes = 5;
const char* to_string(move_cause c) noexcept;

/// What a node of the cast does, by its script. Minutes since the beginning.
struct uptime_role {
  struct span {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };
  std::string name;
  candidate as;
  std::vector<span> down;    ///< ascending, apart
  std::vector<span> drained; ///< planned: an operator drains it, then it is off
  /// Signs that whoever it observes is down, always; only of these, unless
  /// there are none.
  bool slanders = false;
  std::set<node_id> victims;
  /// Signs that it is always up itself, doesn't evacuate itself and won't go.
  bool lies_about_itself = false;
};

struct uptime_mesh_options {
  mesh_policy policy;
  std::vector<uptime_role> cast;
  /// Of each group: what it needs; voters are placed at the beginning.
  std::vector<placement_need> groups;
  std::uint64_t seed = 1;
  std::uint32_t first_day = 20'000;
  std::uint32_t copy_minutes = 4; ///< until a learner has caught up
};

class uptime_mesh {
public:
  explicit uptime_mesh(uptime_mesh_options o);
  ~uptime_mesh();
  uptime_mesh(const uptime_mesh&) = delete;
  uptime_mesh& operator=(const uptime_mesh&) = delete;

  void minute();
  [[nodiscard]] std::uint32_t now() const { return now_; }

  struct event {
    std::uint32_t minute = 0;
    std::string text;
  };
  /// What happened, in order.
  std::vector<event> events;
  /// What must not happen: a group without a quorum, two moves at once away
  /// from an evacuated node, a group with fewer voters than it had.
  std::vector<std::string> problems;
  std::array<std::uint64_t, move_causes> moves{};
  std::uint64_t group_minutes = 0; ///< that were checked
  std::uint64_t false_days = 0;    ///< signed by liars

  struct node_report {
    std::string name;
    std::uint32_t up = 0; ///< minutes, of those that were not planned
    std::uint32_t out_of = 0;
    standing is = standing::normal;
    standing worst = standing::normal;
    std::optional<basis_points> week;
    std::size_t voters = 0;
    bool gone = false;
    std::uint64_t policy_moves = 0;
    /// Minutes that it signed of others, and those in which the count says
    /// otherwise.
    std::uint32_t counted = 0;
    std::uint32_t contradicted = 0;
    /// `7 evacuate`, `15 probation`, …: the day, from 1, and what it became.
    std::vector<std::string> standings;
  };
  [[nodiscard]] std::vector<node_report> report() const;
  [[nodiscard]] node_id id_of(std::size_t cast) const;
  /// Who observes whom, at the beginning.
  [[nodiscard]] std::set<node_id> observers_of(const node_id& n) const;

private:
  struct node;
  struct group;
  struct copy;
  struct watchers;

  void follow_scripts();
  void look();
  void sign(node& by, observation o);
  void judge_all();
  void become(node& n, standing s, const std::string& why);
  void apply_policy(node& n);
  void leave(node& n);
  void tick_drain(node& n, drain& d, move_cause why);
  operator_answer wish(group& g, const node_id& from, move_cause why);
  void begin_copy(group& g, const node_id& from, const node_id& to,
                  move_cause why);
  void replace_lost();
  void evict(node& leader);
  void bring_home(node& leader);
  void end_copies();
  void check();
  [[nodiscard]] std::vector<candidate> candidates(bool with_held) const;
  [[nodiscard]] std::optional<node_id>
  newcomer(const group& g, const node_id& instead, bool any_region) const;
  [[nodiscard]] group_standing reached_of(const group& g) const;
  [[nodiscard]] group_standing standing_of(const group& g,
                                           const node_id& from) const;
  [[nodiscard]] node& at(const node_id& n) const;
  [[nodiscard]] std::vector<group*> led_by(const node_id& n);
  [[nodiscard]] std::size_t held_by(const node_id& n) const;
  [[nodiscard]] bool leaving(const node& n) const;
  void say(const std::string& text);
  [[nodiscard]] time_point time() const;
  [[nodiscard]] std::int64_t unix_ms() const;

  uptime_mesh_options o_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::map<node_id, node*> by_id_;
  std::vector<std::unique_ptr<group>> groups_;
  std::unique_ptr<watchers> rings_;
  std::map<node_id, standing> standings_; ///< but `normal`
  std::uint32_t now_ = 0;
  std::uint64_t replicas_made_ = 0;
};

} // namespace banyan::sim
