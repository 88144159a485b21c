#include "actors/pure/turn_health.hpp"

#include <algorithm>
#include <cmath>

namespace banyan {

void turn_health::took(duration d) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d);
  constexpr std::int64_t longest = (std::int64_t{1} << 24) - 1;
  const auto v = static_cast<std::uint64_t>(
      std::clamp<std::int64_t>(us.count(), 1, longest));
  std::size_t power = 0;
  while (power < 23 && (v >> (power + 1)) != 0)
    ++power;
  // The two bits behind the highest one.
  const auto quarter =
      power >= 2 ? (v >> (power - 2)) & 3 : (v << (2 - power)) & 3;
  ++times_[4 * power + quarter];
}

void turn_health::add(const turn_health& other) {
  turns += other.turns;
  failed += other.failed;
  crashes += other.crashes;
  for (std::size_t i = 0; i < steps; ++i)
    times_[i] += other.times_[i];
}

duration turn_health::quantile(double part) const {
  std::uint64_t all = 0;
  for (const auto n : times_)
    all += n;
  if (all == 0)
    return {};
  auto wanted =
      static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(all)));
  wanted = std::min(std::max<std::uint64_t>(wanted, 1), all);
  std::size_t i = 0;
  for (std::uint64_t seen = times_[0]; seen < wanted; seen += times_[++i]) {
  }
  // The end of its step.
  const auto us = std::ldexp(1.0 + static_cast<double>(i % 4 + 1) / 4.0,
                             static_cast<int>(i / 4));
  return std::chrono::duration_cast<duration>(
      std::chrono::duration<double, std::micro>(us));
}

} // namespace banyan
