#pragma once
#include "base/ids.hpp"
#include "crypto/identity.hpp"
#include "crypto/secret.hpp"

#include <cstdint>
#include <string_view>

namespace banyan {

/// What lets a machine into a mesh: 32 random bytes in `NAME.mesh`.
using mesh_key = secret_bytes<32>;
/// What a link's handshake is keyed with.
using link_psk = secret_bytes<32>;

/// What the dialling side of a link is. On the wire: never renumbered.
enum class link_role : std::uint8_t {
  peer = 1,   ///< a node of the mesh
  client = 2, ///< may call apps; never join, gossip or deploy
};

/// The pre-shared key for links of `role`. The client key of a mesh *is* the
/// psk for clients, so it tells nothing about the mesh key or the peers' psk.
[[nodiscard]] link_psk derive_psk(const mesh_key& key, link_role role);

/// BLAKE2b-256 of a mesh's name and its first owner.
[[nodiscard]] mesh_id make_mesh_id(std::string_view name,
                                   const owner_id& first_owner);

/// The mesh without keys: loopback only. Everybody knows these keys; they are
/// derived from `banyan local`, so any peer may sign as its owner.
inline constexpr std::string_view local_mesh_name = "local";
[[nodiscard]] mesh_key local_mesh_key();
[[nodiscard]] identity local_mesh_owner();
[[nodiscard]] mesh_id local_mesh_id();

/// Proves on one link that the prover knows a group's secret. Bound to the
/// link by its handshake hash and to the prover, so it can't be reflected.
[[nodiscard]] digest group_proof(const secret_bytes<32>& group_secret,
                                 const_bytes handshake_hash,
                                 const node_id& prover, const group_id& group);

} // namespace banyan
