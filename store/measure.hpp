#pragma once
#include "base/result.hpp"
#include "base/time.hpp"
#include "store/errors.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace banyan::store {

/// How thoroughly a disk is measured. As it is here: a second, 64 MiB.
struct disk_plan {
  duration fsync_budget = std::chrono::milliseconds{400};
  std::uint32_t fsyncs_max = 1000;
  duration pause{}; ///< before each fsync and each piece: beside a peer
  duration write_budget = std::chrono::milliseconds{400};
  duration read_budget = std::chrono::milliseconds{200};
  std::uint64_t bytes_max = std::uint64_t{64} << 20; ///< written, then read
  /// How far it is, 0 to 1000. May be called often.
  std::function<void(std::uint32_t permille)> progress = [](std::uint32_t) {};
  /// Bytes that are free for this user there; injectable for tests.
  std::function<result<std::uint64_t, store_error>(
      const std::filesystem::path&)>
      free_bytes;
};

struct disk_speed {
  std::vector<duration> fsyncs; ///< each of 4 KiB into a file that has its room
  std::uint64_t written = 0;    ///< in sequence
  duration writing{};           ///< until all of it was on the disk
  std::uint64_t read = 0;       ///< in sequence, not from memory if possible
  duration reading{};
};

/// Measures the file system of `dir` with a file that has no name and is gone
/// whatever happens. Blocks for as long as the budgets say, or for one piece of
/// 4 MiB longer. Any thread.
/// @returns `unreadable` (no such directory, or no right to write there),
/// `full` (less than 32 MiB are free) or `io`; the message says what to do.
result<disk_speed, store_error> measure_disk(const std::filesystem::path& dir,
                                             const disk_plan& plan);

/// Whether a peer runs with this data directory. False when it can't be told.
bool has_peer(const std::filesystem::path& dir);

} // namespace banyan::store
