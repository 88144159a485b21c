#pragma once
#include "sim/run.hpp"

#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace banyan::sim {

/// What many seeds came to: the table that runs and soaks print.
class table {
public:
  void add(const outcome& o);
  void print(std::ostream& out) const;

  [[nodiscard]] std::uint64_t seeds() const { return seeds_; }
  [[nodiscard]] std::uint64_t operations() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t faults() const;
  [[nodiscard]] double virtual_s() const { return virtual_s_; }
  [[nodiscard]] const std::vector<std::uint64_t>& failed() const {
    return failed_;
  }
  /// Why this is not what a full run in CI comes to; empty if it is.
  [[nodiscard]] std::vector<std::string> missing_in_ci() const;

private:
  std::uint64_t seeds_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t checked_ = 0;
  std::uint64_t answers_ = 0;
  std::uint64_t retries_ = 0;
  std::uint64_t leaderships_ = 0;
  double virtual_s_ = 0;
  double settled_sum_s_ = 0;
  double settled_max_s_ = 0;
  std::uint64_t late_results_ = 0;
  std::map<std::string, std::uint64_t> faults_;
  std::map<std::string, std::uint64_t> changing_;
  std::vector<std::uint64_t> failed_;
};

/// The command that replays a seed, with all of its faults or some.
std::string replay_command(std::uint64_t seed,
                           const std::vector<std::size_t>* only = nullptr);

/// @name An outcome as one line, for a pipe between processes
/// @{
std::string to_line(const outcome& o);
bool from_line(const std::string& line, outcome& o);
/// @}

} // namespace banyan::sim
