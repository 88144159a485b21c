#pragma once
#include "base/assert.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace banyan::io {

/// Names one armed timer. Cheap to copy; stays harmless after the timer fired
/// or was cancelled, even when its slot serves another timer by then.
struct timer_id {
  std::uint32_t slot = 0;
  std::uint32_t stamp = 0; ///< 0: no timer.
  [[nodiscard]] bool armed_once() const noexcept { return stamp != 0; }
};

namespace detail {

/// Timers in (due, order of arming). A binary heap that knows where each timer
/// stands, so cancelling frees it at once: a call's 5 s deadline costs nothing
/// after the call was answered in 1 ms.
class timer_heap {
public:
  using task = std::function<void()>;

  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
  [[nodiscard]] time_point next() const noexcept {
    return heap_.empty() ? never : heap_.front().due;
  }

  timer_id add(time_point due, task run, const char* what) {
    std::uint32_t s = 0;
    if (free_.empty()) {
      s = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      s = free_.back();
      free_.pop_back();
    }
    auto& slot = slots_[s];
    slot.run = std::move(run);
    slot.what = what;
    heap_.push_back({due, ++seq_, s});
    up(heap_.size() - 1);
    return {s, slot.stamp};
  }

  /// False if it fired, was cancelled or never existed.
  bool cancel(timer_id id) {
    if (id.stamp == 0 || id.slot >= slots_.size()
        || slots_[id.slot].stamp != id.stamp)
      return false;
    remove(slots_[id.slot].at);
    auto dropped = release(id.slot); // its destructor may arm or cancel timers
    return true;
  }

  /// Takes the earliest timer out; `what` is its label.
  task pop(const char*& what) {
    BANYAN_ASSERT(!heap_.empty());
    const auto s = heap_.front().slot;
    what = slots_[s].what;
    remove(0);
    return release(s);
  }

  void clear() {
    while (!heap_.empty()) {
      const auto s = heap_.back().slot;
      heap_.pop_back();
      auto dropped = release(s);
    }
  }

private:
  struct slot_data {
    task run;
    const char* what = nullptr;
    std::uint32_t stamp = 1; // raised at each release: an old id never matches
    std::size_t at = 0;      // place in the heap
  };
  struct node {
    time_point due;
    std::uint64_t seq;
    std::uint32_t slot;
    bool operator<(const node& o) const noexcept {
      return due != o.due ? due < o.due : seq < o.seq;
    }
  };

  task release(std::uint32_t s) {
    auto& slot = slots_[s];
    if (++slot.stamp == 0)
      slot.stamp = 1;
    free_.push_back(s);
    return std::exchange(slot.run, nullptr);
  }
  void place(std::size_t i, const node& n) {
    heap_[i] = n;
    slots_[n.slot].at = i;
  }
  void up(std::size_t i) {
    const node n = heap_[i];
    for (; i > 0; i = (i - 1) / 2) {
      const auto parent = heap_[(i - 1) / 2];
      if (!(n < parent))
        break;
      place(i, parent);
    }
    place(i, n);
  }
  void down(std::size_t i) {
    const node n = heap_[i];
    for (;;) {
      auto child = 2 * i + 1;
      if (child >= heap_.size())
        break;
      if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child])
        ++child;
      if (!(heap_[child] < n))
        break;
      place(i, heap_[child]);
      i = child;
    }
    place(i, n);
  }
  void remove(std::size_t i) {
    const node last = heap_.back();
    heap_.pop_back();
    if (i == heap_.size())
      return;
    place(i, last);
    if (i > 0 && last < heap_[(i - 1) / 2])
      up(i);
    else
      down(i);
  }

  std::vector<slot_data> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<node> heap_;
  std::uint64_t seq_ = 0;
};

} // namespace detail
} // namespace banyan::io
