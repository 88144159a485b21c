#pragma once
#include <cstddef>
#include <cstdint>

namespace banyan {

/// The low N bytes of a number, the lowest first.
template <std::size_t N>
void put_le(std::uint8_t* out, std::uint64_t v) {
  static_assert(N <= 8);
  for (std::size_t i = 0; i < N; ++i)
    out[i] = static_cast<std::uint8_t>(v >> (8 * i));
}
template <std::size_t N>
std::uint64_t get_le(const std::uint8_t* in) {
  static_assert(N <= 8);
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < N; ++i)
    v |= static_cast<std::uint64_t>(in[i]) << (8 * i);
  return v;
}

} // namespace banyan
