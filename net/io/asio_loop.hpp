#pragma once
#include "net/io/loop.hpp"

#include <memory>

namespace banyan::io {

/// The loop of production: one thread, real time, Boost.Asio's sockets.
///
/// Construct it before and destroy it after everything that runs on it (links,
/// servers, actor systems). Jobs still queued at its end are dropped.
class asio_loop final : public loop {
public:
  enum class thread : std::uint8_t {
    own,   ///< A thread of its own runs it from now until the destructor.
    caller ///< Runs inside `run()`; until then the constructing thread owns it.
  };
  /// `cpu`: the core to pin its own thread to; -1: none.
  explicit asio_loop(thread t = thread::own, int cpu = -1);
  ~asio_loop() override;

  [[nodiscard]] time_point now() const noexcept override {
    return std::chrono::steady_clock::now();
  }
  /// From another thread: waits until the loop is idle. On the loop's thread:
  /// only while no turn runs (before or after `run()`).
  void drain() override;

  /// `thread::caller` only: runs turns until `stop()`. May be called again.
  void run();
  /// Ends `run()` after the current turn. Any thread.
  void stop();

  struct state; ///< Boost's side; net/io/detail/asio_context.hpp shows it.
  [[nodiscard]] state& internals() noexcept { return *state_; }

private:
  void wake() override;
  void turns();

  std::unique_ptr<state> state_;
  std::thread thread_;
};

} // namespace banyan::io
