#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"
#include "crypto/secret.hpp"

namespace banyan {

class identity;

/// A 32 byte secret for one node's eyes, in a document that all may read.
///
/// Sealed to the X25519 key that Ed25519's birational map makes of the node id,
/// so that whoever knows an id can seal to it and no second key needs to be
/// published; signatures and key agreement have separate contexts. An ephemeral
/// X25519 key, then BLAKE2b over (secret, ephemeral, node id, context) as the
/// key of one ChaCha20-Poly1305 box: ephemeral ‖ ciphertext ‖ tag.
using sealed_secret = strong_bytes<struct sealed_secret_tag, 80>;

/// `context` says what the secret is for (an app id, say) and is needed again
/// to open. False if `to` is no valid public key.
[[nodiscard]] bool seal_secret(const node_id& to, const_bytes context,
                               const secret_bytes<32>& secret,
                               random_source& random, sealed_secret& out);

/// False when the box is for another, for another context, or damaged.
[[nodiscard]] bool open_secret(const identity& self, const_bytes context,
                               const sealed_secret& box, secret_bytes<32>& out);

} // namespace banyan
