#pragma once
#include <cstdint>
#include <map>
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
  std::uint64_t retries = 0;
  std::uint64_t leaderships = 0;
  double settled_s = 0; ///< after the healing, until all served and agreed
  std::map<std::string, std::uint64_t> faults;
  std::vector<std::string> problems;
};

/// Three machines, ledger and counter deployed on all, six clients; trouble for
/// 30 virtual seconds, then peace, in which everything must serve and agree
/// within 20 s.
outcome run_seed(std::uint64_t seed);

} // namespace banyan::sim
