#pragma once
#include "actors/pure/uptime/score.hpp"
#include "base/random.hpp"
#include "crypto/identity.hpp"

#include <string>

/// Days that observers might have seen.
namespace banyan::uptime_test {

inline node_id node(std::uint8_t n) {
  std::array<std::uint8_t, 32> v{};
  v[0] = n;
  return node_id{v};
}
inline mesh_id orchard() {
  std::array<std::uint8_t, 32> v{};
  v[0] = 7;
  return mesh_id{v};
}

/// Observed all day, and down in these minutes: [first, end).
inline seen_day down(std::size_t first, std::size_t end) {
  seen_day s;
  s.observed.set_range(0, minutes_a_day);
  s.up.set_range(0, first);
  s.up.set_range(end, minutes_a_day);
  return s;
}
inline seen_day well() {
  return down(0, 0);
}

/// A day on which `observers` agree that so many minutes were down.
inline day_result day_with(std::uint32_t down_minutes, int observers = 3) {
  std::vector<day_word> words;
  for (int i = 1; i <= observers; ++i)
    words.push_back(
        {node(static_cast<std::uint8_t>(i)), down(0, down_minutes)});
  return count_day(std::move(words));
}

} // namespace banyan::uptime_test
