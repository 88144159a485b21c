#pragma once
#include "base/time.hpp"

#include <cstdint>
#include <vector>

namespace banyan::sim {

/// Times, counted by the millisecond: millions of them in a few kilobytes.
class times {
public:
  void add(duration d) {
    const auto ms = std::size_t(d > 0ms ? (d + 1ms - 1ns) / 1ms : 0);
    if (counts_.size() <= ms)
      counts_.resize(ms + 1);
    ++counts_[ms];
    ++size_;
  }
  void add(const times& more) {
    if (counts_.size() < more.counts_.size())
      counts_.resize(more.counts_.size());
    for (std::size_t ms = 0; ms < more.counts_.size(); ++ms)
      counts_[ms] += more.counts_[ms];
    size_ += more.size_;
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// In ms: what at least `share` of them are not above; 1 gives the largest.
  [[nodiscard]] double at(double share) const {
    auto left = static_cast<std::uint64_t>(share * double(size_) + 0.999999);
    for (std::size_t ms = 0; ms < counts_.size(); ++ms) {
      if (counts_[ms] >= left)
        return double(ms);
      left -= counts_[ms];
    }
    return counts_.empty() ? 0 : double(counts_.size() - 1);
  }

private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t size_ = 0;
};

} // namespace banyan::sim
