#pragma once
#include "actors/pure/uptime/day.hpp"
#include "actors/pure/uptime/policy.hpp"

#include <map>
#include <optional>
#include <vector>

/// From what observers signed to how a node stands. Pure functions of the
/// documents, so that anybody who has them comes to the same numbers.
///
/// *A minute* counts as up, or as down, when more than half of those who signed
/// something about the node for that day say so, and at least two do; else it
/// doesn't count. That is the median of the observers, minute by minute, with
/// "didn't see it" between "down" and "up". Whoever is less than half of the
/// observers, whatever they sign, can't make one minute count by themselves,
/// and can't change one on which all the others agree.
///
/// *A day* is one of UTC. It is observed when half of it counts. *A score* is
/// the part of the counted minutes of a run of whole days that was up; the last
/// of these days is yesterday.
namespace banyan {

/// Days are judged once they are over for so many minutes: by then what was
/// signed of them has come.
inline constexpr std::uint32_t judged_after_minutes = 30;

/// Minutes that count.
struct tally {
  std::uint32_t counted = 0;
  std::uint32_t up = 0;

  tally& operator+=(const tally& o) {
    counted += o.counted;
    up += o.up;
    return *this;
  }
  /// Rounded down; none when nothing counts.
  [[nodiscard]] std::optional<basis_points> score() const;
};
inline bool operator==(const tally& a, const tally& b) {
  return a.counted == b.counted && a.up == b.up;
}

/// One node's day, by one observer.
struct day_word {
  node_id observer;
  seen_day seen;
};

/// How an observer's word stands beside what counts.
struct observer_tally {
  node_id observer;
  std::uint32_t observed = 0;     ///< minutes
  std::uint32_t up = 0;           ///< of them
  std::uint32_t counted = 0;      ///< of them
  std::uint32_t contradicted = 0; ///< of these: the count says otherwise

  /// It is contradicted in more than half of an hour or more: it lies, or a bad
  /// link shows it what is not.
  [[nodiscard]] bool disagrees() const {
    return counted >= 60 && contradicted * 2 > counted;
  }
};

/// One node's day as it counts.
struct day_result {
  static constexpr std::uint32_t observed_min = minutes_a_day / 2;

  tally minutes;
  std::vector<observer_tally> observers; ///< ascending
  [[nodiscard]] bool observed() const {
    return minutes.counted >= observed_min;
  }
};
/// `words` of one day, at most one of each observer, in any order; of more than
/// `subjects_max` the first by node id.
[[nodiscard]] day_result count_day(std::vector<day_word> words);

/// A node's days, by number: those of which anything is known.
using day_results = std::map<std::uint32_t, day_result>;

/// What counts of the days from `last - days + 1` to `last`.
[[nodiscard]] tally sum_of(const day_results& all, std::uint32_t last,
                           std::uint32_t days);
[[nodiscard]] std::uint32_t
observed_days(const day_results& all, std::uint32_t last, std::uint32_t days);
/// The observers of those days, each summed up.
[[nodiscard]] std::vector<observer_tally>
observers_of(const day_results& all, std::uint32_t last, std::uint32_t days);

/// How a node stands.
struct verdict {
  standing is = standing::normal;
  bool judged = false; ///< false: too few days are observed, or none of late
  std::optional<basis_points> day;   ///< yesterday
  std::optional<basis_points> week;  ///< the window of the policy: 7 days
  std::optional<basis_points> month; ///< 30
  std::uint32_t days = 0;            ///< observed, of the last 30
  std::uint32_t since = 0;           ///< the day that made `is`; 0: none did
  /// Good days in a row, while on probation.
  std::uint32_t good_days = 0;
  /// Bad enough to be excluded once it is empty.
  bool must_go = false;
};

/// The last day that can be judged: the documents of the day before come in for
/// the first `judged_after_minutes` of a day.
[[nodiscard]] std::uint32_t last_judged(day_time now);

/// Goes through the days that are known, up to `last`:
///
/// - No verdict before `observed_days_min` observed days: `normal`.
/// - The window's score below a threshold: `hold`, `evacuate`. It only gets
///   worse until the score is good again (`hold_below` or better): so a node at
///   a threshold doesn't go to and fro.
/// - Good again, or unseen for a whole window (it was excluded, or gone):
///   `probation`, until `probation_days` observed days in a row were good, each
///   by itself.
/// - `must_go` while it is to be evacuated and below `exclude_below`; `empty`
///   (no replica is there) makes that `excluded`.
[[nodiscard]] verdict judge(const day_results& all, std::uint32_t last,
                            const mesh_policy& policy, bool empty);

} // namespace banyan
