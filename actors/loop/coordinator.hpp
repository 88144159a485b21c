#pragma once
#include "net/io/loop.hpp"

#include <caf/fwd.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace banyan::actors {

/// What the actors of one system got wrong without harm.
struct system_counters {
  std::atomic<std::uint64_t> dropped_messages{0}; ///< No handler took them.
  std::atomic<std::uint64_t> dropped_errors{0};   ///< Errors nobody asked for.
  std::atomic<std::uint64_t> exceptions{
      0}; ///< Handlers that threw; the actor
          ///< ended with `unhandled_exception`.
};

/// One CAF actor system whose actors all run on a given loop, real or virtual.
///
/// No thread of its own, no middleman, no configuration file; `aout` writes to
/// standard output at once. Many may share a loop, but handles never pass
/// between them: two systems number their actors alike, so between nodes only
/// (node, name) travels. Costs about 20 µs to make and 10 µs to end.
///
/// Ends in this order: `shut_down(roots)`; then whatever else holds handles
/// (timers, posted tasks, tables) lets go; then the destructor; then the loop.
/// On an `asio_loop` with its own thread, construct and end it from another
/// thread; on one that runs in the caller's thread and on a `virtual_loop`,
/// between turns. The destructor asserts that no actor is left running rather
/// than wait for ever.
class loop_system {
public:
  explicit loop_system(io::loop& l);
  ~loop_system();
  loop_system(const loop_system&) = delete;
  loop_system& operator=(const loop_system&) = delete;

  [[nodiscard]] caf::actor_system& get() noexcept;
  [[nodiscard]] io::loop& loop() noexcept { return loop_; }
  [[nodiscard]] system_counters& counters() noexcept;
  /// Actors that have not ended.
  [[nodiscard]] std::size_t running() const;

  /// Sends `user_shutdown` to each of `roots` (who pass it on to those they
  /// are linked with), lets go of the handles and runs the loop until it is
  /// idle. @returns how many actors still run: 0, or a bug in one of them.
  std::size_t shut_down(std::vector<caf::actor> roots);

private:
  struct parts;
  io::loop& loop_;
  std::unique_ptr<parts> parts_;
};

std::unique_ptr<loop_system> make_system(io::loop& l);

/// The loop on which the actors of `s` run. `s` must come from a loop_system.
io::loop& loop_of(caf::actor_system& s);

/// Gives an actor the defaults of this project, first thing in its behavior
/// function: unexpected messages and errors are dropped and counted instead of
/// printed or fatal; an exception ends the actor and is counted. Loop's thread.
void quiet(caf::scheduled_actor* self);

} // namespace banyan::actors
