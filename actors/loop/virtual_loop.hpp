#pragma once
#include "base/assert.hpp"
#include "base/random.hpp"
#include "net/io/loop.hpp"

#include <cstdint>

namespace banyan::actors {

/// The loop of tests and simulations: virtual time, no thread, deterministic.
///
/// The thread that constructs it owns it and makes it run; any other thread
/// that leaves work aborts the process, because the order would depend on the
/// machine. Time stands still while anything is ready and then jumps to the
/// next timer. With a shuffle seed, actors that are ready take their turns in
/// an order drawn from the seed (posted tasks keep theirs): every seed is
/// another schedule that production could have seen.
class virtual_loop final : public io::loop {
public:
  explicit virtual_loop(std::uint64_t shuffle_seed = 0);
  ~virtual_loop() override;

  [[nodiscard]] time_point now() const noexcept override { return now_; }
  void drain() override;

  /// Does one job, or (none being ready) fires the earliest timer due no later
  /// than `limit`. False: there was neither; time has not moved.
  bool step(time_point limit = never);
  /// Steps until nothing is left up to `t`, then it is `t`.
  void run_until(time_point t);
  void run_for(duration d) { run_until(now_ + d); }
  /// Steps until `done()` holds, at most up to `limit`; @returns `done()`.
  template <class F>
  bool run_until_true(F&& done, time_point limit) {
    while (!done()) {
      if (!step(limit))
        return done();
    }
    return true;
  }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

  /// @name Several loops on one time
  /// Whoever drives them takes the one with the least `next()`, lets `advance`
  /// tell all others that time, and steps it. A loop that is left out stands
  /// still as a stopped process does: its timers are late when it goes on.
  /// @{
  /// When the next step has something to do: `now()` if anything is ready,
  /// `never` if there is nothing. Runs what was put off by `flush_later`.
  [[nodiscard]] time_point next();
  /// It is `t`, if that is later; runs nothing.
  void advance(time_point t);
  /// @}

  /// Adds the present time and `values` to the hash over all that happened:
  /// the same seed gives the same hash, in any process.
  template <class... T>
  void trace(T... values) {
    mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    (mix(static_cast<std::uint64_t>(values)), ...);
    ++traced_;
  }
  [[nodiscard]] std::uint64_t trace_hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t traced() const noexcept { return traced_; }

private:
  void wake() override;
  bool ready();
  bool one_job();
  void mix(std::uint64_t x) noexcept {
    hash_ = (hash_ ^ x) * 0x9E3779B97F4A7C15u;
    hash_ ^= hash_ >> 29;
  }

  time_point now_{1s}; // not 0: CAF's streams take 0 for "unset"
  seeded_random random_;
  bool shuffle_;
  bool in_turn_ = false;
  std::uint64_t steps_ = 0;
  std::uint64_t hash_ = 0;
  std::uint64_t traced_ = 0;
};

} // namespace banyan::actors
