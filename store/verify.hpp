#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/errors.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace banyan::store {

/// What `verify_state` read and found.
struct state_report {
  /// Why the file as a whole can't be trusted; empty: it may be opened.
  std::vector<std::string> bad;
  /// Rows and metas whose own checksum is wrong, where all else is proved
  /// (structure, keys, and each digest, with what is left of the row): it may
  /// be opened, and each is mended alone, a row by key, a group by rebuilding.
  std::vector<std::pair<group_id, bytes>> damaged_rows; ///< scan keys
  std::vector<group_id> damaged_groups;

  /// Memory or file handles ran out: nothing above counts, and it has to be
  /// read again later. Empty: it was read to its end.
  std::string later;

  std::uint64_t groups = 0;
  std::uint64_t rows = 0;
  std::uint64_t bytes_read = 0;

  [[nodiscard]] bool ok() const { return bad.empty(); }
  /// Nothing was wrong, not even a row.
  [[nodiscard]] bool spotless() const {
    return ok() && damaged_rows.empty() && damaged_groups.empty();
  }
};

/// Bytes done and in all, now and then.
using verify_progress =
    std::function<void(std::uint64_t done, std::uint64_t all)>;

/// Reads the whole state in the directory `state` (LMDB's, not the data
/// directory), which nobody may have open: each row's hash, each meta, each
/// group's digest, the page structure and the free list. Changes nothing. An
/// empty directory is whole.
///
/// For a process of its own: LMDB may crash on bad pages, or loop; a signal, or
/// no end, means bad.
/// @returns `in_use`, `unreadable` or `io` when it can't be judged.
result<state_report, store_error>
verify_state(const std::filesystem::path& state,
             const verify_progress& progress = {});

} // namespace banyan::store
