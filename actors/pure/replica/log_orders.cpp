// Orders to the log, what comes back, and what is done while the disk is full.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration log_retry_min = 50ms;
constexpr duration log_retry_max = 2s;
static_assert(2 * log_retry_max < store::log::full_patience);
/// A log that is full for longer is not about to free itself.
constexpr duration log_full_patience = 500ms;

} // namespace

void replica_core::impl::on_effect(const raft::persist& e, time_point) {
  unordered_bytes_ = 0;
  store::log_write w;
  w.order = {config_.group, config_.self.replica, e.term, e.number};
  w.reset = e.reset;
  w.hard = e.state;
  w.entries = e.entries;
  log_orders_.push_back({w, false});
  // While the disk is full everything waits, in order.
  if (!log_full_)
    out_.emplace_back(order_log{std::move(w)});
}

void replica_core::impl::on_log_done(const store::log_done& done,
                                     time_point now) {
  if (!raft_ || failed_)
    return;
  if (done.order.group != config_.group) {
    if (done.error == store::store_errc::full)
      free_log_space(now);
    return;
  }
  if (done.order.replica != config_.self.replica)
    return;
  const auto at = std::find_if(
      log_orders_.begin(), log_orders_.end(), [&](const log_order& o) {
        return (o.write.order == done.order
                || (planted(planted_bug::log_completion_of_another_life)
                    && o.write.order.number == done.order.number))
               && !o.failed;
      });
  if (at == log_orders_.end())
    return; // of an earlier life
  if (done.error) {
    if (*done.error == store::store_errc::full
        || (*done.error == store::store_errc::stale && log_full_)) {
      // Nothing of it counts; the same order is given again once there may be
      // room. Until then nothing here is acknowledged.
      at->failed = true;
      if (*done.error == store::store_errc::full)
        meet_full_log(now);
      return;
    }
    fail("the log can't be written: "
         + std::string{store::to_string(*done.error)});
    return;
  }
  if (at != log_orders_.begin())
    return; // completions come in order; this one has no place
  const auto& w = at->write;
  if (w.reset) {
    hashes_.clear();
    hashes_base_ = w.reset->index;
    hash_base_ = w.reset->hash;
  }
  if (!w.entries.empty() && done.hashes.size() == w.entries.size()) {
    for (std::size_t i = 0; i < w.entries.size(); ++i) {
      const auto index = w.entries[i].index;
      if (index <= hashes_base_)
        continue;
      const auto place = index.value() - hashes_base_.value() - 1;
      if (place > hashes_.size())
        break; // of a log that an installed snapshot has replaced
      hashes_.resize(place);
      hashes_.push_back(done.hashes[i]);
    }
  }
  const auto number = done.order.number;
  log_orders_.pop_front();
  if (log_full_)
    leave_full_log();
  raft_->persisted(now, number);
}

// ---- a full log -------------------------------------------------------------

/// What is in the state already need not be in the log, whoever may still want
/// it: he gets a snapshot. Then the same order is tried again, at once if that
/// gave room, else ever more seldom.
void replica_core::impl::meet_full_log(time_point now) {
  if (!log_full_) {
    log_full_since_ = now;
    log_retry_wait_ = log_retry_min;
  }
  log_full_ = true;
  log_retry_at_ = now + log_retry_wait_;
  log_retry_wait_ = std::min(2 * log_retry_wait_, log_retry_max);
  if (free_log_space(now))
    log_retry_at_ = now;
  if (now - log_full_since_ >= log_full_patience)
    refuse_queries_on_full_log();
}

/// True when it gave the log something to free.
bool replica_core::impl::free_log_space(time_point now) {
  if (whole() && committed_ > state_meta_.index)
    commit_due_ = now; // the sooner it is stored, the sooner it can go
  return trim_log(true);
}

void replica_core::impl::trim_behind_commit(time_point now) {
  if (trim_log(log_full_) && log_retry_at_ != never)
    log_retry_at_ = now;
}

/// One order at a time, until one finds room: those behind it would only come
/// back as stale. When it does, all that were given before it have come back.
void replica_core::impl::retry_log(time_point now) {
  if (log_retry_at_ > now)
    return;
  log_retry_at_ = never;
  BANYAN_ASSERT(!log_orders_.empty() && log_orders_.front().failed);
  log_orders_.front().failed = false;
  out_.emplace_back(order_log{log_orders_.front().write});
}

void replica_core::impl::leave_full_log() {
  log_full_ = false;
  log_retry_at_ = never;
  for (auto& o : log_orders_) {
    o.failed = false;
    out_.emplace_back(order_log{o.write});
  }
}

/// They wait for entries that no majority has stored by now, this leader
/// neither.
void replica_core::impl::refuse_queries_on_full_log() {
  if (!leading_)
    return;
  std::vector<std::uint64_t> stuck;
  for (const auto& [id, q] : queries_)
    if (!released_ || (q.done && q.version > committed_))
      stuck.push_back(id);
  for (const auto id : stuck) {
    answer(queries_.at(id).call, reply_status::disk_full);
    drop_query(id);
  }
}

// ---- what the log holds -----------------------------------------------------

digest replica_core::impl::hash_at(log_index index) const {
  if (index == hashes_base_)
    return hash_base_;
  return hashes_[index.value() - hashes_base_.value() - 1];
}
bool replica_core::impl::knows_hash(log_index index) const {
  return index >= hashes_base_
         && index.value() - hashes_base_.value() <= hashes_.size();
}

/// Behind what is stored, but for what is kept for voters that were away, or
/// `all` of it. True when it cut something.
bool replica_core::impl::trim_log(bool all) {
  if (!whole())
    return false;
  const auto base = raft_->log().base().index;
  if (state_meta_.index <= base)
    return false;
  const auto held = state_meta_.index.value() - base.value();
  auto drop = held > config_.log_kept_entries ? held - config_.log_kept_entries
                                              : std::uint64_t{0};
  if (drop < held && drop < config_.log_kept_entries / 10)
    drop = 0; // in steps worth a cut
  if (log_bytes_ > config_.log_kept_bytes) {
    auto left = log_bytes_;
    std::uint64_t n = 0;
    while (n < held && left > config_.log_kept_bytes / 2) {
      const auto size =
          raft_->log().at(log_index{base.value() + n + 1}).data.size();
      left -= std::min(left, size);
      ++n;
    }
    drop = std::max(drop, n);
  }
  if (all)
    drop = held;
  if (drop == 0)
    return false;
  std::vector<std::size_t> sizes;
  sizes.reserve(drop);
  for (std::uint64_t n = 1; n <= drop; ++n)
    sizes.push_back(raft_->log().at(log_index{base.value() + n}).data.size());
  const auto now_base = raft_->trim(log_index{base.value() + drop});
  for (std::uint64_t n = 0; n < now_base.value() - base.value(); ++n)
    log_bytes_ -= std::min(log_bytes_, sizes[n]);
  if (now_base == base)
    return false;
  out_.emplace_back(order_log_cut{now_base});
  return true;
}

} // namespace banyan
