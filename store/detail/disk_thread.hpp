#pragma once
#include "store/disk.hpp"

#include <atomic>
#include <memory>
#include <utility>

namespace banyan::store::detail {

/// Posts closures to the loop that do nothing once their owner is gone: the
/// owner lives on the loop thread, so "gone" can't happen in the middle.
class loop_poster {
public:
  explicit loop_poster(post_function post) : post_{std::move(post)} {}
  loop_poster(const loop_poster&) = delete;
  loop_poster& operator=(const loop_poster&) = delete;
  ~loop_poster() { retire(); }
  /// Nothing posted runs from now on. Loop thread only.
  void retire() { alive_->store(false); }

  template <class F>
  void operator()(F f) const {
    post_([alive = alive_, f = std::move(f)]() mutable {
      if (alive->load())
        f();
    });
  }

private:
  post_function post_;
  std::shared_ptr<std::atomic<bool>> alive_ =
      std::make_shared<std::atomic<bool>>(true);
};

} // namespace banyan::store::detail
