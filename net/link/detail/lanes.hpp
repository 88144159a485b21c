#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/link/link_table.hpp"
#include "net/link/wire.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace banyan::net {

/// What a link has yet to seal: three queues of fragments, and the order in
/// which they leave. Frames are packed straight into their queue.
///
/// Invariant: each queue holds whole fragments, except between `begin` and
/// `end`.
class lanes {
public:
  explicit lanes(const link_limits& limits);

  /// Starts a frame: the caller appends the payload to what this returns,
  /// then calls `end`. One frame at a time.
  bytes& begin(channel c);
  /// Ends the frame. @returns `too_large` or `overloaded`, with the frame
  /// taken back. An empty queue takes any frame.
  result<void, send_errc> end();

  /// Appends whole fragments to `out`, at most `room` bytes (at least one
  /// fragment's worth). Control before requests before bulk; of all bytes at
  /// least a tenth is bulk while bulk waits.
  void take(bytes& out, std::size_t room);

  [[nodiscard]] bool empty() const noexcept;
  [[nodiscard]] std::size_t queued(lane l) const noexcept {
    return queue(l).size();
  }
  /// True once after an `overloaded`, when the lane is half empty again.
  bool became_writable(lane l);
  [[nodiscard]] bool any_refused() const noexcept;
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_; }

private:
  struct fragments {
    bytes data;
    std::size_t head = 0; ///< before it: taken already
    std::size_t max = 0;
    bool refused = false;

    [[nodiscard]] std::size_t size() const noexcept {
      return data.size() - head;
    }
    /// The first fragment's size, header included; zero without one.
    [[nodiscard]] std::size_t front() const noexcept;
    void take(bytes& out, std::size_t n);
  };
  [[nodiscard]] const fragments& queue(lane l) const noexcept {
    return queues_[static_cast<std::size_t>(l)];
  }
  fragments& queue(lane l) noexcept {
    return queues_[static_cast<std::size_t>(l)];
  }
  fragments* next();
  static void split(bytes& data, std::size_t start, channel c);

  std::array<fragments, lane_count> queues_;
  /// What bulk may take before the others: a ninth of what they took.
  std::size_t bulk_credit_ = 0;
  std::uint64_t frames_ = 0;
  channel open_channel_ = channel::link;
  std::size_t open_start_ = 0;
  bool open_ = false;
};

} // namespace banyan::net
