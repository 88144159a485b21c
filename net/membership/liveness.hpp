#pragma once
#include "base/time.hpp"

#include <cstdint>

namespace banyan::net {

/// How long silence is normal. One stream of beats serves all of a node pair.
struct liveness_config {
  duration beat_group = 50ms; ///< between nodes that share a group
  duration beat_mesh = 100ms; ///< in a full mesh
  duration beat_rings = 1s;   ///< in a larger one
  duration silence_floor = 200ms;
  duration silence_cap = 2s;        ///< before stretching
  duration silence_unknown = 500ms; ///< until enough beats were seen
  /// @name Of beats that come less often than every 100 ms
  /// At least so many of their intervals, and up to so many; no interval counts
  /// for more than `beat_rings`, whatever a peer says.
  /// @{
  int intervals_floor = 2;
  int intervals_cap = 3;
  /// @}
  duration late_tolerated = 20ms; ///< a timer that much late is ordinary
  duration late_half_life = 1s;   ///< how fast a stall is forgiven
  duration late_cap = 2s;         ///< the most that silence is stretched by
  duration grace = 2s; ///< for a member never heard since this node's start
  /// @name Where packets get lost
  /// A node that had two late beats within `late_beats_for`, whoever sent them,
  /// tells of a silence later: it may end by itself, and nobody heard of it
  /// then. On the rings after `lone_silence` more if no other observer reports
  /// it, in a full mesh after `silence_floor` more in any case.
  /// @{
  duration lone_silence = 1s;
  duration late_beats_for = 30s;
  /// @}
};

/// Local health, as in Lifeguard: an observer that is itself late distrusts
/// its own clock before it accuses others. Fed with every time that the core
/// sees; compares it with the time at which the core had asked to be called.
class local_health {
public:
  explicit local_health(const liveness_config& cfg) : cfg_{&cfg} {}

  /// `due` is the deadline that the core had announced. Returns how long this
  /// observer was deaf: to be credited to everybody it watches.
  duration observe(time_point due, time_point now) noexcept;
  /// What silence is stretched by at `now`.
  [[nodiscard]] duration stretch(time_point now) const noexcept;

private:
  const liveness_config* cfg_;
  duration late_{};
  time_point at_{};
};

/// What one node knows about the liveness of one other. Pure arithmetic.
class peer_liveness {
public:
  explicit peer_liveness(const liveness_config& cfg) : cfg_{&cfg} {}

  /// Any input from it: a beat, a Raft message, a snapshot chunk.
  void heard(time_point now) noexcept;
  /// A beat from it, which says how often it means to send one. True when it
  /// comes later than it was meant to, by half of `silence_floor` or more: as
  /// one does that was lost and sent again.
  bool beat(duration its_interval, time_point now) noexcept;
  void round_trip(duration sample) noexcept;
  /// The observer was deaf for so long.
  void credit(duration deaf, time_point now) noexcept;
  /// A new link: old gaps between beats say nothing.
  void reset(time_point now) noexcept;

  /// How long it may be silent: the interval of its beats, round trip mean and
  /// the deviations of both, between floor and cap.
  [[nodiscard]] duration patience() const noexcept;
  [[nodiscard]] time_point last_heard() const noexcept { return heard_; }
  [[nodiscard]] duration round_trip() const noexcept { return rtt_; }
  [[nodiscard]] time_point silent_at(duration stretch) const noexcept {
    return heard_ + patience() + stretch;
  }

private:
  const liveness_config* cfg_;
  time_point heard_{};
  time_point last_beat_{};
  duration interval_{};
  duration rtt_{};
  duration rtt_deviation_{};
  duration gap_deviation_{};
  unsigned beats_ = 0;
};

} // namespace banyan::net
