// Orders to the state, and what comes back.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {

store::order_id replica_core::impl::next_order() {
  return {config_.group, config_.self.replica, raft_->term(), ++orders_};
}

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
  submit(std::move(effect));
}

void replica_core::impl::submit(order_commit c) {
  commits_out_.insert(c.commit.order.number);
  out_.emplace_back(std::move(c));
}

void replica_core::impl::on_state_committed(
    const store::order_id& order,
    result<store::digest_at, store::store_errc> returned, time_point now) {
  if (order.replica == config_.self.replica)
    commits_out_.erase(order.number);
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
      || on_marked(order, returned.ok(), now) || on_mended(order, returned, now)
      || !commit_
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
  close_damage(rewritten);
  stored_checkpoint(now);
  mend(now);
  trim_behind_commit(now);
  set_commit_due(now);
}

} // namespace banyan
