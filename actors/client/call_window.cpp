#include "actors/client/call_window.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace banyan {
namespace {

constexpr std::size_t samples_max = 512; ///< of a round; more say no more
constexpr std::size_t samples_min = 10;  ///< fewer say nothing of latency

} // namespace

void call_window::began() {
  ++under_way_;
  most_ = std::max(most_, under_way_);
}

void call_window::ended() {
  BANYAN_ASSERT(under_way_ > 0);
  --under_way_;
}

void call_window::answered(duration took, duration deadline, time_point now) {
  if (usual_ == duration{})
    usual_ = took;
  const auto off = took - usual_;
  usual_ += off / 20;
  spread_ += (std::chrono::abs(off) - spread_) / 20;
  ++answers_;
  late_ += took > deadline / 4 ? 1 : 0;
  very_late_ += took > deadline / 2 ? 1 : 0;
  if (samples_.size() < samples_max)
    samples_.push_back(took);
  close_round(now);
}

void call_window::overloaded(time_point now) {
  ++refused_;
  close_round(now);
}

/// The app's own time is what it took at its quickest. It is forgotten slowly
/// where no queue of this client's can be the cause: an app may become slow.
bool call_window::slow() {
  if (samples_.size() < samples_min)
    return false;
  const auto middle =
      samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 2);
  std::nth_element(samples_.begin(), middle, samples_.end());
  const auto median = *middle;
  const bool late = 2 * late_ > answers_ || 10 * very_late_ > answers_;
  const bool is = late && quickest_ > duration{} && median > 3 * quickest_;
  if (quickest_ == duration{} || median < quickest_)
    quickest_ = median;
  else if (size_ <= slow_min)
    quickest_ += (median - quickest_) / 64;
  else if (!reached_)
    quickest_ += (median - quickest_) / 256;
  return is;
}

void call_window::close_round(time_point now) {
  if (round_ == time_point{})
    round_ = now + std::max(round_min, usual_);
  const auto ends = refused_ + answers_;
  if (now < round_ || ends < std::min(samples_min, size_))
    return; // they are few: some more make a round
  round_ = now + std::max(round_min, usual_);
  const auto base = std::min(size_, most_);
  const bool is_slow = slow();
  if (10 * refused_ > ends) {
    const auto goal = base / 2;
    size_ -= (size_ - goal) * refused_ / ends;
    size_ = std::max<std::size_t>(size_, 1);
  } else if (is_slow) {
    if (size_ > slow_min)
      size_ = std::max(slow_min, base * 7 / 8);
  } else if (reached_) {
    const auto most = std::max(size_ / (late_ == 0 ? 4 : 8), std::size_t{8});
    const auto step = refused_ == 0 ? std::min(size_, most) : size_ / 32 + 1;
    size_ = std::min(size_ + step, size_max);
  } else if (size_ > size_start && 2 * most_ < size_) {
    size_ = std::max(size_start, size_ - size_ / 16);
  }
  most_ = under_way_;
  reached_ = false;
  refused_ = answers_ = late_ = very_late_ = 0;
  samples_.clear();
}

} // namespace banyan
