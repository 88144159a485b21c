#pragma once
#include <algorithm>
#include <cstddef>

namespace banyan {

/// So much of something in all, and how apps share it: max-min fair. While
/// there is some left, whoever asks gets it: one app alone may have everything.
/// Once there is none left, only an app that is below its even share gets more,
/// beyond the bound, so that an app whose calls all hang shuts out no other;
/// who is above it gets nothing until all together are below the bound again,
/// and so gives back what was too much.
///
/// In all that is never more than max · (1 + 1/2 + … + 1/apps), and as much
/// only if one app after the other came when those before it held everything
/// that they could and let go of nothing.
struct fair_bound {
  std::size_t max = 0;
  std::size_t used = 0;

  [[nodiscard]] std::size_t even(std::size_t apps) const {
    return max / std::max<std::size_t>(apps, 1);
  }
  /// For an app that has `own` of it, of so many that have any or ask.
  [[nodiscard]] std::size_t left(std::size_t own, std::size_t apps) const {
    const auto below = [](std::size_t have, std::size_t most) {
      return have < most ? most - have : 0;
    };
    return std::max(below(used, max), below(own, even(apps)));
  }
  /// The first always does: a share may be less than one of anything.
  [[nodiscard]] bool fits(std::size_t wanted, std::size_t own,
                          std::size_t apps) const {
    return (own == 0 && max > 0) || wanted <= left(own, apps);
  }
};

} // namespace banyan
