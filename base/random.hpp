#pragma once
#include "base/bytes.hpp"
#include "base/time.hpp"

#include <cstdint>

namespace banyan {

/// Where a core gets its randomness from. Keys and ids come from the system's
/// source in production; a simulator gives everything from one seed.
class random_source {
public:
  virtual ~random_source() = default;
  virtual void fill(std::uint8_t* out, std::size_t size) = 0;

  std::uint64_t next();
  /// Uniform in [0, bound); `bound` > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [low, high).
  duration between(duration low, duration high);
  /// True with probability `p`.
  bool chance(double p);
  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> a;
    fill(a.data(), N);
    return a;
  }
};

/// xoshiro256** (Blackman, Vigna) seeded by splitmix64. Not for keys outside
/// tests and simulations.
class seeded_random final : public random_source {
public:
  explicit seeded_random(std::uint64_t seed);
  void fill(std::uint8_t* out, std::size_t size) override;

private:
  std::uint64_t step();
  std::array<std::uint64_t, 4> s_{};
};

} // namespace banyan
