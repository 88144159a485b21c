#pragma once
#include "crypto/identity.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <vector>

/// Keys of nodes that exist in fuzz targets alone.
namespace banyan::fuzz {

inline secret_bytes<32> filled(std::uint8_t fill) {
  secret_bytes<32> s;
  std::fill(s.data(), s.data() + 32, fill);
  return s;
}

/// One of 13 nodes; 0 is the one that the target is about.
inline const identity& key_of(std::size_t n) {
  static const auto keys = [] {
    std::vector<identity> out;
    for (std::uint8_t k = 1; k <= 13; ++k)
      out.push_back(identity::from_seed(filled(k)));
    return out;
  }();
  return keys[n % keys.size()];
}

/// Small numbers mostly, and the end of their range.
inline std::uint64_t number(input& i) {
  const std::uint64_t n = i.u8();
  return n < 240 ? n : UINT64_MAX - (n - 240);
}

} // namespace banyan::fuzz
