#include "net/membership/liveness.hpp"

#include <algorithm>
#include <cmath>

namespace banyan::net {

namespace {

duration distance(duration a, duration b) noexcept {
  return a < b ? b - a : a - b;
}

/// Beats until the measured deviation is trusted.
constexpr unsigned beats_enough = 4;

} // namespace

duration local_health::observe(time_point due, time_point now) noexcept {
  if (due == never || now <= due + cfg_->late_tolerated)
    return {};
  const auto late = now - due;
  late_ = std::min(std::max(late, stretch(now)), cfg_->late_cap);
  at_ = now;
  return late;
}

duration local_health::stretch(time_point now) const noexcept {
  if (late_ == duration{} || now <= at_)
    return late_;
  const auto half_lives = std::chrono::duration<double>(now - at_)
                          / std::chrono::duration<double>(cfg_->late_half_life);
  return std::chrono::duration_cast<duration>(late_ * std::exp2(-half_lives));
}

void peer_liveness::heard(time_point now) noexcept {
  heard_ = std::max(heard_, now);
}

bool peer_liveness::beat(duration its_interval, time_point now) noexcept {
  const bool late =
      beats_ > 0 && last_beat_ + interval_ + cfg_->silence_floor / 2 <= now;
  interval_ = its_interval;
  if (beats_ > 0) {
    // Only lateness widens the patience: two beats at once are no news. A
    // silence that was noticed counts as no more than what it took to notice:
    // else a peer that froze for seconds would be missed late the next time.
    const auto by = std::clamp(now - last_beat_ - its_interval, duration{},
                               cfg_->silence_floor);
    gap_deviation_ += (by - gap_deviation_) / 8;
  }
  last_beat_ = now;
  ++beats_;
  heard(now);
  return late;
}

void peer_liveness::round_trip(duration sample) noexcept {
  sample = std::max(sample, duration{});
  if (rtt_ == duration{}) {
    rtt_ = sample;
    rtt_deviation_ = sample / 2;
    return;
  }
  // RFC 6298, with its gains.
  rtt_deviation_ += (distance(rtt_, sample) - rtt_deviation_) / 4;
  rtt_ += (sample - rtt_) / 8;
}

void peer_liveness::credit(duration deaf, time_point now) noexcept {
  heard_ = std::min(heard_ + deaf, now);
  last_beat_ = std::min(last_beat_ + deaf, now);
}

void peer_liveness::reset(time_point now) noexcept {
  beats_ = 0;
  gap_deviation_ = {};
  heard(now);
}

duration peer_liveness::patience() const noexcept {
  const auto interval = std::min(interval_, cfg_->beat_rings);
  const auto floor =
      std::max(cfg_->silence_floor, interval * cfg_->intervals_floor);
  if (beats_ < beats_enough)
    return std::max(cfg_->silence_unknown, floor);
  const auto cap = std::max(cfg_->silence_cap, interval * cfg_->intervals_cap);
  const auto wanted =
      interval_ + rtt_ + 4 * rtt_deviation_ + 4 * gap_deviation_;
  return std::clamp(wanted, floor, cap);
}

} // namespace banyan::net
