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

  /// Opens or makes `path`; unreadable slots count as zero.
  static result<watermark, store_error> open(file_system& files,
                                             const std::string& path);

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
