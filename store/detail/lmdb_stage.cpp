// What takes the place of a group's rows, or takes them away: staged snapshots,
// drops, and the deleting of rows that nobody names.
#include "base/planted.hpp"
#include "store/detail/lmdb_store.hpp"
#include "store/detail/lmdb_txn.hpp"

namespace banyan::store::detail {
namespace {
constexpr std::size_t clean_rows = 2000;
} // namespace

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

} // namespace banyan::store::detail
