#pragma once
#include "actors/sim/course.hpp"
#include "base/random.hpp"

namespace banyan::sim {

/// The inside of `course`, in three files: course.cpp plays the scenario,
/// watching.cpp sees what comes of it, figures.cpp sums it up.
class course::state {
public:
  explicit state(scenario s);

  /// How a node came to be gone, or to seem so.
  enum class end : std::uint8_t { none, killed, frozen, unpowered };
  static constexpr std::size_t end_count = 4;

  struct node_state {
    end gone = end::none;
    time_point since{};     ///< of that
    time_point back{};      ///< it came back then
    std::uint32_t side = 0; ///< in the last partition
    /// A fault of its own, loss or slowness, has its consequences until then.
    time_point impaired_until{};
    incarnation when_back; ///< its incarnation as it was thawed
    incarnation when_cut;  ///< as something was last cut
    bool timed = false;    ///< its end is one to be timed
  };
  struct newcomer {
    index node = 0;
    time_point began{};
    std::optional<duration> knows, known; ///< all others; to all others
  };
  /// A while over which each node's bytes are counted.
  struct window {
    const char* key;
    const char* text;
    std::optional<double> goal;
    time_point from = never, to = never; ///< `never`: not open; not over
    std::vector<std::pair<index, traffic>> before;
    double mean = 0, p99 = 0, most = 0, frames = 0; ///< per second
  };

  // course.cpp
  bool step();
  void begin();
  void play(const happening& h);
  void undo(const happening& h, const std::vector<index>& whom);
  std::vector<index> whom(const happening& h);
  index anybody();
  void gone(index i, end how);
  void back(index i);
  void churn();
  void about_to_cut();
  void recovered(node_state& n) const;
  void join(const happening& h);
  [[nodiscard]] bool up(index i) const {
    return mesh.running(i) && !mesh.frozen(i);
  }

  // watching.cpp
  void watch();
  void view_changed(index observer, index subject, opinion from, opinion to,
                    time_point at);
  void effect_seen(index i, const net::membership_effect& e, time_point at);
  [[nodiscard]] bool impaired(index i, time_point at) const {
    return at < nodes[i].impaired_until;
  }
  [[nodiscard]] bool excused(index observer, index subject, time_point at);
  void look();
  void end_second();
  void open(window& w);
  void close(window& w);
  [[nodiscard]] window measured(const window& w) const;
  [[nodiscard]] std::vector<figure> figures() const;

  scenario what;
  swarm mesh;
  group_set groups;
  seeded_random random;
  time_point zero{}; ///< of the scenario
  std::size_t next = 0;
  std::vector<node_state> nodes;
  double churn_rate = 0; ///< per second
  duration churn_down{};
  time_point churn_until = never;
  time_point churn_next = never;
  bool parted = false;
  time_point healed_at{};

  /// News of what is over may come so late.
  static constexpr duration late_news = 60s;

  times known[end_count]; ///< single deaths
  times region_known;
  std::uint64_t timed_deaths[end_count] = {};
  std::uint64_t false_deaths = 0;    ///< of nodes with no fault of their own
  std::uint64_t impaired_deaths = 0; ///< of the others
  std::uint64_t suspicions = 0;      ///< of nodes that ran well
  std::uint64_t churn_deaths = 0;
  std::vector<newcomer> joined;
  std::vector<bool> lost; ///< with its region
  std::size_t lost_count = 0;
  time_point lost_at = never;
  std::optional<duration> settled_after;
  std::size_t groups_before_loss = 0, groups_least = 0, groups_possible = 0;
  std::vector<bool> led_elsewhere; ///< by group: its leader was missed
  times leader_missed;
  std::size_t links_most = 0;
  window calm{"calm", "calm", 8192.0, never, never, {}, 0, 0, 0, 0};
  window churning{"churn", "under churn", 8192.0, never, never, {}, 0, 0, 0, 0};
  std::vector<second_row> rows;
  std::vector<traffic> second_before;
  std::uint64_t events_before = 0, false_before = 0;
  std::uint64_t trace_begun = 0;
};

} // namespace banyan::sim
