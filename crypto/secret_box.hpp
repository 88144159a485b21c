#pragma once
#include "base/bytes.hpp"
#include "base/random.hpp"
#include "crypto/secret.hpp"

namespace banyan {

/// Bytes that only who holds the key reads, and that nobody changes unseen:
/// nonce (24 random bytes) ‖ ciphertext ‖ tag (16), XChaCha20-Poly1305. `about`
/// isn't in the box and is needed again to open it: what the box belongs to.
[[nodiscard]] bytes make_box(const secret_bytes<32>& key, const_bytes about,
                             const_bytes plain, random_source& random);

/// False, with `plain` empty, for another key, another `about` or a changed
/// box. The caller wipes `plain`.
[[nodiscard]] bool open_box(const secret_bytes<32>& key, const_bytes about,
                            const_bytes box, bytes& plain);

inline constexpr std::size_t box_overhead = 24 + 16;

} // namespace banyan
