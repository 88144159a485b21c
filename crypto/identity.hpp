#pragma once
#include "base/ids.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "crypto/key_file.hpp"
#include "crypto/secret.hpp"
#include "crypto/signing.hpp"

#include <filesystem>

namespace banyan {

/// An Ed25519 key pair: a node's identity, or an owner's. Movable, never
/// copied; the secret half is wiped. Signing is thread-safe.
class identity {
public:
  /// A new key from `random`: the system's outside tests and simulations.
  static identity generate(random_source& random);
  /// From the 32 byte seed of RFC 8032.
  static identity from_seed(const secret_bytes<32>& seed);

  /// Key files are text: a line `banyan key 1`, then the seed in base32.
  /// @returns `missing`, `exposed`, `malformed` or `io`, with a message.
  static result<identity, key_file_error>
  load(const std::filesystem::path& file);
  /// Makes a key and its file if there is none; the key is on disk before this
  /// returns. `exposed`, `malformed` and `io` as for `load`.
  static result<identity, key_file_error>
  load_or_create(const std::filesystem::path& file, random_source& random);
  /// Writes the key to a new file. @returns `exists` or `io`.
  [[nodiscard]] result<void, key_file_error>
  save(const std::filesystem::path& file) const;

  [[nodiscard]] const node_id& id() const noexcept { return id_; }
  /// The same public key, as an owner's.
  [[nodiscard]] owner_id owner() const noexcept {
    return owner_id{id_.array()};
  }
  /// Covers `banyan 1`, the kind, the mesh id and `body`: see `signed_bytes`.
  /// Never give it bytes that another has chosen. About 20 µs.
  [[nodiscard]] signature sign(sign_kind kind, const mesh_id& mesh,
                               const_bytes body) const;
  /// The secret half of the X25519 key that belongs to this key: what boxes
  /// sealed to `id()` are opened with.
  [[nodiscard]] secret_bytes<32> box_secret() const;
  /// The 32 byte seed, for files that hold more than the key.
  [[nodiscard]] secret_bytes<32> seed() const;
  [[nodiscard]] identity clone() const;

private:
  identity() = default;
  node_id id_;
  secret_bytes<64> key_; // libsodium's form: seed and public key
};

} // namespace banyan
