#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <filesystem>
#include <string>

namespace banyan {

enum class key_file_errc : std::uint8_t {
  missing = 1, ///< There is no such file.
  exposed,     ///< Others may read or write it; `chmod 600` helps.
  malformed,   ///< Not what this file should hold.
  exists,      ///< `create` never overwrites a key.
  io,          ///< The system said no: see the message.
};

/// `message` names the file, the cause and the next step; it never holds any
/// of the file's content.
struct key_file_error {
  key_file_errc code;
  std::string message;
};

/// Files that hold secrets: 0600, never overwritten, on disk before the call
/// returns. Every call blocks for the disk.
namespace key_file {

inline constexpr std::size_t size_max = 64U * 1024;

/// The whole file. The caller wipes it.
/// @returns `missing`, `exposed` (group or others have any right), `malformed`
/// (larger than `size_max`, or no regular file) or `io`.
result<bytes, key_file_error> read(const std::filesystem::path& file);

/// Writes a new file of mode 0600. A crash leaves the whole file or none. Of
/// two that create at once one gets `exists`.
/// @returns `exists` or `io`.
result<void, key_file_error> create(const std::filesystem::path& file,
                                    const_bytes content);

} // namespace key_file
} // namespace banyan
