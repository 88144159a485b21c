#pragma once
#include "actors/pure/hardware/figures.hpp"
#include "actors/pure/uptime/policy.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

/// Which tier a machine may claim, and which its observers believe. Pure.
namespace banyan {

/// A threshold that a machine misses.
struct tier_gap {
  std::string what;  ///< `fsync p99`
  std::string has;   ///< with its unit
  std::string wants; ///< `at most 5 ms`
};

struct tier_verdict {
  std::uint8_t tier = 0;
  std::vector<tier_gap> missing; ///< of the next one; empty: there is none
};

/// The highest tier that the figures satisfy, with all those below it.
[[nodiscard]] tier_verdict tier_of(const hardware_figures& f,
                                   const mesh_policy& p);

/// @name What a challenge for a tier asks
/// @{
/// A sixteenth of the memory that the tier asks for, 16 to 256 MiB: the asker
/// fills as much.
[[nodiscard]] std::uint32_t memory_challenge_mib(const mesh_policy& p,
                                                 std::uint8_t tier);
/// In what time at most, at 50 MiB/s: what is in memory is filled in a tenth of
/// it, what has to be swapped isn't.
[[nodiscard]] duration memory_challenge_limit(std::uint32_t mib);
/// How fast a node of that tier must send: 0.5, 2 and 8 MB/s.
[[nodiscard]] std::uint32_t bandwidth_kb_s(std::uint8_t tier);
/// An eighth of a second's worth, 128 to 1,024 KiB.
[[nodiscard]] std::uint32_t bandwidth_challenge_kib(std::uint8_t tier);
inline constexpr duration bandwidth_challenge_limit = std::chrono::seconds{30};
/// @}

/// What is left of a claim when `observers` watch its node and some of them
/// found less: the median, where who found nothing amiss counts for the claim.
/// So more than half of them must, and two at least: one that lies lowers
/// nobody, and one that helps a liar doesn't save it.
[[nodiscard]] std::uint8_t proven_tier(std::uint8_t claim,
                                       std::size_t observers,
                                       std::vector<std::uint8_t> found);

} // namespace banyan
