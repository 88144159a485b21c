#pragma once
#include "actors/pure/backup/image.hpp"

#include <functional>

namespace banyan::backup {

/// What becomes of one shard's rows when it is restored as a new app.
struct restored_counts {
  std::uint64_t actors = 0;
  std::uint64_t rows = 0; ///< of tables
  std::uint64_t timers = 0;
  std::uint64_t answers = 0;       ///< of idempotency keys
  std::uint64_t messages = 0;      ///< between shards, sent again
  std::uint64_t messages_left = 0; ///< to other apps: not sent again
  std::uint64_t sessions = 0;      ///< ended: their clients get `expired`
  bool was_stopped = false;
};

/// The shard, as it stood at the cut, as entries of a new group: actors and
/// their tables, timers with what was left of their time, answers of
/// idempotency keys, and the messages to shards of its own app that those had
/// not taken at the cut, numbered anew: the group begins a new lineage.
/// Sessions, poison records and messages to other apps stay behind. Loading
/// the same entries twice leaves what loading them once does.
/// `put` gets each encoded entry (at most a few MiB) and says whether to go on.
/// @returns empty, or why the shard can't be restored.
[[nodiscard]] std::string
make_entries(const shard_image& image, std::uint32_t shard,
             const std::vector<shard_marks>& marks, const cut& at,
             const app_id& old_app, const app_id& new_app,
             const std::string& old_name, const std::string& new_name,
             restored_counts& counts,
             const std::function<bool(const bytes& entry)>& put);

} // namespace banyan::backup
