// Orders to the log and to the state, and what comes back.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {

store::order_id replica_core::impl::next_order() {
  return {config_.group, config_.self.replica, raft_->term(), ++orders_};
}

// ---- log --------------------------------------------------------------------

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
  if (!raft_ || failed_ || done.order.group != config_.group
      || done.order.replica != config_.self.replica)
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
      log_full_ = true;
      if (log_retry_at_ == never)
        log_retry_at_ = now + 500ms;
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
  raft_->persisted(now, number);
}

void replica_core::impl::resubmit_log(time_point now) {
  if (log_retry_at_ > now)
    return;
  if (std::any_of(log_orders_.begin(), log_orders_.end(),
                  [](const log_order& o) { return o.failed; })
      && !std::all_of(log_orders_.begin(), log_orders_.end(),
                      [](const log_order& o) { return o.failed; })) {
    // Those given after the full one come back as stale first; those never
    // given have no completion to wait for.
    for (auto& o : log_orders_)
      o.failed = true;
  }
  log_retry_at_ = never;
  log_full_ = false;
  for (auto& o : log_orders_) {
    o.failed = false;
    out_.emplace_back(order_log{o.write});
  }
}

digest replica_core::impl::hash_at(log_index index) const {
  if (index == hashes_base_)
    return hash_base_;
  return hashes_[index.value() - hashes_base_.value() - 1];
}
bool replica_core::impl::knows_hash(log_index index) const {
  return index >= hashes_base_
         && index.value() - hashes_base_.value() <= hashes_.size();
}

void replica_core::impl::trim_log() {
  if (!whole())
    return;
  const auto base = raft_->log().base().index;
  if (state_meta_.index <= base)
    return;
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
  if (drop == 0)
    return;
  std::vector<std::size_t> sizes;
  sizes.reserve(drop);
  for (std::uint64_t n = 1; n <= drop; ++n)
    sizes.push_back(raft_->log().at(log_index{base.value() + n}).data.size());
  const auto now_base = raft_->trim(log_index{base.value() + drop});
  for (std::uint64_t n = 0; n < now_base.value() - base.value(); ++n)
    log_bytes_ -= std::min(log_bytes_, sizes[n]);
  if (now_base > base)
    out_.emplace_back(order_log_cut{now_base});
}

// ---- state ------------------------------------------------------------------

void replica_core::impl::set_commit_due(time_point now) {
  if (commit_due_ != never || !whole() || committed_ <= state_meta_.index)
    return;
  // On the same beat for all groups of a node, so that one transaction takes
  // what they have.
  const auto interval = config_.state_commit_interval;
  const auto beats = now.time_since_epoch() / interval + 1;
  commit_due_ = time_point{
      std::chrono::duration_cast<time_point::duration>(interval * beats)};
}

void replica_core::impl::order_commit_if_due(time_point now) {
  if (commit_ || commit_due_ == never || !whole())
    return;
  if (install_ && install_->finishing) {
    commit_due_ = std::max(commit_due_, now + 10ms);
    return; // it would land on top of the rows that are switched in
  }
  if (now < commit_due_ && overlay_.bytes_used() < config_.state_commit_bytes)
    return;
  // Applied never passes committed, nor what this disk holds of the log; and
  // it stands at each checkpoint once.
  auto index = std::min(committed_, raft_->persisted_index());
  if (!checkpoints_.empty())
    index = std::min(index, checkpoints_.front());
  if (!knows_hash(index))
    index = log_index{hashes_base_.value() + hashes_.size()};
  if (index <= state_meta_.index) {
    commit_due_ = now + 100ms;
    return;
  }
  const auto* last = overlay_.at(index);
  BANYAN_ASSERT(last);
  commit_order c;
  c.order = next_order();
  c.meta.index = index;
  c.meta.term = last->term;
  c.meta.hash = hash_at(index);
  c.meta.configuration = state_meta_.configuration;
  for (auto i = state_meta_.index.next(); i <= index; i = i.next())
    if (const auto& conf = overlay_.at(i)->configuration)
      c.meta.configuration = *conf;
  c.meta.opaque = replica::encode(replica::meta_opaque{last->log_time});
  commit_due_ = never;
  order_commit effect;
  effect.commit.order = c.order;
  effect.commit.rows = overlay_.batch(
      planted(planted_bug::store_the_index_ahead_of_its_rows) ? index.prev()
                                                              : index);
  effect.commit.meta = c.meta;
  if (planted(planted_bug::cut_the_log_before_the_state_is_stored))
    out_.emplace_back(order_log_cut{index});
  for (auto& [key, d] : damage_)
    if (overlay_.writes(index, key))
      d.rewritten_by = c.order.number;
  commit_ = std::move(c);
  out_.emplace_back(std::move(effect));
}

void replica_core::impl::on_state_committed(
    const store::order_id& order,
    result<store::digest_at, store::store_errc> returned, time_point now) {
  take_commit(order, returned, now);
  if (!failed_ && install_ && install_->meta && !install_->finishing
      && install_->staging == 0)
    finish_install(now); // it waited for this
}

void replica_core::impl::take_commit(
    const store::order_id& order,
    const result<store::digest_at, store::store_errc>& returned,
    time_point now) {
  if (!raft_ || failed_ || order.replica != config_.self.replica
      || on_mended(order, returned, now) || !commit_
      || (commit_->order != order
          && !planted(planted_bug::state_completion_of_another_order)))
    return;
  auto done = std::move(*commit_);
  commit_.reset();
  if (!returned) {
    for (auto& [key, d] : damage_)
      d.rewritten_by = 0;
    if (returned.error() == store::store_errc::damaged) {
      lose_state("a page of the state is damaged", false, now);
      return;
    }
    if (returned.error() != store::store_errc::full) {
      fail("the state can't be written: "
           + std::string{store::to_string(returned.error())});
      return;
    }
    commit_due_ = now + 1s; // it stays in the overlay
    return;
  }
  if (done.meta.index <= state_meta_.index)
    return; // a snapshot went past it
  state_meta_ = std::move(done.meta);
  state_digest_.reset();
  if (returned->index == state_meta_.index)
    state_digest_ = returned->digest;
  overlay_.release(state_meta_.index, cache_);
  while (hashes_base_ < state_meta_.index) {
    hash_base_ = hashes_.front();
    hashes_.pop_front();
    hashes_base_ = hashes_base_.next();
  }
  // What was read from the state for a run that has not begun may be older
  // than what the overlay has just let go of.
  for (auto& [number, r] : runs_)
    if (!r->launched)
      r->loaded.clear();
  std::vector<bytes> rewritten;
  for (const auto& [key, d] : damage_)
    if (d.rewritten_by == order.number)
      rewritten.push_back(key);
  for (const auto& key : rewritten)
    close_damage(key, now);
  stored_checkpoint(now);
  mend(now);
  trim_log();
  set_commit_due(now);
}

} // namespace banyan
