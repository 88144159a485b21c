#pragma once
#include "base/random.hpp"
#include "store/detail/files.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace banyan::store::detail {

/// A directory tree in memory that knows what was synced. The log and the
/// documents run on it in the simulator and in fault tests. One thread.
///
/// Like a journalling file system: names change in order and may be lost from
/// the end backwards until their folder is synced; an un-synced write may stay,
/// vanish, be cut short or be torn between sectors of 512 bytes.
class memory_files final : public file_system {
public:
  memory_files();
  ~memory_files() override;

  result<std::unique_ptr<file>, store_error> open(const std::string& path,
                                                  bool create) override;
  result<std::vector<std::string>, store_error>
  list(const std::string& folder) override;
  outcome rename(const std::string& from, const std::string& to) override;
  outcome remove(const std::string& path) override;
  outcome sync_folder(const std::string& folder) override;
  outcome make_folder(const std::string& folder) override;
  [[nodiscard]] std::string describe(const std::string& path) const override;

  /// Power cut. Open files are dead afterwards: they fail with `io`.
  void crash(random_source& random);
  /// Process death: open files are dead, everything written stays.
  void kill();

  /// A copy of the tree as a process would see it now; all of it synced.
  [[nodiscard]] std::unique_ptr<memory_files> copy() const;

  /// Allocated bytes are bounded by this; over it: `full`.
  void set_quota(std::uint64_t bytes_max) { quota_ = bytes_max; }
  /// Bytes allocated now.
  [[nodiscard]] std::uint64_t used() const;
  /// The next sync, or write, of a file fails with `io`.
  void fail_next_sync() { fail_sync_ = true; }
  void fail_next_write() { fail_write_ = true; }
  void fail_nothing() { fail_sync_ = fail_write_ = false; }
  /// The next write to a file whose name has `part` in it goes to another
  /// place of it, by chance, a multiple of 512 bytes away.
  void misdirect_next_write(std::string part) { misdirect_ = std::move(part); }
  /// Writes fail with `full` even inside allocated space.
  void refuse_writes(bool refuse) { refuse_writes_ = refuse; }
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }
  /// The power goes at the n-th change from now (1: the next one): that and
  /// everything after it fails with `io`, until `crash`.
  void cut_power_after(std::uint64_t changes,
                       std::function<void()> on_cut = {}) {
    changes_left_ = changes;
    on_cut_ = std::move(on_cut);
  }
  /// Armed faults (power, failures, misdirection) keep for later.
  void faults_wait(bool wait) { faults_wait_ = wait; }
  /// Counts a change that isn't of a file; false when the power is off.
  bool other_change() { return change().ok(); }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }

  /// Content for tests: reads and changes without a trace. Null when missing.
  bytes* content(const std::string& path);

private:
  struct inode;
  class handle;
  using names = std::map<std::string, std::shared_ptr<inode>>;

  names names_;
  std::vector<names> undo_; ///< before each un-synced change of names
  std::uint64_t quota_ = UINT64_MAX;
  std::uint64_t life_ = 0;
  std::uint64_t syncs_ = 0;
  outcome change();

  bool faults_wait_ = false;
  bool fail_sync_ = false;
  bool fail_write_ = false;
  std::string misdirect_;
  seeded_random astray_{0x5eed};
  std::uint64_t changes_ = 0;
  std::function<void()> on_cut_;
  std::uint64_t changes_left_ = UINT64_MAX;
  bool refuse_writes_ = false;
};

} // namespace banyan::store::detail
