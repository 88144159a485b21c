#pragma once
#include "base/bytes.hpp"
#include "crypto/secret.hpp"

#include <cstdint>

namespace banyan {

/// A long secret in parts: each is sealed, and none can be changed, left out,
/// put elsewhere or cut off at the end without being found.
///
/// ChaCha20-Poly1305 (IETF) per part under one key that is used for nothing
/// else; the nonce is the part's number (8 bytes LE), whether it is the last
/// (1 byte) and zeros, the associated data is the stream's context. That is
/// STREAM of Hoang, Reyhanitabar, Rogaway and Vizár (2015). A sealed part is
/// the last-byte (0 or 1) ‖ ciphertext ‖ tag: 17 bytes more than its content.
class stream_sealer {
public:
  /// `key` is fresh: never another stream's. Both ends know `context`.
  stream_sealer(secret_bytes<32> key, bytes context);
  /// Nothing may follow the last one.
  [[nodiscard]] bytes seal(const_bytes part, bool last);
  [[nodiscard]] std::uint64_t parts() const noexcept { return number_; }

private:
  secret_bytes<32> key_;
  bytes context_;
  std::uint64_t number_ = 0;
  bool ended_ = false;
};

/// The way back, in the same order.
class stream_opener {
public:
  static constexpr std::size_t overhead = 17;

  stream_opener(secret_bytes<32> key, bytes context);
  /// False when the part is not the next one of this stream as it was sealed,
  /// or comes behind the last.
  [[nodiscard]] bool open(const_bytes sealed, bytes& out);
  /// The last part was opened: nothing is missing.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] std::uint64_t parts() const noexcept { return number_; }

private:
  secret_bytes<32> key_;
  bytes context_;
  std::uint64_t number_ = 0;
  bool ended_ = false;
};

} // namespace banyan
