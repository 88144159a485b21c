#pragma once
#include "base/bytes.hpp"

#include <array>
#include <cstddef>
#include <initializer_list>

namespace banyan::store::detail {

/// The first 16 bytes of BLAKE2b-256: finds rot, not forgery.
using checksum = std::array<std::uint8_t, 16>;

/// Over the parts one after the other; fixed-size parts come first, so that a
/// run of them reads in one way only.
checksum checksum_of(std::initializer_list<const_bytes> parts);

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

} // namespace banyan::store::detail
