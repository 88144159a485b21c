#pragma once
#include <cstdint>

namespace banyan {

/// What a build of banyan-peer knows beyond wire major 1 and log entries 1 to
/// 7: one bit each, never reused. A node says its bits in every handshake and
/// in its member record (docs/wire-format.md); a group's log says by an entry
/// which of them its replicas must know (docs/disk-format.md), and what needs a
/// bit is written to that log only behind such an entry. So peers of two
/// neighbouring releases work together, and the older one can be started again
/// as long as no entry asks for more.
using feature_bits = std::uint64_t;

namespace feature {
/// Log entries 8 (features) and 9 (version), the first write of a state version
/// in a turn's entry, control frames 18 and 19.
inline constexpr feature_bits versions = 1U << 0;
/// Apps without groups: a genesis that names no voter, control frames 37 and
/// 38. No log asks for it.
inline constexpr feature_bits stateless = 1U << 1;
/// Specs that say `restoring` or `undeletes`, and recoveries: who doesn't know
/// them serves what is closed, or goes on in a lineage that was given up. They
/// are begun only while every living peer knows them.
inline constexpr feature_bits backups = 1U << 3;
/// Asks for the secrets of a stateless app that runs there and wasn't sealed to
/// it, and gives them to who should run it. Who lacks the bit has no place
/// where it can't open them.
inline constexpr feature_bits instance_secrets = 1U << 4;
/// Forwards sealed records between two of its links, and can be reached so
/// (frames of the channel `relay`). The link layer asks for it, no log does.
inline constexpr feature_bits relay = 1U << 5;
/// Control frames 45 to 47: days that observers signed, and a mesh policy.
inline constexpr feature_bits uptime = 1U << 6;
/// Answers control frame 49, a challenge of its hardware, and says in its
/// member record whose claims it found false. Who lacks the bit isn't
/// challenged.
inline constexpr feature_bits hardware = 1U << 7;
/// Answers who leads a group that it keeps the view of, and compares documents
/// by their sum: control frames 40 to 43. No log asks for it.
inline constexpr feature_bits keepers = 1U << 8;
} // namespace feature

/// All that this build knows.
inline constexpr feature_bits features_known =
    feature::versions | feature::stateless | feature::backups
    | feature::instance_secrets | feature::relay | feature::uptime
    | feature::hardware | feature::keepers;

/// Whether whoever knows `known` may meet what needs `needed`.
constexpr bool knows(feature_bits known, feature_bits needed) noexcept {
  return (needed & ~known) == 0;
}

} // namespace banyan
