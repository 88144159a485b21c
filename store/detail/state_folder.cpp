// The state's folder: opened after its check, set aside when it is bad.
#include "store/detail/state_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace banyan::store::detail {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view state_prefix = "state-";

store_error fault(const std::string& what, const fs::path& path, int code) {
  return {code == ENOSPC || code == EDQUOT ? store_errc::full : store_errc::io,
          what + " " + path.string() + ": "
              + std::generic_category().message(code)};
}

outcome sync_path(const fs::path& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0)
    return failure{fault("open", path, errno)};
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0)
    return failure{fault("sync", path, code)};
  return {};
}

outcome sync_folder(const fs::path& path) {
  return sync_path(path, O_RDONLY | O_DIRECTORY);
}

/// For people; a full disk must not stop the repair.
void write_reason(const fs::path& path, const std::string& why) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return;
  const auto text = why + "\n";
  const auto n = ::write(fd, text.data(), text.size());
  (void)n;
  ::close(fd);
}

std::uint64_t next_number(const fs::path& folder) {
  std::uint64_t next = 1;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator{folder, code}) {
    const auto name = entry.path().filename().string();
    std::uint64_t n = 0;
    if (name.compare(0, state_prefix.size(), state_prefix) == 0
        && std::from_chars(name.data() + state_prefix.size(),
                           name.data() + name.size(), n)
                   .ec
               == std::errc{})
      next = std::max(next, n + 1);
  }
  return next;
}

std::uint64_t bytes_below(const fs::path& path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) {
    const auto size = fs::file_size(path, code);
    return code ? 0 : size;
  }
  std::uint64_t sum = 0;
  for (const auto& entry : fs::recursive_directory_iterator{path, code}) {
    const auto size = entry.is_regular_file(code) ? entry.file_size(code) : 0;
    sum += code ? 0 : size;
  }
  return sum;
}

} // namespace

result<std::string, store_error> set_state_aside(const fs::path& root,
                                                 const std::string& why) {
  const auto folder = root / "aside";
  const auto live = root / "state";
  const auto name =
      std::string{state_prefix} + std::to_string(next_number(folder));
  write_reason(live / "DAMAGE", why);
  if (::rename(live.c_str(), (folder / name).c_str()) != 0)
    return failure{fault("set aside", live, errno)};
  if (::mkdir(live.c_str(), 0700) != 0)
    return failure{fault("make", live, errno)};
  for (const auto& changed : {folder, root})
    if (auto synced = sync_folder(changed); !synced)
      return failure{synced.error()};
  return name;
}

threaded_state::opened open_state(const fs::path& root,
                                  const lmdb_options& options,
                                  const state_verdict& verdict) {
  threaded_state::opened out;
  auto& told = out.opening;
  if (verdict.ok) {
    auto store = lmdb_store::open(root / "state", options, told.groups);
    if (store) {
      out.store = std::move(*store);
      return out;
    }
    if (store.error().code != store_errc::damaged) {
      told.error = store.error();
      return out;
    }
    told.damage = store.error().message;
  } else {
    told.damage = verdict.damage;
  }
  auto name = set_state_aside(root, told.damage);
  if (!name) {
    told.error = name.error();
    return out;
  }
  told.set_aside = *name;
  auto store = lmdb_store::open(root / "state", options, told.groups);
  if (store)
    out.store = std::move(*store);
  else
    told.error = store.error();
  return out;
}

threaded_aside::threaded_aside(fs::path folder,
                               std::shared_ptr<worker_thread> worker,
                               post_function post)
    : folder_{std::move(folder)}, worker_{std::move(worker)},
      post_{std::make_shared<loop_poster>(std::move(post))} {
}

void threaded_aside::list(listed on_listed) {
  worker_->push([folder = folder_, post = post_, on_listed] {
    std::vector<item> found;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator{folder, code})
      found.push_back(
          {entry.path().filename().string(), bytes_below(entry.path())});
    std::sort(found.begin(), found.end(),
              [](const item& a, const item& b) { return a.name < b.name; });
    using answer = result<std::vector<item>, store_error>;
    auto out = code ? answer{failure{fault("list", folder, code.value())}}
                    : answer{std::move(found)};
    (*post)([out = std::move(out), on_listed] { on_listed(out); });
  });
}

void threaded_aside::drop(std::string name, done on_done) {
  BANYAN_ASSERT(!name.empty() && name.find('/') == std::string::npos
                && name != "." && name != "..");
  worker_->push(
      [folder = folder_, post = post_, name = std::move(name), on_done] {
        std::error_code code;
        fs::remove_all(folder / name, code);
        auto out =
            code ? outcome{failure{fault("drop", folder / name, code.value())}}
                 : sync_folder(folder);
        if (on_done)
          (*post)([out = std::move(out), on_done] { on_done(out); });
      });
}

} // namespace banyan::store::detail
