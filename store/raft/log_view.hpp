#pragma once
#include "store/types.hpp"

#include <deque>
#include <vector>

namespace banyan::raft {

/// The tail of one log in memory: everything behind the base, including what
/// is not durable yet. Knows which part of it is written, and which is synced.
class log_view {
public:
  /// `entries` follow `base` and are all durable.
  log_view(log_base base, std::vector<log_entry> entries);

  [[nodiscard]] const log_base& base() const noexcept { return base_; }
  [[nodiscard]] log_index last_index() const noexcept;
  [[nodiscard]] term last_term() const noexcept;
  /// Everything up to here is synced, and still in the log.
  [[nodiscard]] log_index persisted() const noexcept { return persisted_; }
  /// Whether the term at `index` is known: from base to last.
  [[nodiscard]] bool knows(log_index index) const noexcept;
  /// Asserts `knows(index)`.
  [[nodiscard]] term term_at(log_index index) const;
  /// Asserts that it is behind the base and not past the end.
  [[nodiscard]] const log_entry& at(log_index index) const;
  [[nodiscard]] bool matches(log_index index, term t) const noexcept;
  /// The largest index at or below `index` whose term is at most `t`; the base
  /// when none is known.
  [[nodiscard]] log_index last_with_term_at_most(log_index index, term t) const;
  /// Entries [from, from + n) whose data is at most `bytes_max` in sum, at
  /// least one if there is any.
  [[nodiscard]] std::vector<log_entry> slice(log_index from, std::size_t n,
                                             std::size_t bytes_max) const;
  /// Entries [from, to].
  [[nodiscard]] std::vector<log_entry> range(log_index from,
                                             log_index to) const;

  void push(log_entry e);
  /// Drops `from` and what follows; writes under way no longer count for it.
  void truncate(log_index from);
  /// Begins anew behind `base`.
  void reset(const log_base& base);
  void trim(log_index index);

  /// What no write was ordered for yet.
  [[nodiscard]] bool has_unwritten() const noexcept;
  [[nodiscard]] std::vector<log_entry> unwritten() const;
  /// The write `number` carries all that was unwritten.
  void ordered(std::uint64_t number);
  /// `number` and all writes before it are synced.
  void synced(std::uint64_t number);
  void check_invariants() const;

private:
  struct write {
    std::uint64_t number = 0;
    log_index last; ///< lowered by truncation: what it may still vouch for
  };
  log_base base_;
  std::deque<log_entry> entries_;
  std::deque<write> writes_;
  log_index ordered_; ///< the last index that some write carries
  log_index persisted_;
};

} // namespace banyan::raft
