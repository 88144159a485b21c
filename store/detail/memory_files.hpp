#pragma once
#include "base/random.hpp"
#include "store/detail/files.hpp"

#include <cstdint>
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
  /// The next sync of a file fails with `io`.
  void fail_next_sync() { fail_sync_ = true; }
  /// Writes fail with `full` even inside allocated space.
  void refuse_writes(bool refuse) { refuse_writes_ = refuse; }
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }
  /// The power goes at the n-th change from now (1: the next one): that and
  /// everything after it fails with `io`, until `crash`.
  void cut_power_after(std::uint64_t changes) { changes_left_ = changes; }

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

  bool fail_sync_ = false;
  std::uint64_t changes_left_ = UINT64_MAX;
  bool refuse_writes_ = false;
};

} // namespace banyan::store::detail
