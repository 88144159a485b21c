#include "store/detail/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace banyan::store::detail {
namespace {

store_error fault(int code, const std::string& what, const std::string& path) {
  const auto text =
      what + " " + path + ": " + std::generic_category().message(code);
  switch (code) {
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return {store_errc::full, text + "; free some space on this disk"};
  case EACCES:
  case EPERM:
  case ENOTDIR:
  case EROFS:
    return {store_errc::unreadable, text + "; check its owner and rights"};
  default:
    return {store_errc::io, text + "; check the disk"};
  }
}

class system_file final : public file {
public:
  system_file(int fd, std::string path) : fd_{fd}, path_{std::move(path)} {}
  system_file(const system_file&) = delete;
  system_file& operator=(const system_file&) = delete;
  ~system_file() override { ::close(fd_); }

  outcome write(std::uint64_t offset, const_bytes b) override {
    while (!b.empty()) {
      const auto n =
          ::pwrite(fd_, b.data(), b.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return failure{fault(errno, "write to", path_)};
      if (n == 0)
        return failure{fault(ENOSPC, "write to", path_)};
      offset += static_cast<std::uint64_t>(n);
      b = b.from(static_cast<std::size_t>(n));
    }
    return {};
  }

  result<std::size_t, store_error> read(std::uint64_t offset, std::uint8_t* out,
                                        std::size_t size) override {
    std::size_t got = 0;
    while (got < size) {
      const auto n =
          ::pread(fd_, out + got, size - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return failure{fault(errno, "read", path_)};
      if (n == 0)
        break;
      got += static_cast<std::size_t>(n);
    }
    return got;
  }

  outcome sync() override {
    // After a failed sync the kernel may have dropped the dirty pages: whatever
    // the code, the caller can't retry.
    if (::fdatasync(fd_) == 0)
      return {};
    auto error = fault(errno, "sync", path_);
    error.code = store_errc::io;
    return failure{std::move(error)};
  }

  outcome allocate(std::uint64_t size) override {
    // The kernel takes all that there is before it finds that it isn't enough,
    // and gives it back: whoever writes meanwhile would find the disk full.
    if (is_more_than_free(size))
      return failure{fault(ENOSPC, "allocate", path_)};
    const int code = ::posix_fallocate(fd_, 0, static_cast<off_t>(size));
    if (code != 0)
      return failure{fault(code, "allocate", path_)};
    return {};
  }

  outcome truncate(std::uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0)
      return failure{fault(errno, "truncate", path_)};
    return {};
  }

  result<std::uint64_t, store_error> size() override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0)
      return failure{fault(errno, "stat", path_)};
    return static_cast<std::uint64_t>(st.st_size);
  }

private:
  [[nodiscard]] bool is_more_than_free(std::uint64_t size) const {
    struct stat st {};
    struct statvfs disk {};
    if (::fstat(fd_, &st) != 0 || ::fstatvfs(fd_, &disk) != 0
        || disk.f_blocks == 0) // no limit, or none that it tells
      return false;
    constexpr std::uint64_t block = 512;
    const auto has = std::max(static_cast<std::uint64_t>(st.st_size),
                              static_cast<std::uint64_t>(st.st_blocks) * block);
    return size > has && (size - has) / disk.f_frsize > disk.f_bfree;
  }

  int fd_;
  std::string path_;
};

class system_file_system final : public file_system {
public:
  explicit system_file_system(std::string root) : root_{std::move(root)} {}

  result<std::unique_ptr<file>, store_error> open(const std::string& path,
                                                  bool create) override {
    const auto full = describe(path);
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
    const int fd = ::open(full.c_str(), flags, 0600);
    if (fd < 0 && errno == ENOENT && !create)
      return std::unique_ptr<file>{};
    if (fd < 0)
      return failure{fault(errno, "open", full)};
    return std::unique_ptr<file>{std::make_unique<system_file>(fd, full)};
  }

  result<std::vector<std::string>, store_error>
  list(const std::string& folder) override {
    const auto full = describe(folder);
    DIR* d = ::opendir(full.c_str());
    if (d == nullptr)
      return failure{fault(errno, "list", full)};
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* e = ::readdir(d)) { // NOLINT(concurrency-mt-unsafe)
      const std::string name = e->d_name;    // own stream: glibc keeps it apart
      if (name != "." && name != "..")
        names.push_back(name);
      errno = 0;
    }
    const int code = errno;
    ::closedir(d);
    if (code != 0)
      return failure{fault(code, "list", full)};
    std::sort(names.begin(), names.end());
    return names;
  }

  outcome rename(const std::string& from, const std::string& to) override {
    if (::rename(describe(from).c_str(), describe(to).c_str()) != 0)
      return failure{fault(errno, "rename", describe(from))};
    return {};
  }

  outcome remove(const std::string& path) override {
    if (::unlink(describe(path).c_str()) != 0 && errno != ENOENT)
      return failure{fault(errno, "remove", describe(path))};
    return {};
  }

  outcome sync_folder(const std::string& folder) override {
    const auto full = describe(folder);
    const int fd = ::open(full.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
      return failure{fault(errno, "open", full)};
    const int code = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (code != 0) {
      auto error = fault(code, "sync", full);
      error.code = store_errc::io;
      return failure{std::move(error)};
    }
    return {};
  }

  outcome make_folder(const std::string& folder) override {
    if (::mkdir(describe(folder).c_str(), 0700) != 0 && errno != EEXIST)
      return failure{fault(errno, "make", describe(folder))};
    return {};
  }

  [[nodiscard]] std::string describe(const std::string& path) const override {
    return path.empty() ? root_ : root_ + "/" + path;
  }

private:
  std::string root_;
};

} // namespace

std::unique_ptr<file_system> system_files(std::string root) {
  return std::make_unique<system_file_system>(std::move(root));
}

result<bytes, store_error> read_all(file& f) {
  auto size = f.size();
  if (!size)
    return failure{size.error()};
  bytes out(static_cast<std::size_t>(*size));
  auto got = f.read(0, out.data(), out.size());
  if (!got)
    return failure{got.error()};
  if (*got != out.size())
    return failure{store_error{store_errc::io, "a file shrank while read"}};
  return out;
}

} // namespace banyan::store::detail
