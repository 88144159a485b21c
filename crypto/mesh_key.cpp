#include "crypto/mesh_key.hpp"

#include "crypto/hash.hpp"

namespace banyan {
namespace {

secret_bytes<32> well_known(std::string_view what) {
  const auto d = hash_of({as_bytes("banyan local"), as_bytes(what)});
  secret_bytes<32> out;
  BANYAN_ASSERT(secret_bytes<32>::from(d.view(), out));
  return out;
}

} // namespace

link_psk derive_psk(const mesh_key& key, link_role role) {
  const std::string_view name = role == link_role::peer ? "peer" : "client";
  return derive_key(key, {as_bytes("banyan psk 1"), as_bytes(name)});
}

mesh_id make_mesh_id(std::string_view name, const owner_id& first_owner) {
  return mesh_id{
      hash_of({as_bytes("banyan mesh 1"), as_bytes(name), first_owner.view()})
          .array()};
}

mesh_key local_mesh_key() {
  return well_known("mesh key");
}

identity local_mesh_owner() {
  return identity::from_seed(well_known("owner key"));
}

mesh_id local_mesh_id() {
  return make_mesh_id(local_mesh_name, local_mesh_owner().owner());
}

digest group_proof(const secret_bytes<32>& group_secret,
                   const_bytes handshake_hash, const node_id& prover,
                   const group_id& group) {
  const std::array<std::uint8_t, 4> shard{
      static_cast<std::uint8_t>(group.shard >> 24),
      static_cast<std::uint8_t>(group.shard >> 16),
      static_cast<std::uint8_t>(group.shard >> 8),
      static_cast<std::uint8_t>(group.shard)};
  return keyed_hash_of(group_secret,
                       {as_bytes("banyan group 1"), handshake_hash,
                        prover.view(), group.app.view(), shard});
}

} // namespace banyan
