#pragma once
#include "store/disk.hpp"

#include <cstdint>
#include <functional>
#include <memory>

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

  /// Power cut: of every write that was not synced an arbitrary part is lost
  /// (seeded: nothing, all, a prefix or single sectors of it stays). The open
  /// instance is dead: it completes nothing any more and may be destroyed
  /// later.
  void crash();
  /// `kill -9`: the process is gone, all that was written stays.
  void kill();
  /// A new, empty disk.
  void wipe();

  /// Every sync from now on takes this much longer; zero is normal again.
  void set_sync_delay(duration more);
  /// Refuses what needs space with `full`, until false again.
  void set_full(bool full);
  /// The next sync fails: `io`.
  void fail_next_sync();
  /// Flips one bit of the synced log bytes, or of a stored row: seeded choice.
  /// False when there is nothing to flip.
  bool rot_log();
  bool rot_row();

  /// Synced batches since the disk was made: for crash at the n-th write.
  [[nodiscard]] std::uint64_t syncs() const;

  struct impl;

private:
  std::shared_ptr<impl> impl_;
};

} // namespace banyan::store
