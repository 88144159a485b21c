#pragma once
#include "actors/pure/uptime/allowed_nodes.hpp"
#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What a mesh demands of its nodes: their uptime and their hardware. Plain
/// data, pure; an owner signs it (actors/docs/policy.hpp).
namespace banyan {

/// Hundredths of a percent: 9,900 is 99 %.
using basis_points = std::uint16_t;
inline constexpr basis_points basis_points_all = 10'000;

/// @name Limits of a policy
/// @{
inline constexpr std::size_t tiers_max = 3;
inline constexpr std::uint8_t window_days_max = 14;
inline constexpr std::uint8_t probation_days_max = 14;
inline constexpr std::uint8_t observed_days_most = 14;
/// @}

/// What hardware a tier asks for: all of it. Zero asks for nothing.
struct tier_needs {
  std::uint32_t cores = 0;
  std::uint64_t memory_mib = 0;
  std::uint32_t fsync_p99_us = 0; ///< at most; zero: any
  std::uint32_t disk_mb_s = 0;    ///< written in sequence
  std::uint32_t crypto_mb_s = 0;  ///< sealed by one core
};
bool operator==(const tier_needs& a, const tier_needs& b) noexcept;

/// The policy of a mesh. As it is here it stands where no owner signed another:
/// it only observes.
struct mesh_policy {
  bool enforce = false; ///< false: standings are shown and change nothing

  /// @name Uptime, over `window_days` whole days (UTC)
  /// @{
  basis_points hold_below = 9'900;     ///< no new replicas
  basis_points evacuate_below = 9'700; ///< and those there move away
  basis_points exclude_below = 9'500;  ///< and once it is empty it must go
  std::uint8_t window_days = 7;
  std::uint8_t observed_days_min = 7; ///< before that there is no verdict
  /// So many days in a row of `hold_below` or better end a probation.
  std::uint8_t probation_days = 7;
  /// @}

  /// @name Hardware
  /// @{
  std::uint8_t min_tier = 0; ///< nodes below take no new replicas
  /// What tiers 1 to 3 ask for; every node has tier 0.
  std::array<tier_needs, tiers_max> tiers{{{1, 900, 50'000, 20, 100},
                                           {2, 3'500, 20'000, 100, 300},
                                           {8, 15'000, 5'000, 400, 800}}};
  /// @}

  /// Who may be in the mesh; it counts whether `enforce` is set or not.
  allowed_nodes nodes;
};
bool operator==(const mesh_policy& a, const mesh_policy& b) noexcept;
inline bool operator!=(const mesh_policy& a, const mesh_policy& b) noexcept {
  return !(a == b);
}

/// Empty when `p` can be signed; otherwise the setting and what would be right.
[[nodiscard]] std::string why_invalid(const mesh_policy& p);

/// Canonical msgpack: a map by number. All settings stand in it, so that
/// another build's defaults change nothing; a list of nodes if there is one.
[[nodiscard]] bytes encode(const mesh_policy& p);
/// Unknown keys are skipped. False on anything that isn't one policy that could
/// be signed.
[[nodiscard]] bool decode(const_bytes in, mesh_policy& out);

/// @name As people write it: `NAME = VALUE`, percentages with up to two digits
/// behind the point. The list of nodes is none of these settings.
/// @{
/// One setting of a policy; `tier2.memory_mib` and the like for tiers.
struct policy_setting {
  std::string name;
  std::string value;
  bool usual = true; ///< it is as it would be without a policy
};
/// All of them, in the order of the structure.
[[nodiscard]] std::vector<policy_setting> settings_of(const mesh_policy& p);
/// False, with the cause in `why`, when there is no such setting or it can't be
/// that. Whether the whole is sound says `why_invalid`.
[[nodiscard]] bool set(mesh_policy& p, std::string_view name,
                       std::string_view value, std::string& why);
/// A file of such lines; `#` begins a comment, `[tier2]` a group of settings.
/// What it doesn't name stays as it is in `p`.
[[nodiscard]] bool set_all(mesh_policy& p, std::string_view text,
                           std::string& why);
/// @}

/// How a node stands, by its uptime. Numbers are the API's order of severity.
enum class standing : std::uint8_t {
  normal = 0, ///< also: nothing is known of it yet
  probation,  ///< was on hold and is well again: takes no new replicas yet
  hold,       ///< takes no new replicas
  evacuate,   ///< its groups move away, one at a time
  excluded,   ///< evacuated, empty, and too bad to stay
};
[[nodiscard]] const char* to_string(standing s) noexcept;
/// It takes new replicas, as far as uptime goes.
constexpr bool takes_replicas(standing s) noexcept {
  return s == standing::normal;
}

/// `99.5`, of 9,950.
[[nodiscard]] std::string percent_text(basis_points p);

} // namespace banyan
