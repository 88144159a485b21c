#pragma once
#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "crypto/noise/cipher_state.hpp"
#include "crypto/noise/protocol.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace banyan::noise {

enum class handshake_errc : std::uint8_t {
  out_of_turn = 1, ///< The other side's turn, or nothing left to say.
  too_large,       ///< The message would exceed, or exceeds, 65,535 bytes.
  too_short,       ///< The message lacks what its pattern says.
  forged,          ///< Decryption failed: wrong psk, wrong key, changed bytes.
  weak_key,        ///< A Diffie-Hellman result was all zero.
  dead,            ///< An earlier call failed; nothing works any more.
};
/// For logs and counters; the far side is never told.
[[nodiscard]] std::string_view to_string(handshake_errc e) noexcept;

/// What both sides must agree on, and this side's keys.
struct handshake_setup {
  bool initiator = true;
  const_bytes prologue; ///< borrowed for the constructor's call
  /// Borrowed; must outlive the handshake. Null if the pattern needs none.
  const dh_keypair* local_static = nullptr;
  std::optional<dh_public> remote_static; ///< if the pattern needs it before
  std::vector<secret_bytes<32>> psks;     ///< as many as the pattern has
  /// Ephemerals that stand in a pre-message (fallback patterns alone).
  std::optional<dh_public> remote_ephemeral;
  const dh_keypair* local_ephemeral = nullptr; ///< borrowed for the call
};

/// The two halves of a link after its handshake.
struct transport {
  cipher_state send;
  cipher_state receive;
};

/// A Noise handshake as a pure state machine (section 5.3).
///
/// Sides take turns: `write_message` when `my_turn()`, else `read_message`,
/// until `complete()`; then `split()` once. After any error the handshake is
/// dead and its secrets are wiped: drop the connection and say nothing.
///
/// A responder that accepts several psks makes one handshake for each and
/// feeds message 1 to one after another: with psk0 a wrong one fails before
/// any Diffie-Hellman, at the price of a few hashes.
class handshake {
public:
  /// `p` and `random` are borrowed and outlive this. `random` gives ephemeral
  /// keys: the system's source outside tests. Asserts that `setup` has what
  /// the pattern needs.
  handshake(const protocol& p, handshake_setup setup, random_source& random);

  /// Replaces `out` by this side's next message.
  result<void, handshake_errc> write_message(const_bytes payload, bytes& out);
  /// Takes the far side's next message; replaces `payload` by what it carried,
  /// or empties it.
  result<void, handshake_errc> read_message(const_bytes message,
                                            bytes& payload);

  [[nodiscard]] bool my_turn() const noexcept;
  [[nodiscard]] bool complete() const noexcept;
  [[nodiscard]] bool dead() const noexcept { return dead_; }
  /// The channel binding (section 11.2): the same on both sides, unique to
  /// this handshake. 64 bytes with BLAKE2b; final once `complete()`. During
  /// the handshake: the hash of all that was said so far, as read or written.
  [[nodiscard]] const_bytes handshake_hash() const noexcept;
  /// The far side's static key, once its message was read.
  [[nodiscard]] const std::optional<dh_public>& remote_static() const noexcept {
    return rs_;
  }
  [[nodiscard]] const std::optional<dh_public>&
  remote_ephemeral() const noexcept {
    return re_;
  }
  /// The transport keys. Asserts `complete()`; only once.
  [[nodiscard]] transport split();

private:
  using step = result<void, handshake_errc>;
  void mix_hash(const_bytes data);
  void mix_key(const_bytes input);
  void mix_key_and_hash(const_bytes input);
  step mix_dh(const secret_bytes<dh_bytes>& mine,
              const std::optional<dh_public>& theirs);
  step mix_token(token t);
  step encrypt_and_hash(const_bytes plaintext, bytes& out);
  step decrypt_and_hash(const_bytes sealed, bytes& out);
  step write_tokens(const_bytes payload, bytes& out);
  step read_tokens(const_bytes message, bytes& payload);
  step die(handshake_errc why);
  void wipe_secrets() noexcept;

  const protocol* protocol_;
  random_source* random_;
  bool initiator_;
  bool dead_ = false;
  bool split_ = false;
  std::size_t next_message_ = 0;
  std::size_t next_psk_ = 0;
  const dh_keypair* s_;
  std::optional<dh_keypair> e_;
  std::optional<dh_public> rs_;
  std::optional<dh_public> re_;
  std::vector<secret_bytes<32>> psks_;
  secret_bytes<hash_bytes_max> ck_;
  std::array<std::uint8_t, hash_bytes_max> h_{};
  cipher_state cipher_;
};

} // namespace banyan::noise
