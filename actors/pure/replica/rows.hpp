#pragma once
#include "actors/pure/replica_core.hpp"

#include <string_view>

/// Row keys: [kind u8][rest], numbers big-endian so that rows of one owner are
/// neighbours in ascending order. On disk: never changed, only added to.
namespace banyan::replica {

bytes actor_row(std::string_view actor);
bytes table_prefix(std::string_view actor);
bytes table_row(std::string_view actor, const_bytes key);
bytes session_row(std::uint64_t session);
bytes answer_row(std::uint64_t session, std::uint64_t number);
bytes idempotency_row(const_bytes key_hash);
bytes outbox_row(const group_id& to, std::uint64_t number);
bytes stream_out_row(const group_id& to);
bytes stream_in_row(const group_id& from, const lineage_id& lineage);
/// `id` as made by `timer_name` or `timer_unnamed`.
bytes timer_row(std::string_view actor, const_bytes id);
bytes timer_named(std::string_view name);
bytes timer_unnamed(log_index set_at, std::uint32_t number);
bytes poison_row(const_bytes request_key);
bytes stopped_row();
/// This state was found wrong: it counts as lost after a restart, too. Goes
/// with the rows as another replica's snapshot takes their place.
bytes given_up_row();
/// @name Of the app's version: bits, `group_versions`, `state_written`
/// @{
bytes features_row();
bytes version_row();
bytes written_row();
/// @}

inline row_kind kind_of(const_bytes key) {
  return key.empty() ? row_kind{0} : static_cast<row_kind>(key[0]);
}

/// Reads a key apart; every getter fails softly once something is missing.
class key_reader {
public:
  explicit key_reader(const_bytes key) : in_{key.empty() ? key : key.from(1)} {}
  std::uint64_t u64();
  std::uint32_t u32();
  std::uint8_t u8();
  const_bytes take(std::size_t n);
  group_id group();
  [[nodiscard]] const_bytes rest() const { return in_; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool done() const { return ok_ && in_.empty(); }

private:
  const_bytes in_;
  bool ok_ = true;
};

/// What a row costs in memory and in a batch, roughly.
inline std::size_t cost_of(const store::row_change& c) {
  return 64 + c.key.size() + (c.value ? c.value->size() : 0);
}

} // namespace banyan::replica
