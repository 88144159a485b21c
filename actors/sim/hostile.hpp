#pragma once
#include "actors/sim/swarm.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace banyan::sim {

/// What the hostile members of `tell_hostile` do, one after the other, all of
/// them together. Each speaks over its own links, and its core goes on as
/// others' do beside it.
enum class lie : std::uint8_t {
  none = 0,    ///< to compare with
  accuse,      ///< signs that healthy members are down, all the same ones
  incarnation, ///< its own, of those it accuses and of others: huge
  leave,       ///< signs that others left, and sends what they once signed
  mangle,      ///< repeats, reorders and changes what it sends
  flood,       ///< says and takes back, ever again, and sends rubbish
  pages,       ///< gives newcomers a membership that isn't
  invent,      ///< signs for members that nobody runs, and lets them accuse
};
inline constexpr std::size_t lie_count = 8;
[[nodiscard]] const char* to_string(lie what) noexcept;

struct hostile_options {
  std::uint64_t seed = 1;
  std::size_t nodes = 1'000; ///< at least `nodes_min`
  std::size_t hostile = 0;   ///< 0: one of a hundred, two at least
  std::size_t regions = 6;
  std::size_t groups = 300; ///< of three voters each, two regions
  duration each = 15s;      ///< so long is each lie told
  std::vector<lie> told{};  ///< in this order; empty: all

  static constexpr std::size_t nodes_min = 40;
};

/// What one lie did to the honest.
struct lie_report {
  lie what = lie::none;
  std::uint64_t dead = 0;      ///< opinions: an honest node dead, or left
  std::uint64_t suspected = 0; ///< likewise, until somebody else is asked
  std::uint64_t moved = 0;     ///< voters that a fellow took for dead
  std::uint64_t believed = 0;  ///< opinions: a member that nobody runs
  std::size_t joined = 0;      ///< newcomers meanwhile
  std::size_t misled = 0;      ///< of them: lack somebody, or know too many
  /// A real death meanwhile, until the last honest node knew; none: it didn't.
  std::optional<duration> told;
  std::size_t found_out = 0;    ///< hostile nodes that somebody named
  double bytes_per_second = 0;  ///< of an honest node, sent
  double frames_per_second = 0; ///< likewise
  std::uint64_t refutations = 0;
};

struct hostile_story {
  bool held = false; ///< `problems` is empty
  std::string text;  ///< a table, for people
  std::string json;
  std::vector<std::string> problems;
  std::vector<lie_report> reports;
};

/// One percent of hostile members among many simulated ones (issue: bad input,
/// hostile nodes): they can evict nobody, move nothing, mislead no newcomer
/// that meets two honest members, and hide no death. The same seed tells the
/// same story. `progress` is told of each lie; false stops it.
hostile_story
tell_hostile(const hostile_options& how,
             const std::function<bool(const std::string&)>& progress);

} // namespace banyan::sim
