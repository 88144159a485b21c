#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace banyan::store {

enum class store_errc : std::uint8_t {
  io = 1,     ///< The disk or LMDB failed; the node must stop and re-verify.
  full,       ///< No space or quota left; nothing of the order was stored. The
              ///< same order may work later.
  damaged,    ///< Bytes that had been synced are not what was written.
  in_use,     ///< Another process, or this one, has it open.
  network_fs, ///< On a network file system, where locks and sync can't be
              ///< trusted.
  unreadable, ///< Missing rights, not a directory, or not our format.
  too_large,  ///< Over a stated limit; checked before anything was written.
  stale,      ///< The order names a replica or stage that was since replaced.
  mismatch,   ///< A staged snapshot's digest isn't its sender's; it is dropped.
};

/// `io`, `full`, … as in logs and metrics.
std::string_view to_string(store_errc code) noexcept;

/// What failed, and for people what to do next.
struct store_error {
  store_errc code = store_errc::io;
  std::string message; ///< names the file and the next step
};

} // namespace banyan::store
