#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/errors.hpp"

#include <memory>
#include <string>
#include <vector>

namespace banyan::store::detail {

using outcome = result<void, store_error>;

/// An open file. Offsets and sizes are in bytes. Closes itself.
class file {
public:
  virtual ~file() = default;
  /// All of `b` at `offset`, or an error after an unknown part of it.
  virtual outcome write(std::uint64_t offset, const_bytes b) = 0;
  /// Fills `out`; returns how much there was (less at the end of the file).
  virtual result<std::size_t, store_error>
  read(std::uint64_t offset, std::uint8_t* out, std::size_t size) = 0;
  /// Data, and what is needed to read it back, are on the disk.
  virtual outcome sync() = 0;
  /// Reserves space and extends the file to `size`; keeps what it holds.
  virtual outcome allocate(std::uint64_t size) = 0;
  virtual outcome truncate(std::uint64_t size) = 0;
  virtual result<std::uint64_t, store_error> size() = 0;
};

/// What log and documents need of a directory tree: the system's, or one in
/// memory that can lose un-synced writes. Paths are relative to its root and
/// have at most one folder in them.
class file_system {
public:
  virtual ~file_system() = default;
  /// Nothing when it isn't there and `create` is false.
  virtual result<std::unique_ptr<file>, store_error>
  open(const std::string& path, bool create) = 0;
  /// The names in `folder`, sorted.
  virtual result<std::vector<std::string>, store_error>
  list(const std::string& folder) = 0;
  /// Replaces `to`.
  virtual outcome rename(const std::string& from, const std::string& to) = 0;
  virtual outcome remove(const std::string& path) = 0;
  /// Made, renamed and removed names in `folder` are on the disk.
  virtual outcome sync_folder(const std::string& folder) = 0;
  virtual outcome make_folder(const std::string& folder) = 0;
  /// For messages.
  [[nodiscard]] virtual std::string describe(const std::string& path) const = 0;
};

/// Files below `root`, which exists.
std::unique_ptr<file_system> system_files(std::string root);

/// Whole content; fails with `io` when it changes while reading.
result<bytes, store_error> read_all(file& f);

} // namespace banyan::store::detail
