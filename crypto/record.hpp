#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/noise/cipher_state.hpp"

#include <cstddef>
#include <cstdint>

namespace banyan {

/// A record is a Noise transport message with its length before it: 2
/// big-endian bytes, then ciphertext and tag.
inline constexpr std::size_t record_header_bytes = 2;
inline constexpr std::size_t record_tag_bytes = 16;
inline constexpr std::size_t record_overhead_bytes =
    record_header_bytes + record_tag_bytes;
/// The most that one record carries (65,535 less the tag).
inline constexpr std::size_t record_plaintext_max = 65'535 - record_tag_bytes;
/// Both sides change the key (Noise `Rekey`) after this many records.
inline constexpr std::uint64_t record_rekey_interval = 1U << 16;

enum class record_errc : std::uint8_t {
  too_large = 1, ///< More than `record_plaintext_max`; nothing was changed.
  too_short,     ///< Cannot hold a tag. The link is lost.
  forged,        ///< Changed, replayed, out of order or of another key. The
                 ///< link is lost: every later `open` fails too.
  exhausted,     ///< 2^64 - 2 records were sealed; make a new link.
};

/// The sending half of a link after its handshake. Counts and changes keys by
/// itself. ChaCha20-Poly1305 only, straight to libsodium; never allocates.
class record_sealer {
public:
  /// `keys` must be of the cipher ChaChaPoly; goes on from its counter.
  explicit record_sealer(noise::cipher_state keys);

  /// Seals where it lies: `record` holds `record_header_bytes` of room, then
  /// `plaintext_size` bytes, then `record_tag_bytes` of room.
  /// @returns the record's whole size; `too_large` or `exhausted`.
  result<std::size_t, record_errc> seal_in_place(std::uint8_t* record,
                                                 std::size_t plaintext_size);
  /// The same from elsewhere: encrypts straight into `record`, which has room
  /// for `plaintext.size() + record_overhead_bytes` and doesn't overlap.
  result<std::size_t, record_errc> seal(const_bytes plaintext,
                                        std::uint8_t* record);
  /// The same, appended to `out`.
  result<void, record_errc> seal(const_bytes plaintext, bytes& out);

  /// Records sealed so far.
  [[nodiscard]] std::uint64_t counter() const noexcept { return counter_; }

private:
  secret_bytes<32> key_;
  std::uint64_t counter_ = 0;
};

/// The receiving half. Records must come in the order in which they were
/// sealed.
class record_opener {
public:
  explicit record_opener(noise::cipher_state keys);

  /// Opens the `size` bytes after a record's header where they lie; the
  /// plaintext then stands at `body`.
  /// @returns the plaintext's size; `too_short`, `too_large` or `forged`.
  result<std::size_t, record_errc> open_in_place(std::uint8_t* body,
                                                 std::size_t size);
  /// The same into `out`, which has room for `body.size() - record_tag_bytes`.
  result<std::size_t, record_errc> open(const_bytes body, std::uint8_t* out);

  [[nodiscard]] std::uint64_t counter() const noexcept { return counter_; }

private:
  secret_bytes<32> key_;
  std::uint64_t counter_ = 0;
  bool lost_ = false;
};

} // namespace banyan
