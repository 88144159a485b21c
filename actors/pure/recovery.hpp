#pragma once
#include "actors/docs/app_documents.hpp"

#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// @name Lineages: what the recoveries of one shard come to
/// @{

/// Where a shard stands after all recoveries that are known of it.
struct lineage_state {
  lineage_id lineage;                   ///< in force; of a conflict: the parent
  std::optional<app_recovery> recovery; ///< that made it; none: its birth
  std::vector<app_recovery> conflicting; ///< two or more of one parent: neither
                                         ///< counts until one has a child
};
/// `all` in any order; what leads nowhere is left out.
[[nodiscard]] lineage_state resolve_lineage(const lineage_id& birth,
                                            std::vector<app_recovery> all);
/// @}

/// @name What that means for the replica of the shard on one node
/// The node keeps every recovery that it learns of, in whatever order they
/// come, and asks this again after each.
/// @{
enum class lineage_step : std::uint8_t {
  none,    ///< it speaks in the lineage in force, or there is a conflict
  take_up, ///< it is the survivor: its group goes on from what it has
  end,     ///< of a lineage that was given up: it never speaks again under the
           ///< id that it has; log and rows stay on the disk
};
/// `who` has spoken in lineage `speaks` up to now.
[[nodiscard]] lineage_step next_step(const lineage_state& now,
                                     const replica_ref& who,
                                     const lineage_id& speaks);

/// How a replica starts that its disk holds.
struct lineage_start {
  lineage_step step = lineage_step::none;
  lineage_id lineage; ///< to speak in
};
/// `noted` is the lineage that it has spoken in with a quorum, or was made in,
/// if that was written down; else that of the group's birth counts.
[[nodiscard]] lineage_start start_in(const lineage_state& now,
                                     const replica_ref& who,
                                     const std::optional<lineage_id>& noted,
                                     const lineage_id& birth);
/// @}

/// How one replica stands, as its node says when a recovery is thought of.
struct surviving_replica {
  group_id group;
  replica_ref who;
  lineage_id lineage;
  banyan::term term; ///< of its last entry
  log_index last;
  log_index committed;
  bool whole = false;                ///< its state is
  bool serving = false;              ///< it leads, with a quorum
  std::vector<replica_ref> voters;   ///< as far as it knows
  std::vector<replica_ref> outgoing; ///< the other half of a joint change
  bool pending = false;              ///< its state is still being verified
};

/// What a recovery of one shard would do.
struct recovery_choice {
  std::optional<app_recovery> document; ///< to be signed; none: see `why`
  std::string why;                      ///< it isn't possible or not needed
};
/// The survivor that is furthest: by the term of its last entry, then its
/// index, with a whole state before one without. Refused while a majority of
/// the voters answers, and when nobody is left.
[[nodiscard]] recovery_choice
choose_survivor(const app_id& app, std::uint32_t shard,
                const lineage_state& now, const lineage_id& next,
                const std::vector<surviving_replica>& answers);

} // namespace banyan
