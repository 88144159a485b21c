#include "store/detail/virtual_state.hpp"

#include <algorithm>

namespace banyan::store::detail {
namespace {

void put_rows(std::map<bytes, virtual_rows::stored>& into,
              const std::vector<row_change>& rows) {
  for (const auto& r : rows)
    if (r.value)
      into[scan_key(r.key)] = {{r.key, *r.value, r.index}, false};
    else
      into.erase(scan_key(r.key));
}

state_error error_of(store_errc code, const char* what, const group_id& group) {
  return {code, what, group, {}};
}

template <class Done, class Result>
void tell(const Done& on_done, Result r) {
  if (on_done)
    on_done(std::move(r));
}

} // namespace

result<void, state_error>
virtual_state::admit(const group_id& group,
                     const std::vector<row_change>& rows) const {
  bool adds = false;
  for (const auto& r : rows) {
    adds = adds || r.value.has_value();
    if (r.key.size() > row_key_max
        || (r.value && r.value->size() > row_value_max))
      return failure{error_of(store_errc::too_large,
                              "a row is over the size limit", group)};
  }
  if (adds && disk_.full)
    return failure{
        error_of(store_errc::full, "the state's quota is used up", group)};
  return {};
}

result<void, state_error>
virtual_state::commit_now(const std::vector<group_commit>& batch) {
  for (const auto& c : batch) {
    const auto& id = c.order.group;
    const auto found = disk_.groups.find(id);
    if (found == disk_.groups.end() ? !c.meta
                                    : found->second.replica != c.order.replica)
      return failure{
          error_of(store_errc::stale, "the rows are another replica's", id)};
    if (auto admitted = admit(id, c.rows); !admitted)
      return admitted;
    if (found == disk_.groups.end() && disk_.full)
      return failure{
          error_of(store_errc::full, "the state's quota is used up", id)};
  }
  for (const auto& c : batch) {
    auto& g = disk_.groups[c.order.group];
    g.replica = c.order.replica;
    put_rows(g.rows, c.rows);
    if (c.meta)
      g.meta = *c.meta;
  }
  return {};
}

result<std::optional<row>, state_error>
virtual_state::read_now(const group_id& group, const bytes& key) const {
  const auto found = disk_.groups.find(group);
  if (found == disk_.groups.end())
    return std::optional<row>{};
  const auto at = found->second.rows.find(scan_key(key));
  if (at == found->second.rows.end())
    return std::optional<row>{};
  if (at->second.rotten)
    return failure{state_error{
        store_errc::damaged, "a row's checksum is wrong; fetch it from a voter",
        group, key}};
  return std::optional<row>{at->second.content};
}

scan_page virtual_state::scan_now(const group_id& group,
                                  const scan_request& request) const {
  BANYAN_ASSERT(request.prefix.size() <= scan_prefix_max);
  scan_page page;
  const auto found = disk_.groups.find(group);
  if (found == disk_.groups.end())
    return page;
  const const_bytes prefix{request.prefix};
  const auto& rows = found->second.rows;
  std::size_t sum = 0;
  for (auto at = rows.lower_bound(std::max(request.prefix, request.from));
       at != rows.end(); ++at) {
    const const_bytes key{at->first};
    if (key.size() < prefix.size() || key.first(prefix.size()) != prefix)
      break;
    const auto size = key.size() + at->second.content.value.size();
    const bool full = page.rows.size() + page.damaged.size() >= request.rows_max
                      || sum + size > request.bytes_max;
    if (full && !(page.rows.empty() && page.damaged.empty())) {
      page.next = at->first;
      break;
    }
    sum += size;
    if (at->second.rotten)
      page.damaged.push_back(at->first);
    else
      page.rows.push_back(at->second.content);
  }
  return page;
}

virtual_state::stage* virtual_state::stage_of(const order_id& order) {
  const auto found = stages_.find(order.group);
  if (found == stages_.end() || found->second.order.replica != order.replica
      || found->second.order.number != order.number)
    return nullptr;
  return &found->second;
}

void virtual_state::commit(std::vector<group_commit> batch, done on_done) {
  worker_.push(takes_.sync,
               [this, batch = std::move(batch), on_done = std::move(on_done)] {
                 tell(on_done, commit_now(batch));
               });
}

void virtual_state::read(const group_id& group, bytes key, read_done on_done) {
  worker_.push(takes_.read, [this, group, key = std::move(key),
                             on_done = std::move(on_done)] {
    tell(on_done, read_now(group, key));
  });
}

void virtual_state::scan(const group_id& group, scan_request request,
                         scan_done on_done) {
  worker_.push(takes_.read, [this, group, request = std::move(request),
                             on_done = std::move(on_done)] {
    tell(on_done, result<scan_page, state_error>{scan_now(group, request)});
  });
}

void virtual_state::stage_begin(order_id order, done on_done) {
  worker_.push(takes_.read, [this, order, on_done = std::move(on_done)] {
    if (disk_.full)
      return tell(on_done, outcome{failure{error_of(
                               store_errc::full, "the state's quota is used up",
                               order.group)}});
    stages_[order.group] = {order, {}};
    tell(on_done, outcome{});
  });
}

void virtual_state::stage_put(order_id order, std::vector<row_change> rows,
                              done on_done) {
  worker_.push(takes_.sync, [this, order, rows = std::move(rows),
                             on_done = std::move(on_done)] {
    auto* s = stage_of(order);
    if (s == nullptr)
      return tell(on_done, outcome{failure{error_of(store_errc::stale,
                                                    "the snapshot was given up",
                                                    order.group)}});
    auto admitted = admit(order.group, rows);
    if (admitted)
      put_rows(s->rows, rows);
    tell(on_done, std::move(admitted));
  });
}

void virtual_state::stage_finish(order_id order, applied_meta meta,
                                 done on_done) {
  worker_.push(takes_.sync, [this, order, meta = std::move(meta),
                             on_done = std::move(on_done)] {
    auto* s = stage_of(order);
    if (s == nullptr)
      return tell(on_done, outcome{failure{error_of(store_errc::stale,
                                                    "the snapshot was given up",
                                                    order.group)}});
    disk_.groups[order.group] = {order.replica, meta, std::move(s->rows)};
    stages_.erase(order.group);
    tell(on_done, outcome{});
  });
}

void virtual_state::stage_abort(order_id order, done on_done) {
  worker_.push(takes_.read, [this, order, on_done = std::move(on_done)] {
    if (stage_of(order) == nullptr)
      return tell(on_done, outcome{failure{error_of(store_errc::stale,
                                                    "the snapshot was given up",
                                                    order.group)}});
    stages_.erase(order.group);
    tell(on_done, outcome{});
  });
}

void virtual_state::drop(order_id order, done on_done) {
  worker_.push(takes_.sync, [this, order, on_done = std::move(on_done)] {
    stages_.erase(order.group);
    disk_.groups.erase(order.group);
    tell(on_done, outcome{});
  });
}

} // namespace banyan::store::detail
