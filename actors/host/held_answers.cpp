#include "actors/host/held_answers.hpp"

namespace banyan {
namespace {

constexpr std::size_t held_max = 64;
constexpr auto held_for_max = std::chrono::microseconds{200};
constexpr auto look_every = std::chrono::milliseconds{1};
constexpr int looks_in_vain = 10; ///< before the thread sleeps again
constexpr std::size_t stack_bytes = std::size_t{256} << 10;

} // namespace

held_answers::held_answers(std::function<bool(const_bytes)> write)
    : write_{std::move(write)} {
  pthread_attr_t how;
  if (::pthread_attr_init(&how) != 0)
    return; // then answers wait for the turn that runs
  // Its stack counts as the app's memory.
  ::pthread_attr_setstacksize(&how, stack_bytes);
  has_thread_ = ::pthread_create(&thread_, &how, look_after, this) == 0;
  ::pthread_attr_destroy(&how);
}

held_answers::~held_answers() {
  if (!has_thread_)
    return;
  {
    const std::lock_guard lock{mutex_};
    over_ = true;
  }
  wake_.notify_one();
  ::pthread_join(thread_, nullptr);
}

void held_answers::turn_begins() {
  if (held_ == 0) {
    since_ = clock::now();
    return;
  }
  if (!asleep_)
    return;
  const std::lock_guard lock{mutex_};
  asleep_ = false;
  wake_.notify_one();
}

bool held_answers::add(const raw_turn& answer) {
  const std::lock_guard lock{mutex_};
  put_ran(out_, answer);
  const bool due = ++held_ >= held_max || clock::now() - since_ >= held_for_max;
  return due ? write_held() : good_;
}

bool held_answers::flush() {
  const std::lock_guard lock{mutex_};
  return held_ == 0 ? good_ : write_held();
}

bool held_answers::write_held() {
  good_ = good_ && write_(out_);
  out_.clear();
  held_ = 0;
  ++writes_;
  return good_;
}

void* held_answers::look_after(void* self) {
  static_cast<held_answers*>(self)->look();
  return nullptr;
}

/// What was held at the last look and is so still waits for a long turn.
void held_answers::look() {
  std::unique_lock lock{mutex_};
  while (!over_) {
    // Held already, and a turn behind it, while this thread came up: nobody
    // would wake it.
    asleep_ = held_ == 0;
    wake_.wait(lock, [&] { return over_ || !asleep_; });
    for (int vain = 0; vain < looks_in_vain && !over_; ++vain) {
      const auto before = writes_;
      const bool held = held_ != 0;
      wake_.wait_for(lock, look_every, [&] { return over_; });
      if (held_ == 0)
        continue;
      vain = 0;
      if (held && writes_ == before)
        write_held();
    }
  }
}

} // namespace banyan
