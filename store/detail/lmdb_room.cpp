// Room on the disk and in the quota for what LMDB is about to write.
#include "store/detail/lmdb_store.hpp"
#include "store/detail/lmdb_txn.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace banyan::store::detail {
namespace {

constexpr std::size_t room_step = std::size_t{1} << 20;
constexpr std::size_t reserve_min = std::size_t{256} << 10;
constexpr std::size_t reserve_max = std::size_t{64} << 20;

} // namespace

/// LMDB takes a write that a full disk cut short for an input/output error, and
/// nothing tells that from a dying disk. So the file gets its blocks before a
/// transaction begins; one step is always kept for what only takes away.
bool lmdb_store::has_room(std::size_t bytes) {
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  const auto end = (info.me_last_pgno + 1) * page_bytes_ + bytes + room_step;
  if (end <= allocated_)
    return true;
  const auto size = (end + room_step - 1) / room_step * room_step;
  int fd = -1;
  mdb_env_get_fd(env_, &fd);
  int code = 0;
  do
    code = ::fallocate(fd, 0, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
  while (code == EINTR);
  if (code == ENOSPC || code == EDQUOT || code == EFBIG)
    return false;
  allocated_ = size; // or a file system without this: then it is not known
  return true;
}

/// Whether an EIO of LMDB may have been a full disk: what only takes away is
/// let through without room, and may need more than the step that was kept.
/// Such a transaction has changed nothing, whatever failed of it, and LMDB
/// refuses the next one if its meta page was being written.
bool lmdb_store::was_cut_short() {
  allocated_ = 0;
  return !has_room(4 * room_step);
}

void lmdb_store::count(const std::vector<row_change>& changes,
                       std::size_t& rows, std::size_t& bytes) {
  for (const auto& c : changes)
    if (c.value) {
      ++rows;
      bytes += c.key.size() + c.value->size();
    }
}

/// Pages in use, less those on LMDB's free list.
result<std::size_t, int> lmdb_store::used_bytes() {
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  const auto pages = info.me_last_pgno + 1;
  read_txn txn{env_};
  int code = txn.code();
  cursor free_list{txn.get(), 0, code};
  MDB_val k{};
  MDB_val v{};
  std::size_t free_pages = 0;
  for (code = code != 0 ? code : free_list.get(k, v, MDB_FIRST); code == 0;
       code = free_list.get(k, v, MDB_NEXT)) {
    std::size_t n = 0;
    std::memcpy(&n, v.mv_data, sizeof n);
    free_pages += n;
  }
  if (code != MDB_NOTFOUND)
    return failure{code};
  return (pages - std::min(free_pages, pages)) * page_bytes_;
}

/// A transaction copies every page that it touches, and after MDB_MAP_FULL even
/// deletes may fail: so what adds is refused while there is still room for what
/// takes away.
lmdb_store::outcome lmdb_store::admit(std::size_t rows, std::size_t bytes,
                                      const group_id& group) {
  if (failed_)
    return failure{state_error{store_errc::io, "failed before", group, {}}};
  const bool room = has_room(2 * bytes + rows * page_bytes_);
  if (rows == 0 && bytes == 0)
    return {};
  if (!room)
    return failure{state_error{
        store_errc::full, "the disk is full; free some space", group, {}}};
  const auto reserve = std::clamp(bytes_max_ / 8, reserve_min, reserve_max);
  const auto need = 2 * bytes + rows * page_bytes_ + reserve;
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  if ((info.me_last_pgno + 1) * page_bytes_ + need <= bytes_max_)
    return {};
  auto used = used_bytes();
  if (!used)
    return failure{fault(used.error(), group, "read the free list")};
  if (*used + need <= bytes_max_)
    return {};
  return failure{state_error{store_errc::full,
                             "the state's quota is used up; free some space",
                             group,
                             {}}};
}

} // namespace banyan::store::detail
