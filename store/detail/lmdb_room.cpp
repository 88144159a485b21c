// Room on the disk for what LMDB is about to write.
#include "store/detail/lmdb_store.hpp"

#include <fcntl.h>

#include <cerrno>

namespace banyan::store::detail {
namespace {

constexpr std::size_t room_step = std::size_t{1} << 20;

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

} // namespace banyan::store::detail
