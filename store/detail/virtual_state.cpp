#include "store/detail/virtual_state.hpp"

#include "base/planted.hpp"

#include <algorithm>

namespace banyan::store::detail {
namespace {

constexpr const char* row_is_missing =
    "a row's key is damaged: a row is missing";

state_error error_of(store_errc code, const char* what, const group_id& group) {
  return {code, what, group, {}};
}
state_error given_up(const order_id& order) {
  return error_of(store_errc::stale, "the snapshot was given up", order.group);
}

} // namespace

state_digest sum_of(const virtual_rows::group& g) {
  state_digest sum;
  for (const auto& [key, r] : g.rows)
    add(sum, r.hash);
  return sum;
}

std::string virtual_rows::check() const {
  if (torn)
    return "pages make no sense";
  for (const auto& [id, g] : groups) {
    for (const auto& [key, r] : g.rows)
      if (r.misnamed)
        return row_is_missing;
    if (!g.rotten && sum_of(g) != g.digest)
      return "the digest of " + short_string(id.app) + "/"
             + std::to_string(id.shard) + " is not that of its rows";
  }
  return {};
}

virtual_state::virtual_state(std::shared_ptr<void> owner, virtual_rows& disk,
                             const schedule_function& schedule, life alive,
                             times takes)
    : owner_{std::move(owner)}, disk_{disk}, takes_{std::move(takes)},
      worker_{schedule, std::move(alive)} {
  if (!takes_.check) {
    open_now(false);
    return;
  }
  worker_.push([takes = *takes_.check] { return takes; },
               [this] { open_now(true); });
}

void virtual_state::open_now(bool checked) {
  if (checked)
    opening_.damage = disk_.check();
  if (!opening_.damage.empty()) {
    opening_.set_aside = "state-" + std::to_string(++disk_.aside_number);
    disk_.aside.emplace(*opening_.set_aside, std::move(disk_.groups));
    disk_.groups.clear();
    disk_.torn = false;
  }
  for (const auto& [id, g] : disk_.groups)
    if (g.rotten) {
      damaged_.insert(id);
      opening_.groups.push_back({id, {}, {}, true, {}});
    } else {
      opening_.groups.push_back({id, g.replica, g.meta, false, g.digest});
    }
}

void virtual_state::on_open(open_handler handler) {
  worker_.push([] { return duration{0}; },
               [this, handler = std::move(handler)] { handler(opening_); });
}

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

void virtual_state::put_rows(const group_id& group,
                             std::map<bytes, virtual_rows::stored>& into,
                             state_digest& sum,
                             const std::vector<row_change>& rows,
                             scrub_pass* pass) {
  for (const auto& r : rows) {
    const auto name = scan_key(r.key);
    const auto found = into.find(name);
    std::optional<digest> before;
    std::optional<digest> after;
    if (found != into.end()) {
      before = found->second.hash;
      subtract(sum, *before);
    }
    if (r.value) {
      after = row_hash(group, r.key, r.index, r.value->view());
      add(sum, *after);
    }
    if (pass != nullptr)
      pass->change(name, before, after);
    if (r.value && disk_.misdirect && !into.empty()) {
      // It lands on another row: that one's seal is wrong now, and this one
      // stays as it was.
      disk_.misdirect = false;
      auto hit = into.upper_bound(name);
      if (hit == into.end())
        hit = into.begin();
      hit->second.rotten = true;
      continue;
    }
    if (r.value)
      into[name] = {{r.key, *r.value, r.index}, *after};
    else if (found != into.end())
      into.erase(found);
  }
}

result<void, state_error> virtual_state::refuses(const group_commit& c) const {
  const auto& id = c.order.group;
  const auto found = disk_.groups.find(id);
  if (found == disk_.groups.end()
          ? !c.meta
          : found->second.replica != c.order.replica || damaged_.count(id) != 0)
    return failure{
        error_of(store_errc::stale, "the rows are another replica's", id)};
  if (auto admitted = admit(id, c.rows);
      !admitted && !(c.essential && admitted.error().code == store_errc::full))
    return admitted;
  if (found == disk_.groups.end() && disk_.full)
    return failure{
        error_of(store_errc::full, "the state's quota is used up", id)};
  return {};
}

state::commit_results
virtual_state::commit_now(const std::vector<group_commit>& batch) {
  commit_results out(batch.size(), failure{state_error{}});
  std::map<group_id, state_error> refused;
  for (const auto& c : batch)
    if (auto admitted = refuses(c); !admitted)
      refused.emplace(c.order.group, admitted.error());
  if (refused.empty() && disk_.failing_commits > 0) {
    --disk_.failing_commits;
    for (const auto& c : batch)
      refused.emplace(c.order.group,
                      error_of(store_errc::io, "write failed; check the disk",
                               c.order.group));
  }
  bool stored = false;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto& c = batch[i];
    const auto& id = c.order.group;
    if (const auto no = refused.find(id); no != refused.end()) {
      out[i] = failure{no->second};
      continue;
    }
    stored = true;
    auto& g = disk_.groups[id];
    g.replica = c.order.replica;
    put_rows(id, g.rows, g.digest, c.rows, passes_.find(id));
    if (c.meta)
      g.meta = *c.meta;
    g.rotten = false;
    out[i] = digest_at{id, g.meta.index, g.digest};
  }
  disk_.commits += stored ? 1 : 0;
  for (const auto& c : batch)
    if (disk_.on_commit && refused.count(c.order.group) == 0) {
      const auto& g = disk_.groups[c.order.group];
      disk_.on_commit(c.order.group, g.replica, g.meta, g.digest);
    }
  return out;
}

result<void, state_error> virtual_state::readable(const group_id& group,
                                                  const bytes& key) {
  if (disk_.failing_reads > 0) {
    --disk_.failing_reads;
    return failure{
        state_error{store_errc::io, "read failed; check the disk", group, key}};
  }
  if (damaged_.count(group) != 0)
    return failure{state_error{store_errc::damaged, "the group's meta is bad",
                               group, key}};
  return {};
}

result<std::optional<row>, state_error>
virtual_state::read_now(const group_id& group, const bytes& key) {
  if (auto can = readable(group, key); !can)
    return failure{can.error()};
  const auto found = disk_.groups.find(group);
  if (found == disk_.groups.end())
    return std::optional<row>{};
  const auto at = found->second.rows.find(scan_key(key));
  if (at == found->second.rows.end())
    return std::optional<row>{};
  const bool bad = at->second.rotten || at->second.misnamed;
  if (bad && !planted(planted_bug::serve_a_bad_row))
    return failure{state_error{
        store_errc::damaged, "a row's checksum is wrong; fetch it from a voter",
        group, key}};
  return std::optional<row>{at->second.content};
}

result<scan_page, state_error>
virtual_state::scan_now(const group_id& group, const scan_request& request) {
  BANYAN_ASSERT(request.prefix.size() <= scan_prefix_max);
  if (auto can = readable(group, {}); !can)
    return failure{can.error()};
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
    if (at->second.misnamed)
      return failure{error_of(store_errc::damaged, row_is_missing, group)};
    if (at->second.rotten && !planted(planted_bug::serve_a_bad_row))
      page.damaged.push_back(at->first);
    else
      page.rows.push_back(at->second.content);
  }
  return page;
}

result<scrub_page, state_error>
virtual_state::scrub_now(const group_id& group, const bytes& from,
                         std::size_t bytes_max) {
  if (auto can = readable(group, {}); !can)
    return failure{can.error()};
  scrub_page page;
  const auto found = disk_.groups.find(group);
  if (found == disk_.groups.end())
    return page;
  const auto& g = found->second;
  auto* pass = passes_.at(group, from);
  for (auto at = g.rows.lower_bound(from); at != g.rows.end(); ++at) {
    const auto size = at->first.size() + at->second.content.value.size();
    if (page.rows > 0 && page.bytes_read + size > bytes_max) {
      page.next = at->first;
      break;
    }
    ++page.rows;
    page.bytes_read += size;
    if (at->second.misnamed) {
      page.digest_matches = false;
      passes_.end(group);
      return page;
    }
    if (at->second.rotten)
      page.damaged.push_back(at->first);
    else if (pass != nullptr)
      add(pass->sum, at->second.hash);
  }
  passes_.advance(group, pass, page, g.digest);
  return page;
}

virtual_state::stage* virtual_state::stage_of(const order_id& order) {
  const auto found = stages_.find(order.group);
  if (found == stages_.end() || found->second.order.replica != order.replica
      || found->second.order.number != order.number)
    return nullptr;
  return &found->second;
}

result<void, state_error>
virtual_state::put_now(const order_id& order,
                       const std::vector<row_change>& rows) {
  auto* s = stage_of(order);
  if (s == nullptr)
    return failure{given_up(order)};
  auto admitted = admit(order.group, rows);
  if (admitted)
    put_rows(order.group, s->rows, s->digest, rows, nullptr);
  return admitted;
}

result<digest_at, state_error>
virtual_state::finish_now(const order_id& order, const applied_meta& meta,
                          const std::optional<state_digest>& expected) {
  auto* s = stage_of(order);
  if (s == nullptr)
    return failure{given_up(order)};
  if (expected && *expected != s->digest
      && !planted(planted_bug::switch_to_a_snapshot_that_does_not_add_up)) {
    stages_.erase(order.group);
    return failure{error_of(store_errc::mismatch,
                            "the snapshot's digest isn't its sender's",
                            order.group)};
  }
  auto& g = disk_.groups[order.group];
  g = {order.replica, meta, std::move(s->rows), s->digest, false};
  stages_.erase(order.group);
  passes_.end(order.group);
  damaged_.erase(order.group);
  if (disk_.on_commit)
    disk_.on_commit(order.group, g.replica, g.meta, g.digest);
  return digest_at{order.group, meta.index, g.digest};
}

template <class Job, class Done>
void virtual_state::run(const std::function<duration()>& takes, Job job,
                        Done on_done) {
  worker_.push(takes, [this, writes = &takes == &takes_.sync,
                       job = std::move(job), on_done = std::move(on_done)] {
    // Power may go with this very write: then it isn't there, and nobody hears.
    if (writes && !takes_.change())
      return;
    auto got = job();
    if (on_done)
      on_done(std::move(got));
  });
}

void virtual_state::commit(std::vector<group_commit> batch,
                           commit_done on_done) {
  run(
      takes_.sync,
      [this, batch = std::move(batch)] { return commit_now(batch); },
      std::move(on_done));
}

void virtual_state::read(const group_id& group, bytes key, read_done on_done) {
  run(
      takes_.read,
      [this, group, key = std::move(key)] { return read_now(group, key); },
      std::move(on_done));
}

void virtual_state::scan(const group_id& group, scan_request request,
                         scan_done on_done) {
  run(
      takes_.read,
      [this, group, request = std::move(request)] {
        return scan_now(group, request);
      },
      std::move(on_done));
}

void virtual_state::scrub(const group_id& group, bytes from,
                          std::size_t bytes_max, scrub_done on_done) {
  run(
      takes_.read,
      [this, group, from = std::move(from), bytes_max] {
        return scrub_now(group, from, bytes_max);
      },
      std::move(on_done));
}

void virtual_state::stage_begin(order_id order, done on_done) {
  run(
      takes_.read,
      [this, order]() -> outcome {
        if (disk_.full)
          return failure{error_of(store_errc::full,
                                  "the state's quota is used up", order.group)};
        stages_[order.group] = {order, {}, {}};
        return {};
      },
      std::move(on_done));
}

void virtual_state::stage_put(order_id order, std::vector<row_change> rows,
                              done on_done) {
  run(
      takes_.sync,
      [this, order, rows = std::move(rows)] { return put_now(order, rows); },
      std::move(on_done));
}

void virtual_state::stage_finish(order_id order, applied_meta meta,
                                 std::optional<state_digest> expected,
                                 finish_done on_done) {
  run(
      takes_.sync,
      [this, order, meta = std::move(meta), expected] {
        return finish_now(order, meta, expected);
      },
      std::move(on_done));
}

void virtual_state::stage_abort(order_id order, done on_done) {
  run(
      takes_.read,
      [this, order]() -> outcome {
        if (stage_of(order) == nullptr)
          return failure{given_up(order)};
        stages_.erase(order.group);
        return {};
      },
      std::move(on_done));
}

void virtual_state::drop(order_id order, done on_done) {
  run(
      takes_.sync,
      [this, order]() -> outcome {
        stages_.erase(order.group);
        disk_.groups.erase(order.group);
        damaged_.erase(order.group);
        passes_.end(order.group);
        return {};
      },
      std::move(on_done));
}

} // namespace banyan::store::detail
