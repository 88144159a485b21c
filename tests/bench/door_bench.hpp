#pragma once
#include "base/time.hpp"

#include <cstddef>

namespace banyan::test {

struct door_settings {
  std::size_t peers = 5;
  std::size_t clients = 64;
  duration span = std::chrono::seconds{60};
  bool overlap = false; ///< of two failures at a time
  bool judge = true;    ///< times and shares, too
};

/// Peers killed or frozen under clients of all doors; false: a promise broke.
bool door_kills(const door_settings& s);
/// More load than can be served; false: less than the goal was served.
bool door_overload(const door_settings& s);

} // namespace banyan::test
