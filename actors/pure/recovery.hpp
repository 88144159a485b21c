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
