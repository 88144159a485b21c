#include "sim/shrink.hpp"

#include <algorithm>

namespace banyan::sim {

std::vector<std::size_t>
shrink(std::vector<std::size_t> all,
       const std::function<bool(const std::vector<std::size_t>&)>& fails,
       std::size_t tries) {
  if (tries > 0 && !all.empty()) {
    --tries;
    if (fails({}))
      return {};
  }
  // With one chunk less, ever smaller chunks.
  for (std::size_t chunks = 2; all.size() > 1 && tries > 0;) {
    const auto size = (all.size() + chunks - 1) / chunks;
    bool smaller = false;
    for (std::size_t at = 0; at < all.size() && tries > 0; at += size) {
      std::vector<std::size_t> rest;
      for (std::size_t i = 0; i < all.size(); ++i)
        if (i < at || i >= at + size)
          rest.push_back(all[i]);
      --tries;
      if (!fails(rest))
        continue;
      all = std::move(rest);
      smaller = true;
      break;
    }
    if (smaller)
      chunks = std::max<std::size_t>(2, chunks - 1);
    else if (chunks >= all.size())
      break;
    else
      chunks = std::min(all.size(), chunks * 2);
  }
  return all;
}

} // namespace banyan::sim
