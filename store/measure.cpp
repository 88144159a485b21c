#include "store/measure.hpp"

#include "base/bytes.hpp"
#include "base/descriptor.hpp"
#include "base/random.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <thread>

namespace banyan::store {
namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

constexpr std::size_t page = 4096;
constexpr std::size_t step = std::size_t{1} << 20;
constexpr unsigned steps_to_sync = 4;
constexpr std::uint64_t room_min = std::uint64_t{32} << 20;
constexpr std::uint32_t fsyncs_min = 20; ///< or the percentile says nothing

store_error fault(const fs::path& dir, int code) {
  const auto what = dir.string() + ": " + std::generic_category().message(code);
  switch (code) {
  case ENOENT:
  case ENOTDIR:
    return {store_errc::unreadable,
            what + "; name a directory that is there with --data"};
  case EACCES:
  case EPERM:
  case EROFS:
    return {store_errc::unreadable,
            what
                + "; run as the user that the peer runs as, or name another "
                  "directory with --data"};
  case ENOSPC:
  case EDQUOT:
    return {store_errc::full, what + "; free some space on this disk"};
  default:
    return {store_errc::io, what};
  }
}

result<std::uint64_t, store_error> system_free(const fs::path& dir) {
  struct statvfs st {};
  if (::statvfs(dir.c_str(), &st) != 0)
    return failure{fault(dir, errno)};
  return static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
}

/// Without a name: a crash leaves nothing behind.
int open_nameless(const fs::path& dir) {
  int fd = ::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
    return fd;
  const auto name = dir / ("measure-" + std::to_string(::getpid()) + ".tmp");
  fd = ::open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0)
    ::unlink(name.c_str());
  return fd;
}

bool write_all(int fd, const_bytes b, std::uint64_t at) {
  while (!b.empty()) {
    const auto n = ::pwrite(fd, b.data(), b.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    at += static_cast<std::uint64_t>(n);
    b = b.from(static_cast<std::size_t>(n));
  }
  return true;
}

class measurement {
public:
  measurement(const disk_plan& plan, int fd, std::uint64_t room)
      : plan_{plan}, fd_{fd}, room_{room} {
    seeded_random{1}.fill(data_.data(), data_.size()); // nothing to compress
  }

  /// False: `errno` says why.
  bool run() { return syncs() && writes() && reads(); }
  disk_speed out;

private:
  void pause() const {
    if (plan_.pause > duration{})
      std::this_thread::sleep_for(plan_.pause);
  }
  void tell(std::uint32_t part, double done) const {
    constexpr std::array<std::uint32_t, 4> share{0, 450, 850, 1000};
    plan_.progress(share[part]
                   + static_cast<std::uint32_t>(
                       std::min(done, 1.0) * (share[part + 1] - share[part])));
  }
  static double of(duration past, duration budget) {
    return budget <= duration{} ? 1.0
                                : std::chrono::duration<double>(past)
                                      / std::chrono::duration<double>(budget);
  }

  // As the log does it: small appends into room that is there already.
  bool syncs() {
    const int code = ::posix_fallocate(fd_, 0, step);
    if (code != 0 && code != EOPNOTSUPP && code != EINVAL) {
      errno = code;
      return false;
    }
    const auto begun = clock::now();
    for (std::uint32_t n = 0; n < plan_.fsyncs_max; ++n) {
      if (n >= fsyncs_min && clock::now() - begun >= plan_.fsync_budget)
        break;
      if (clock::now() - begun >= plan_.fsync_budget * 4) // a very slow disk
        break;
      pause();
      const auto from = clock::now();
      const auto at = n * page % step;
      if (!write_all(fd_, const_bytes{data_}.first(page), at)
          || ::fdatasync(fd_) != 0)
        return false;
      out.fsyncs.push_back(clock::now() - from);
      tell(0, std::max(of(clock::now() - begun, plan_.fsync_budget),
                       double(n) / plan_.fsyncs_max));
    }
    return true;
  }

  bool writes() {
    const auto begun = clock::now();
    for (unsigned n = 0; out.written < room_; ++n) {
      if (n % steps_to_sync == 0) {
        if (n > 0 && out.writing >= plan_.write_budget)
          break;
        pause();
      }
      const auto from = clock::now();
      if (!write_all(fd_, data_, out.written))
        return false;
      out.written += data_.size();
      if ((n + 1) % steps_to_sync == 0 || out.written >= room_)
        if (::fdatasync(fd_) != 0)
          return false;
      out.writing += clock::now() - from;
      tell(1, std::max(of(clock::now() - begun, plan_.write_budget),
                       double(out.written) / double(room_)));
    }
    return true;
  }

  bool reads() {
    static_cast<void>(::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED));
    while (out.read < out.written && out.reading < plan_.read_budget) {
      pause();
      const auto from = clock::now();
      const auto n = ::pread(fd_, data_.data(), data_.size(),
                             static_cast<off_t>(out.read));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return false;
      if (n == 0)
        break;
      out.read += static_cast<std::uint64_t>(n);
      out.reading += clock::now() - from;
      tell(2, double(out.read) / double(out.written));
    }
    tell(2, 1.0);
    return true;
  }

  const disk_plan& plan_;
  const int fd_;
  const std::uint64_t room_;
  bytes data_ = bytes(step);
};

} // namespace

result<disk_speed, store_error> measure_disk(const fs::path& dir,
                                             const disk_plan& plan) {
  const auto free = plan.free_bytes ? plan.free_bytes(dir) : system_free(dir);
  if (!free.ok())
    return failure{free.error()};
  if (*free < room_min)
    return failure{store_error{
        store_errc::full,
        dir.string() + ": " + std::to_string(*free >> 20)
            + " MiB are free, measuring takes " + std::to_string(room_min >> 20)
            + "; free some space on this disk, or name a directory on another "
              "one with --data"}};
  const descriptor file{open_nameless(dir)};
  if (file.get() < 0)
    return failure{fault(dir, errno)};
  measurement m{plan, file.get(),
                std::clamp<std::uint64_t>(*free / 4, step, plan.bytes_max)};
  if (!m.run())
    return failure{fault(dir, errno)};
  return std::move(m.out);
}

bool has_peer(const fs::path& dir) {
  const descriptor lock{::open((dir / "LOCK").c_str(), O_RDONLY | O_CLOEXEC)};
  if (lock.get() < 0)
    return false;
  if (::flock(lock.get(), LOCK_SH | LOCK_NB) == 0)
    return false; // let go at once, with the descriptor
  return errno == EWOULDBLOCK;
}

} // namespace banyan::store
