#include "store/detail/lmdb_store.hpp"

#include "store/detail/lmdb_txn.hpp"

#include <algorithm>
#include <cerrno>

namespace banyan::store::detail {
namespace {

constexpr std::size_t reserve_min = std::size_t{256} << 10;
constexpr std::size_t reserve_max = std::size_t{64} << 20;
constexpr std::size_t clean_rows = 2000;
constexpr auto reader_check_every = std::chrono::seconds{60};

void count(const std::vector<row_change>& changes, std::size_t& rows,
           std::size_t& bytes) {
  for (const auto& c : changes)
    if (c.value) {
      ++rows;
      bytes += c.key.size() + c.value->size();
    }
}

} // namespace

state_error lmdb_store::fault(int code, const group_id& group,
                              const char* what) {
  const std::string text = std::string{what} + ": " + mdb_strerror(code);
  if (code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT)
    return {store_errc::full, text + "; free some space", group, {}};
  // A page that can't be is as good as a bad row, but of unknown name.
  if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND)
    return {store_errc::damaged, text, group, {}};
  failed_ = true;
  return {store_errc::io, text + "; check the disk", group, {}};
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
  if (rows == 0 && bytes == 0)
    return {};
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

std::optional<state_error>
lmdb_store::too_large(const group_id& group,
                      const std::vector<row_change>& rows) {
  for (const auto& r : rows)
    if (r.key.size() > row_key_max
        || (r.value && r.value->size() > row_value_max))
      return state_error{store_errc::too_large, "a row is over the size limit",
                         group, r.key};
  return std::nullopt;
}

int lmdb_store::put_rows(MDB_txn* txn, std::uint64_t number,
                         const std::vector<row_change>& rows) {
  for (const auto& r : rows) {
    const auto key = row_db_key(number, scan_key(r.key));
    auto k = as_val(key);
    int code = 0;
    if (r.value) {
      const auto value = encode_row(key, r);
      auto v = as_val(value);
      code = mdb_put(txn, rows_, &k, &v, 0);
    } else {
      code = mdb_del(txn, rows_, &k, nullptr);
      if (code == MDB_NOTFOUND)
        code = 0;
    }
    if (code != 0)
      return code;
  }
  return 0;
}

int lmdb_store::put_meta(MDB_txn* txn, const group_id& group,
                         const group_meta& meta) {
  const auto key = meta_db_key(group);
  const auto value = encode_meta(key, meta);
  auto k = as_val(key);
  auto v = as_val(value);
  return mdb_put(txn, groups_db_, &k, &v, 0);
}

lmdb_store::outcome lmdb_store::commit(const std::vector<group_commit>& batch) {
  if (batch.empty())
    return {};
  std::size_t rows = 0;
  std::size_t bytes = 0;
  for (const auto& c : batch) {
    const auto& id = c.order.group;
    if (auto error = too_large(id, c.rows))
      return failure{std::move(*error)};
    const auto found = groups_.find(id);
    if (found == groups_.end()
            ? !c.meta
            : found->second.replica != c.order.replica || found->second.damaged)
      return failure{state_error{
          store_errc::stale, "the rows are another replica's", id, {}}};
    count(c.rows, rows, bytes);
    if (found == groups_.end())
      ++rows;
  }
  const auto& first = batch.front().order.group;
  if (auto admitted = admit(rows, bytes, first); !admitted)
    return admitted;
  write_txn txn{env_};
  int code = txn.code();
  std::map<group_id, group_state> fresh;
  for (const auto& c : batch) {
    if (code != 0)
      break;
    const auto& id = c.order.group;
    const auto found = groups_.find(id);
    std::uint64_t number = 0;
    if (found != groups_.end()) {
      number = found->second.number;
    } else {
      auto& g = fresh[id];
      if (g.number == 0)
        g = {next_number_++, c.order.replica, false};
      number = g.number;
    }
    code = put_rows(txn.get(), number, c.rows);
    if (code == 0 && c.meta)
      code = put_meta(txn.get(), id, {number, c.order.replica, *c.meta});
  }
  if (code == 0)
    code = txn.commit();
  if (code != 0)
    return failure{fault(code, first, "commit")};
  groups_.insert(fresh.begin(), fresh.end());
  check_readers();
  return {};
}

result<std::optional<row>, state_error> lmdb_store::read(const group_id& group,
                                                         const bytes& key) {
  const auto found = groups_.find(group);
  if (found == groups_.end())
    return std::optional<row>{};
  if (found->second.damaged)
    return failure{state_error{store_errc::damaged, "the group's meta is bad",
                               group, key}};
  read_txn txn{env_};
  int code = txn.code();
  const auto db_key = row_db_key(found->second.number, scan_key(key));
  auto k = as_val(db_key);
  MDB_val v{};
  if (code == 0)
    code = mdb_get(txn.get(), rows_, &k, &v);
  if (code == MDB_NOTFOUND)
    return std::optional<row>{};
  if (code != 0)
    return failure{fault(code, group, "read")};
  auto out = decode_row(db_key, as_view(v));
  if (!out || out->key != key)
    return failure{state_error{
        store_errc::damaged, "a row's checksum is wrong; fetch it from a voter",
        group, key}};
  return out;
}

result<scan_page, state_error> lmdb_store::scan(const group_id& group,
                                                const scan_request& request) {
  BANYAN_ASSERT(request.prefix.size() <= scan_prefix_max);
  scan_page page;
  const auto found = groups_.find(group);
  if (found == groups_.end())
    return page;
  if (found->second.damaged)
    return failure{
        state_error{store_errc::damaged, "the group's meta is bad", group, {}}};
  read_txn txn{env_};
  int code = txn.code();
  cursor rows{txn.get(), rows_, code};
  const auto number = found->second.number;
  const auto prefix = row_db_key(number, request.prefix);
  const auto from = row_db_key(number, std::max(request.prefix, request.from));
  auto k = as_val(from);
  MDB_val v{};
  std::size_t sum = 0;
  for (code = code != 0 ? code : rows.get(k, v, MDB_SET_RANGE); code == 0;
       code = rows.get(k, v, MDB_NEXT)) {
    const auto key = as_view(k);
    if (key.size() < prefix.size() || key.first(prefix.size()) != prefix)
      break;
    const bool full = page.rows.size() + page.damaged.size() >= request.rows_max
                      || sum + key.size() + v.mv_size > request.bytes_max;
    if (full && !(page.rows.empty() && page.damaged.empty())) {
      page.next = key.from(8).copy();
      break;
    }
    sum += key.size() + v.mv_size;
    if (auto one = decode_row(key, as_view(v)))
      page.rows.push_back(std::move(*one));
    else
      page.damaged.push_back(key.from(8).copy());
  }
  if (code != 0 && code != MDB_NOTFOUND)
    return failure{fault(code, group, "scan")};
  return page;
}

const lmdb_store::stage* lmdb_store::stage_of(const order_id& order) const {
  const auto found = stages_.find(order.group);
  if (found == stages_.end() || found->second.order.replica != order.replica
      || found->second.order.number != order.number)
    return nullptr;
  return &found->second;
}

/// Rows under a number that no meta names: gone at the next open unless
/// `stage_finish` gives it a name.
lmdb_store::outcome lmdb_store::stage_begin(const order_id& order) {
  if (auto admitted = admit(1, 0, order.group); !admitted)
    return admitted;
  if (const auto old = stages_.find(order.group); old != stages_.end())
    garbage_.push_back(old->second.number);
  stages_[order.group] = {next_number_++, order};
  return {};
}

namespace {
state_error no_stage(const order_id& order) {
  return {store_errc::stale, "the snapshot was given up", order.group, {}};
}
} // namespace

lmdb_store::outcome lmdb_store::stage_put(const order_id& order,
                                          const std::vector<row_change>& rows) {
  const auto* s = stage_of(order);
  if (s == nullptr)
    return failure{no_stage(order)};
  if (auto error = too_large(order.group, rows))
    return failure{std::move(*error)};
  std::size_t n = 0;
  std::size_t bytes = 0;
  count(rows, n, bytes);
  if (auto admitted = admit(n, bytes, order.group); !admitted)
    return admitted;
  write_txn txn{env_};
  int code = txn.code();
  if (code == 0)
    code = put_rows(txn.get(), s->number, rows);
  if (code == 0)
    code = txn.commit();
  if (code != 0)
    return failure{fault(code, order.group, "write a stage")};
  return {};
}

lmdb_store::outcome lmdb_store::stage_finish(const order_id& order,
                                             const applied_meta& meta) {
  const auto* s = stage_of(order);
  if (s == nullptr)
    return failure{no_stage(order)};
  if (failed_)
    return admit(1, 0, order.group);
  const auto old = groups_.find(order.group);
  const bool replaces = old != groups_.end() && !old->second.damaged;
  write_txn txn{env_};
  int code = txn.code();
  if (code == 0)
    code = put_meta(txn.get(), order.group, {s->number, order.replica, meta});
  if (code == 0)
    code = txn.commit();
  if (code != 0)
    return failure{fault(code, order.group, "install a snapshot")};
  if (replaces)
    garbage_.push_back(old->second.number);
  groups_[order.group] = {s->number, order.replica, false};
  stages_.erase(order.group);
  return {};
}

lmdb_store::outcome lmdb_store::stage_abort(const order_id& order) {
  const auto* s = stage_of(order);
  if (s == nullptr)
    return failure{no_stage(order)};
  garbage_.push_back(s->number);
  stages_.erase(order.group);
  return {};
}

lmdb_store::outcome lmdb_store::drop(const order_id& order) {
  if (failed_)
    return admit(1, 0, order.group);
  if (const auto s = stages_.find(order.group); s != stages_.end()) {
    garbage_.push_back(s->second.number);
    stages_.erase(s);
  }
  const auto found = groups_.find(order.group);
  if (found == groups_.end())
    return {};
  write_txn txn{env_};
  int code = txn.code();
  const auto key = meta_db_key(order.group);
  auto k = as_val(key);
  if (code == 0)
    code = mdb_del(txn.get(), groups_db_, &k, nullptr);
  if (code == 0)
    code = txn.commit();
  if (code != 0)
    return failure{fault(code, order.group, "drop")};
  if (!found->second.damaged)
    garbage_.push_back(found->second.number);
  groups_.erase(found);
  return {};
}

bool lmdb_store::clean_some() {
  if (garbage_.empty() || failed_)
    return false;
  const auto number = garbage_.back();
  const auto prefix = row_db_key(number, {});
  bool empty = false;
  write_txn txn{env_};
  int code = txn.code();
  {
    cursor rows{txn.get(), rows_, code};
    for (std::size_t n = 0; n < clean_rows && code == 0 && !empty; ++n) {
      auto k = as_val(prefix);
      MDB_val v{};
      code = rows.get(k, v, MDB_SET_RANGE);
      empty = code == MDB_NOTFOUND
              || (code == 0 && number_of(as_view(k)) != number);
      if (code == 0 && !empty)
        code = rows.erase();
    }
  }
  if (code == MDB_NOTFOUND)
    code = 0;
  if (code == 0)
    code = txn.commit();
  if (code != 0)
    return false; // tried again at the next open
  if (empty)
    garbage_.pop_back();
  return !garbage_.empty();
}

void lmdb_store::check_readers() {
  const auto now = std::chrono::steady_clock::now();
  if (now - readers_checked_ < reader_check_every)
    return;
  readers_checked_ = now;
  int dead = 0;
  mdb_reader_check(env_, &dead);
}

} // namespace banyan::store::detail
