#pragma once
#include <cstddef>
#include <functional>
#include <vector>

namespace banyan::sim {

/// Delta debugging (Zeller and Hildebrandt, 2002): a part of `all` for which
/// `fails` still holds and which, if there was time for that, loses it with any
/// single element less.
///
/// `fails(all)` must hold. @param tries how often `fails` is asked at most.
std::vector<std::size_t>
shrink(std::vector<std::size_t> all,
       const std::function<bool(const std::vector<std::size_t>&)>& fails,
       std::size_t tries);

} // namespace banyan::sim
