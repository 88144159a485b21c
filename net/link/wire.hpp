#pragma once
#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The numbers of the link protocol. docs/wire-format.md says the same in
/// prose, byte by byte; what stands here is on the wire: never reused.
namespace banyan::net {

/// Peers of different major versions do not link. Minor versions meet by
/// feature bits; unknown keys and channels of a newer one are skipped.
inline constexpr std::uint64_t wire_version_major = 1;
inline constexpr std::uint64_t wire_version_minor = 0;

/// Who a frame is for. The payload is opaque here, except that of `link`.
enum class channel : std::uint8_t {
  link = 0,       ///< The link's own: welcome, goodbye. Never delivered.
  membership = 1, ///< Member records, reports, digests, documents.
  beat = 2,       ///< The liveness stream of a node pair.
  raft = 3,       ///< Raft messages of groups.
  group = 4,      ///< Group secret proofs, who leads what, sleeping and waking.
  relay = 5,      ///< Bytes of two other nodes' link, or of one through others.
  request = 16,   ///< Calls, forwarded or from a client.
  reply = 17,     ///< Their answers.
  outbox = 18,    ///< Messages from actor to actor, and their receipts.
  bulk = 32,      ///< Snapshot chunks.
  module = 33,    ///< Pieces of apps' code.
};
const char* to_string(channel c) noexcept;

/// What overtakes what: control before requests before bulk, of which at least
/// a tenth of the bytes goes out even so.
enum class lane : std::uint8_t { control = 0, request = 1, bulk = 2 };
inline constexpr std::size_t lane_count = 3;

/// The number decides, so that a channel unknown here has its lane as well.
constexpr lane lane_of(channel c) noexcept {
  const auto n = static_cast<std::uint8_t>(c);
  return n < 16 ? lane::control : n < 32 ? lane::request : lane::bulk;
}
/// A client link carries these and `link` only; any other closes it.
constexpr bool client_may_use(channel c) noexcept {
  return c == channel::request || c == channel::reply;
}

/// The feature bit of whoever forwards for others and can be reached so; others
/// never get a frame of the channel `relay`.
inline constexpr std::uint64_t feature_relay = std::uint64_t{1} << 5U;

/// @name Limits
/// @{
/// One frame's payload: the largest log entry and what Raft wraps around it.
inline constexpr std::size_t frame_bytes_max = 8 * 1024 * 1024 + 64 * 1024;
/// channel, flags, and the size of this fragment in two bytes.
inline constexpr std::size_t fragment_header_bytes = 4;
/// Longer frames are cut into fragments of this size; four fill a record.
inline constexpr std::size_t fragment_bytes_max = 16'000;
/// @}

/// The flags of a fragment. All others must be zero.
inline constexpr std::uint8_t fragment_more = 0x01; ///< the frame goes on

/// Noise XXpsk0's three messages, always of these sizes.
inline constexpr std::size_t hello_bytes = 768; ///< a payload, padded
inline constexpr std::size_t message_1_bytes = 32 + 16;
inline constexpr std::size_t message_2_bytes = 32 + 48 + hello_bytes + 16;
inline constexpr std::size_t message_3_bytes = 48 + hello_bytes + 16;

/// What a frame of the channel `link` says: a map with one of these at key 0.
enum class link_word : std::uint8_t {
  welcome = 1,     ///< The answering side's first frame: the link is up.
  goodbye = 2,     ///< The sender's last frame.
  not_allowed = 3, ///< Instead of welcome: the owner's list lacks the dialler.
};

} // namespace banyan::net
