#include "store/detail/lmdb_store.hpp"

#include "store/detail/lmdb_txn.hpp"

#include <algorithm>
#include <cerrno>

namespace banyan::store::detail {
namespace {

constexpr auto reader_check_every = std::chrono::seconds{60};

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
    if (!c.essential)
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

void lmdb_store::check_readers() {
  const auto now = std::chrono::steady_clock::now();
  if (now - readers_checked_ < reader_check_every)
    return;
  readers_checked_ = now;
  int dead = 0;
  mdb_reader_check(env_, &dead);
}

} // namespace banyan::store::detail
