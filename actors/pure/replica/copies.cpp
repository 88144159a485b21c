// Copies of the state for somebody outside the group, for backups: key ranges
// and entries, as a snapshot has them, sealed and sent by others.
#include "actors/pure/replica/impl.hpp"

namespace banyan {
namespace {

constexpr std::size_t entries_bytes = std::size_t{256} << 10;

copy_given given(std::uint64_t token, copy_given::what kind) {
  copy_given g;
  g.token = token;
  g.kind = kind;
  return g;
}

} // namespace

void replica_core::impl::on_copy(std::uint64_t token, copy_step step,
                                 time_point now) {
  const auto it = copies_.find(token);
  if (step == copy_step::end) {
    if (it != copies_.end()) {
      raft_->unpin(it->second.pin);
      copies_.erase(it);
    }
    return;
  }
  if (!raft_ || failed_ || !whole() || !damage_.empty())
    return end_copy(token, "this replica has no whole state");
  if (it != copies_.end()) {
    auto& c = it->second;
    c.heard = now;
    if (step == copy_step::entries)
      return copy_entries(token, c, now);
  } else {
    if (step == copy_step::entries)
      return end_copy(token, "the copy was given up: it was asked for too "
                             "slowly, or the log grew too long");
    if (copies_.size() >= config_.copies_max)
      return end_copy(token, "too many copies of it are being made");
    if (state_meta_.index == log_index{} || !state_digest_) {
      if (committed_ > state_meta_.index)
        commit_due_ = now;
      out_.emplace_back(given(token, copy_given::what::wait));
      return;
    }
    auto& c = copies_[token];
    c.pin = raft_->pin(state_meta_.index);
    c.log_bytes = log_bytes_;
    c.heard = now;
  }
  auto& c = copies_.at(token);
  if (c.rows_done)
    return end_copy(token, "all its rows were given");
  order_scan scan;
  scan.order = next_order();
  scan.request.from = c.position;
  scan.request.bytes_max = config_.snapshot_chunk_bytes;
  read_wait w;
  w.copy = token;
  w.key = c.position;
  // A scan sees every commit ordered before it, returned or not.
  w.applied = commit_ ? commit_->meta.index : state_meta_.index;
  reads_[scan.order.number] = std::move(w);
  out_.emplace_back(std::move(scan));
}

void replica_core::impl::copy_page(const read_wait& w,
                                   const store::scan_page& page) {
  const auto it = copies_.find(w.copy);
  if (it == copies_.end() || it->second.rows_done
      || it->second.position != w.key)
    return; // asked twice
  auto& c = it->second;
  replica::snapshot_chunk chunk;
  chunk.from = w.key;
  chunk.next = page.next;
  chunk.applied = w.applied;
  chunk.rows = page.rows;
  chunk.hash = replica::hash_rows(chunk.rows);
  if (w.key.empty()) // what the rows lack begins behind where the first stood
    c.next_entry = w.applied.next();
  c.position = page.next;
  c.rows_done = page.next.empty();
  auto g = given(w.copy, copy_given::what::rows);
  g.last = c.rows_done;
  g.payload = replica::encode(chunk);
  out_.emplace_back(std::move(g));
}

/// The copy's end is fixed by what the group had committed as its entries were
/// asked for: a leader's quorum says so, to a follower too.
void replica_core::impl::copy_entries(std::uint64_t token, state_copy& c,
                                      time_point now) {
  if (!c.rows_done)
    return end_copy(token, "its rows come first");
  if (!c.meta) {
    if (!c.asked)
      c.asked = now;
    if (!c.covers)
      c.covers = committed_after(*c.asked);
    if (!c.covers)
      raft_->confirm(now);
    if (!c.covers || state_meta_.index < *c.covers || !state_digest_) {
      if (committed_ > state_meta_.index)
        commit_due_ = std::min(commit_due_, now);
      out_.emplace_back(given(token, copy_given::what::wait));
      return;
    }
    c.meta = state_meta_;
    c.digest = *state_digest_;
  }
  const auto& log = raft_->log();
  if (c.next_entry <= log.base().index)
    return end_copy(token, "its log was cut meanwhile");
  replica::snapshot_entries m;
  std::size_t size = 0;
  for (; c.next_entry <= c.meta->index && size < entries_bytes;
       c.next_entry = c.next_entry.next()) {
    m.entries.push_back(log.at(c.next_entry));
    size += 32 + m.entries.back().data.size();
  }
  auto g = given(token, copy_given::what::entries);
  g.last = c.next_entry > c.meta->index;
  if (g.last) {
    m.meta = c.meta;
    m.digest = c.digest;
  }
  g.payload = replica::encode(m);
  out_.emplace_back(std::move(g));
}

void replica_core::impl::end_copy(std::uint64_t token, std::string why) {
  const auto it = copies_.find(token);
  if (it != copies_.end()) {
    raft_->unpin(it->second.pin);
    copies_.erase(it);
  }
  auto g = given(token, copy_given::what::failed);
  g.why = std::move(why);
  out_.emplace_back(std::move(g));
}

void replica_core::impl::copies_tick(time_point now) {
  for (auto it = copies_.begin(); it != copies_.end();) {
    auto& c = it->second;
    const bool late = now - c.heard >= copy_patience;
    const bool long_log = log_bytes_ > c.log_bytes + config_.copy_log_bytes_max;
    if (!late && !long_log) {
      ++it;
      continue;
    }
    raft_->unpin(c.pin);
    it = copies_.erase(it);
  }
}

} // namespace banyan
