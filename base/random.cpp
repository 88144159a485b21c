#include "base/random.hpp"

namespace banyan {

std::uint64_t random_source::next() {
  std::array<std::uint8_t, 8> raw{};
  fill(raw.data(), raw.size());
  std::uint64_t v = 0;
  std::memcpy(&v, raw.data(), sizeof v);
  return v;
}

std::uint64_t random_source::below(std::uint64_t bound) {
  BANYAN_ASSERT(bound > 0);
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  std::uint64_t v = next();
  while (v >= limit)
    v = next();
  return v % bound;
}

duration random_source::between(duration low, duration high) {
  BANYAN_ASSERT(low < high);
  const auto span = static_cast<std::uint64_t>((high - low).count());
  return low + duration{static_cast<duration::rep>(below(span))};
}

bool random_source::chance(double p) {
  return static_cast<double>(next() >> 11) * 0x1p-53 < p;
}

seeded_random::seeded_random(std::uint64_t seed) {
  for (auto& word : s_) {
    seed += 0x9E3779B97F4A7C15;
    std::uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    word = z ^ (z >> 31);
  }
}

std::uint64_t seeded_random::step() {
  const auto rotate = [](std::uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
  };
  const std::uint64_t out = rotate(s_[1] * 5, 7) * 9;
  const std::uint64_t t = s_[1] << 17;
  s_[2] ^= s_[0];
  s_[3] ^= s_[1];
  s_[1] ^= s_[2];
  s_[0] ^= s_[3];
  s_[2] ^= t;
  s_[3] = rotate(s_[3], 45);
  return out;
}

void seeded_random::fill(std::uint8_t* out, std::size_t size) {
  while (size > 0) {
    const std::uint64_t v = step();
    const std::size_t n = std::min(size, sizeof v);
    std::memcpy(out, &v, n);
    out += n;
    size -= n;
  }
}

} // namespace banyan
