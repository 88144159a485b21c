#pragma once
#include "actors/pure/replica/sessions.hpp"
#include "actors/pure/replica/streams.hpp"
#include "actors/pure/replica/timers.hpp"

namespace banyan::replica {

/// A group's own rows (kinds session and up), decoded and whole in memory on
/// every replica, so that duplicate checks, timers and streams never wait for
/// the disk. On a leader they cover its whole log, elsewhere what is committed.
class group_tables {
public:
  session_table sessions;
  idempotency_table idempotency;
  stream_table streams;
  timer_table timers;
  bool stopped = false;
  feature_bits features = 0;
  std::optional<group_versions> versions;
  std::optional<state_written> written;
  std::uint64_t version_changes = 0; ///< of the three above

  /// Takes a row (no value: erased). False, changing nothing, when key or
  /// value are not well formed: the row is damaged. Kinds actor and table are
  /// not ours: true.
  bool apply(const_bytes key, const std::optional<shared_bytes>& value,
             log_index index);
  struct raw_row {
    shared_bytes value;
    log_index index;
  };
  /// The row as `apply` got it, for undoing; nothing if there is none.
  [[nodiscard]] std::optional<raw_row> get(const_bytes key) const;
  /// Where `versions` was written.
  [[nodiscard]] log_index versions_index() const { return versions_index_; }

  /// Poison records that stand against a request; null: none.
  [[nodiscard]] const std::vector<poison_record>*
  poison(const bytes& request) const;

  struct poisoned {
    std::vector<poison_record> records;
    log_index index;
  };
  [[nodiscard]] const std::map<bytes, poisoned>& all_poison() const noexcept {
    return poison_;
  }

private:
  std::map<bytes, poisoned> poison_;
  bool apply_group(const_bytes key, const std::optional<shared_bytes>& value,
                   log_index index);
  [[nodiscard]] std::optional<raw_row> get_group(const_bytes key) const;
  log_index stopped_index_;
  log_index features_index_;
  log_index versions_index_;
  log_index written_index_;
};

/// The row changes that an entry makes at `index`, in order. They depend on
/// the entry and, for what it erases, on `t`, so that every replica gets the
/// same. Each change is absolute: replaying entries over rows that already hold
/// some of them ends in the same rows.
void derive(const entry& e, log_index index, const group_tables& t,
            std::vector<store::row_change>& out);

/// The actor whose state or tables the entry may have changed; empty: none.
std::string_view touched_actor(const entry& e);

} // namespace banyan::replica
