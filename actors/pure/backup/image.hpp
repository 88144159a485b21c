#pragma once
#include "actors/pure/backup/cut.hpp"
#include "actors/pure/replica/snapshot_transfer.hpp"

#include <map>
#include <string>

namespace banyan::backup {

/// @name What a sealed part holds: key ranges with a hash, then the entries
/// that came while they were copied; the last entries say where they end.
/// @{
/// First byte; then an encoded `replica::snapshot_chunk` or
/// `replica::snapshot_entries`.
enum part_kind : std::uint8_t { part_rows = 0, part_entries = 1 };
/// @}

/// One shard put together again in memory from the parts of a backup: as a
/// follower installs a snapshot. Foreign input; bounded by the shard's size.
class shard_image {
public:
  /// `up_to`: no entry behind it is carried out (see `consistent_cut`); nothing
  /// given: all are, and the digest is checked.
  explicit shard_image(group_id group,
                       std::optional<log_index> up_to = std::nullopt);

  /// The next part; empty, or why it can't be. Then nothing more counts.
  [[nodiscard]] std::string add(const_bytes part);
  /// After the last part; empty, or why the whole is not right.
  [[nodiscard]] std::string finish();

  [[nodiscard]] const std::map<bytes, store::row>& rows() const {
    return rows_;
  }
  [[nodiscard]] const replica::group_tables& tables() const { return tables_; }
  /// Where the shard's replica stood as the copy ended.
  [[nodiscard]] const store::applied_meta& meta() const { return *meta_; }
  [[nodiscard]] const store::state_digest& digest() const { return digest_; }
  [[nodiscard]] duration log_time() const { return log_time_; }
  [[nodiscard]] const shard_marks& marks() const { return marks_; }
  [[nodiscard]] std::uint64_t actors() const;
  /// Keys and values.
  [[nodiscard]] std::uint64_t size() const;

private:
  std::string add_rows(const_bytes payload);
  std::string add_entries(const_bytes payload);
  void mark(const replica::entry& e, log_index index);
  void begin_entries();

  const group_id group_;
  const std::optional<log_index> up_to_;
  std::map<bytes, store::row> rows_;
  replica::group_tables tables_;
  bytes position_;
  bool rows_done_ = false;
  std::optional<log_index> begin_; ///< the smallest applied index of any chunk
  log_index newest_;
  log_index next_entry_;
  std::optional<store::applied_meta> meta_;
  store::state_digest digest_;
  duration log_time_{};
  shard_marks marks_;
};

} // namespace banyan::backup
