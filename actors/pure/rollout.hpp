#pragma once
#include "actors/pure/turn_health.hpp"
#include "actors/pure/versions.hpp"
#include "store/types.hpp"

#include <optional>
#include <string>
#include <vector>

/// How an update of an app spreads over its groups: what each group's leader
/// does next. Pure: facts come in, one step goes out. Nothing here is safety's:
/// the replicas check each order against their own log (replica_core).
///
/// An update is a newer signed spec. It waits until every voter's node has the
/// new version's host up, then shard 0 takes it and is watched for the spec's
/// `update_watch`; if it is well the others follow, otherwise shard 0 goes back
/// and that version is never tried again.
namespace banyan {

/// Where a group is on its way to the newest version. On the wire: numbers
/// stay.
enum class update_state : std::uint8_t {
  done = 0,    ///< it runs the newest, and that is settled
  waiting,     ///< for nodes, modules, or shard 0
  canary,      ///< it runs it, watched
  rolling,     ///< it is about to take it over
  rolled_back, ///< it tried it, and went back
  refused,     ///< it can't take it, or took it, failed and can't go back
};
const char* to_string(update_state s) noexcept;

/// What a node says of the newest version's host there.
struct version_readiness {
  bool ok = false;
  std::uint32_t state_version = 0; ///< of its module; 0: not known
  std::string why;                 ///< it isn't ready; for people
};

/// How turns fare, in figures that others can be told.
struct health_figures {
  std::uint64_t turns = 0;
  std::uint64_t failed = 0;
  std::uint64_t crashes = 0;
  duration p50{};
  duration p99{};
};
health_figures figures_of(const turn_health& h);

struct rollout_member {
  replica_ref who;
  std::string name; ///< for people
  bool voter = false;
  bool here = false;   ///< this leader's own
  bool reached = true; ///< heard by this leader
  duration away{};     ///< since when it isn't
  feature_bits features = 0;
  std::optional<version_readiness> ready; ///< nothing: it didn't say yet
};

/// What shard 0's leader says of its group.
struct canary_word {
  std::uint64_t running = 0;
  std::uint64_t number = 0; ///< the update that it speaks of
  update_state state = update_state::waiting;
  std::string why;
};

struct rollout_facts {
  std::uint64_t newest = 0; ///< number of the signed spec
  duration watch{};         ///< its `update_watch`
  std::uint32_t shard = 0;
  /// What runs: `versions`' or, without, the base.
  std::uint64_t running = 0;
  std::optional<group_versions> versions; ///< in the log
  std::optional<state_written> written;
  feature_bits features = 0; ///< that the log asks for
  /// Made by this build, just now: it begins with its version.
  bool newborn = false;
  bool host_up = false;                ///< of what runs, here
  std::vector<rollout_member> members; ///< voters and learners
  bool changing = false;               ///< members are being changed
  std::optional<canary_word> canary;   ///< for shards beyond 0

  // Of a version that is watched:
  duration watched{};      ///< by this leader
  duration longest_turn{}; ///< that runs now
  health_figures fresh;
  health_figures before;              ///< of the former one, here
  std::vector<health_figures> others; ///< of shards that run the former one
};

/// A voter that nobody reaches holds up an update for so long only, as long as
/// a majority is ready: it meets the entry when it comes back.
inline constexpr duration rollout_patience = std::chrono::seconds{30};

struct rollout_step {
  enum class kind : std::uint8_t {
    rest,    ///< nothing to do
    wait,    ///< `why` says what for
    enable,  ///< order an entry 8 for `feature::versions`
    record,  ///< order what runs to be written down
    take,    ///< order the newest
    settle,  ///< what runs stays; with `why`: though it failed
    go_back, ///< order the former, because of `why`
  };
  kind what = kind::rest;
  update_state state = update_state::done;
  std::string why;
};
rollout_step next_step(const rollout_facts& f);

// ---- the health gate --------------------------------------------------------

/// @name When a watched version has failed
/// Errors and crashes are judged as they come; times from `gate_warm_up` on.
/// "Old" is the larger of what the former version showed in the same group
/// within its last minutes and what other shards, still on it, show meanwhile,
/// so that a machine that is slow for all condemns nobody.
/// @{
/// A host that crashed more often than the old one's.
/// Failed turns (thrown, or unable to read the state): at least
/// `gate_failed_min`, and in more than `gate_failed_part` of all turns plus
/// twice the old part.
inline constexpr std::uint64_t gate_failed_min = 3;
inline constexpr double gate_failed_part = 0.02;
/// Of at least `gate_p50_turns` turns the median is over twice the old one and
/// 5 ms; of at least `gate_p99_turns` the 99th percentile is over three times
/// the old one and 25 ms. Without as many old turns times are not judged.
inline constexpr std::uint64_t gate_p50_turns = 20;
inline constexpr std::uint64_t gate_p99_turns = 100;
inline constexpr duration gate_p50_slack = std::chrono::milliseconds{5};
inline constexpr duration gate_p99_slack = std::chrono::milliseconds{25};
inline constexpr duration gate_warm_up = std::chrono::seconds{1};
/// A turn that runs for longer holds up the end of the watch.
inline constexpr duration gate_longest_turn = std::chrono::seconds{1};
/// @}

/// Why the fresh version is worse than the old one; empty: it isn't.
std::string why_unhealthy(const rollout_facts& f);

} // namespace banyan
