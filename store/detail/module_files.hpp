#pragma once
#include "store/detail/files.hpp"
#include "store/modules.hpp"

#include <map>
#include <memory>
#include <string>

namespace banyan::store::detail {

/// What `modules` promises, over a directory tree: `FOLDER/<hash>.so` and
/// `FOLDER/<hash>.part`, the hash in hexadecimal. One thread; blocks.
class module_files {
public:
  /// `files` is borrowed.
  module_files(file_system& files, std::string folder);

  /// What a start finds; files of other names are let alone. Makes the folder.
  result<std::map<digest, modules::held>, store_error> look();
  outcome append(const digest& hash, std::uint64_t offset, const_bytes piece);
  outcome finish(const digest& hash);
  outcome check(const digest& hash);
  result<bytes, store_error> read(const digest& hash, std::uint64_t offset,
                                  std::size_t size);
  outcome drop(const digest& hash);
  [[nodiscard]] std::string path(const digest& hash) const;

private:
  [[nodiscard]] std::string whole(const digest& hash) const;
  [[nodiscard]] std::string partial(const digest& hash) const;
  /// Nothing when there is no such file.
  result<std::unique_ptr<file>, store_error> open(const std::string& path,
                                                  bool create = false);
  result<digest, store_error> hash_of_all(file& f);

  file_system& files_;
  std::string folder_;
};

} // namespace banyan::store::detail
