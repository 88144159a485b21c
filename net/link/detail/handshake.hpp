#pragma once
#include "base/result.hpp"
#include "crypto/noise/handshake.hpp"
#include "crypto/record.hpp"
#include "net/link/detail/hello.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace banyan::net {

/// A psk that this node accepts, and what its holder may be.
struct accepted_psk {
  link_psk psk;
  link_role role = link_role::peer;
};

/// What all handshakes of one node share. Borrowed by them; outlives them.
struct handshake_keys {
  const identity* key = nullptr;
  const noise::dh_keypair* static_key = nullptr;
  mesh_id mesh;
  bytes prologue;
  const link_psk* dial_psk = nullptr;
  std::vector<accepted_psk> accepted; ///< none: answers nobody
};

/// msgpack [`banyan`, major wire version, mesh name].
bytes make_prologue(std::string_view mesh_name,
                    std::uint64_t major = wire_version_major);

enum class shake_errc : std::uint8_t {
  stranger = 1, ///< No psk opens message 1: key, mesh name or wire version.
  forged,       ///< A later message doesn't decrypt.
  bad_proof,    ///< The payload's form, its signature or its role is wrong.
};

/// Noise XXpsk0 with Banyan's payloads, as a pure state machine: one side of
/// one link. Messages have fixed sizes (wire.hpp); give each call exactly one.
/// After an error it is dead.
class link_handshake {
public:
  link_handshake(const handshake_keys& keys, random_source& random)
      : keys_{keys}, random_{random} {}

  /// @name The dialling side, in this order
  /// @{
  bytes write_first();
  /// @returns `forged` or `bad_proof`
  result<hello, shake_errc> read_second(const_bytes message);
  /// Empty: the far side's key is weak; drop it.
  bytes write_third(const hello& mine);
  /// @}

  /// @name The answering side, in this order
  /// @{
  /// Tries each accepted psk; no Diffie-Hellman happens here.
  /// @returns what the psk makes the far side, or `stranger`
  result<link_role, shake_errc> read_first(const_bytes message);
  /// Empty: the far side's key is weak; drop it.
  bytes write_second(const hello& mine);
  /// @returns `forged` or `bad_proof`
  result<hello, shake_errc> read_third(const_bytes message);
  /// @}

  /// The far side's ephemeral key, once its first message was read.
  [[nodiscard]] const noise::dh_public& remote_ephemeral() const;
  /// 64 bytes: the channel binding. After the third message only.
  [[nodiscard]] const_bytes hash() const { return noise_->handshake_hash(); }
  /// Once, after the third message.
  [[nodiscard]] noise::transport split() { return noise_->split(); }

private:
  bytes write(const hello& mine);
  result<hello, shake_errc> read(const_bytes message);

  const handshake_keys& keys_;
  random_source& random_;
  std::unique_ptr<noise::handshake> noise_;
  link_role role_ = link_role::peer;
  bool answering_ = false;
};

} // namespace banyan::net
