#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "crypto/secret.hpp"

#include <cstddef>
#include <initializer_list>

namespace banyan {

/// BLAKE2b-256, piece by piece. A plain value without allocation; one thread.
class hasher {
public:
  hasher() noexcept;
  /// Keyed BLAKE2b: a MAC over what follows.
  explicit hasher(const secret_bytes<32>& key) noexcept;
  hasher(const hasher&) = delete;
  hasher& operator=(const hasher&) = delete;
  ~hasher(); // wipes: a keyed state is as good as the key

  hasher& update(const_bytes more) noexcept;
  /// The length as 8 little-endian bytes, then the bytes: a run of such parts
  /// reads in one way only.
  hasher& part(const_bytes more) noexcept;
  /// Ends this hasher: only destroy it afterwards.
  [[nodiscard]] digest finish() noexcept;

private:
  static constexpr std::size_t state_bytes = 384;
  alignas(64) std::array<std::uint8_t, state_bytes> state_;
};

/// BLAKE2b-256 of `b`.
[[nodiscard]] digest hash(const_bytes b) noexcept;
[[nodiscard]] digest keyed_hash(const secret_bytes<32>& key,
                                const_bytes b) noexcept;

/// BLAKE2b-256 over several parts, each with its length before it. Begin with
/// a context text, so that hashes for different purposes never meet.
[[nodiscard]] digest hash_of(std::initializer_list<const_bytes> parts) noexcept;
[[nodiscard]] digest
keyed_hash_of(const secret_bytes<32>& key,
              std::initializer_list<const_bytes> parts) noexcept;
/// The same as a secret: key derivation.
[[nodiscard]] secret_bytes<32>
derive_key(const secret_bytes<32>& key,
           std::initializer_list<const_bytes> parts) noexcept;

} // namespace banyan
