#pragma once
#include "base/random.hpp"

namespace banyan {

/// The system's randomness, by way of libsodium. Thread-safe.
class system_random final : public random_source {
public:
  void fill(std::uint8_t* out, std::size_t size) override;
};

} // namespace banyan
