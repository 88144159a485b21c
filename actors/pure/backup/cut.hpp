#pragma once
#include "base/ids.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace banyan::backup {

/// What one shard's entries say of the messages between the shards of its app,
/// as far as a backup holds them.
struct shard_marks {
  struct mark {
    log_index index;
    std::uint64_t number = 0;
  };
  /// A stream to or from another shard: the last number once all entries are
  /// carried out, and the entries (ascending) that brought it there.
  struct stream {
    std::uint64_t last = 0;
    std::vector<mark> marks;
  };
  log_index lowest; ///< the rows are as new as this
  log_index highest;
  std::map<std::uint32_t, stream> taken;        ///< by the shard they come from
  std::map<std::uint32_t, stream> sent;         ///< by the shard they go to
  std::map<std::uint32_t, stream> acknowledged; ///< the same; marks are totals
};

struct cut {
  std::vector<log_index> at; ///< by shard
  std::string impossible;    ///< why there is none; then `at` is as copied
};

/// Each shard was copied up to an index of its own. The latest set of indexes
/// at which no shard has taken a message that its sender has not sent, and none
/// has forgotten a message that its receiver has not taken: restored there, no
/// message between shards is lost or doubled. There is one whenever each
/// shard's entries reach past the moment at which all rows had been copied.
[[nodiscard]] cut consistent_cut(const std::vector<shard_marks>& shards);

/// How far the receiver has taken the stream from `from`, at `index`.
[[nodiscard]] std::uint64_t taken_at(const shard_marks& s, std::uint32_t from,
                                     log_index index);

} // namespace banyan::backup
