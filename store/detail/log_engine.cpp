#include "store/detail/log_engine.hpp"

#include "base/planted.hpp"

#include <algorithm>

namespace banyan::store::detail {
namespace {

constexpr std::size_t batch_bytes_target = std::size_t{4} << 20;
constexpr std::size_t move_bytes = std::size_t{256} << 10;

std::size_t bytes_needed(const log_action& action) {
  std::size_t sum = record_bytes_bound;
  if (const auto* w = std::get_if<log_write>(&action))
    for (const auto& e : w->entries)
      sum += entry_bytes_bound + e.data.size();
  return sum;
}

std::size_t whole_sectors(std::size_t bytes) {
  return (bytes + sector_bytes - 1) / sector_bytes * sector_bytes;
}

const order_id* order_of(const log_action& action) {
  if (const auto* w = std::get_if<log_write>(&action))
    return &w->order;
  if (const auto* d = std::get_if<log_drop>(&action))
    return &d->order;
  return nullptr;
}

} // namespace

std::size_t log_engine::order_bytes_max() const {
  return std::min(log::order_bytes_max, options_.segment_bytes / 4);
}

void log_engine::begin(std::deque<log_order>& queue) {
  BANYAN_ASSERT(!has_batch());
  if (wants_to_leave())
    leave_spoiled();
  begin_batch();
  if (wants_to_leave())
    leave_some(std::min(move_bytes, options_.segment_bytes / 16));
  else if (wants_move())
    move_some(std::min(move_bytes, options_.segment_bytes / 16));
  while (!queue.empty() && take(queue)) {
  }
  write_batch();
}

void log_engine::begin_batch() {
  buffer_.assign(batch_header_bytes, 0);
  records_ = 0;
}

/// False when the front order has to wait for the next batch.
bool log_engine::take(std::deque<log_order>& queue) {
  auto& order = queue.front();
  const auto* id = order_of(order.action);
  flying f;
  f.failures_seen = order.failures_seen;
  if (id != nullptr)
    f.done.order = *id;
  if (const auto error = check(order)) {
    if (id != nullptr)
      refuse(std::move(f), *error);
    queue.pop_front();
    return true;
  }
  const auto need = whole_sectors(buffer_.size() + bytes_needed(order.action));
  const bool essential = !std::holds_alternative<log_write>(order.action);
  if (records_ > 0
      && (need > std::min(batch_bytes_target, options_.segment_bytes / 4)
          || need > room(essential)))
    return false;
  if (need > room(essential))
    if (auto made = make_room(need, essential); !made) {
      if (made.error().code != store_errc::full)
        failed_ = true;
      if (id != nullptr)
        refuse(std::move(f), failed_ ? store_errc::io : store_errc::full);
      queue.pop_front();
      return true;
    }
  if (auto* w = std::get_if<log_write>(&order.action))
    apply(*w, f.done);
  else if (auto* c = std::get_if<log_cut>(&order.action))
    apply(*c);
  else
    apply(std::get<log_drop>(order.action));
  if (id != nullptr)
    flying_.push_back(std::move(f));
  queue.pop_front();
  return true;
}

std::optional<store_errc> log_engine::check(const log_order& order) const {
  if (failed_)
    return store_errc::io;
  if (const auto* d = std::get_if<log_drop>(&order.action)) {
    const auto found = groups_.find(d->order.group);
    if (found != groups_.end()
        && found->second.head.replica != d->order.replica)
      return store_errc::stale;
    return std::nullopt;
  }
  const auto* w = std::get_if<log_write>(&order.action);
  if (w == nullptr)
    return std::nullopt;
  const auto failed = failures_.find(w->order.group);
  if (failed != failures_.end() && failed->second != order.failures_seen)
    return store_errc::stale;
  return check(*w);
}

std::optional<store_errc> log_engine::check(const log_write& w) const {
  if (bytes_needed(w) > order_bytes_max())
    return store_errc::too_large;
  const auto found = groups_.find(w.order.group);
  if (found == groups_.end()) {
    // The checkpoint of all groups must leave most of a segment free.
    if ((groups_.size() + 1) * record_bytes_bound > options_.segment_bytes / 2)
      return store_errc::full;
  } else if (found->second.head.replica != w.order.replica) {
    if (!w.reset)
      return store_errc::stale;
  } else if (!found->second.head.damage.empty()) {
    return store_errc::damaged;
  }
  if (w.entries.empty())
    return std::nullopt;
  log_base base;
  auto last = base.index;
  if (w.reset) {
    base = *w.reset;
    last = base.index;
  } else if (found != groups_.end()) {
    base = found->second.head.base;
    last = found->second.last();
  }
  auto next = w.entries.front().index;
  BANYAN_ASSERT(next > base.index && next <= last.next());
  for (const auto& e : w.entries) {
    BANYAN_ASSERT(e.index == next);
    next = next.next();
  }
  return std::nullopt;
}

/// The giver has to hear of it before it may go on: what it gave in between
/// would leave a hole.
void log_engine::refuse(flying f, store_errc code) {
  const bool counts = code != store_errc::stale && code != store_errc::io;
  if (counts)
    ++failures_[f.done.order.group];
  f.done.error = code;
  f.done.hashes.clear();
  flying_.push_back(std::move(f));
}

log_engine::undo& log_engine::remember(const group_id& id,
                                       std::size_t slots_kept) {
  undo u;
  u.group = id;
  const auto found = groups_.find(id);
  u.existed = found != groups_.end();
  if (u.existed) {
    const auto& g = found->second;
    u.head = g.head;
    u.slots_kept = slots_kept;
    u.removed.assign(g.slots.begin() + static_cast<std::ptrdiff_t>(slots_kept),
                     g.slots.end());
  }
  undo_.push_back(std::move(u));
  return undo_.back();
}

void log_engine::change_live(std::uint64_t number, std::int64_t bytes) {
  if (live_change_.empty() || live_change_.back().first != number)
    live_change_.emplace_back(number, 0);
  live_change_.back().second += bytes;
}

void log_engine::apply(log_write& w, log_done& done) {
  const auto& id = w.order.group;
  const auto found = groups_.find(id);
  std::size_t kept = 0;
  if (found != groups_.end() && !w.reset) {
    const auto& g = found->second;
    kept = g.slots.size();
    if (!w.entries.empty())
      kept = w.entries.front().index.value() - g.head.base.index.value() - 1;
  }
  const auto& u = remember(id, kept);
  for (const auto& s : u.removed)
    change_live(s.segment, -static_cast<std::int64_t>(s.bytes));
  auto& g = groups_[id];
  g.slots.resize(kept);
  if (g.head.replica != w.order.replica) {
    g.head = {};
    g.head.replica = w.order.replica;
  }
  if (w.reset)
    g.head.base = *w.reset;
  if (w.hard)
    g.head.hard = *w.hard;

  record r;
  r.kind = record_kind::write;
  r.group = id;
  r.replica = w.order.replica;
  r.sequence = ++g.head.sequence;
  r.base = w.reset;
  r.hard = w.hard;
  r.previous = g.end_hash();
  r.entries.reserve(w.entries.size());
  done.hashes.reserve(w.entries.size());
  auto hash = r.previous;
  for (auto& e : w.entries) {
    hash = chain_hash(hash, e);
    done.hashes.push_back(hash);
    r.entries.push_back({std::move(e), 0, 0});
  }
  r.end = hash;
  add_record(r);
  for (std::size_t i = 0; i < r.entries.size(); ++i) {
    const auto& e = r.entries[i];
    g.slots.push_back({done.hashes[i], e.entry.term, current(),
                       static_cast<std::uint32_t>(offset_ + e.offset),
                       static_cast<std::uint32_t>(e.bytes)});
    change_live(current(), static_cast<std::int64_t>(e.bytes));
  }
}

void log_engine::apply(const log_cut& c) {
  const auto found = groups_.find(c.group);
  if (found == groups_.end() || found->second.head.replica != c.replica)
    return;
  const auto& old = found->second;
  if (c.index <= old.head.base.index || c.index > old.last())
    return;
  const auto n = static_cast<std::ptrdiff_t>(c.index.value()
                                             - old.head.base.index.value());
  remember(c.group, 0);
  auto& g = found->second;
  const auto& at = g.slots[static_cast<std::size_t>(n) - 1];
  g.head.base = {c.index, at.term, at.hash};
  for (auto s = g.slots.begin(); s != g.slots.begin() + n; ++s)
    change_live(s->segment, -static_cast<std::int64_t>(s->bytes));
  g.slots.erase(g.slots.begin(), g.slots.begin() + n);
  record r;
  r.kind = record_kind::cut;
  r.group = c.group;
  r.replica = c.replica;
  r.sequence = ++g.head.sequence;
  r.base = g.head.base;
  add_record(r);
}

void log_engine::apply(const log_drop& d) {
  const auto found = groups_.find(d.order.group);
  if (found == groups_.end())
    return;
  const auto& u = remember(d.order.group, 0);
  for (const auto& s : u.removed)
    change_live(s.segment, -static_cast<std::int64_t>(s.bytes));
  record r;
  r.kind = record_kind::drop;
  r.group = d.order.group;
  r.replica = d.order.replica;
  r.sequence = found->second.head.sequence + 1;
  groups_.erase(found);
  add_record(r);
}

void log_engine::add_record(record& r) {
  encode(buffer_, r);
  ++records_;
}

/// Seals and writes the batch, un-synced.
void log_engine::write_batch() {
  if (records_ == 0) {
    buffer_.clear();
    return;
  }
  seal_batch(buffer_, {current(), offset_, offset_, records_, 0, {}}, salt_);
  auto& data = *segments_.rbegin()->second.data;
  auto written = data.write(offset_, buffer_);
  if (written)
    return;
  if (written.error().code != store_errc::full) {
    failed_ = true;
    fail_batch(store_errc::io);
    return;
  }
  // What did get written could be all but trailing zeros: make sure that it
  // isn't found whole after a crash.
  (void)data.write(offset_, bytes(sector_bytes));
  fail_batch(store_errc::full);
}

/// Takes the batch back and answers its orders with `code`.
void log_engine::fail_batch(store_errc code) {
  for (auto u = undo_.rbegin(); u != undo_.rend(); ++u) {
    if (!u->existed) {
      groups_.erase(u->group);
      continue;
    }
    auto& g = groups_[u->group];
    g.head = std::move(u->head);
    g.slots.resize(u->slots_kept);
    g.slots.insert(g.slots.end(), u->removed.begin(), u->removed.end());
  }
  undo_.clear();
  live_change_.clear();
  buffer_.clear();
  records_ = 0;
  moving_ = 0;
  leave_listed_ = false;
  leave_retry_ = offset_ + options_.segment_bytes / 64;
  auto batch = std::move(flying_);
  flying_.clear();
  for (auto& f : batch) {
    if (f.done.error) {
      flying_.push_back(std::move(f));
      continue;
    }
    const auto failed = failures_.find(f.done.order.group);
    const auto count = failed == failures_.end() ? 0 : failed->second;
    const bool first = count == f.failures_seen || code == store_errc::io;
    refuse(std::move(f), first ? code : store_errc::stale);
  }
}

void log_engine::finish(std::vector<log_done>& out) {
  if (!buffer_.empty()) {
    if (auto synced = planted(planted_bug::complete_before_sync)
                          ? outcome{}
                          : segments_.rbegin()->second.data->sync();
        !synced) {
      failed_ = true;
      fail_batch(store_errc::io);
    } else {
      offset_ += buffer_.size();
      synced_.set({current(), offset_});
      for (const auto& [number, change] : live_change_) {
        auto& live = segments_.at(number).live_bytes;
        live = static_cast<std::uint64_t>(static_cast<std::int64_t>(live)
                                          + change);
      }
    }
  }
  undo_.clear();
  live_change_.clear();
  buffer_.clear();
  records_ = 0;
  for (auto& f : flying_)
    out.push_back(std::move(f.done));
  flying_.clear();
}

bool log_engine::tidy() {
  if (failed_)
    return false;
  retire_oldest();
  // A segment that is about to be freed can serve as the reserve: its blocks
  // are written already, which makes its syncs cheaper.
  if (reserve_bytes_ < options_.segment_bytes && offset_ >= reserve_retry_
      && (segments_.size() == 1 || offset_ > capacity_ / 4)
      && !make_reserve(options_.segment_bytes))
    reserve_retry_ = offset_ + options_.segment_bytes / 64;
  return wants_to_leave() || wants_move();
}

} // namespace banyan::store::detail
