#pragma once
#include "base/time.hpp"

#include <array>
#include <cstdint>

namespace banyan {

/// How the turns of one version fared in one group: counts, and how long its
/// host took for them. Times are kept in steps of a quarter of a power of two,
/// from 1 us to 16 s.
class turn_health {
public:
  std::uint64_t turns = 0;   ///< that ended, queries too
  std::uint64_t failed = 0;  ///< of them: threw, or can't read the state
  std::uint64_t crashes = 0; ///< of the host

  void took(duration d);
  void add(const turn_health& other);
  /// In this part (0 to 1) of the turns, the host took no longer than this;
  /// zero without turns.
  [[nodiscard]] duration quantile(double part) const;
  void clear() { *this = {}; }

private:
  static constexpr std::size_t steps = 4 * 24;
  std::array<std::uint32_t, steps> times_{};
};

/// What a leader knows of the version that runs and of the one before it.
struct version_health {
  std::uint64_t version = 0;
  turn_health now;    ///< since `version` took over here
  turn_health recent; ///< the last one or two minutes of it
  turn_health before; ///< and of the former one, when it ended
  duration longest{}; ///< how long the oldest turn takes that runs now
};

} // namespace banyan
