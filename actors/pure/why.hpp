#pragma once
#include "actors/pure/placement.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// Why a member takes no new replica now, whatever a spec wants.
enum class away : std::uint8_t {
  none = 0,
  suspect,
  dead,
  left,
  unheard, ///< by the node that is asked
  drained,
  older,     ///< its build doesn't know what the app needs
  sealed,    ///< it came after the deploy, and is too old to ask for secrets
  unlisted,  ///< not among the nodes that the owner allows; keeps what it has
  held,      ///< by the mesh's policy: its uptime; it keeps what it has
  unproven,  ///< likewise: its hardware
  evacuated, ///< by its uptime, and what it has moves away
};
const char* to_string(away why) noexcept;
/// For people; empty for `none`.
[[nodiscard]] std::string words_of(away why);
/// The policy lets it keep what it has, and it takes nothing new.
constexpr bool is_hold(away a) noexcept {
  return a == away::unlisted || a == away::held || a == away::unproven;
}

struct why_member {
  candidate as;
  banyan::away away = banyan::away::none;
  bool serves = false; ///< the stateless app that is asked about
};
/// It may be chosen. On hold who serves a stateless app goes on: that is no new
/// replica of it.
constexpr bool may_run(const why_member& m) noexcept {
  return m.away == away::none || (is_hold(m.away) && m.serves);
}

enum class why_role : std::uint8_t {
  leader = 1,
  voter,
  learner,
  instance,
  wanted,    ///< placement would choose it, but no replica is there
  runner_up, ///< the next that would be asked
};
const char* to_string(why_role r) noexcept;

struct why_replica {
  node_id node;
  why_role role = why_role::voter;
};

/// What the answer for one group is made of.
struct why_facts {
  digest hash; ///< `placement_hash`
  placement_need need;
  std::vector<why_member> members;
  std::vector<why_replica> replicas; ///< as they are now
  std::size_t runners_up = 3;
};

struct why_row {
  node_id node;
  why_role role = why_role::voter;
  std::optional<double> score; ///< of a node that fits
  std::uint32_t rank = 0;      ///< by score, from 1; 0: it doesn't fit
  std::string text;            ///< for people
};
struct why_group {
  /// The voters (or instances) are those that placement would choose now.
  bool as_placed = false;
  std::vector<why_row> rows; ///< replicas, then wanted, then runners-up
};

/// Why a group's replicas are where they are, and who would be next: by the
/// placement function itself (`explain_place`).
[[nodiscard]] why_group explain(const why_facts& f);

/// A member that can't be chosen for any group of the app.
struct why_excluded {
  node_id node;
  std::string text; ///< `it is dead`, `its region "cn" is not allowed`, …
};
[[nodiscard]] std::vector<why_excluded>
excluded_of(const placement_need& need, const std::vector<why_member>& members);

} // namespace banyan
