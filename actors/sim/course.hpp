#pragma once
#include "actors/sim/groups.hpp"
#include "actors/sim/scenario.hpp"
#include "actors/sim/times.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace banyan::sim {

/// One second of a course, for plots.
struct second_row {
  std::int64_t second = 0;        ///< of the scenario, from 1
  std::size_t running = 0;        ///< nodes, without those frozen
  std::uint64_t wrong = 0;        ///< opinions, of all pairs
  std::uint64_t false_deaths = 0; ///< in this second
  double bytes_mean = 0;          ///< sent by a node in this second
  double bytes_p99 = 0;
  double bytes_max = 0;
  double frames_mean = 0;
  double links_mean = 0;
  std::size_t links_max = 0;
  std::size_t groups_serving = 0;
  std::uint64_t events = 0; ///< of the simulation
};
/// Names of the columns, and one line; with commas.
std::string csv_head();
std::string csv_line(const second_row& r);

/// One figure of the result.
struct figure {
  std::string key;  ///< for programs: `kill_p99_ms`
  std::string text; ///< for people: "a kill known, 99 %"
  double value = 0;
  std::string unit;             ///< `ms`, `B/s`, or nothing
  std::optional<double> goal{}; ///< at most so much, or at least, with `floor`
  bool floor = false;
  [[nodiscard]] bool met() const {
    return !goal || (floor ? value >= *goal : value <= *goal);
  }
};
/// A table for people; and one JSON object of numbers by key.
std::string table_of(const std::vector<figure>& all);
std::string json_of(const std::vector<figure>& all);

/// A scenario as it is played, and what came of it.
class course {
public:
  /// Of one that was checked. Takes the first seconds, in which links come up:
  /// a minute for 10,000 nodes.
  explicit course(scenario s);
  ~course();
  course(const course&) = delete;
  course& operator=(const course&) = delete;

  /// A tenth of a virtual second. False at the end.
  bool step();
  [[nodiscard]] duration at() const noexcept; ///< since the beginning
  [[nodiscard]] duration length() const noexcept;
  /// The seconds that were over since the last call.
  std::vector<second_row> take_rows();
  /// As far as it has come.
  [[nodiscard]] std::vector<figure> figures() const;
  [[nodiscard]] swarm& mesh() noexcept;
  [[nodiscard]] const group_set& groups() const noexcept;

private:
  class state;
  std::unique_ptr<state> s_;
};

} // namespace banyan::sim
