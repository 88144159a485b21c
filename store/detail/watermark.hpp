#pragma once
#include "store/detail/files.hpp"

#include <cstdint>

namespace banyan::store::detail {

/// How far a file was synced, as a hint that is written but not synced itself:
/// after a process crash it is exact, after a power cut it may be old, never
/// ahead. Two checksummed slots are used in turn, so one is always whole.
class watermark {
public:
  struct mark {
    std::uint64_t number = 0; ///< of the file, where there are several
    std::uint64_t length = 0;
    friend bool operator<(const mark& a, const mark& b) {
      return a.number != b.number ? a.number < b.number : a.length < b.length;
    }
  };

  /// When the disk is too full to make the file.
  enum class room : std::uint8_t {
    required, ///< It can't be opened: `full`.
    wished,   ///< It is opened without a mark; the first one that finds room is
              ///< kept. For what can be rebuilt from others: no mark is the
              ///< oldest mark. It calls nothing lost that isn't; it only can't
              ///< prove that something is.
  };

  /// Opens or makes `path`; unreadable slots count as zero. A file that is long
  /// enough needs no space, and what it says counts, however full the disk is.
  static result<watermark, store_error>
  open(file_system& files, const std::string& path, room needs);

  /// The mark in `path`; zero when there is none. Changes nothing.
  static result<mark, store_error> read(file_system& files,
                                        const std::string& path);

  [[nodiscard]] mark last() const noexcept { return last_; }
  /// Lost when it fails: only a hint.
  void set(mark m);

private:
  outcome load();
  explicit watermark(std::unique_ptr<file> f) : file_{std::move(f)} {}
  std::unique_ptr<file> file_;
  mark last_;
  unsigned slot_ = 0;
};

} // namespace banyan::store::detail
