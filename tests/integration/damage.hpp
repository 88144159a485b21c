#pragma once
#include "base/bytes.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::test {

/// A file of a stopped store (or, since the mapping and the file are one, of a
/// running one), to be harmed byte by byte.
class victim_file {
public:
  explicit victim_file(std::filesystem::path path);
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] const bytes& content() const { return bytes_; }
  /// Writes one changed byte through to the file.
  void flip(std::size_t at, std::uint8_t mask = 0x10);
  void zero(std::size_t at, std::size_t count);

private:
  void write(std::size_t at, std::size_t count);
  std::filesystem::path path_;
  bytes bytes_;
};

/// Files and folders as they are, without sockets.
void copy_directory(const std::filesystem::path& from,
                    const std::filesystem::path& to);

/// LMDB's pages as they lie in the file (its format is stable: MDB_DATA_VERSION
/// 1): 8 bytes page number, 2 pad, 2 flags, 2 + 2 bounds, then node offsets.
namespace lmdb_page {
inline constexpr std::size_t bytes_each = 4096;
inline constexpr std::uint16_t branch = 0x01;
inline constexpr std::uint16_t leaf = 0x02;
inline constexpr std::uint16_t meta = 0x08;
/// Indexes of the pages with this flag; stale ones too.
std::vector<std::size_t> with(const bytes& file, std::uint16_t flag);
/// Where the last byte of the data of each small node lies whose key contains
/// `part`.
std::vector<std::size_t> data_of(const bytes& file, std::string_view part);
} // namespace lmdb_page

} // namespace banyan::test
