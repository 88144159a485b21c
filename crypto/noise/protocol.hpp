#pragma once
#include "crypto/noise/primitives.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::noise {

enum class token : std::uint8_t { e, s, ee, es, se, ss, psk };

/// One message of a pattern: who sends it, and what it does (section 7).
struct message_pattern {
  bool from_initiator = true;
  std::vector<token> tokens;
};

/// A handshake pattern with its modifiers applied (sections 7, 9 and 10.2).
struct pattern {
  std::vector<token> initiator_pre; ///< public keys known beforehand
  std::vector<token> responder_pre;
  std::vector<message_pattern> messages;
  std::size_t psks = 0;
  bool one_way = false; ///< the responder never sends

  /// From a name such as `XX`, `K1X1`, `XXpsk0+psk3` or `XXfallback`. Knows
  /// the one-way, fundamental and deferred patterns.
  static std::optional<pattern> parse(std::string_view name);
};

/// A whole protocol: `Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b`.
struct protocol {
  std::string name;
  noise::pattern pattern;
  const hash_function* hash = nullptr;
  const cipher_function* cipher = nullptr;

  /// Nothing for an unknown name. `extra_hash` is known besides ours.
  static std::optional<protocol>
  parse(std::string_view name, const hash_function* extra_hash = nullptr);
};

/// The one suite of Banyan's links. No negotiation.
inline constexpr std::string_view link_protocol_name =
    "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b";
const protocol& link_protocol();

} // namespace banyan::noise
