#include "write_trace.hpp"

#include "base/assert.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

namespace banyan::store::test {
namespace {

namespace fs = std::filesystem;
using kind = traced_event::kind;
constexpr std::size_t sector = 512;

thread_local write_trace* tracing = nullptr;

std::string path_of(int fd) {
  std::array<char, 4096> out{};
  const auto link = "/proc/self/fd/" + std::to_string(fd);
  const auto n = ::readlink(link.c_str(), out.data(), out.size());
  return {out.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
}

std::string read_file(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void traced_write(int fd, const void* data, std::size_t size,
                  std::uint64_t offset) {
  auto* to = tracing;
  const auto file = to == nullptr ? 0 : to->file_of(fd);
  if (file == 0)
    return;
  traced_event e;
  e.what = kind::write;
  e.file = file;
  e.offset = offset;
  e.data.assign(static_cast<const char*>(data), size);
  to->add(e);
  if ((::fcntl(fd, F_GETFL) & O_DSYNC) != 0) {
    e.what = kind::sync_write;
    to->add(std::move(e));
  }
}

void traced_simple(int fd, kind what, std::uint64_t offset = 0) {
  auto* to = tracing;
  if (to == nullptr)
    return;
  struct stat st {};
  traced_event e;
  e.offset = offset;
  if (what == kind::sync && ::fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
    std::string relative;
    if (!to->below(path_of(fd), relative))
      return;
    e.what = kind::sync_folder;
    e.path = relative;
  } else {
    e.what = what;
    e.file = to->file_of(fd);
    if (e.file == 0)
      return;
  }
  to->add(std::move(e));
}

void traced_names(kind what, const char* from, const char* path_to) {
  auto* to = tracing;
  traced_event e;
  e.what = what;
  if (to == nullptr || !to->below(from, e.path))
    return;
  if (path_to != nullptr && !to->below(path_to, e.to))
    return;
  to->add(std::move(e));
}

} // namespace

write_trace::write_trace(fs::path folder) : folder_{std::move(folder)} {
  BANYAN_ASSERT(tracing == nullptr);
  for (const auto& entry : fs::recursive_directory_iterator{folder_}) {
    if (!entry.is_regular_file())
      continue;
    struct stat st {};
    BANYAN_ASSERT(::stat(entry.path().c_str(), &st) == 0);
    first_[st.st_ino] = {fs::relative(entry.path(), folder_).string(),
                         read_file(entry.path())};
    known_[st.st_ino] = true;
  }
  tracing = this;
}

write_trace::~write_trace() {
  end();
}

void write_trace::end() {
  if (tracing == this)
    tracing = nullptr;
}

void write_trace::mark(std::uint64_t number) {
  traced_event e;
  e.number = number;
  events_.push_back(std::move(e));
}

void write_trace::add(traced_event e) {
  events_.push_back(std::move(e));
}

bool write_trace::below(const std::string& path, std::string& relative) const {
  const auto prefix = folder_.string() + "/";
  if (path == folder_.string()) {
    relative.clear();
    return true;
  }
  if (path.compare(0, prefix.size(), prefix) != 0)
    return false;
  relative = path.substr(prefix.size());
  return true;
}

std::uint64_t write_trace::file_of(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
    return 0;
  const auto found = known_.find(st.st_ino);
  if (found != known_.end())
    return found->second ? st.st_ino : 0;
  traced_event e;
  e.what = kind::create; // seen at its first change
  e.file = st.st_ino;
  const bool ours = below(path_of(fd), e.path);
  known_[st.st_ino] = ours;
  if (!ours)
    return 0;
  events_.push_back(std::move(e));
  return st.st_ino;
}

namespace {

/// A disk that knows what is synced; events are played on it one by one.
class model {
public:
  explicit model(const write_trace& trace) {
    for (const auto& [ino, f] : trace.first()) {
      files_[ino].content = f.content;
      names_[f.path] = ino;
    }
  }

  void play(const traced_event& e) {
    switch (e.what) {
    case kind::write:
      write(files_[e.file], e);
      break;
    case kind::sync:
      sync(files_[e.file]);
      break;
    case kind::sync_write:
      sync_range(files_[e.file], e);
      break;
    case kind::grow: {
      change c;
      c.size = e.offset;
      files_[e.file].pending.push_back(std::move(c));
      break;
    }
    case kind::cut:
      sync(files_[e.file]);
      files_[e.file].content.resize(e.offset);
      break;
    case kind::create:
      undo_.push_back(names_);
      names_[e.path] = e.file;
      files_[e.file];
      break;
    case kind::rename:
      undo_.push_back(names_);
      names_[e.to] = names_.at(e.path);
      names_.erase(e.path);
      break;
    case kind::remove:
      if (names_.count(e.path) != 0) {
        undo_.push_back(names_);
        names_.erase(e.path);
      }
      break;
    case kind::sync_folder:
      undo_.clear();
      break;
    case kind::mark:
      answered_ = e.number;
      break;
    }
  }

  [[nodiscard]] std::size_t pending() const {
    std::size_t n = 0;
    for (const auto& [ino, f] : files_)
      n += f.pending.size();
    return n;
  }
  [[nodiscard]] std::size_t names_pending() const { return undo_.size(); }

  /// `keep` is asked for each change that isn't synced, in order.
  crash_state crash(std::size_t names_kept,
                    const std::function<bool()>& keep) const {
    crash_state out;
    out.answered = answered_;
    std::map<std::uint64_t, std::string> contents;
    for (const auto& [ino, f] : files_) {
      auto content = f.content;
      for (const auto& c : f.pending)
        if (keep())
          apply(content, c);
      contents[ino] = std::move(content);
    }
    const auto& names = names_kept < undo_.size() ? undo_[names_kept] : names_;
    for (const auto& [path, ino] : names)
      out.files[path] = contents[ino];
    return out;
  }

private:
  /// One sector's new bytes, or a new size.
  struct change {
    std::uint64_t offset = 0;
    std::string data;
    std::uint64_t size = 0;
  };
  struct file {
    std::string content;
    std::vector<change> pending;
  };

  static void apply(std::string& content, const change& c) {
    const auto end = std::max<std::uint64_t>(c.size, c.offset + c.data.size());
    if (content.size() < end)
      content.resize(end);
    content.replace(c.offset, c.data.size(), c.data);
  }
  static void write(file& f, const traced_event& e) {
    for (std::size_t at = 0; at < e.data.size();) {
      const auto place = e.offset + at;
      const auto size =
          std::min<std::size_t>(e.data.size() - at, sector - place % sector);
      f.pending.push_back({place, e.data.substr(at, size), 0});
      at += size;
    }
  }
  static void sync(file& f) {
    for (const auto& c : f.pending)
      apply(f.content, c);
    f.pending.clear();
  }
  /// The changes of the last write are durable, and with each sector all that
  /// was written to it before.
  static void sync_range(file& f, const traced_event& e) {
    std::vector<change> left;
    const auto first = e.offset / sector;
    const auto last = (e.offset + e.data.size() - 1) / sector;
    for (auto& c : f.pending)
      if (c.size == 0 && c.offset / sector >= first
          && c.offset / sector <= last)
        apply(f.content, c);
      else
        left.push_back(std::move(c));
    f.pending = std::move(left);
  }

  std::map<std::uint64_t, file> files_;
  std::map<std::string, std::uint64_t> names_;
  std::vector<std::map<std::string, std::uint64_t>> undo_;
  std::uint64_t answered_ = 0;
};

} // namespace

std::size_t
enumerate_crashes(const write_trace& trace, std::size_t subsets_max,
                  random_source& random,
                  const std::function<bool(const crash_state&)>& look) {
  model disk{trace};
  std::size_t count = 0;
  const auto& events = trace.events();
  for (std::size_t i = 0; i <= events.size(); ++i) {
    if (i > 0)
      disk.play(events[i - 1]);
    if (i > 0 && events[i - 1].what == kind::mark && i < events.size())
      continue; // changed nothing on the disk; the next one is looked at
    const auto see = [&](std::size_t names, const std::function<bool()>& keep) {
      auto state = disk.crash(names, keep);
      state.at_event = i;
      ++count;
      return look(state);
    };
    const auto n = disk.pending();
    const auto all_names = disk.names_pending();
    if (!see(all_names, [] { return true; }))
      return count;
    if (n == 0 && all_names == 0)
      continue;
    for (std::size_t names = 0; names <= all_names; ++names)
      if (!see(names, [] { return false; })
          || (names < all_names && !see(names, [] { return true; })))
        return count;
    const bool every = n < 20 && (std::size_t{1} << n) <= subsets_max;
    const auto subsets = every ? std::size_t{1} << n : subsets_max;
    for (std::size_t s = 1; s + 1 < subsets; ++s) {
      std::size_t bit = 0;
      // Seeded ones: about half of it, or all but about one, or about one.
      const auto share = random.below(3);
      const auto keep = [&] {
        if (every)
          return ((s >> bit++) & 1) != 0;
        return share == 0   ? random.below(2) == 0
               : share == 1 ? random.below(n) != 0
                            : random.below(n) == 0;
      };
      if (!see(random.below(all_names + 1), keep))
        return count;
    }
  }
  return count;
}

void put_files(const fs::path& folder,
               const std::map<std::string, std::string>& files) {
  fs::remove_all(folder);
  fs::create_directories(folder);
  for (const auto& [path, content] : files) {
    fs::create_directories((folder / path).parent_path());
    std::ofstream{folder / path, std::ios::binary}.write(
        content.data(), static_cast<std::streamsize>(content.size()));
  }
}

} // namespace banyan::store::test

// The program's own definitions: the dynamic linker prefers them to the C
// library's, for liblmdb too.
extern "C" {

using namespace banyan::store::test;

ssize_t pwrite(int fd, const void* b, size_t n, off_t at) {
  const auto done = ::syscall(SYS_pwrite64, fd, b, n, at);
  if (done > 0)
    traced_write(fd, b, static_cast<std::size_t>(done),
                 static_cast<std::uint64_t>(at));
  return done;
}

ssize_t write(int fd, const void* b, size_t n) {
  const auto at = tracing == nullptr ? -1 : ::lseek(fd, 0, SEEK_CUR);
  const auto done = ::syscall(SYS_write, fd, b, n);
  if (done > 0 && at >= 0)
    traced_write(fd, b, static_cast<std::size_t>(done),
                 static_cast<std::uint64_t>(at));
  return done;
}

ssize_t writev(int fd, const iovec* parts, int count) {
  auto at = tracing == nullptr ? -1 : ::lseek(fd, 0, SEEK_CUR);
  const auto done = ::syscall(SYS_writev, fd, parts, count);
  auto left = done > 0 && at >= 0 ? static_cast<std::size_t>(done) : 0;
  for (int i = 0; i < count && left > 0; ++i) {
    const auto size = std::min(left, parts[i].iov_len);
    traced_write(fd, parts[i].iov_base, size, static_cast<std::uint64_t>(at));
    at += static_cast<off_t>(size);
    left -= size;
  }
  return done;
}

int fdatasync(int fd) {
  const auto done = static_cast<int>(::syscall(SYS_fdatasync, fd));
  if (done == 0)
    traced_simple(fd, kind::sync);
  return done;
}

int fsync(int fd) {
  const auto done = static_cast<int>(::syscall(SYS_fsync, fd));
  if (done == 0)
    traced_simple(fd, kind::sync);
  return done;
}

int ftruncate(int fd, off_t size) noexcept {
  const auto done = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (done == 0)
    traced_simple(fd, kind::cut, static_cast<std::uint64_t>(size));
  return done;
}

int posix_fallocate(int fd, off_t from, off_t size) {
  const auto done = ::syscall(SYS_fallocate, fd, 0, from, size);
  if (done != 0)
    return errno;
  traced_simple(fd, kind::grow, static_cast<std::uint64_t>(from + size));
  return 0;
}

int rename(const char* from, const char* to) noexcept {
  const auto done = static_cast<int>(::syscall(SYS_rename, from, to));
  if (done == 0)
    traced_names(kind::rename, from, to);
  return done;
}

int unlink(const char* path) noexcept {
  const auto done = static_cast<int>(::syscall(SYS_unlink, path));
  if (done == 0)
    traced_names(kind::remove, path, nullptr);
  return done;
}
}
