#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace banyan {

/// What one core does with the suite in use.
struct crypto_speed {
  std::uint64_t sealed_bytes = 0; ///< ChaCha20-Poly1305, 64 KiB at a time
  duration sealing{};
  std::uint64_t verified = 0; ///< Ed25519 signatures
  duration verifying{};
};
/// Computes for about `budget`, half of it each. Any thread.
[[nodiscard]] crypto_speed
measure_crypto(duration budget, const std::function<time_point()>& now);

/// Fills `mib` MiB (at least 1) of memory by Argon2id, twice over, from `nonce`
/// of 32 bytes, and says what came out: the same everywhere. Takes about 2 ms a
/// MiB on one core; for a worker. Nothing: there is no such memory.
[[nodiscard]] std::optional<digest> fill_memory(const_bytes nonce,
                                                std::uint32_t mib);

} // namespace banyan
