#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace banyan {

/// A member and the region that it says it is in.
struct region_claim {
  node_id node;
  std::string region; ///< empty: it claims none
};

/// What one node measured of others: the shortest round trip of late. A short
/// one proves nearness, since nothing is faster than the line; a long one
/// proves nothing, since anybody can be slow.
struct distances_seen {
  node_id observer;
  std::map<node_id, duration> to;
};

/// Which claims the measurements contradict. Two rules, of nearness alone:
///
/// - A node that claims region R is held against each other region S: the
///   members of S, at least two of them, have it as near as each other, and
///   clearly nearer (less than half as far, and 2 ms) than the other members of
///   R.
/// - The only member of R is held against S in the same way with the members of
///   all further regions in the place of R's: it is where S is, though S is far
///   from everybody else.
///
/// Of an observer's words about one node the second shortest counts, so that
/// one that lies convicts nobody; of R's members the median, so that a minority
/// of liars in R hides nobody. Regions that the network can't tell apart (rooms
/// of one building) are never contradicted. A pure function: the same words,
/// the same answer, everywhere.
[[nodiscard]] std::set<node_id>
contradicted(const std::vector<region_claim>& claims,
             const std::vector<distances_seen>& seen);

/// Makes verdicts of contradictions: slowly, in both directions. Pure; one per
/// node.
class region_verdicts {
public:
  static constexpr duration unverified_after = std::chrono::seconds{60};
  static constexpr duration verified_after = std::chrono::minutes{5};

  /// Call now and then with what is contradicted. True: a verdict changed.
  bool on_tick(const std::set<node_id>& contradicted, time_point now);
  [[nodiscard]] bool unverified(const node_id& node) const {
    return unverified_.count(node) != 0;
  }
  [[nodiscard]] const std::set<node_id>& all() const { return unverified_; }

private:
  std::map<node_id, time_point> since_; ///< otherwise than the verdict says
  std::set<node_id> unverified_;
};

/// What one node knows of distances, its own and those that others tell, and
/// what it makes of them. Pure; one per node.
class region_watch {
public:
  /// How often to call `on_look`; the shortest of so many samples counts.
  static constexpr duration look_every = std::chrono::seconds{10};
  static constexpr std::size_t samples_kept = 6;
  /// After so long without a word, an observer's counts no more.
  static constexpr duration words_last = std::chrono::minutes{10};
  static constexpr std::size_t told_max = 64; ///< nodes in one word

  /// What that node told of others: all that it measures.
  void on_told(const node_id& observer, std::map<node_id, duration> to,
               time_point now);
  /// This node's round trips of now, by node; and all members that claim
  /// something. True: a verdict changed.
  bool on_look(const node_id& self, const std::map<node_id, duration>& to,
               const std::vector<region_claim>& claims, time_point now);
  /// What is to be told to the others.
  [[nodiscard]] std::map<node_id, duration> mine() const;
  /// Whether that is something else than what was told: other nodes, or a round
  /// trip that differs by a quarter and by more than a millisecond.
  [[nodiscard]] static bool
  worth_telling(const std::map<node_id, duration>& was,
                const std::map<node_id, duration>& is);
  [[nodiscard]] const std::set<node_id>& unverified() const {
    return verdicts_.all();
  }

private:
  struct word {
    std::map<node_id, duration> to;
    time_point at;
  };
  std::map<node_id, std::deque<duration>> samples_; ///< newest last
  std::map<node_id, word> words_;                   ///< by observer
  region_verdicts verdicts_;
};

} // namespace banyan
