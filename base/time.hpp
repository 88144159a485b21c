#pragma once
#include <chrono>

namespace banyan {

/// Monotonic time of one process: comes in as a parameter, real or virtual.
/// Never compared between nodes, never written to disk.
using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::nanoseconds;

inline constexpr time_point never = time_point::max();

using namespace std::chrono_literals;

/// Milliseconds with fraction, for reports.
inline double to_ms(duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

} // namespace banyan
