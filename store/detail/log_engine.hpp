#pragma once
#include "base/random.hpp"
#include "store/detail/files.hpp"
#include "store/detail/log_format.hpp"
#include "store/detail/watermark.hpp"
#include "store/log.hpp"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace banyan::store::detail {

class log_reader;

struct log_cut {
  group_id group;
  replica_id replica;
  log_index index;
};
struct log_drop {
  order_id order;
};
using log_action = std::variant<log_write, log_cut, log_drop>;

/// An action and how many `full` failures of its group had been delivered when
/// it was given: one given before the last of them is stale.
struct log_order {
  log_action action;
  std::uint64_t failures_seen = 0;
};

struct log_options {
  std::string folder = "log";
  std::string aside = "aside";
  std::size_t segment_bytes = std::size_t{64} << 20;
};

/// Where an entry lies, and its hash. The log keeps one per entry in memory.
struct log_slot {
  digest hash;
  banyan::term term;
  std::uint64_t segment = 0;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

/// One group's log without the entries' data.
struct group_head {
  replica_id replica;
  std::uint64_t sequence = 0;
  hard_state hard;
  log_base base;
  std::string damage; ///< empty when whole
};
struct group_log {
  group_head head;
  std::vector<log_slot> slots; ///< base.index + 1 and on

  [[nodiscard]] log_index last() const {
    return log_index{head.base.index.value() + slots.size()};
  }
  [[nodiscard]] const digest& end_hash() const {
    return slots.empty() ? head.base.hash : slots.back().hash;
  }
};

/// The segment log itself, synchronous: the threaded and the virtual log drive
/// it. Owned by one thread. `begin` then `finish` is one batch; a crash between
/// or within loses orders whose completion was not returned, from the end.
class log_engine {
public:
  /// Recovers. `files` and `random` must outlive the engine. Damaged bytes are
  /// set aside and everything whole is rewritten before this returns.
  static result<std::unique_ptr<log_engine>, store_error>
  open(file_system& files, random_source& random, log_options options,
       log_recovery& found);

  /// Takes as many orders from the front of `queue` as fit in one batch and
  /// writes them, un-synced. With an empty queue it may do housekeeping only.
  void begin(std::deque<log_order>& queue);
  /// Something is written or refused and waits for `finish`.
  [[nodiscard]] bool has_batch() const {
    return !flying_.empty() || !buffer_.empty();
  }
  /// Syncs what `begin` wrote and appends its completions, in order.
  void finish(std::vector<log_done>& out);
  /// After `finish`: frees and reserves segments. True when a `begin` with an
  /// empty queue has something to do.
  bool tidy();

  /// Re-reads synced bytes; between batches only (`has_batch` is false). What
  /// is still whole in a segment with bad bytes is copied out of it by the
  /// batches that follow; once nothing of it is needed, it is set aside.
  log_scrub scrub(log_place from, std::size_t bytes_max);

  [[nodiscard]] bool failed() const { return failed_; }
  /// A group as it is synced, without a batch that is only written.
  struct synced_end {
    replica_id replica;
    log_base base;
    log_base last; ///< the base when the log is empty
  };
  [[nodiscard]] std::optional<synced_end>
  synced_log(const group_id& group) const;
  [[nodiscard]] std::vector<group_id> groups() const;
  /// The chain hash of a synced entry.
  [[nodiscard]] std::optional<digest> synced_hash(const group_id& group,
                                                  log_index index) const;
  /// Where the entries of a group lie that the log still needs, by index.
  struct entry_place {
    std::string path;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] std::vector<entry_place>
  entry_places(const group_id& group) const;
  /// Numbers of the oldest and the newest segment.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> segments() const {
    return {segments_.begin()->first, segments_.rbegin()->first};
  }

private:
  struct segment {
    std::unique_ptr<file> data;
    std::uint64_t live_bytes = 0; ///< of entries not cut, truncated or moved
    bool pinned = false;          ///< nothing to move was found in it
    std::uint64_t length = 0;     ///< synced bytes, once a newer one is begun
    std::array<std::uint8_t, 16> salt{};
  };
  struct undo {
    group_id group;
    bool existed = true;
    group_head head;
    std::size_t slots_kept = 0;
    std::vector<log_slot> removed; ///< all from slots_kept on, if any went
  };
  struct flying {
    log_done done;
    std::uint64_t failures_seen = 0;
    bool reports = true; ///< a cut doesn't
  };

  friend class log_reader;

  log_engine(file_system& files, random_source& random, log_options options,
             watermark synced)
      : files_{files}, random_{random}, options_{std::move(options)},
        synced_{std::move(synced)} {}

  // log_scrub.cpp
  bool scrub_header(std::uint64_t number, const segment& s);
  std::uint64_t scrub_batch(std::uint64_t number, const segment& s,
                            std::uint64_t offset, std::uint64_t end,
                            log_scrub& out);
  void spoil(std::uint64_t number);
  bool entries_match(std::uint64_t number, std::uint64_t offset,
                     const std::vector<record>& records) const;
  [[nodiscard]] synced_end end_before(const group_id& group,
                                      const group_head& head,
                                      std::size_t slots) const;
  [[nodiscard]] const log_slot& slot_before(const group_id& group,
                                            std::size_t n) const;
  void blame(std::uint64_t number, std::uint64_t from, std::uint64_t to,
             log_scrub& out) const;

  outcome resume(log_reader& reader, watermark::mark synced,
                 log_recovery& found);

  // log_engine.cpp
  bool take(std::deque<log_order>& queue);
  std::optional<store_errc> check(const log_order& order) const;
  std::optional<store_errc> check(const log_write& w) const;
  void refuse(flying f, store_errc code);
  void apply(log_write& w, log_done& done);
  void apply(const log_cut& c);
  void apply(const log_drop& d);
  void add_record(record& r);
  undo& remember(const group_id& id, std::size_t slots_kept);
  void change_live(std::uint64_t number, std::int64_t bytes);
  void begin_batch();
  void write_batch();
  void fail_batch(store_errc code);
  [[nodiscard]] std::size_t order_bytes_max() const;
  [[nodiscard]] std::uint64_t current() const {
    return segments_.rbegin()->first;
  }

  // log_space.cpp
  outcome make_room(std::size_t bytes, bool essential);
  outcome roll(std::uint64_t number);
  outcome begin_segment(std::unique_ptr<file> data, std::uint64_t number);
  outcome make_reserve(std::uint64_t bytes);
  outcome get_reserve(std::uint64_t least);
  void retire_oldest();
  [[nodiscard]] bool wants_move() const;
  [[nodiscard]] bool wants_to_leave() const;
  void leave_spoiled();
  void leave_some(std::size_t bytes_max);
  outcome keep_aside(std::uint64_t number, std::string* kept_as = nullptr);
  void move_some(std::size_t bytes_max);
  outcome move_all(std::uint64_t up_to);
  bool move_group(const group_id& id, std::uint64_t up_to, std::size_t& budget,
                  bool past_bad = false);
  outcome set_aside(std::uint64_t up_to,
                    const std::vector<std::uint64_t>& damaged,
                    log_recovery& found);
  bool read_entry(const log_slot& s, log_entry& out);
  [[nodiscard]] std::string segment_path(std::uint64_t number) const;
  [[nodiscard]] std::string reserve_path() const {
    return options_.folder + "/reserve";
  }
  [[nodiscard]] std::uint64_t bytes_of(file& f) const;
  [[nodiscard]] std::size_t room(bool essential) const;

  file_system& files_;
  random_source& random_;
  log_options options_;
  watermark synced_;

  std::map<std::uint64_t, segment> segments_;
  std::array<std::uint8_t, 16> salt_{};
  std::uint64_t offset_ = 0;        ///< synced bytes of the newest segment
  std::uint64_t capacity_ = 0;      ///< of the newest segment
  std::uint64_t reserve_bytes_ = 0; ///< the next segment's file; 0: none
  bool failed_ = false;

  std::unordered_map<group_id, group_log> groups_;
  std::unordered_map<group_id, std::uint64_t> failures_;

  // The batch between `begin` and `finish`.
  bytes buffer_;
  std::uint32_t records_ = 0;
  std::vector<flying> flying_;
  std::vector<undo> undo_;
  std::vector<std::pair<std::uint64_t, std::int64_t>> live_change_;

  std::vector<group_id> to_move_; ///< groups with entries in the oldest segment
  std::uint64_t moving_ = 0;      ///< that segment
  std::set<std::uint64_t> spoiled_; ///< segments with bad bytes, by the scrub
  std::vector<group_id> to_leave_;  ///< groups to copy out of up to these
  bool leave_listed_ = false;
  std::uint64_t leave_retry_ = 0;   ///< no attempt before `offset_` is here
  std::uint64_t reserve_retry_ = 0; ///< no attempt before `offset_` is here
};

} // namespace banyan::store::detail
