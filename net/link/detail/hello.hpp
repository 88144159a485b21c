#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "crypto/identity.hpp"
#include "crypto/mesh_key.hpp"
#include "crypto/noise/primitives.hpp"
#include "net/link/link_table.hpp"

#include <cstdint>

namespace banyan::net {

/// What each side says of itself in the payload of its handshake message.
/// The first five are signed together with the handshake hash and the X25519
/// key; the others are covered by the handshake alone.
struct hello {
  node_id node;
  link_role role = link_role::peer;
  banyan::incarnation incarnation;
  boot_id boot;
  std::uint64_t features = 0;
  std::uint64_t minor = wire_version_minor;
  address listen;          ///< what others may dial
  address seen;            ///< where the sender sees the receiver
  std::uint64_t dial = 0;  ///< the dialler's count of dials in this boot
  std::uint64_t knows = 0; ///< see `link_state::knows`
};

/// `hello_bytes` long: a map, then zeros. `handshake_hash` is the hash of all
/// messages before the one that carries this.
bytes encode_hello(const hello& h, const identity& key, const mesh_id& mesh,
                   const_bytes handshake_hash,
                   const noise::dh_public& static_key);

/// False unless the form is right and the node's signature fits.
bool decode_hello(const_bytes in, const mesh_id& mesh,
                  const_bytes handshake_hash,
                  const noise::dh_public& static_key, hello& out);

/// Reads `HOST:PORT` or the empty text; fails the reader on anything else.
void read_address(reader& r, address& out);

} // namespace banyan::net
