#pragma once
#include "actors/pure/replica_core.hpp"
#include "base/time.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>

namespace banyan::sim {

class world;

/// Checks from the roles that replicas tell: at most one leader per term and
/// group, and none without a leader for long while a majority of its voters
/// runs and hears each other.
class leader_watch {
public:
  using report = std::function<void(const std::string&)>;
  explicit leader_watch(report problem) : problem_{std::move(problem)} {}

  void on_role(std::size_t machine, const node_id& node, const group_id& g,
               const role_changed& r);
  void on_down(std::size_t machine);
  /// See `log_watch::abandon`.
  void abandon(const group_id& g) { abandoned_.insert(g); }
  /// Every now and then.
  void look(world& w);
  /// The machine on which the group's leader serves.
  [[nodiscard]] std::optional<std::size_t> serving(const group_id& g) const;
  [[nodiscard]] std::uint64_t leaderships() const { return leaderships_; }
  /// A host there is done with a turn that was ordered in that term.
  void on_result(std::size_t machine, const group_id& g, banyan::term ordered);
  /// Those of another term than the one that the replica is in by now.
  [[nodiscard]] std::uint64_t late_results() const { return late_results_; }

  /// As DESIGN's failover times say, with room for what keeps an election from
  /// succeeding at once: three machines that start or heal in one instant.
  /// Twice that while words of a leader that is none any more may be queued on
  /// a line that is nearly stuck.
  static constexpr duration bound = std::chrono::seconds{5};

private:
  struct group_state {
    std::map<std::size_t, role_changed> roles; ///< by machine
    std::map<std::uint64_t, node_id> leaders;  ///< by term
    time_point fine_since{}; ///< a leader, or no majority that could have one
    bool reported = false;
  };

  report problem_;
  std::map<group_id, group_state> groups_;
  std::set<group_id> abandoned_;
  std::uint64_t leaderships_ = 0;
  std::uint64_t late_results_ = 0;
};

} // namespace banyan::sim
