#pragma once
#include "base/bytes.hpp"
#include "base/codec.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

/// Relayed streams: a byte stream between two nodes that can't dial each other,
/// carried in frames of the channel `relay` over the links that both hold with
/// a third one. The handshake and the sealed records of a link run inside, end
/// to end: who forwards sees who talks to whom, when and how much, and can only
/// break it. docs/wire-format.md has the frames, ADR 0037 the reasons.
namespace banyan::net {

/// What a frame of the channel `relay` says.
enum class relay_word : std::uint8_t {
  open = 1,   ///< A new stream.
  data = 2,   ///< `number`: where in the stream `data` belongs.
  credit = 3, ///< `number`: so many bytes came in order, in all.
  close = 4,  ///< No more follows, either way. `number`: a `relay_end`.
};

/// Why a relayed stream ended. Nothing of it is evidence of a death: it is the
/// forwarder's word, or the far end's, unproved.
enum class relay_end : std::uint8_t {
  closed = 1,    ///< An end closed it.
  not_linked,    ///< The forwarder has no link of its own to the far end.
  not_allowed,   ///< One of the two is no member, or it would be a circle.
  overloaded,    ///< Too many streams, or an outer link's queue is full.
  overrun,       ///< More was sent than the far end had room for.
  unknown,       ///< There is no such stream (any more).
  neighbour_gone ///< Said by no frame: the link to the forwarder is gone.
};
inline constexpr std::uint64_t relay_end_last = 6; ///< of those in frames
const char* to_string(relay_end e) noexcept;

struct relay_frame {
  relay_word word = relay_word::data;
  /// False on its way to the forwarder, true on its way from it: what was
  /// forwarded once never is again.
  bool forwarded = false;
  node_id far; ///< to the forwarder: whom it is for; from it: whom it is from
  std::uint64_t stream = 0; ///< the number that the opener gave it
  bool by_opener = false;   ///< who says this opened the stream
  std::uint64_t number = 0;
  const_bytes data; ///< borrowed
};

/// So much of a stream in one frame: with what is around it, one fragment.
inline constexpr std::size_t relay_data_max = 15'000;

void encode(const relay_frame& f, writer& w);
/// False on anything out of form or bounds; a word of a newer version is none.
[[nodiscard]] bool decode(const_bytes in, relay_frame& out);

/// Whether a stream of the link table is a relayed one.
inline constexpr std::uint64_t relayed_bit = std::uint64_t{1} << 63U;

struct relay_limits {
  /// What a stream may have under way, in each direction; also the most that a
  /// forwarder keeps of it. More is an overrun and ends the stream.
  std::size_t window = std::size_t{64} * 1024;
  /// And in so many frames: each costs memory of its own, however short it is.
  /// Sealed records of no data at all would be fewer in a window.
  std::size_t pieces_max = 4096;
  /// @name At a forwarder
  /// @{
  std::size_t streams_max = 1024;
  std::size_t streams_per_opener = 64;
  /// Eight megabits: as much as a home's line sends, and a second for the
  /// largest entry of a log eight times over. Of both directions together.
  double pair_bytes_per_second = 1024.0 * 1024;
  double pair_burst = 256.0 * 1024;
  double total_bytes_per_second = 8 * 1024.0 * 1024;
  double total_burst = 1024.0 * 1024;
  /// A stream that nobody said anything on is forgotten.
  duration idle = 60s;
  /// @}
  std::size_t ends_max = 1024;  ///< opened by others, here
  duration close_patience = 2s; ///< to send what waits, then it's lost
};

/// Since the start; for /metrics.
struct relay_counters {
  /// @name Forwarded for others
  /// @{
  std::uint64_t opened = 0, refused = 0, ended = 0;
  std::uint64_t frames = 0, bytes = 0;
  std::uint64_t overruns = 0; ///< streams ended because an end sent too much
  std::uint64_t held = 0;     ///< frames that waited behind others
  /// @}
  /// @name Of this node's own links
  /// @{
  std::uint64_t dialled = 0, answered = 0, lost = 0;
  std::uint64_t misplaced = 0; ///< bytes that belong nowhere: the stream ended
  /// @}
  std::uint64_t frames_bad = 0; ///< from a neighbour, not decodable
};

/// So much per second, saved up to a burst. Takes what it is asked for once
/// anything is there, and makes up for it before it opens again.
class relay_ration {
public:
  relay_ration(double per_second, double burst, time_point now)
      : per_second_{per_second}, burst_{burst}, have_{burst}, at_{now} {}
  bool open(time_point now);
  void take(std::size_t bytes) { have_ -= static_cast<double>(bytes); }
  [[nodiscard]] bool full() const { return have_ >= burst_; }
  [[nodiscard]] bool overdrawn() const { return have_ < -burst_; }
  /// When it opens, as of the last `open`.
  [[nodiscard]] time_point opens_at() const;

private:
  double per_second_;
  double burst_;
  double have_;
  time_point at_;
};

} // namespace banyan::net
