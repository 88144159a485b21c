#include "store/detail/lmdb_store.hpp"

#include "base/planted.hpp"
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
  if (code == MDB_MAP_FULL || code == ENOSPC || code == EDQUOT
      || (code == EIO && was_cut_short()))
    return {store_errc::full, text + "; free some space", group, {}};
  // A page that can't be is as good as a bad row, but of unknown name.
  if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND)
    return {store_errc::damaged, text, group, {}};
  failed_ = true;
  return {store_errc::io, text + "; check the disk", group, {}};
}

int lmdb_store::commit(write_txn& txn) {
  const int code = txn.commit();
  if (code != 0)
    return code;
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  if (synced_)
    synced_->set({info.me_last_txnid, 0});
  return 0;
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

int lmdb_store::put_rows(MDB_txn* txn, target& into,
                         const std::vector<row_change>& rows) {
  for (const auto& r : rows) {
    const auto name = scan_key(r.key);
    const auto key = row_db_key(into.number, name);
    auto k = as_val(key);
    MDB_val v{};
    std::optional<digest> before;
    int code = mdb_get(txn, rows_, &k, &v);
    if (code == 0) {
      before = check_row(into.group, key, as_view(v));
      if (!before) {
        into.unsure = true;
        before = sealed_hash(key, as_view(v));
      }
    } else if (code != MDB_NOTFOUND) {
      return code;
    }
    std::optional<digest> after;
    if (r.value) {
      after = row_hash(into.group, r.key, r.index, r.value->view());
      const auto value = encode_row(key, r, *after);
      v = as_val(value);
      code = mdb_put(txn, rows_, &k, &v, 0);
    } else {
      code = before ? mdb_del(txn, rows_, &k, nullptr) : 0;
    }
    if (code != 0)
      return code;
    if (before)
      subtract(into.digest, *before);
    if (after)
      add(into.digest, *after);
    if (into.pass)
      into.pass->change(name, before, after);
  }
  return into.unsure ? sum_up(txn, into) : 0;
}

/// What a damaged row had added to the digest can't be known.
int lmdb_store::sum_up(MDB_txn* txn, target& into) {
  int code = 0;
  cursor rows{txn, rows_, code};
  const auto prefix = row_db_key(into.number, {});
  auto k = as_val(prefix);
  MDB_val v{};
  state_digest sum;
  for (code = code != 0 ? code : rows.get(k, v, MDB_SET_RANGE);
       code == 0 && number_of(as_view(k)) == into.number;
       code = rows.get(k, v, MDB_NEXT))
    add(sum, sealed_hash(as_view(k), as_view(v)));
  if (code != 0 && code != MDB_NOTFOUND)
    return code;
  into.digest = sum;
  into.unsure = false;
  if (into.pass)
    into.pass->spoiled = true;
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

/// A row is put back without meta: only the digest in the stored one changes.
int lmdb_store::put_digest(MDB_txn* txn, const target& of) {
  const auto key = meta_db_key(of.group);
  auto k = as_val(key);
  MDB_val v{};
  if (const int code = mdb_get(txn, groups_db_, &k, &v); code != 0)
    return code;
  auto meta = decode_meta(key, as_view(v));
  if (!meta)
    return MDB_CORRUPTED;
  meta->rows = of.digest;
  return put_meta(txn, of.group, *meta);
}

std::optional<state_error> lmdb_store::refuses(const group_commit& c) const {
  const auto& id = c.order.group;
  if (auto error = too_large(id, c.rows))
    return error;
  const auto found = groups_.find(id);
  if (found == groups_.end()
          ? !c.meta
          : found->second.replica != c.order.replica || found->second.damaged)
    return state_error{
        store_errc::stale, "the rows are another replica's", id, {}};
  return std::nullopt;
}

lmdb_store::target lmdb_store::target_of(const group_commit& c) {
  target out;
  out.group = c.order.group;
  if (const auto found = groups_.find(out.group); found != groups_.end()) {
    out.number = found->second.number;
    out.digest = found->second.digest;
  } else {
    out.number = next_number_++;
  }
  if (const auto* pass = passes_.find(out.group))
    out.pass = *pass;
  return out;
}

lmdb_store::commit_outcome
lmdb_store::commit(const std::vector<group_commit>& batch) {
  if (batch.empty())
    return std::vector<digest_at>{};
  std::size_t rows = 0;
  std::size_t bytes = 0;
  for (const auto& c : batch) {
    if (auto error = refuses(c))
      return failure{std::move(*error)};
    count(c.rows, rows, bytes);
    if (groups_.count(c.order.group) == 0)
      ++rows;
  }
  const auto& first = batch.front().order.group;
  if (auto admitted = admit(rows, bytes, first); !admitted)
    return failure{admitted.error()};
  write_txn txn{env_};
  int code = txn.code();
  std::map<group_id, target> targets; // the same group may come twice
  std::map<group_id, group_state> after;
  for (const auto& c : batch) {
    if (code != 0)
      break;
    const auto& id = c.order.group;
    auto at = targets.find(id);
    if (at == targets.end())
      at = targets.emplace(id, target_of(c)).first;
    auto& into = at->second;
    code = put_rows(txn.get(), into, c.rows);
    if (code == 0)
      code =
          c.meta
              ? put_meta(txn.get(), id,
                         {into.number, c.order.replica, *c.meta, into.digest})
              : put_digest(txn.get(), into);
    const auto old = groups_.find(id);
    auto& g = after[id];
    if (c.meta)
      g.index = c.meta->index;
    else if (old != groups_.end() && g.number == 0)
      g.index = old->second.index;
    g.number = into.number;
    g.replica = c.order.replica;
    g.digest = into.digest;
  }
  if (code == 0)
    code = commit(txn);
  if (code != 0)
    return failure{fault(code, first, "commit")};
  for (auto& [id, g] : after)
    groups_[id] = g;
  for (auto& [id, t] : targets)
    if (auto* pass = passes_.find(id); pass != nullptr && t.pass)
      *pass = std::move(*t.pass);
  check_readers();
  std::vector<digest_at> out;
  for (const auto& c : batch) {
    const auto& g = after[c.order.group];
    out.push_back({c.order.group, g.index, g.digest});
  }
  return out;
}

state::commit_results
lmdb_store::commit_each(const std::vector<group_commit>& batch) {
  std::map<group_id, std::vector<std::size_t>> parts;
  for (std::size_t i = 0; i < batch.size(); ++i)
    parts[batch[i].order.group].push_back(i);
  state::commit_results out(batch.size(), failure{state_error{}});
  const auto joint = commit(batch);
  for (std::size_t i = 0; joint && i < batch.size(); ++i)
    out[i] = (*joint)[i];
  if (joint)
    return out;
  for (const auto& [id, places] : parts) {
    std::vector<group_commit> own;
    for (const auto i : places)
      own.push_back(batch[i]);
    const auto done =
        parts.size() == 1 ? joint : commit(own); // `io` stays what it is
    for (std::size_t n = 0; n < places.size(); ++n)
      if (done)
        out[places[n]] = (*done)[n];
      else
        out[places[n]] = failure{done.error()};
  }
  return out;
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
  auto out = decode_row(group, db_key, as_view(v));
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
    if (auto one = decode_row(group, key, as_view(v)))
      page.rows.push_back(std::move(*one));
    else if (!key_is_whole(group, key, as_view(v)))
      return failure{state_error{store_errc::damaged,
                                 "a row's key is damaged: a row is missing",
                                 group,
                                 {}}};
    else
      page.damaged.push_back(key.from(8).copy());
  }
  if (code != 0 && code != MDB_NOTFOUND)
    return failure{fault(code, group, "scan")};
  return page;
}

result<scrub_page, state_error> lmdb_store::scrub(const group_id& group,
                                                  const bytes& from,
                                                  std::size_t bytes_max) {
  scrub_page page;
  const auto found = groups_.find(group);
  if (found == groups_.end())
    return page;
  const auto& g = found->second;
  if (g.damaged)
    return failure{
        state_error{store_errc::damaged, "the group's meta is bad", group, {}}};
  auto* pass = passes_.at(group, from);
  read_txn txn{env_};
  int code = txn.code();
  cursor rows{txn.get(), rows_, code};
  const auto begin = row_db_key(g.number, from);
  auto k = as_val(begin);
  MDB_val v{};
  for (code = code != 0 ? code : rows.get(k, v, MDB_SET_RANGE);
       code == 0 && number_of(as_view(k)) == g.number;
       code = rows.get(k, v, MDB_NEXT)) {
    const auto key = as_view(k);
    if (page.rows > 0 && page.bytes_read + key.size() + v.mv_size > bytes_max) {
      page.next = key.from(8).copy();
      break;
    }
    ++page.rows;
    page.bytes_read += key.size() + v.mv_size;
    const auto hash = check_row(group, key, as_view(v));
    if (!hash && !key_is_whole(group, key, as_view(v))) {
      page.digest_matches = false;
      passes_.end(group);
      return page;
    }
    if (!hash)
      page.damaged.push_back(key.from(8).copy());
    else if (pass != nullptr)
      add(pass->sum, *hash);
  }
  if (code != 0 && code != MDB_NOTFOUND)
    return failure{fault(code, group, "scrub")};
  passes_.advance(group, pass, page, g.digest);
  return page;
}

lmdb_store::stage* lmdb_store::stage_of(const order_id& order) {
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
  stages_[order.group] = {next_number_++, order, {}};
  return {};
}

namespace {
state_error no_stage(const order_id& order) {
  return {store_errc::stale, "the snapshot was given up", order.group, {}};
}
} // namespace

lmdb_store::outcome lmdb_store::stage_put(const order_id& order,
                                          const std::vector<row_change>& rows) {
  auto* s = stage_of(order);
  if (s == nullptr)
    return failure{no_stage(order)};
  if (auto error = too_large(order.group, rows))
    return failure{std::move(*error)};
  std::size_t n = 0;
  std::size_t bytes = 0;
  count(rows, n, bytes);
  if (auto admitted = admit(n, bytes, order.group); !admitted)
    return admitted;
  target into;
  into.group = order.group;
  into.number = s->number;
  into.digest = s->digest;
  write_txn txn{env_};
  int code = txn.code();
  if (code == 0)
    code = put_rows(txn.get(), into, rows);
  if (code == 0)
    code = commit(txn);
  if (code != 0)
    return failure{fault(code, order.group, "write a stage")};
  s->digest = into.digest;
  return {};
}

result<digest_at, state_error>
lmdb_store::stage_finish(const order_id& order, const applied_meta& meta,
                         const std::optional<state_digest>& expected) {
  const auto* s = stage_of(order);
  if (s == nullptr)
    return failure{no_stage(order)};
  if (failed_)
    return failure{admit(1, 0, order.group).error()};
  if (expected && *expected != s->digest
      && !planted(planted_bug::switch_to_a_snapshot_that_does_not_add_up)) {
    (void)stage_abort(order);
    return failure{state_error{store_errc::mismatch,
                               "the snapshot's digest isn't its sender's",
                               order.group,
                               {}}};
  }
  const auto old = groups_.find(order.group);
  const bool replaces = old != groups_.end() && !old->second.damaged;
  write_txn txn{env_};
  int code = txn.code();
  if (code == 0)
    code = put_meta(txn.get(), order.group,
                    {s->number, order.replica, meta, s->digest});
  if (code == 0)
    code = commit(txn);
  if (code != 0)
    return failure{fault(code, order.group, "install a snapshot")};
  if (replaces)
    garbage_.push_back(old->second.number);
  groups_[order.group] = {s->number, order.replica, false, meta.index,
                          s->digest};
  digest_at out{order.group, meta.index, s->digest};
  stages_.erase(order.group);
  passes_.end(order.group);
  return out;
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
    code = commit(txn);
  if (code != 0)
    return failure{fault(code, order.group, "drop")};
  if (!found->second.damaged)
    garbage_.push_back(found->second.number);
  groups_.erase(found);
  passes_.end(order.group);
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
    code = commit(txn);
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
