#pragma once
#include <atomic>
#include <cstdint>

namespace banyan {

/// Where an app host is, in a page that it shares with its peer and that is
/// still there when its process is not. Turns are numbered from 1 by the peer.
struct turn_mark {
  std::atomic<std::uint64_t> begun{0}; ///< the newest turn that began
  std::atomic<std::uint64_t> ended{0}; ///< the newest that came to its end

  void begin(std::uint64_t number) { begun.store(number); }
  void end(std::uint64_t number) { ended.store(number); }
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

} // namespace banyan
