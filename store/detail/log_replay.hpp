#pragma once
#include "store/detail/log_engine.hpp"
#include "store/detail/log_format.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace banyan::store::detail {

/// Rebuilds every group's log from the records of all segments, in order, and
/// keeps book of what can't be proved to be there. Pure.
///
/// After a gap (bytes that were synced and are bad) every group is suspect: its
/// last record may have been in the gap. It is cleared by a later record whose
/// sequence follows on, or by a later checkpoint. Entries are proved by their
/// hash chain.
class log_replay {
public:
  struct entry {
    log_entry data;
    digest previous;
    digest hash;
    std::uint64_t segment = 0;
    std::uint64_t offset = 0; ///< of the encoded entry in the segment
    std::uint64_t bytes = 0;
    bool present = false; ///< false: a checkpoint named it, not yet found
  };
  struct group {
    group_head head;
    std::deque<entry> entries; ///< base.index + 1 and on
    digest end;                ///< the chain at the end, as last recorded
    bool suspect = false;

    [[nodiscard]] log_index last() const {
      return log_index{head.base.index.value() + entries.size()};
    }
  };

  /// The records of the batch at `offset` of `segment`, in order.
  void add(std::uint64_t segment, std::uint64_t offset,
           std::vector<record> records, bool checkpoint);
  /// Synced bytes at this place of the log are bad or gone.
  void gap();
  /// After the last record: decides which groups are whole; of the others keeps
  /// the entries before the first hole.
  void close();

  [[nodiscard]] bool damaged() const { return gaps_ > 0; }
  std::map<group_id, group>& groups() { return groups_; }

private:
  void on_write(group& g, bool known, record& r, std::uint64_t segment,
                std::uint64_t offset);
  void on_cut(group& g, const record& r);
  void on_checkpoint(group& g, bool known, const record& r);
  void on_move(group& g, record& r, std::uint64_t segment,
               std::uint64_t offset);
  static void follow(group& g, const record& r);
  static void raise_base(group& g, const log_base& base);

  std::map<group_id, group> groups_;
  unsigned gaps_ = 0;
};

} // namespace banyan::store::detail
