#pragma once
#include "base/codec.hpp"
#include "net/membership/record.hpp"

#include <array>
#include <optional>
#include <variant>
#include <vector>

/// The frames of the channels `membership` and `beat`, as msgpack arrays.
/// docs/wire-membership.md says the same in prose. Elements behind the known
/// ones belong to a newer version and are skipped, and so is an unknown kind.
namespace banyan::net {

/// @name Bounds of one frame
/// @{
inline constexpr std::size_t news_records_max = 256;
inline constexpr std::size_t news_reports_max = 1024;
inline constexpr std::size_t digest_entries_max = 1024;
inline constexpr std::size_t want_ids_max = 1024;
inline constexpr std::size_t vouchers_max = 256;
inline constexpr std::size_t heard_max = 4096;
inline constexpr std::size_t page_records_max = 32; ///< all but the last
inline constexpr std::size_t page_reports_max = 128;
inline constexpr std::size_t pages_records_max = 1U << 20U; ///< in all pages
inline constexpr std::size_t membership_frame_bytes_max =
    std::size_t{64} * 1024;
/// @}

/// First on every link, from both sides.
struct hello_message {
  static constexpr std::uint64_t kind = 1;
  member_document own;
  address seen; ///< where the sender sees the receiver
};
/// Records and reports that are new to the sender.
struct news_message {
  static constexpr std::uint64_t kind = 2;
  std::vector<member_document> records;
  std::vector<report> reports;
};
/// A hash of all that the sender holds; a differing receiver answers with its
/// digest.
struct summary_message {
  static constexpr std::uint64_t kind = 3;
  std::uint64_t hash = 0;
};
/// All that the sender holds of nodes from `first` to `last`.
struct digest_message {
  static constexpr std::uint64_t kind = 4;
  struct entry {
    node_id node;
    banyan::incarnation incarnation;
    std::uint64_t number = 0;
    std::uint64_t reports = 0; ///< a hash of the reports by this node
    bool dead = false;
  };
  node_id first;
  node_id last;
  std::vector<entry> entries;
};
/// Asks for the records of nodes and for all reports by observers.
struct want_message {
  static constexpr std::uint64_t kind = 5;
  std::vector<node_id> records;
  std::vector<node_id> observers;
};
/// Somebody signed this in the receiver's name, in another boot.
struct own_record_message {
  static constexpr std::uint64_t kind = 6;
  member_document own;
  address seen; ///< where that boot was met, if it was
};
/// The sender counts the receiver as dead in that incarnation.
struct verdict_message {
  static constexpr std::uint64_t kind = 7;
  banyan::incarnation incarnation;
};
/// Please dial me there and say whether it worked.
struct dial_back_message {
  static constexpr std::uint64_t kind = 8;
  std::uint64_t token = 0;
  address at;
};
struct dial_back_result_message {
  static constexpr std::uint64_t kind = 9;
  std::uint64_t token = 0;
  bool reached = false;
};
/// A bit per range, the lowest of the first byte first.
using range_set = std::array<std::uint8_t, 32>;
/// One hash per range of node ids: those with one and the same first byte.
using range_hashes = std::array<std::uint64_t, 256>;
/// @name Above `full_mesh_max` members, instead of `summary`
/// @{
/// A hash of the ranges' hashes; a differing receiver answers with its own.
struct root_message {
  static constexpr std::uint64_t kind = 10;
  std::uint64_t hash = 0;
  /// How many the sender knows: whoever knows far fewer joins there.
  std::optional<std::uint32_t> members{};
};
/// A receiver answers with digests of some ranges that differ, and with all
/// that it holds of those where the sender holds nothing (zero).
struct ranges_message {
  static constexpr std::uint64_t kind = 11;
  range_hashes hashes{};
  /// Those that have changed of late: if they differ, then for a moment only.
  range_set moving{};
};
/// @}
/// @name Joining a large mesh (join.hpp)
/// @{
/// Asks for `page_records_max` members from `first` on, in the order in which
/// the receiver knows them: sponsors first. With `ranges`: of those only.
struct page_wanted_message {
  static constexpr std::uint64_t kind = 12;
  std::uint32_t first = 0;
  std::optional<range_set> ranges;
};
/// Members and what they report. All pages but the last are full of members.
struct page_message {
  static constexpr std::uint64_t kind = 13;
  std::uint32_t first = 0;
  std::uint32_t total = 0;
  std::vector<member_document> records;
  std::vector<report> reports;
};
/// Asks, without hashes, for the hashes of the ids that the receiver knows.
struct roll_message {
  static constexpr std::uint64_t kind = 14;
  std::uint64_t salt = 0;
  std::optional<range_hashes> hashes;
};
/// @}
/// @name How a newcomer is proved (newcomers.hpp)
/// @{
/// Those who would observe newcomers on the rings, and have met them, say so:
/// reports that don't accuse, with the number 0, which no other report has.
struct vouch_message {
  static constexpr std::uint64_t kind = 15;
  std::vector<report> vouchers;
};
/// Asks which of these the receiver has as members; or names those.
struct name_message {
  static constexpr std::uint64_t kind = 16;
  bool asks = false;
  std::vector<node_id> nodes;
};
/// @}
/// A kind of a newer version.
struct unknown_message {};

using membership_message =
    std::variant<unknown_message, hello_message, news_message, summary_message,
                 digest_message, want_message, own_record_message,
                 verdict_message, dial_back_message, dial_back_result_message,
                 root_message, ranges_message, page_wanted_message,
                 page_message, roll_message, vouch_message, name_message>;

/// One beat. Small: 20 of them per second and peer.
struct beat_message {
  std::uint32_t number = 0;
  std::uint32_t echo = 0;  ///< the last number heard, or zero
  duration echo_delay{};   ///< how long ago; in microseconds on the wire
  duration interval{};     ///< until the next; in milliseconds
  bool answer = false;     ///< a ping: beat back at once
  std::uint64_t leads = 0; ///< hash of (group, term) led together
  duration fsync_age{};    ///< of the oldest pending one; in milliseconds
  /// Whom the sender hears, when that changed since its last beat.
  std::optional<std::vector<node_id>> hears;
  /// Whether the sender has a use for the link; said only where not everybody
  /// is linked with everybody.
  std::optional<bool> needed;
};

bytes encode(const membership_message& m);
bytes encode(const beat_message& m);
/// False on anything out of form or bounds; `out` is then unspecified.
[[nodiscard]] bool decode(const_bytes in, membership_message& out);
[[nodiscard]] bool decode(const_bytes in, beat_message& out);

} // namespace banyan::net
