#pragma once
#include "base/time.hpp"

namespace banyan {

/// How long a host has been without progress: slow is said once, hung ends it.
class turn_watch {
public:
  enum class verdict { fine, slow, hung };

  turn_watch(duration slow_after, duration hung_after)
      : slow_after_{slow_after}, hung_after_{hung_after} {}

  /// A turn ended, or the first of them was handed over.
  void progressed(time_point now) {
    since_ = now;
    told_ = false;
  }
  /// When to judge next, given that something is under way.
  [[nodiscard]] time_point deadline() const {
    return since_
           + (told_ || slow_after_ >= hung_after_ ? hung_after_ : slow_after_);
  }
  verdict judge(time_point now) {
    if (now - since_ >= hung_after_)
      return verdict::hung;
    if (told_ || now - since_ < slow_after_)
      return verdict::fine;
    told_ = true;
    return verdict::slow;
  }

private:
  duration slow_after_, hung_after_;
  time_point since_{};
  bool told_ = false;
};

} // namespace banyan
