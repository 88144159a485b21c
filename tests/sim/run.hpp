#pragma once
#include "actors/testing/sim/fault.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace banyan::sim {

/// What one seed came to.
struct outcome {
  std::uint64_t seed = 0;
  std::uint64_t hash = 0;
  double virtual_s = 0;
  std::uint64_t steps = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t checked = 0; ///< calls in histories that were judged
  std::uint64_t answers = 0; ///< checked against all disks as they came
  std::uint64_t retries = 0;
  std::uint64_t leaderships = 0;
  double settled_s = 0; ///< after healing, until all served and agreed: longest
  std::map<std::string, std::uint64_t> faults;
  /// Those of them while which a group's voters changed.
  std::map<std::string, std::uint64_t> changing;
  std::uint64_t late_results = 0; ///< of hosts, in another term than ordered
  std::vector<std::string> problems;
};

/// Of a seed: three to five machines in one to three regions, four apps, six
/// clients; two times trouble for 22 virtual seconds and then peace, in which
/// everything must serve and agree within 30 s.
struct plan {
  std::uint64_t seed = 0;
  std::size_t machines = 3;
  std::size_t regions = 1;
  std::vector<schedule> phases;
  /// Left out, by number over all phases.
  std::set<std::size_t> skipped{};

  [[nodiscard]] std::size_t faults() const;
};
/// @param kinds of faults to draw from; empty: all.
plan plan_for(std::uint64_t seed, const std::vector<fault_kind>& kinds = {});
outcome run(const plan& p);
inline outcome run_seed(std::uint64_t seed) {
  return run(plan_for(seed));
}

} // namespace banyan::sim
