#pragma once
#include "store/detail/checksum.hpp"
#include "store/state.hpp"

#include <optional>
#include <string>
#include <string_view>

/// How rows and metas lie in a key-value store. `key` is the database key.
///
///   row key   := number of the group's rows:8 big-endian, scan key
///   row value := seal:32, key check:4, index:8, flags:1,
///                [key length:4, key,] value
///                (flags 1: the whole key follows; it was too long)
///   seal      := the row's hash, its first 8 bytes xor number little-endian
///   meta key  := app:32, shard:4 big-endian
///   meta      := checksum:16, msgpack [number, replica, index, term, hash,
///                configuration, opaque, digest]
///   info      := checksum:16, text
///
/// The seal proves that a row is what was written, for this key of this group,
/// under this number; and gives its part of the digest without hashing anew.
/// A checksum covers the database key and all that follows it.
namespace banyan::store::detail {

bytes row_db_key(std::uint64_t number, const_bytes scan_key);
/// Of a row's key in the database; whatever is missing counts as zero.
std::uint64_t number_of(const_bytes db_key);
bytes encode_row(const_bytes db_key, const row_change& change,
                 const digest& hash);
/// Nothing when the seal or the form is wrong.
std::optional<row> decode_row(const group_id& group, const_bytes db_key,
                              const_bytes value);
/// The same without a copy: the row's hash.
std::optional<digest> check_row(const group_id& group, const_bytes db_key,
                                const_bytes value);
/// What a row says its hash is; unproved.
digest sealed_hash(const_bytes db_key, const_bytes value);
/// What its content says it is, if it has the form of a row.
std::optional<digest> content_hash(const group_id& group, const_bytes db_key,
                                   const_bytes value);
/// Of a damaged row: whether it stands under its own key, so that it can be
/// mended by it. Otherwise another row is missing, nobody knows which.
bool key_is_whole(const group_id& group, const_bytes db_key, const_bytes value);

struct group_meta {
  std::uint64_t number = 0;
  replica_id replica;
  applied_meta applied;
  state_digest rows;
};
bytes meta_db_key(const group_id& group);
bool decode_meta_key(const_bytes db_key, group_id& out);
bytes encode_meta(const_bytes db_key, const group_meta& meta);
std::optional<group_meta> decode_meta(const_bytes db_key, const_bytes value);

constexpr std::string_view format_key = "format";
constexpr std::string_view format_text = "banyan state 2";
bytes encode_info(std::string_view key, std::string_view text);
/// Empty when it is damaged.
std::string decode_info(std::string_view key, const_bytes value);

} // namespace banyan::store::detail
