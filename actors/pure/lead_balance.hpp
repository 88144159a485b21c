#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

namespace banyan {

struct lead_balance_options {
  duration calm = 10s;      ///< without a change of members or of a leader
  duration led_least = 10s; ///< before a group moves
  duration unmoved = 60s;   ///< between two moves of a group
  duration between = 2s;    ///< two moves of this node
  duration between_for_load = 10s;
  std::uint16_t busy = 800;      ///< permille of a CPU: too much,
  std::uint16_t not_busy = 600;  ///< and little enough to take more
  std::uint16_t busier_by = 200; ///< than the target, at least
  unsigned busy_samples = 3;     ///< in a row, `sample_every` apart
  duration sample_every = 2s;
  /// What moved for load is left where it is by the rule of even spread.
  duration load_holds = std::chrono::minutes{10};
};

/// What a node knows of leaderships, as `lead_balance` is asked.
struct lead_facts {
  struct group {
    group_id id;
    node_id leader;
    /// Of groups that this node leads, else empty: all voters but this node,
    /// and those of them that could lead as well as it does now.
    std::vector<node_id> voters;
    std::vector<node_id> fit;
  };
  node_id self;
  std::uint64_t members = 0; ///< another number: somebody came, went or changed
  std::vector<group> groups; ///< that have a leader
  /// Where not all groups are known: how many others say that they lead. Then a
  /// group goes only to who leads fewer in all, or two would give each other
  /// what the other doesn't know of.
  std::map<node_id, std::uint32_t> leads;
  std::map<node_id, std::uint16_t> busy; ///< permille; who is missing: 0
};

/// This node hands `group` over to `to`.
struct lead_move {
  group_id group;
  node_id to;
  bool for_load = false;
};

/// Which leadership this node gives away so that leaders are spread evenly: per
/// app, so that its work is, then over all apps; and away from a node that has
/// more work than it can do. Each node judges for itself, from what leaders
/// tell everybody. Of a group's voters the one that leads the most gives first,
/// and who sees another's move waits; every move makes the sum of squares
/// smaller, so it ends. It is slow on purpose: a move costs its group some
/// milliseconds, and while anything fails it would be in the way.
///
/// Pure; one per node; asked about every two seconds, or ten while it rests.
class lead_balance {
public:
  explicit lead_balance(lead_balance_options o = {}) : options_{o} {}

  /// What to do now, if anything; the caller does it.
  [[nodiscard]] std::optional<lead_move> next(const lead_facts& f,
                                              time_point now);
  /// It had looked, and found all as it should be: until something changes it
  /// need not be asked that often.
  [[nodiscard]] bool resting() const { return resting_; }

private:
  struct seen {
    node_id leader;
    time_point since;
    node_id ordered_to; ///< by this node, last
    time_point moved = time_point::min();
    time_point held_until = time_point::min();
    std::uint64_t round = 0;
  };
  using counts = std::map<node_id, std::uint32_t>;

  void watch(const lead_facts& f, time_point now);
  [[nodiscard]] bool may_move(const lead_facts::group& g, time_point now) const;
  [[nodiscard]] std::optional<lead_move> for_spread(const lead_facts& f,
                                                    time_point now) const;
  [[nodiscard]] std::optional<lead_move> for_load(const lead_facts& f,
                                                  time_point now) const;

  lead_balance_options options_;
  std::unordered_map<group_id, seen> seen_;
  std::uint64_t members_ = 0;
  std::uint64_t round_ = 0;
  time_point calm_since_ = time_point::min();
  time_point moved_ = time_point::min();
  time_point sampled_ = time_point::min();
  unsigned busy_for_ = 0; ///< samples
  bool resting_ = false;
};

} // namespace banyan
