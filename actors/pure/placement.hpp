#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// A member as placement sees it. Only alive members are given to it.
struct candidate {
  node_id node;
  std::string region;
  bool unverified = false; ///< its region: it doesn't count as another one
  std::string zone;
  std::string host; ///< of its address: two peers on one machine share it
  std::uint8_t tier = 0;
  std::uint32_t weight = 100; ///< its share; 0: nothing new
  std::uint64_t memory_mib = 0;
  std::uint64_t disk_mib = 0;
  bool has_module = true; ///< or can fetch it: there is one for its target
};

/// What a group's replicas need.
struct placement_need {
  std::uint32_t voters = 3;
  std::vector<std::string> regions; ///< allowed; empty: any
  std::vector<std::string> denied;  ///< regions that are not, even so
  /// `spread`: at least so many regions, and none with a majority of the
  /// voters, while there is a choice; below 2: regions don't matter.
  std::uint32_t regions_min = 0;
  std::uint8_t min_tier = 0;
  std::uint64_t memory_mib = 0;
  std::uint64_t disk_mib = 0;
};

/// Why a member can't take a replica, or that it can.
enum class unfit : std::uint8_t {
  none = 0,
  region, ///< not allowed, or denied
  tier,
  memory,
  disk,
  module, ///< none for its target
  weight, ///< it takes nothing new: draining, or on hold
};
const char* to_string(unfit why) noexcept;
[[nodiscard]] unfit why_unfit(const candidate& c, const placement_need& need);

/// @name In large meshes
/// A node shares groups with few others, whatever their number, so that it
/// keeps few links: with more fitting members than `small_mesh_max` a group is
/// placed among `neighbourhood_nodes` of them, which follow its own place in
/// the order of node ids. Two nodes that far apart at most share groups: a node
/// has up to eight partners on either side. What that costs in choice is made
/// up for: as many machines, zones and (if they matter) regions as all members
/// have are among them, or they are more.
/// @{
inline constexpr std::size_t small_mesh_max = 17;
inline constexpr std::size_t neighbourhood_nodes = 9;
/// @}

/// Where a group goes, in placement order.
struct placed {
  std::vector<node_id> nodes; ///< fewer than asked for: see `missing`
  std::uint32_t missing = 0;
  std::vector<std::string> warnings; ///< for people
};

/// Rendezvous hashing, weighted by capacity, over the members that satisfy the
/// hard constraints; then diversity: no two voters on one node, zone or host
/// while there is a choice, and as many regions as the spec says; in large
/// meshes among the group's neighbourhood. A pure function: same members, same
/// answer, everywhere; the order in which members are given does not matter.
placed place(const digest& group_hash, const placement_need& need,
             const std::vector<candidate>& members);

/// What a candidate has in common with one that was chosen before it.
enum class shared_place : std::uint8_t { host = 1, zone, region };
const char* to_string(shared_place what) noexcept;

/// How `place` came to a candidate, or past it.
struct placement_step {
  node_id node;
  double score = 0;       ///< weighted rendezvous: the largest wins
  std::uint32_t rank = 0; ///< by score, of those that fit; the first is 1
  bool chosen = false;    ///< by `place`; else it would be asked next
  /// How many with a larger score were passed over for it, since they would
  /// have had more in common with those chosen before.
  std::uint32_t passed_over = 0;
  /// With those chosen before it; of one that isn't chosen: with all but the
  /// last, in whose place it might have come. A region counts only when the
  /// spec wants several.
  std::vector<std::pair<shared_place, node_id>> shares;
  /// Not chosen only: its score is larger than that of the last one that is,
  /// which has less in common with the others.
  bool crowded = false;
};

/// `place`, step by step: those that it chooses in their order, then as many
/// `runners_up` as would be asked next.
std::vector<placement_step> explain_place(const digest& group_hash,
                                          const placement_need& need,
                                          const std::vector<candidate>& members,
                                          std::size_t runners_up);

/// The next node for a replica that replaces one: the members that remain keep
/// their places. `same_region` (of the lost voter) is demanded first; the
/// caller asks again without it when nobody was found for long enough.
std::optional<node_id>
next_candidate(const digest& group_hash, const placement_need& need,
               const std::vector<candidate>& members,
               const std::vector<node_id>& kept,
               const std::vector<node_id>& excluded,
               const std::optional<std::string>& same_region);

/// How many of `voters` may fail while a majority stays: (voters - 1) / 2.
constexpr std::uint32_t survives(std::uint32_t voters) noexcept {
  return voters == 0 ? 0 : (voters - 1) / 2;
}

/// What a group on these voters lives through, each taken alone: it survives
/// the loss of a zone when a majority of its voters is elsewhere.
struct survival {
  std::uint32_t nodes = 0; ///< any so many of its nodes
  bool any_host = false;   ///< all peers of any one machine
  bool any_zone = false;
  bool any_region = false;
  std::vector<std::string> warnings; ///< what it would not, for people
};
survival survival_of(const std::vector<node_id>& voters,
                     const std::vector<candidate>& members);

/// Why `--strict` refuses this placement; empty: it doesn't.
std::string strict_refusal(const placed& p);

/// The largest number of voters that is odd and at most `n`: an even one
/// survives no more than one fewer does.
constexpr std::size_t usable_voters(std::size_t n) noexcept {
  return n == 0 ? 0 : n - (n + 1) % 2;
}

/// What placement hashes for a group.
digest placement_hash(const_bytes app_nonce, std::uint32_t shard);

} // namespace banyan
