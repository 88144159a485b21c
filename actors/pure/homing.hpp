#pragma once
#include "actors/pure/placement.hpp"
#include "actors/pure/uptime/policy.hpp"
#include "base/time.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace banyan {

struct homing_options {
  /// So long a node must have been alive and heard, in one process, before a
  /// voter moves to it. Doubles with each break of the last `flaps_count`.
  duration well_for = std::chrono::minutes{10};
  duration well_for_max = std::chrono::hours{24};
  duration flaps_count = std::chrono::hours{24};
  /// One that went is waited for: nobody takes its place for good meanwhile.
  duration gone_for = std::chrono::hours{1};
  duration look_every = std::chrono::seconds{2}; ///< at one group
  duration between = std::chrono::minutes{1};    ///< two moves of this node
  duration unmoved = std::chrono::minutes{30};   ///< two moves of a group
  duration give_up = std::chrono::minutes{10};   ///< on a move that hangs
};
/// Who is busier takes nobody in: permille of a CPU.
inline constexpr std::uint16_t homing_busy_most = 800;

/// A group that this node leads, as homing is asked about it.
struct homing_group {
  group_id group;
  digest hash; ///< `placement_hash`
  placement_need need;
  std::vector<node_id> voters;
  /// Of the voters: those that an operator put where they are.
  std::set<node_id> pinned;
};

/// A group that this node leads, as it looks whether all is well.
struct led_group {
  group_id group;
  bool serving = true;
  bool configured = true;
  bool changing = false;   ///< its configuration: a change is under way
  std::vector<bool> hears; ///< each of its voters
  bool app_lives = true;   ///< it is known, and not removed
  bool updating = false;   ///< a version is rolled out
  bool wished = false;     ///< somebody wants a replica of it moved
  std::size_t learners = 0;
  std::uint32_t replicas = 3; ///< that its app wants
};
/// The groups that lack nothing, so that a voter may move for no other reason;
/// nothing while all isn't well: every voter of what is led here has to be
/// there and no configuration may change. `left`: nodes that are heard are on
/// their way out, or put states together.
[[nodiscard]] std::optional<std::vector<group_id>>
calm_groups(bool left, const std::vector<led_group>& led);

/// What a node sees of all members before a voter moves.
struct homing_scene {
  std::set<node_id> catching_up;         ///< they have a learner
  std::map<node_id, std::uint16_t> busy; ///< permille of a CPU
  std::map<node_id, standing> standings; ///< but `normal`
  std::set<node_id> held;                ///< for whatever reason
};
/// Nodes that no voter goes to and none leaves now.
[[nodiscard]] std::set<node_id> occupied(const homing_scene& s);

/// How a move that is under way stands.
struct homing_progress {
  bool led = true; ///< here, and it serves and is configured
  std::vector<std::pair<node_id, bool>> voters; ///< and whether it is heard
  bool to_drained = false;
  standing to_stands = standing::normal;
};

/// A voter goes where placement would have put it.
struct homing_move {
  group_id group;
  node_id from;
  node_id to;
};

/// The move that brings one voter of `g` home, if any: from a node that
/// placement wouldn't choose now to one that it would. It never makes the group
/// survive less than it does (a machine, a zone, a region), never gives up what
/// an operator ordered, and each move leaves fewer to make: it ends.
///
/// `members` as for `place`; `may_take`: those of them that voters may move to
/// now. Placement is asked about all.
std::optional<homing_move> homeward(const homing_group& g,
                                    const std::vector<candidate>& members,
                                    const std::set<node_id>& may_take);

/// Which voters of the groups that this node leads return home, and when
/// (DESIGN section 8: "Returning home is slow and by transfer"). Home is where
/// placement would put them; they stand elsewhere since a region was lost, say,
/// and their voters were replaced. One at a time per node, rarely, only while
/// all is well, and never to a node that comes and goes.
///
/// Pure; one per node, which asks it every tick. In memory alone: a peer that
/// starts again waits again.
class homing {
public:
  explicit homing(homing_options o = {}) : options_{o} {}

  /// A member as it is now; `process` differs when its process is another one.
  struct seen_member {
    candidate as;
    std::uint64_t process = 0;
  };
  /// All members that may be chosen now, this node too.
  void see(const std::vector<seen_member>& members, time_point now);
  /// That is due: `see` is to be called, then `turn`.
  [[nodiscard]] bool due(time_point now) const { return now >= look_at_; }

  /// The group of `led` (ascending) whose turn it is; nothing: none now.
  std::optional<group_id> turn(const std::vector<group_id>& led,
                               time_point now);
  /// How that group moves. `occupied`: nodes that take in or give away others,
  /// or have too much to do. Counts as begun.
  std::optional<homing_move> next(const homing_group& g,
                                  const std::vector<candidate>& members,
                                  const std::set<node_id>& occupied,
                                  time_point now);
  /// The one that is under way.
  [[nodiscard]] const homing_move* running() const {
    return running_ ? &*running_ : nullptr;
  }
  /// It is done, or given up.
  void over(time_point now);
  [[nodiscard]] bool hangs(time_point now) const {
    return running_ && now >= began_ + options_.give_up;
  }
  /// Whether the one under way is still wanted. A voter that is lost meanwhile
  /// is replaced, by whom is on its way already.
  [[nodiscard]] bool goes_on(const homing_progress& p, time_point now) const;
  /// Alive and heard for long enough to take voters in.
  [[nodiscard]] bool well(const node_id& node, time_point now) const;

private:
  struct steadiness {
    candidate as;
    std::uint64_t process = 0;
    bool here = false;
    time_point since{}; ///< here, or gone
    std::uint32_t breaks = 0;
    time_point broke{}; ///< last
  };
  [[nodiscard]] duration patience(const steadiness& s, time_point now) const;

  homing_options options_;
  std::unordered_map<node_id, steadiness> nodes_;
  std::unordered_map<group_id, time_point> moved_;
  std::optional<homing_move> running_;
  std::optional<group_id> last_; ///< looked at
  time_point began_{};
  time_point look_at_{};
  time_point next_at_{};
};

} // namespace banyan
