#pragma once
#include "actors/docs/app_documents.hpp"
#include "crypto/identity.hpp"

#include <array>
#include <vector>

namespace banyan {

/// What an owner signs, made in one place: by a peer of the mesh `local` and by
/// the command line with an owner's file. The same identity, mesh and input
/// give the same bytes, apart from what `random` decides.

/// Where an app will live: the answer of `POST /v1/plan?prepare=1`.
struct prepared_app {
  std::array<std::uint8_t, 16> nonce{};
  /// By shard: replicas that their nodes have made.
  std::vector<std::vector<replica_ref>> voters;
};

/// Signs an app's genesis and its first version, with a new group secret sealed
/// to each node that has a voter.
/// @returns the node whose id is no public key, so that nothing can be sealed
/// to it.
result<app_papers, node_id>
sign_birth(const identity& owner, const mesh_id& mesh, const app_spec& spec,
           const prepared_app& where, random_source& random);

/// The papers of `old` with `spec` as version `number`, above the old one; its
/// token stays unless `spec` has another.
app_papers sign_update(const identity& owner, const mesh_id& mesh,
                       const app_record& old, const app_spec& spec,
                       std::uint64_t number);

/// The papers of `old`, into which a backup was loaded, with a version that
/// opens it.
app_papers sign_restored(const identity& owner, const mesh_id& mesh,
                         const app_record& old);

/// The papers of `old`, which is removed, with a version that takes that back.
app_papers sign_undeletion(const identity& owner, const mesh_id& mesh,
                           const app_record& old);

/// The papers of `old` with its deletion.
app_papers sign_removal(const identity& owner, const mesh_id& mesh,
                        const app_record& old);

} // namespace banyan
