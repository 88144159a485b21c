#pragma once
#include "base/time.hpp"

#include <algorithm>

namespace banyan {

/// How long a node keeps what a removed app leaves: by its own running time, so
/// that a peer that is off for a month forgets nothing meanwhile. Counted in
/// steps, each written down; a crash loses the step that was under way.
class retention {
public:
  using hours = std::chrono::hours;

  constexpr retention() = default;
  /// Shorter, for tests with time.
  constexpr explicit retention(duration most) : most_{most} {}

  [[nodiscard]] constexpr bool over(duration kept) const noexcept {
    return kept >= most_;
  }
  [[nodiscard]] constexpr duration left(duration kept) const noexcept {
    return over(kept) ? duration{} : most_ - kept;
  }
  /// Between two counts.
  [[nodiscard]] constexpr duration step() const noexcept {
    return std::min<duration>(std::chrono::minutes{5}, most_ / 20);
  }
  /// What `kept` becomes when it is counted again after `passed`. A process
  /// that stood still in between (SIGSTOP, a machine that slept) didn't run:
  /// no more than two steps count.
  [[nodiscard]] constexpr duration counted(duration kept,
                                           duration passed) const noexcept {
    const auto ran = std::min<duration>(passed, 2 * step());
    return std::min<duration>(kept + ran, most_);
  }

private:
  duration most_ = hours{7 * 24};
};

} // namespace banyan
