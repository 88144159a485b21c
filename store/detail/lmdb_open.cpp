// Opening and closing the LMDB environment: one owner per file, on a local file
// system, with what it holds read into memory.
#include "store/data_dir.hpp"
#include "store/detail/lmdb_store.hpp"
#include "store/detail/lmdb_txn.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <system_error>
#include <tuple>

namespace banyan::store::detail {
namespace {

constexpr unsigned readers_max = 512;
constexpr std::size_t reader_bytes = 64; ///< a cache line each, in lock.mdb
constexpr std::size_t lock_file_bytes = (readers_max + 64) * reader_bytes;
constexpr std::size_t new_data_bytes = std::size_t{1} << 20;
constexpr const char* watermark_name = "synced";

/// The files that this process has open, by device and inode. LMDB doesn't
/// notice a second environment on one file; their readers would then see pages
/// overwritten under them.
struct registry {
  std::mutex mutex;
  std::set<std::pair<std::uint64_t, std::uint64_t>> open;
};
registry& process_registry() {
  static registry r;
  return r;
}

bool identify(const std::string& path,
              std::pair<std::uint64_t, std::uint64_t>& out) {
  struct stat st {};
  if (::stat(path.c_str(), &st)
      != 0) // never open(): closing drops LMDB's locks
    return false;
  out = {static_cast<std::uint64_t>(st.st_dev),
         static_cast<std::uint64_t>(st.st_ino)};
  return true;
}

/// Gives `path` its blocks up to `bytes`, and leaves its size, which tells LMDB
/// whether it is new. Never on a file that is open here: closing drops LMDB's
/// locks. True when they are there, or when that can't be known.
bool get_blocks(const std::string& path, std::size_t bytes) {
  const int fd =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return errno != ENOSPC && errno != EDQUOT; // LMDB says what else it is
  int code = 0;
  do
    code =
        ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0
            ? 0
            : errno;
  while (code == EINTR);
  ::close(fd);
  return code != ENOSPC && code != EDQUOT && code != EFBIG;
}

bool is_empty(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) != 0 || st.st_size == 0;
}

store_error in_use(const std::string& path, const std::string& who) {
  return {store_errc::in_use,
          path + " is open in " + who + "; stop that one first"};
}

store_error open_error(int code, const std::string& path) {
  const std::string text = path + ": " + mdb_strerror(code);
  switch (code) {
  case ENOSPC:
  case EDQUOT:
    return {store_errc::full, text + "; free some space on this disk"};
  case EACCES:
  case EPERM:
  case EROFS:
  case ENOTDIR:
    return {store_errc::unreadable, text + "; check its owner and rights"};
  case MDB_INVALID:
  case MDB_CORRUPTED:
  case MDB_PAGE_NOTFOUND:
    return {store_errc::damaged,
            text + "; move it away, it is rebuilt from the other peers"};
  case MDB_VERSION_MISMATCH:
    return {store_errc::unreadable, text + "; written by another version"};
  default:
    return {store_errc::io, text + "; check the disk"};
  }
}

} // namespace

result<void, store_error> check_format(const_bytes value,
                                       const std::string& path) {
  const auto text = decode_info(format_key, value);
  if (text == format_text)
    return {};
  if (text.empty() && value != as_bytes("banyan state 1"))
    return failure{open_error(MDB_CORRUPTED, path)};
  return failure{store_error{store_errc::unreadable,
                             path + ": written by another version"}};
}

result<std::uint64_t, store_error> committed_transaction(file_system& folder) {
  auto mark = watermark::read(folder, watermark_name);
  if (!mark)
    return failure{mark.error()};
  return mark->number;
}

result<std::unique_ptr<lmdb_store>, store_error>
lmdb_store::open(const std::filesystem::path& dir, const lmdb_options& options,
                 std::vector<recovered_state>& found) {
  found.clear();
  const auto path = dir.string();
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return failure{open_error(errno, path)};
  if (options.statfs) {
    auto type = options.statfs(path);
    if (!type)
      return failure{type.error()};
    if (is_network_file_system(*type))
      return failure{
          store_error{store_errc::network_fs,
                      path + " is on a network file system; use a local disk"}};
  }
  std::unique_ptr<lmdb_store> out{new lmdb_store};
  auto& known = process_registry();
  const std::lock_guard<std::mutex> hold{known.mutex};
  std::pair<std::uint64_t, std::uint64_t> id;
  const auto data = path + "/data.mdb";
  if (identify(data, id) && known.open.count(id) != 0)
    return failure{in_use(data, "this process")};
  if (auto locked = out->lock(dir); !locked)
    return failure{locked.error()};
  out->files_ = system_files(path);
  auto mark =
      watermark::open(*out->files_, watermark_name, watermark::room::wished);
  if (!mark)
    return failure{mark.error()};
  out->synced_ = std::move(*mark);
  if (auto opened = out->open_env(dir, options); !opened)
    return failure{opened.error()};
  if (identify(data, id)) {
    known.open.insert(id);
    out->registered_ = id;
  }
  if (auto loaded = out->load(found); !loaded) {
    known.open.erase(id);
    out->registered_ = {};
    return failure{loaded.error()};
  }
  return out;
}

lmdb_store::~lmdb_store() {
  if (env_ != nullptr)
    mdb_env_close(env_);
  if (registered_.second != 0) {
    auto& known = process_registry();
    const std::lock_guard<std::mutex> hold{known.mutex};
    known.open.erase(registered_);
  }
  if (lock_ >= 0)
    ::close(lock_);
}

result<void, store_error> lmdb_store::lock(const std::filesystem::path& dir) {
  const auto path = (dir / "LOCK").string();
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_ < 0)
    return failure{open_error(errno, path)};
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return failure{in_use(dir.string(), "another process")};
    return failure{open_error(errno, path)};
  }
  return {};
}

result<void, store_error> lmdb_store::open_env(const std::filesystem::path& dir,
                                               const lmdb_options& options) {
  const auto path = dir.string();
  // LMDB maps its lock file: a page of it that finds no block ends the process.
  // And what it writes to begin a new database it can't be told to take back.
  const auto data = path + "/data.mdb";
  for (const auto& [file, bytes, needed] :
       {std::tuple{path + "/lock.mdb", lock_file_bytes, true},
        std::tuple{data, new_data_bytes, is_empty(data)}})
    if (needed && !get_blocks(file, bytes))
      return failure{open_error(ENOSPC, file)};
  int code = mdb_env_create(&env_);
  if (code == 0)
    code = mdb_env_set_maxdbs(env_, 4);
  if (code == 0)
    code = mdb_env_set_maxreaders(env_, readers_max);
  if (code == 0)
    code = mdb_env_set_mapsize(env_, options.map_bytes);
  // MDB_NOTLS: a read transaction may move between threads. Full sync always.
  if (code == 0)
    code = mdb_env_open(env_, path.c_str(), MDB_NOTLS, 0600);
  if (code != 0)
    return failure{open_error(code, path)};
  // LMDB leaves the one that it reads with open to programs that are started.
  if (int fd = -1; mdb_env_get_fd(env_, &fd) == 0)
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  int dead = 0;
  mdb_reader_check(env_, &dead);
  MDB_stat stat{};
  mdb_env_stat(env_, &stat);
  page_bytes_ = stat.ms_psize;
  bytes_max_ = options.bytes_max == 0
                   ? options.map_bytes
                   : std::min(options.bytes_max, options.map_bytes);
  write_txn txn{env_};
  code = txn.code();
  if (code == 0)
    code = mdb_dbi_open(txn.get(), "rows", MDB_CREATE, &rows_);
  if (code == 0)
    code = mdb_dbi_open(txn.get(), "groups", MDB_CREATE, &groups_db_);
  MDB_dbi info = 0;
  if (code == 0)
    code = mdb_dbi_open(txn.get(), "info", MDB_CREATE, &info);
  if (code == 0) {
    auto k = as_val(as_bytes(format_key));
    MDB_val v{};
    code = mdb_get(txn.get(), info, &k, &v);
    if (code == 0)
      if (auto known = check_format(as_view(v), path); !known)
        return known;
    if (code == MDB_NOTFOUND) {
      const auto version = encode_info(format_key, format_text);
      v = as_val(version);
      code = mdb_put(txn.get(), info, &k, &v, 0);
    }
  }
  if (code == 0)
    code = commit(txn);
  if (code == EIO && was_cut_short())
    code = ENOSPC;
  if (code != 0)
    return failure{open_error(code, path)};
  return {};
}

/// Which groups there are; rows that no group refers to become garbage.
result<void, store_error>
lmdb_store::load(std::vector<recovered_state>& found) {
  read_txn txn{env_};
  int code = txn.code();
  cursor groups{txn.get(), groups_db_, code};
  MDB_val k{};
  MDB_val v{};
  std::set<std::uint64_t> live;
  bool damaged = false;
  for (code = code != 0 ? code : groups.get(k, v, MDB_FIRST); code == 0;
       code = groups.get(k, v, MDB_NEXT)) {
    recovered_state out;
    const auto meta = decode_meta(as_view(k), as_view(v));
    if (!decode_meta_key(as_view(k), out.group)) {
      damaged = true;
      continue;
    }
    out.damaged = !meta;
    damaged = damaged || !meta;
    auto& g = groups_[out.group];
    g.damaged = out.damaged;
    if (meta) {
      out.replica = g.replica = meta->replica;
      out.meta = meta->applied;
      out.digest = g.digest = meta->rows;
      g.index = meta->applied.index;
      g.number = meta->number;
      live.insert(meta->number);
      next_number_ = std::max(next_number_, meta->number + 1);
    }
    found.push_back(std::move(out));
  }
  if (code != MDB_NOTFOUND)
    return failure{open_error(code, "state")};
  // A seek per group tells which numbers have rows.
  code = 0;
  cursor rows{txn.get(), rows_, code};
  std::uint64_t number = 0;
  for (;;) {
    const auto from = row_db_key(number, {});
    k = as_val(from);
    code = code != 0 ? code : rows.get(k, v, MDB_SET_RANGE);
    if (code != 0)
      break;
    number = number_of(as_view(k));
    next_number_ = std::max(next_number_, number + 1);
    // With a meta unreadable, its rows are not ours to throw away.
    if (live.count(number) == 0 && !damaged)
      garbage_.push_back(number);
    if (++number == 0)
      break;
  }
  if (code != 0 && code != MDB_NOTFOUND)
    return failure{open_error(code, "state")};
  return {};
}

} // namespace banyan::store::detail
