#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/noise/primitives.hpp"

#include <cstdint>

namespace banyan::noise {

enum class cipher_errc : std::uint8_t {
  too_large = 1, ///< A Noise message has at most 65,535 bytes.
  forged,        ///< The tag doesn't fit; the counter stays.
  exhausted,     ///< The counter is used up.
};

/// Section 5.1: a key and a counter. Without a key it passes bytes through.
class cipher_state {
public:
  explicit cipher_state(const cipher_function& cipher) noexcept
      : cipher_{&cipher} {}
  cipher_state(const cipher_function& cipher, secret_bytes<key_bytes> key)
      : cipher_{&cipher}, key_{std::move(key)}, has_key_{true} {}

  [[nodiscard]] bool has_key() const noexcept { return has_key_; }
  [[nodiscard]] std::uint64_t counter() const noexcept { return counter_; }
  [[nodiscard]] const cipher_function& cipher() const noexcept {
    return *cipher_;
  }

  /// Appends to `out`.
  result<void, cipher_errc> encrypt(const_bytes ad, const_bytes plaintext,
                                    bytes& out);
  result<void, cipher_errc> decrypt(const_bytes ad, const_bytes sealed,
                                    bytes& out);
  /// SetNonce.
  void set_counter(std::uint64_t n) noexcept { counter_ = n; }
  /// Section 4.2's REKEY: a new key from the old; the counter goes on.
  void rekey();
  /// Gives the key away, for something faster; this state has none then.
  [[nodiscard]] secret_bytes<key_bytes> take_key() noexcept {
    BANYAN_ASSERT(has_key_);
    has_key_ = false;
    return std::move(key_);
  }

private:
  const cipher_function* cipher_;
  secret_bytes<key_bytes> key_;
  std::uint64_t counter_ = 0;
  bool has_key_ = false;
};

} // namespace banyan::noise
