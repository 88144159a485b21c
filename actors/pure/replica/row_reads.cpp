// Rows for turns and queries: overlay first, then the cache, then the state.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t range_bytes_max = std::size_t{1} << 20;

} // namespace

std::optional<replica::row_version>
replica_core::impl::known(const run& r, const bytes& row) {
  if (const auto* here = planted(planted_bug::turn_on_applied_state)
                             ? nullptr
                             : overlay_.find(row))
    return replica::row_version{here->index, here->value};
  if (const auto* cached = cache_.find(row))
    return *cached;
  const auto loaded = r.loaded.find(row);
  if (loaded != r.loaded.end())
    return loaded->second;
  return std::nullopt;
}

log_index replica_core::impl::version_of(const run& r) {
  const auto touched = overlay_.touched(r.actor);
  const auto state = known(r, replica::actor_row(r.actor));
  return state ? std::max(touched, state->index) : touched;
}

/// From the beginning, under a new number: what was ordered for the old one
/// counts for nothing.
void replica_core::impl::restart(run& r) {
  auto node = runs_.extract(r.key.number);
  if (exclusive_ == r.key.number)
    exclusive_ = ids_ + 1;
  node.key() = r.key.number = ++ids_;
  runs_.insert(std::move(node));
  ++r.restarts;
  r.launched = false;
  r.asked.clear();
  r.scans = 0;
  r.round = 0;
  r.keys.clear();
  r.ranges.clear();
  r.loaded.clear();
  gather(r);
}

/// Orders what is missing; once nothing is, the host gets the turn.
void replica_core::impl::gather(run& r) {
  if (r.launched || r.finishing)
    return;
  const auto want = [&](bytes row) {
    if (!known(r, row))
      order_row(r, std::move(row));
  };
  want(replica::actor_row(r.actor));
  for (const auto& key : r.keys)
    want(replica::table_row(r.actor, key));
  for (std::size_t n = 0; n < r.ranges.size() && r.scans == 0; ++n)
    if (!r.ranges[n].done)
      gather_range(r, n);
  if (r.asked.empty() && r.scans == 0)
    launch(r);
}

void replica_core::impl::order_row(run& r, bytes row) {
  if (!r.asked.insert(row).second)
    return;
  order_read read;
  read.order = next_order();
  read.key = row;
  read_wait w;
  w.run = r.key.number;
  w.key = std::move(row);
  reads_[read.order.number] = std::move(w);
  out_.emplace_back(std::move(read));
}

void replica_core::impl::gather_range(run& r, std::size_t n) {
  ++r.scans;
  order_scan scan;
  scan.order = next_order();
  scan.request.prefix = replica::table_prefix(r.actor);
  scan.request.from = r.ranges[n].from;
  scan.request.rows_max =
      std::min<std::size_t>(r.ranges[n].found.range.limit, 10'000) + 1;
  read_wait w;
  w.run = r.key.number;
  w.range = n;
  reads_[scan.order.number] = std::move(w);
  out_.emplace_back(std::move(scan));
}

void replica_core::impl::on_state_read(
    const store::order_id& order,
    result<std::optional<store::row>, store::store_errc> row, time_point now) {
  const auto it = reads_.find(order.number);
  if (!raft_ || failed_ || it == reads_.end()
      || order.replica != config_.self.replica)
    return;
  auto w = std::move(it->second);
  reads_.erase(it);
  if (!row && row.error() == store::store_errc::damaged)
    open_damage(w.key, now);
  if (w.row_for) {
    if (row || row.error() == store::store_errc::damaged)
      give_row(w, row);
    else
      fail("the state can't be read: "
           + std::string{store::to_string(row.error())});
    return;
  }
  const auto at = runs_.find(w.run);
  if (at == runs_.end())
    return;
  auto& r = *at->second;
  if (!row && row.error() == store::store_errc::damaged)
    return park(std::move(w)); // the actor serves nothing until it is mended
  r.asked.erase(w.key);
  if (!row) {
    fail("the state can't be read: "
         + std::string{store::to_string(row.error())});
    return;
  }
  replica::row_version v;
  if (row->has_value()) {
    v.index = (*row)->index;
    v.value = (*row)->value;
  }
  r.loaded[w.key] = v;
  if (!overlay_.find(w.key) && !cache_.find(w.key))
    cache_.put(w.key, std::move(v));
  if (!r.launched && r.asked.empty())
    gather(r);
}

void replica_core::impl::on_state_scanned(
    const store::order_id& order,
    result<store::scan_page, store::store_errc> page, time_point now) {
  const auto it = reads_.find(order.number);
  if (!raft_ || failed_ || it == reads_.end()
      || order.replica != config_.self.replica)
    return;
  auto w = std::move(it->second);
  reads_.erase(it);
  if (!page && page.error() == store::store_errc::damaged)
    return lose_state("rows are missing, nobody knows which", false, now);
  if (page)
    for (const auto& key : page->damaged) {
      open_damage(key, now);
      if (!readable_)
        return;
    }
  if (w.copy != 0) {
    if (page && page->damaged.empty())
      copy_page(w, *page);
    else
      end_copy(w.copy, "rows of its state are damaged");
    return;
  }
  if (w.list != 0) {
    if (page)
      on_list_page(w, *page, now);
    else
      fail("the state can't be read: "
           + std::string{store::to_string(page.error())});
    return;
  }
  if (w.snapshot != 0) {
    // A chunk with a hole in it would be a silent loss.
    if (page && page->damaged.empty())
      send_chunk(w, *page);
    return;
  }
  const auto at = runs_.find(w.run);
  if (at == runs_.end())
    return;
  auto& r = *at->second;
  if (!page) {
    fail("the state can't be read: "
         + std::string{store::to_string(page.error())});
    return;
  }
  if (!page->damaged.empty())
    return park(std::move(w));
  if (w.erase_all) {
    erase_all_rows(r, *page, now);
    return;
  }
  --r.scans;
  BANYAN_ASSERT(w.range && *w.range < r.ranges.size());
  merge_page(r, r.ranges[*w.range], *page);
  gather(r);
}

/// Takes a page's rows together with what the overlay knows of that stretch.
/// Pages complete in the order of commits, so whatever the overlay has let go
/// of is in the page.
void replica_core::impl::merge_page(run& r, range_work& w,
                                    const store::scan_page& page) {
  const auto& range = w.found.range;
  const auto prefix = replica::table_prefix(r.actor);
  auto end =
      range.until.empty() ? prefix : replica::table_row(r.actor, range.until);
  if (range.until.empty()) {
    while (!end.empty() && end.back() == 0xff)
      end.pop_back();
    ++end.back();
  }
  const bool last = page.next.empty() || !(const_bytes{page.next} < end);
  const auto stretch = last ? end : page.next;
  std::map<bytes, std::optional<shared_bytes>> rows;
  for (const auto& row : page.rows)
    if (!(const_bytes{row.key} < w.from) && const_bytes{row.key} < stretch)
      rows[row.key] = row.value;
  std::vector<const store::row_change*> newer;
  overlay_.range(w.from, stretch, newer);
  for (const auto* row : newer)
    rows[row->key] = row->value;
  for (auto& [key, value] : rows) {
    if (!value)
      continue;
    if (w.found.rows.size() >= range.limit
        || (w.size > range_bytes_max && !w.found.rows.empty())) {
      w.done = true;
      return;
    }
    w.size += key.size() + value->size();
    w.found.rows.push_back(
        {const_bytes{key}.from(prefix.size()).copy(), std::move(value)});
  }
  w.from = stretch;
  if (last)
    w.done = w.found.complete = true;
}

/// The rows of an actor that is removed, so that its entry can name them all.
void replica_core::impl::erase_all_rows(run& r, const store::scan_page& page,
                                        time_point now) {
  const auto prefix = replica::table_prefix(r.actor);
  for (const auto& row : page.rows)
    r.keys.push_back(const_bytes{row.key}.from(prefix.size()).copy());
  if (!page.next.empty()) {
    read_wait w;
    w.run = r.key.number;
    w.erase_all = true;
    w.key = page.next;
    order_scan scan;
    scan.order = next_order();
    scan.request.prefix = prefix;
    scan.request.from = page.next;
    reads_[scan.order.number] = std::move(w);
    out_.emplace_back(std::move(scan));
    return;
  }
  auto end = prefix;
  while (end.back() == 0xff)
    end.pop_back();
  ++end.back();
  std::vector<const store::row_change*> newer;
  overlay_.range(prefix, end, newer);
  for (const auto* row : newer)
    if (row->value)
      r.keys.push_back(const_bytes{row->key}.from(prefix.size()).copy());
  auto keys = std::move(r.keys);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  auto result = std::move(*r.finishing);
  auto& p = *pendings_.at(r.owner);
  end_run(r.key.number);
  if (keys.size() > turn_limits::rows_max) {
    result.outcome = turn_outcome::failed;
    result.message = "too many table rows to remove at once: erase some first";
    keys.clear();
  }
  finish(p, std::move(result), std::move(keys), now);
}

} // namespace banyan
