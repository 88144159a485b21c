#pragma once
#include "store/disk.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace banyan::store {

/// Runs a closure on the loop, this much virtual time from now.
using schedule_function = std::function<void(duration, std::function<void()>)>;

/// The disk of one simulated node: survives its restarts. What `open` returns
/// keeps the contracts of log, state and documents; the log and the documents
/// are the real code over simulated files, the state is a map.
///
/// One thread, no I/O; the same seed and calls give the same run.
class virtual_disk {
public:
  struct options {
    std::uint64_t seed = 1;
    duration sync_low = 50us; ///< an fsync takes [low, high)
    duration sync_high = 200us;
    duration read_low = 5us; ///< one state read or scan
    duration read_high = 20us;
    std::size_t segment_bytes = std::size_t{1} << 20;
    /// The state's check at each open takes [low, high) and finds what is bad;
    /// with high = 0 the state is trusted and open at once.
    duration check_low{0};
    duration check_high{0};
  };

  /// `schedule` and `now` must outlive the disk.
  virtual_disk(options how, schedule_function schedule,
               std::function<time_point()> now);
  ~virtual_disk();
  virtual_disk(const virtual_disk&) = delete;
  virtual_disk& operator=(const virtual_disk&) = delete;

  /// Boots: recovers what is durable. One instance at a time: the one before
  /// must have been destroyed or crashed.
  disk open();

  /// Power cut: of every write that was not synced an arbitrary part is lost,
  /// each for itself (seeded: nothing, all, a prefix or single sectors of 512
  /// bytes of it stays). The open instance is dead: it completes nothing any
  /// more and may be destroyed later.
  void crash();
  /// `kill -9`: the process is gone, all that was written stays.
  void kill();
  /// A new, empty disk.
  void wipe();

  /// @name Faults. Of this disk: they stay over restarts until they happened
  /// @{
  /// The power goes at the n-th change from now (1: the next; a write, a sync,
  /// a new name or a state commit counts): it and all later ones don't happen,
  /// and the instance is dead from then on. `on_cut` runs soon after, on the
  /// loop: there the process ends and `crash()` is called.
  void crash_at_change(std::uint64_t n, std::function<void()> on_cut);
  /// See `options::check_low`; from the next open on.
  void set_check_time(duration low, duration high);
  /// Every sync from now on takes this much longer; zero is normal again.
  void set_sync_delay(duration more);
  /// Refuses what needs space with `full`, until false again.
  void set_full(bool full);
  /// Log and documents are refused what they write into their own space, too.
  void refuse_writes(bool refuse);
  /// The next sync, or write, of log or documents fails: `io`.
  void fail_next_sync();
  void fail_next_write();
  /// The next state commit, or read or scan, fails: `io`.
  void fail_next_commit();
  void fail_next_read();
  /// Takes back the four above.
  void fail_nothing();
  /// The next write of a log batch lands elsewhere in its segment; what was
  /// meant to change stays as it was. Both syncs succeed.
  void misdirect_next_batch();
  /// The next row that is written lands under the key of another row of its
  /// group.
  void misdirect_next_row();
  /// @}

  /// @name Rot at rest
  /// One bit flips: by seeded choice, or where it is told. False when there is
  /// nothing of the kind.
  /// @{
  bool rot_log();
  /// In an entry of this group that the log still needs. While it runs.
  bool rot_log(const group_id& group);
  bool rot_row();
  bool rot_row(const group_id& group, const_bytes key);
  bool rot_meta();
  bool rot_meta(const group_id& group);
  /// The structure of the state: what is open goes on, the check at the next
  /// open finds it.
  bool rot_state();
  bool rot_documents();
  bool rot_module();
  /// In the key of a row, which is then missing under its own. Who reads it by
  /// that hears of none; the check at open, a scan and a scrub meet the other.
  bool rot_key();
  /// Removes a row without a trace, as a lost write does: only the digest
  /// tells.
  bool lose_row();
  /// @}

  /// All of it as it is now, as a copy of the machine's disk would hold it.
  class image;
  [[nodiscard]] std::shared_ptr<const image> copy() const;
  /// An old copy is put back: the instance is dead, as after `kill`.
  void restore(const std::shared_ptr<const image>& old);

  /// Synced files and state commits since the disk was made.
  [[nodiscard]] std::uint64_t syncs() const;
  /// Changes as `crash_at_change` counts them.
  [[nodiscard]] std::uint64_t changes() const;

  /// @name For checkers that stand outside
  /// @{
  /// Each group that a commit or an install has stored, at that instant.
  using commit_observer =
      std::function<void(const group_id&, const replica_id&,
                         const applied_meta&, const state_digest&)>;
  void on_state_commit(commit_observer f);
  /// Where the synced log of a group ends. Of a disk that is down: where it
  /// ended at the last instant (a crash may have kept more).
  struct synced_log {
    replica_id replica;
    log_base base;
    log_base last; ///< the base when the log is empty
  };
  [[nodiscard]] std::optional<synced_log>
  log_synced(const group_id& group) const;
  /// The chain hash of a synced entry; nothing also when the disk is down.
  [[nodiscard]] std::optional<digest> log_hash(const group_id& group,
                                               log_index index) const;
  /// Whether the rows of a group are those that its digest was kept for.
  /// Nothing when it has none here.
  [[nodiscard]] std::optional<bool> digest_holds(const group_id& group) const;
  /// @}

  struct impl;

private:
  std::shared_ptr<impl> impl_;
};

} // namespace banyan::store
