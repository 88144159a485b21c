#pragma once
#include "actors/host/host_frame.hpp"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>

namespace banyan {

/// Answers of an app host's turns on their way to its peer. Short turns share a
/// write: some answers wait for those of the next turns, 200 us at most. A turn
/// that takes long, or never ends, keeps none of them: a thread of this looks
/// after them each millisecond while turns run behind answers, and sleeps
/// otherwise.
///
/// Calls from the thread that runs the turns alone. In a copy that the app's
/// code forked nothing of this may be used.
class held_answers {
public:
  /// `write` puts all bytes on the stream, or says that nobody reads it; it is
  /// called by either thread, never by both.
  explicit held_answers(std::function<bool(const_bytes)> write);
  ~held_answers();
  held_answers(const held_answers&) = delete;
  held_answers& operator=(const held_answers&) = delete;

  void turn_begins();
  /// False: the peer is gone.
  [[nodiscard]] bool add(const raw_turn& answer);
  /// No turn follows right now.
  [[nodiscard]] bool flush();

private:
  using clock = std::chrono::steady_clock;
  static void* look_after(void* self);
  void look();
  bool write_held();

  std::function<bool(const_bytes)> write_;
  clock::time_point since_; ///< the first turn of those held began
  std::atomic<std::size_t> held_{0};
  std::atomic<bool> asleep_{false}; ///< the thread that looks after them

  std::mutex mutex_; ///< guards all below, and the stream
  std::condition_variable wake_;
  bytes out_;
  std::uint64_t writes_ = 0;
  bool good_ = true;
  bool over_ = false;
  bool has_thread_ = false;
  pthread_t thread_{};
};

} // namespace banyan
