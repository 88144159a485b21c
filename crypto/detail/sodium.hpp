#pragma once
#include "base/assert.hpp"

#include <sodium.h>

namespace banyan::detail {

inline bool start_sodium() {
  BANYAN_ASSERT(sodium_init() >= 0);
  return true;
}
/// Every file that calls libsodium includes this, so it is ready before main:
/// it picks its implementations for this processor once.
inline const bool sodium_ready = start_sodium();

} // namespace banyan::detail
