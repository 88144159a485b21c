#include "store/verify.hpp"

#include "store/data_dir.hpp"
#include "store/detail/lmdb_pages.hpp"
#include "store/detail/lmdb_txn.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <new>
#include <system_error>

namespace banyan::store {
namespace {

using namespace banyan::store::detail;

constexpr std::size_t named_max = 1000;
constexpr std::size_t doubts_max = 10;

/// Of a process that is short of something, not of a bad file.
bool is_shortage(int code) {
  return code == ENOMEM || code == EMFILE || code == ENFILE || code == EAGAIN;
}

/// What this process is short of right now; 0: nothing.
int shortage() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return is_shortage(errno) ? errno : 0;
  ::close(fd);
  return 0;
}

state_report read_later(int code) {
  state_report out;
  out.later = std::generic_category().message(code);
  return out;
}

/// A shared lock: nobody opens the state to write while it is verified.
class reader_lock {
public:
  explicit reader_lock(const std::filesystem::path& path)
      : fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)} {
    held_ = fd_ >= 0 && ::flock(fd_, LOCK_SH | LOCK_NB) == 0;
    error_ = held_ ? 0 : errno;
  }
  reader_lock(const reader_lock&) = delete;
  reader_lock& operator=(const reader_lock&) = delete;
  ~reader_lock() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] bool missing() const { return error_ == ENOENT; }
  [[nodiscard]] int error() const { return error_; }

private:
  int fd_;
  bool held_ = false;
  int error_ = 0;
};

/// The tables, read through LMDB once their pages are proved.
class table_walk {
public:
  table_walk(state_report& out, std::function<void(std::uint64_t)> tick)
      : out_{out}, tick_{std::move(tick)} {}
  table_walk(const table_walk&) = delete;
  table_walk& operator=(const table_walk&) = delete;
  ~table_walk() {
    if (txn_ != nullptr)
      mdb_txn_abort(txn_);
    if (env_ != nullptr)
      mdb_env_close(env_);
  }

  void run(const std::filesystem::path& dir, std::size_t map_bytes) {
    int code = open(dir, map_bytes);
    if (code == 0)
      code = each("info", &table_walk::on_info);
    if (code == 0)
      code = each("groups", &table_walk::on_group);
    if (code == 0)
      code = each("rows", &table_walk::on_row);
    if (is_shortage(code)) {
      out_ = read_later(code);
      return;
    }
    if (code != 0)
      return bad(std::string{"LMDB says: "} + mdb_strerror(code));
    for (const auto& [number, g] : groups_)
      if (!adds_up(g))
        bad("the digest of group " + short_string(g.id.app) + "/"
            + std::to_string(g.id.shard) + " is not that of its rows");
  }

private:
  struct group {
    group_id id;
    state_digest kept;
    state_digest sum; ///< of what the rows say their hashes are
    /// Of damaged rows: that, and what their content says.
    std::vector<std::pair<digest, digest>> doubts;
  };

  /// Whether all rows are there: either the seal of a damaged row or its
  /// content is still what was written. Tries both for each of a few.
  static bool adds_up(const group& g) {
    const auto n = std::min(g.doubts.size(), doubts_max);
    for (std::size_t choice = 0; choice < std::size_t{1} << n; ++choice) {
      auto sum = g.sum;
      for (std::size_t i = 0; i < n; ++i)
        if ((choice >> i & 1) != 0) {
          subtract(sum, g.doubts[i].first);
          add(sum, g.doubts[i].second);
        }
      if (sum == g.kept)
        return true;
    }
    return false;
  }

  int open(const std::filesystem::path& dir, std::size_t map_bytes) {
    int code = mdb_env_create(&env_);
    if (code == 0)
      code = mdb_env_set_maxdbs(env_, 4);
    if (code == 0)
      code = mdb_env_set_mapsize(env_, map_bytes);
    if (code == 0)
      code = mdb_env_open(env_, dir.c_str(), MDB_RDONLY | MDB_NOLOCK, 0600);
    if (code == 0)
      code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn_);
    return code;
  }

  int each(const char* table, void (table_walk::*f)(const_bytes, const_bytes)) {
    MDB_dbi db = 0;
    int code = mdb_dbi_open(txn_, table, 0, &db);
    if (code == MDB_NOTFOUND)
      bad(std::string{"the table "} + table + " is gone");
    if (code != 0)
      return code == MDB_NOTFOUND ? 0 : code;
    MDB_stat stat{};
    code = mdb_stat(txn_, db, &stat);
    cursor at{txn_, db, code};
    MDB_val k{};
    MDB_val v{};
    std::size_t n = 0;
    for (code = code != 0 ? code : at.get(k, v, MDB_FIRST); code == 0;
         code = at.get(k, v, MDB_NEXT)) {
      ++n;
      out_.bytes_read += k.mv_size + v.mv_size;
      tick_(out_.bytes_read);
      (this->*f)(as_view(k), as_view(v));
    }
    if (code == MDB_NOTFOUND && n != stat.ms_entries)
      bad(std::string{"the table "} + table + " has another number of entries");
    return code == MDB_NOTFOUND ? 0 : code;
  }

  void on_info(const_bytes key, const_bytes value) {
    if (key != as_bytes(format_key)
        || decode_info(format_key, value) != format_text)
      bad("the format isn't readable");
  }

  void on_group(const_bytes key, const_bytes value) {
    ++out_.groups;
    group g;
    if (!decode_meta_key(key, g.id))
      return bad("a group's name makes no sense");
    const auto meta = decode_meta(key, value);
    if (!meta) {
      out_.damaged_groups.push_back(g.id);
      return;
    }
    g.kept = meta->rows;
    if (!groups_.emplace(meta->number, g).second)
      bad("two groups share their rows");
  }

  void on_row(const_bytes key, const_bytes value) {
    ++out_.rows;
    if (key.size() < 8)
      return bad("a row's key makes no sense");
    const auto found = groups_.find(number_of(key));
    if (found == groups_.end())
      return; // not yet thrown away, or of a damaged group
    auto& g = found->second;
    const auto sealed = sealed_hash(key, value);
    add(g.sum, sealed);
    if (check_row(g.id, key, value))
      return;
    const auto content = content_hash(g.id, key, value);
    if (!key_is_whole(g.id, key, value))
      return bad("a row's key is damaged: a row is missing");
    if (content)
      g.doubts.emplace_back(sealed, *content);
    if (out_.damaged_rows.size() < named_max)
      out_.damaged_rows.emplace_back(g.id, key.from(8).copy());
  }

  void bad(std::string what) { out_.bad.push_back(std::move(what)); }

  state_report& out_;
  std::function<void(std::uint64_t)> tick_;
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
  std::map<std::uint64_t, group> groups_; ///< by number
};

} // namespace

namespace {

result<state_report, store_error> read_all(const std::filesystem::path& state,
                                           const verify_progress& progress) {
  state_report out;
  const reader_lock lock{state / "LOCK"};
  if (lock.error() == EWOULDBLOCK)
    return failure{store_error{store_errc::in_use,
                               state.string() + " is open; stop its peer"}};
  if (is_shortage(lock.error()))
    return read_later(lock.error());
  if (lock.error() != 0 && !lock.missing())
    return failure{store_error{
        store_errc::unreadable,
        state.string() + ": " + std::generic_category().message(lock.error())}};
  const auto files = system_files(state.string());
  auto data = files->open("data.mdb", false);
  if (!data)
    return failure{data.error()};
  if (*data == nullptr)
    return out; // nothing was ever stored
  auto size = (*data)->size();
  if (!size)
    return failure{size.error()};
  if (*size == 0)
    return out;
  constexpr std::uint64_t tick_bytes = std::uint64_t{1} << 20;
  std::uint64_t told = 0;
  const auto tell = [&](std::uint64_t done) {
    if (progress && done / tick_bytes != told / tick_bytes)
      progress(std::min(done, 2 * *size), 2 * *size);
    told = done;
  };
  auto pages = walk_pages(**data, [&](std::uint64_t n) { tell(n * 4096); });
  if (!pages)
    return failure{pages.error()};
  out.bytes_read = pages->pages * 4096;
  out.bad = std::move(pages->bad);
  if (!out.ok())
    return out;
  auto mark = committed_transaction(*files);
  if (!mark)
    return failure{mark.error()};
  if (pages->transaction < *mark) {
    out.bad.push_back("the last commit is gone: transaction "
                      + std::to_string(*mark) + " was synced, "
                      + std::to_string(pages->transaction) + " is there");
    return out;
  }
  constexpr std::size_t map_extra = std::size_t{64} << 20;
  table_walk walk{out, [&](std::uint64_t done) { tell(done); }};
  walk.run(state, static_cast<std::size_t>(*size) + map_extra);
  if (progress)
    progress(2 * *size, 2 * *size);
  return out;
}

} // namespace

result<state_report, store_error>
verify_state(const std::filesystem::path& state,
             const verify_progress& progress) {
  try {
    auto out = read_all(state, progress);
    if (!out)
      if (const int code = shortage(); code != 0)
        return read_later(code);
    return out;
  } catch (const std::bad_alloc&) {
    return read_later(ENOMEM);
  }
}

} // namespace banyan::store
