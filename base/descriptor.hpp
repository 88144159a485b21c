#pragma once
#include <unistd.h>

#include <utility>

namespace banyan {

/// Owns an open descriptor of the system, or none (-1): closes it at its end.
/// Moved from it has none. What `close` says is not heard: whoever needs to
/// know that bytes are on the disk calls fsync.
class descriptor {
public:
  descriptor() = default;
  explicit descriptor(int fd) noexcept : fd_{fd} {}
  descriptor(descriptor&& o) noexcept : fd_{o.release()} {}
  descriptor& operator=(descriptor&& o) noexcept {
    if (this != &o) {
      close();
      fd_ = o.release();
    }
    return *this;
  }
  ~descriptor() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  /// Gives it away: nobody closes it here.
  int release() noexcept { return std::exchange(fd_, -1); }
  void close() noexcept {
    if (const int fd = release(); fd >= 0)
      ::close(fd);
  }

private:
  int fd_ = -1;
};

} // namespace banyan
