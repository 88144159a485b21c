#pragma once
#include "base/bytes.hpp"
#include "base/random.hpp"
#include "crypto/secret.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

/// The Noise Protocol Framework, revision 34, without I/O. Section numbers
/// below are the specification's.
namespace banyan::noise {

inline constexpr std::size_t dh_bytes = 32;
inline constexpr std::size_t key_bytes = 32;
inline constexpr std::size_t tag_bytes = 16;
inline constexpr std::size_t hash_bytes_max = 64;
inline constexpr std::size_t message_bytes_max = 65'535;

using dh_public = std::array<std::uint8_t, dh_bytes>;

/// An X25519 key pair; the secret half is wiped.
struct dh_keypair {
  secret_bytes<dh_bytes> secret;
  dh_public pub{};

  static dh_keypair generate(random_source& random);
  static dh_keypair from_secret(secret_bytes<dh_bytes> secret);
};

/// False when the result is all zero: `theirs` is a point of small order.
[[nodiscard]] bool dh(const secret_bytes<dh_bytes>& mine,
                      const dh_public& theirs, secret_bytes<dh_bytes>& out);

/// A hash that Noise can run on (section 4.3); function pointers, so that
/// tests bring hashes which production doesn't need.
struct hash_function {
  std::string_view name; ///< as in protocol names
  std::size_t size;      ///< HASHLEN
  std::size_t block;     ///< BLOCKLEN
  /// The hash of all parts in a row, `size` bytes into `out`; `out` may be one
  /// of the parts.
  void (*run)(std::initializer_list<const_bytes> parts, std::uint8_t* out);
};

/// A cipher (section 4.2) with the 64 bit counter as nonce. `out` may be where
/// the input is.
struct cipher_function {
  std::string_view name;
  /// Writes `plaintext.size() + tag_bytes`.
  void (*seal)(const secret_bytes<key_bytes>& key, std::uint64_t nonce,
               const_bytes ad, const_bytes plaintext, std::uint8_t* out);
  /// Writes `sealed.size() - tag_bytes`; false if forged. `sealed` holds at
  /// least a tag.
  bool (*open)(const secret_bytes<key_bytes>& key, std::uint64_t nonce,
               const_bytes ad, const_bytes sealed, std::uint8_t* out);
};

extern const hash_function sha256;
extern const hash_function sha512;
extern const hash_function blake2b;
extern const cipher_function chacha_poly;
extern const cipher_function aes_gcm;
/// AES-GCM needs hardware; without it `aes_gcm` must not be used.
[[nodiscard]] bool aes_gcm_available() noexcept;

/// HMAC (RFC 2104) of at most two parts over any hash; `hash.size` bytes into
/// `out`, which may be one of the parts.
void hmac(const hash_function& hash, const_bytes key,
          std::initializer_list<const_bytes> parts, std::uint8_t* out);

/// HKDF of section 4.3: two outputs of `hash.size` bytes, or three unless
/// `out3` is null. An output may be where the chaining key is.
void hkdf(const hash_function& hash, const_bytes chaining_key,
          const_bytes input, std::uint8_t* out1, std::uint8_t* out2,
          std::uint8_t* out3);

} // namespace banyan::noise
