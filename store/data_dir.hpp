#pragma once
#include "store/disk.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace banyan::store {

/// `f_type` of the file system that holds a path; injectable for tests.
using statfs_function =
    std::function<result<std::int64_t, store_error>(const std::string& path)>;
statfs_function system_statfs();
/// NFS, SMB, CIFS, AFS, Ceph, 9p, FUSE and the like.
bool is_network_file_system(std::int64_t type) noexcept;

/// A node's directory, locked for this process as long as the object lives:
/// `LOCK`, `log/`, `state/`, `documents`, `modules/`, `aside/` (damaged files,
/// kept).
class data_dir {
public:
  struct options {
    statfs_function statfs = system_statfs();
  };

  /// Makes the directory (0700) and its parents when missing.
  /// @returns `in_use` (the message names the process), `network_fs`,
  /// `unreadable` (rights, another owner, a file in the way), `full` or `io`.
  static result<data_dir, store_error> open(const std::filesystem::path& dir,
                                            const options& how);
  static result<data_dir, store_error> open(const std::filesystem::path& dir);

  data_dir(data_dir&&) noexcept;
  data_dir& operator=(data_dir&&) noexcept;
  data_dir(const data_dir&) = delete;
  data_dir& operator=(const data_dir&) = delete;
  ~data_dir(); ///< unlocks

  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  [[nodiscard]] std::filesystem::path log_path() const;
  [[nodiscard]] std::filesystem::path state_path() const;
  [[nodiscard]] std::filesystem::path documents_path() const;
  [[nodiscard]] std::filesystem::path aside_path() const;

  /// The stop before this start was announced with `mark_clean`. True for a new
  /// directory.
  [[nodiscard]] bool was_clean() const noexcept;
  /// Call last, after log, state and documents are closed.
  result<void, store_error> mark_clean();

private:
  data_dir(std::filesystem::path path, int lock, bool clean);
  std::filesystem::path path_;
  int lock_ = -1;
  bool was_clean_ = true;
};

/// What a check of the state found.
struct state_verdict {
  bool ok = true;
  std::string damage; ///< for people; empty when ok
};
/// Judges the state directory `state` without opening it in this process (bad
/// pages can crash LMDB): see `verify_state`. Called on the loop thread inside
/// `open_disk`; calls back once, there, whenever it is done. What it gave is
/// dropped when the disk is gone by then.
using state_check_function =
    std::function<void(const std::filesystem::path& state,
                       std::function<void(state_verdict)> on_done)>;

struct disk_options {
  post_function post; ///< required
  std::function<time_point()> now = [] {
    return std::chrono::steady_clock::now();
  };
  std::size_t segment_bytes = std::size_t{64} << 20;
  std::size_t map_bytes = std::size_t{64} << 30; ///< LMDB's address space
  /// Soft quota for the state, at most `map_bytes`; 0 means `map_bytes`.
  std::size_t state_bytes_max = 0;
  /// Without one the state is trusted and opened at once.
  state_check_function state_check;
  /// Whether logs and votes here count no more, as the documents tell: then the
  /// log is set aside, whole, and an empty one is begun.
  std::function<bool(const documents&)> log_is_void;
  statfs_function statfs = system_statfs();
};

/// Opens log and documents of `dir`, which must outlive the result, and the
/// state after its check; starts their threads. Blocks while it reads the log.
/// A state that the check or LMDB calls bad is set aside and begun anew.
result<disk, store_error> open_disk(const data_dir& dir,
                                    const disk_options& options);

} // namespace banyan::store
