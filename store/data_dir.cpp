#include "store/data_dir.hpp"

#include "crypto/system_random.hpp"
#include "store/detail/files.hpp"
#include "store/detail/state_folder.hpp"
#include "store/detail/threaded_documents.hpp"
#include "store/detail/threaded_log.hpp"
#include "store/detail/threaded_modules.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace banyan::store {
namespace {

namespace fs = std::filesystem;

store_error refuse(const fs::path& path, const char* why) {
  return {store_errc::unreadable, path.string() + " " + why};
}

store_error fault(const fs::path& path, int code) {
  const auto text =
      path.string() + ": " + std::generic_category().message(code);
  const bool rights = code == EACCES || code == EPERM || code == EROFS
                      || code == ENOTDIR || code == ELOOP;
  if (rights)
    return {store_errc::unreadable, text + "; check its owner and rights"};
  if (code == ENOSPC || code == EDQUOT)
    return {store_errc::full, text + "; free some space on this disk"};
  return {store_errc::io, text};
}

std::string holder(int fd) {
  std::string pid(32, '\0');
  const auto n = ::pread(fd, pid.data(), pid.size(), 0);
  pid.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!pid.empty() && (pid.back() < '0' || pid.back() > '9'))
    pid.pop_back();
  return pid.empty() ? "another process" : "process " + pid;
}

/// Also makes the name durable.
result<void, store_error> sync_folder(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return failure{fault(path, errno)};
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0)
    return failure{fault(path, code)};
  return {};
}

/// Moves the log to `aside/log-given-up-N`, durably, and makes an empty one.
result<void, store_error> set_log_aside(const data_dir& dir) {
  std::error_code code;
  if (fs::is_empty(dir.log_path(), code) && !code)
    return {};
  fs::path to;
  for (int n = 0; to.empty() || fs::exists(to, code); ++n)
    to = dir.aside_path() / ("log-given-up-" + std::to_string(n));
  if (::rename(dir.log_path().c_str(), to.c_str()) != 0)
    return failure{fault(dir.log_path(), errno)};
  if (auto synced = sync_folder(dir.aside_path()); !synced)
    return synced;
  if (::mkdir(dir.log_path().c_str(), 0700) != 0)
    return failure{fault(dir.log_path(), errno)};
  return sync_folder(dir.path());
}

} // namespace

statfs_function system_statfs() {
  return [](const std::string& path) -> result<std::int64_t, store_error> {
    struct statfs st {};
    if (::statfs(path.c_str(), &st) != 0)
      return failure{fault(path, errno)};
    return static_cast<std::int64_t>(st.f_type);
  };
}

bool is_network_file_system(std::int64_t type) noexcept {
  constexpr std::array<std::uint32_t, 14> remote{
      0x6969,     // NFS
      0x517b,     // SMB
      0xff534d42, // CIFS
      0xfe534d42, // SMB2
      0x65735546, // FUSE
      0x5346414f, // AFS
      0x6b414653, // kAFS
      0x01021997, // 9p
      0x00c36400, // Ceph
      0x73757245, // Coda
      0x564c,     // NCP
      0x0bd00bd0, // Lustre
      0x7461636f, // OCFS2
      0x01161970, // GFS2
  };
  const auto low = static_cast<std::uint32_t>(type);
  return std::find(remote.begin(), remote.end(), low) != remote.end();
}

result<data_dir, store_error> data_dir::open(const fs::path& dir) {
  return open(dir, options{});
}

result<data_dir, store_error> data_dir::open(const fs::path& dir,
                                             const options& how) {
  std::error_code code;
  const auto path = fs::absolute(dir, code).lexically_normal();
  if (code)
    return failure{fault(dir, code.value())};
  if (path.has_parent_path())
    fs::create_directories(path.parent_path(), code);
  if (code)
    return failure{fault(path.parent_path(), code.value())};
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return failure{fault(path, errno)};
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0)
    return failure{fault(path, errno)};
  if (!S_ISDIR(st.st_mode))
    return failure{refuse(path, "is not a directory; name another one")};
  if (st.st_uid != ::geteuid())
    return failure{refuse(
        path, "belongs to another user; run as that one or name another")};
  if ((st.st_mode & 0077) != 0 && ::chmod(path.c_str(), 0700) != 0)
    return failure{fault(path, errno)};
  auto type = how.statfs(path.string());
  if (!type)
    return failure{type.error()};
  if (is_network_file_system(*type))
    return failure{
        store_error{store_errc::network_fs,
                    path.string()
                        + " is on a network file system, whose locks and syncs "
                          "can't be trusted; use a local disk"}};
  const auto lock_path = path / "LOCK";
  const int fd = ::open(lock_path.c_str(),
                        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return failure{fault(lock_path, errno)};
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int why = errno;
    const auto who = holder(fd);
    ::close(fd);
    if (why != EWOULDBLOCK)
      return failure{fault(lock_path, why)};
    return failure{store_error{store_errc::in_use,
                               path.string() + " is in use by " + who
                                   + "; stop it or name another directory"}};
  }
  // From here on the lock is held by `out`.
  data_dir out{path, fd, true};
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0
      || ::pwrite(fd, pid.data(), pid.size(), 0)
             != static_cast<ssize_t>(pid.size())) {
    // Only the message of the next process suffers, on a full disk.
  }
  const auto clean = path / "clean";
  const bool used = fs::exists(out.log_path(), code)
                    || fs::exists(out.documents_path(), code);
  out.was_clean_ = !used || fs::exists(clean, code);
  if (::unlink(clean.c_str()) != 0 && errno != ENOENT)
    return failure{fault(clean, errno)};
  for (const auto& folder :
       {out.log_path(), out.state_path(), out.aside_path()})
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      return failure{fault(folder, errno)};
  if (auto synced = sync_folder(path); !synced)
    return failure{synced.error()};
  return out;
}

data_dir::data_dir(fs::path path, int lock, bool clean)
    : path_{std::move(path)}, lock_{lock}, was_clean_{clean} {
}

data_dir::data_dir(data_dir&& other) noexcept
    : path_{std::move(other.path_)}, lock_{std::exchange(other.lock_, -1)},
      was_clean_{other.was_clean_} {
}

data_dir& data_dir::operator=(data_dir&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  std::swap(was_clean_, other.was_clean_);
  return *this;
}

data_dir::~data_dir() {
  if (lock_ >= 0)
    ::close(lock_);
}

const fs::path& data_dir::path() const noexcept {
  return path_;
}
fs::path data_dir::log_path() const {
  return path_ / "log";
}
fs::path data_dir::state_path() const {
  return path_ / "state";
}
fs::path data_dir::documents_path() const {
  return path_ / "documents";
}
fs::path data_dir::aside_path() const {
  return path_ / "aside";
}
bool data_dir::was_clean() const noexcept {
  return was_clean_;
}

result<void, store_error> data_dir::mark_clean() {
  const auto clean = path_ / "clean";
  const int fd = ::open(clean.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return failure{fault(clean, errno)};
  ::close(fd);
  return sync_folder(path_);
}

result<disk, store_error> open_disk(const data_dir& dir,
                                    const disk_options& options) {
  const auto root = dir.path().string();
  disk out;
  const auto worker = std::make_shared<detail::worker_thread>();
  auto documents = detail::threaded_documents::open(
      detail::system_files(root), std::make_unique<system_random>(),
      "documents", "aside", worker, options.post);
  if (!documents)
    return failure{documents.error()};
  out.documents = std::move(*documents);
  if (options.log_is_void && options.log_is_void(*out.documents))
    if (auto moved = set_log_aside(dir); !moved)
      return failure{moved.error()};
  detail::log_options log_options;
  log_options.segment_bytes = options.segment_bytes;
  auto log = detail::threaded_log::open(
      detail::system_files(root), std::make_unique<system_random>(),
      log_options, options.post, options.now, out.recovered_logs);
  if (!log)
    return failure{log.error()};
  out.log = std::move(*log);
  out.aside = std::make_unique<detail::threaded_aside>(dir.aside_path(), worker,
                                                       options.post);
  auto modules = detail::threaded_modules::open(detail::system_files(root),
                                                "modules", options.post);
  if (!modules)
    return failure{modules.error()};
  out.modules = std::move(*modules);
  const detail::lmdb_options how{options.map_bytes, options.state_bytes_max,
                                 options.statfs};
  auto state = std::make_unique<detail::threaded_state>(worker, options.post);
  if (!options.state_check) {
    auto opened = std::make_shared<detail::threaded_state::opened>(
        detail::open_state(dir.path(), how, {}));
    if (opened->opening.error)
      return failure{*opened->opening.error};
    out.recovered_states = opened->opening.groups;
    state->open([opened] { return std::move(*opened); });
  } else {
    options.state_check(
        dir.state_path(),
        [to = state->door(), root = dir.path(), how](state_verdict verdict) {
          if (const auto open = to.lock())
            (*open)([root, how, verdict = std::move(verdict)] {
              return detail::open_state(root, how, verdict);
            });
        });
  }
  out.state = std::move(state);
  return out;
}

} // namespace banyan::store
