#pragma once
#include "actors/sim/stories.hpp"
#include "actors/sim/swarm.hpp"

#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

/// Experiments that others published, made again with Banyan's membership in
/// virtual time. Pure: the same seed gives the same figures.
namespace banyan::sim::published {

/// Whether a member belongs to a view: the suspected do, as with SWIM,
/// memberlist and Rapid; the dead and those who left don't.
constexpr bool in_view(opinion o) noexcept {
  return o == opinion::alive || o == opinion::suspect;
}

/// Of many values.
struct spread {
  double mean = 0, p99 = 0, most = 0;
};
/// Takes the values apart.
spread spread_of(std::vector<float>& values);

/// The views of the healthy nodes: each change, and a look once a second, as
/// the authors of Rapid logged "its own view of the cluster size every second".
class view_watch {
public:
  /// Takes `mesh.on_view_change`; the mesh outlives the watch, and no process
  /// of it is started while it watches.
  view_watch(swarm& mesh, const std::vector<index>& faulty);
  ~view_watch();
  view_watch(const view_watch&) = delete;
  view_watch& operator=(const view_watch&) = delete;

  struct second {
    std::size_t smallest = 0, largest = 0; ///< size of a healthy node's view
    std::size_t sizes = 0, views = 0;      ///< that differed in that moment
  };
  /// Once a second.
  const second& look();

  struct figures {
    unsigned looks = 0;
    unsigned looks_apart = 0; ///< with more than one view among the healthy
    std::size_t sizes = 0;    ///< different sizes in all looks
    std::size_t views = 0;    ///< different views (who, not how many) in them
    std::size_t smallest = 0, largest = 0;
    /// @name Opinions: one of one node about one other, each time anew
    /// @{
    std::uint64_t false_deaths = 0;      ///< of healthy ones, by anybody
    std::uint64_t false_by_healthy = 0;  ///< of those, by healthy ones
    std::uint64_t doubts_by_healthy = 0; ///< healthy ones suspected by such
    std::uint64_t removals = 0;          ///< of faulty ones, by healthy ones
    std::uint64_t returns = 0;           ///< those taken back
    /// @}
    /// @name Since the watch began
    /// @{
    std::optional<duration> first_out;  ///< a faulty one is out of a view
    std::optional<duration> all_out;    ///< all are out of all, the first time
    std::optional<duration> last_moved; ///< the last change of a view
    /// @}
    bool out_at_end = false; ///< all faulty ones are out of all views
    bool all_in_at_end = false;
    bool one_at_end = false; ///< the healthy have one view
  };
  [[nodiscard]] const figures& result() const noexcept { return f_; }
  [[nodiscard]] const std::vector<second>& seconds() const noexcept {
    return seconds_;
  }

private:
  void changed(index observer, index subject, opinion from, opinion to,
               time_point at);

  swarm& mesh_;
  time_point begun_;
  std::vector<bool> faulty_;
  std::vector<std::uint64_t> salts_; ///< a view is the sum of its members'
  std::vector<std::uint64_t> views_;
  std::vector<std::size_t> sizes_;
  std::size_t healthy_ = 0;
  std::size_t faulty_in_ = 0; ///< in views of healthy ones
  std::set<std::size_t> sizes_seen_;
  std::unordered_set<std::uint64_t> views_seen_;
  std::vector<second> seconds_;
  figures f_;
};

/// What each running node sends and receives in each second.
class traffic_watch {
public:
  explicit traffic_watch(const swarm& mesh);
  void look(); ///< once a second
  /// Over all nodes and seconds, in bytes; as in Rapid's table 2.
  [[nodiscard]] spread in() const;
  [[nodiscard]] spread out() const;
  [[nodiscard]] spread frames_out() const;

private:
  const swarm& mesh_;
  std::vector<traffic> before_;
  std::vector<float> in_, out_, frames_;
};

/// Runs for so many whole seconds and looks after each. False: `progress`,
/// asked every ten of them, wants it to stop.
bool run_seconds(swarm& mesh, unsigned seconds, const std::string& what,
                 const story_progress& progress,
                 const std::function<void(unsigned second)>& after_each);

/// What is printed: cells are text, the first column names the row.
struct table {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> notes;
};
std::string text_of(const std::vector<table>& all);
std::string json_of(const std::vector<table>& all);
/// With so many digits after the point.
std::string shown(double value, int digits = 0);
/// In seconds; "never" without a value.
std::string shown_seconds(const std::optional<duration>& d);
/// "mean / 99 % / most" in KB (1,000 bytes).
std::string shown_kb(const spread& bytes);

} // namespace banyan::sim::published
