#pragma once
#include "store/detail/checksum.hpp"
#include "store/state.hpp"

#include <optional>

/// How rows and metas lie in a key-value store. `key` is the database key.
///
///   row key   := number of the group's rows:8 big-endian, scan key
///   row value := checksum:16, index:8, flags:1, [key length:4, key,] value
///                (flags 1: the whole key follows; it was too long)
///   meta key  := app:32, shard:4 big-endian
///   meta      := checksum:16, msgpack [number, replica, index, term, hash,
///                configuration, opaque]
///
/// A checksum covers the key and all that follows it.
namespace banyan::store::detail {

bytes row_db_key(std::uint64_t number, const_bytes scan_key);
bytes encode_row(const_bytes db_key, const row_change& change);
/// Nothing when the checksum or the form is wrong.
std::optional<row> decode_row(const_bytes db_key, const_bytes value);

struct group_meta {
  std::uint64_t number = 0;
  replica_id replica;
  applied_meta applied;
};
bytes meta_db_key(const group_id& group);
bool decode_meta_key(const_bytes db_key, group_id& out);
bytes encode_meta(const_bytes db_key, const group_meta& meta);
std::optional<group_meta> decode_meta(const_bytes db_key, const_bytes value);

} // namespace banyan::store::detail
