// Entries into the overlay and the tables; the output gate behind them.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

namespace banyan {

duration replica_core::impl::log_time(time_point now) const {
  return leading_ && now > log_time_at_ ? log_time_ + (now - log_time_at_)
                                        : log_time_;
}

std::optional<log_index> replica_core::impl::propose(replica::entry_body body,
                                                     time_point now) {
  if (!may_propose())
    return std::nullopt;
  replica::entry e{log_time(now), std::move(body)};
  shared_bytes data{replica::encode(e)};
  const auto size = data.size();
  // All entries of one turn of the loop become one order to the log.
  if (unordered_bytes_ != 0
      && unordered_bytes_ + size > store::log::order_bytes_max / 4)
    return std::nullopt;
  const auto index = raft_->propose(now, std::move(data));
  if (!index)
    return std::nullopt;
  // Raft may have put entries of its own before this one.
  if (!catch_up(index->prev(), true))
    return std::nullopt;
  execute(e, *index, leading_term_, true);
  log_time_at_ = now;
  log_bytes_ += size;
  checkpoint_size_ += size;
  proposed_.emplace_back(*index, size);
  uncommitted_bytes_ += size;
  unordered_bytes_ += size;
  return *index;
}

void replica_core::impl::execute(const replica::entry& e, log_index index,
                                 banyan::term t, bool undo) {
  replica::overlay::step s;
  s.index = index;
  s.term = t;
  s.log_time = std::max(log_time_, e.log_time);
  s.touched = std::string{replica::touched_actor(e)};
  s.checkpoint = std::holds_alternative<replica::checkpoint_entry>(e.body);
  if (s.checkpoint) {
    checkpoint_at_ = index;
    checkpoint_size_ = 0;
  }
  replica::derive(e, index, tables_, s.rows);
  for (const auto& row : s.rows) {
    if (!is_small_row(row.key))
      continue;
    if (undo) {
      auto before = tables_.get(row.key);
      s.undo.push_back({row.key, std::nullopt, {}});
      if (before) {
        s.undo.back().value = std::move(before->value);
        s.undo.back().index = before->index;
      }
    }
    const bool well_formed = tables_.apply(row.key, row.value, index);
    BANYAN_ASSERT(well_formed);
  }
  log_time_ = s.log_time;
  overlay_.push(std::move(s));
}

bool replica_core::impl::execute(const log_entry& e, bool undo) {
  if (e.kind == entry_kind::command) {
    replica::entry decoded;
    if (!replica::decode(e.data.view(), decoded)) {
      fail_on_later(e.index);
      return false;
    }
    execute(decoded, e.index, e.term, undo);
    return true;
  }
  replica::overlay::step s;
  s.index = e.index;
  s.term = e.term;
  s.log_time = log_time_;
  if (e.kind == entry_kind::configuration)
    s.configuration = e.data.view().copy();
  overlay_.push(std::move(s));
  return true;
}

bool replica_core::impl::catch_up(log_index to, bool undo) {
  while (overlay_.last() < to)
    if (!execute(raft_->log().at(overlay_.last().next()), undo))
      return false;
  return true;
}

void replica_core::impl::roll_back(log_index to) {
  if (overlay_.last() <= to
      || planted(planted_bug::keep_the_uncommitted_on_step_down))
    return;
  std::vector<replica::overlay::undo_row> undo;
  overlay_.roll_back(to, undo);
  for (const auto& u : undo)
    tables_.apply(u.key, u.value, u.index);
  replica::meta_opaque opaque;
  if (const auto* s = overlay_.at(overlay_.last()))
    log_time_ = s->log_time;
  else if (replica::decode(state_meta_.opaque, opaque))
    log_time_ = opaque.log_time;
  else
    log_time_ = {};
}

void replica_core::impl::on_effect(const raft::truncated& e, time_point) {
  BANYAN_ASSERT(e.from > committed_);
  roll_back(e.from.prev());
}

void replica_core::impl::on_effect(const raft::committed& e, time_point now) {
  if (!whole()) {
    // There is nothing yet that they could be applied to; the log keeps them,
    // and the end of this flush sees whether they complete what is mended.
    for (const auto& entry : e.entries)
      log_bytes_ += entry.data.size();
    return;
  }
  for (const auto& entry : e.entries) {
    if (entry.index <= committed_)
      continue;
    if (overlay_.last() < entry.index) {
      if (!leading_)
        log_bytes_ += entry.data.size();
      if (!execute(entry, false))
        return;
    }
    committed_ = entry.index;
    const auto& step = *overlay_.at(committed_);
    if (step.checkpoint)
      checkpoints_.push_back(committed_);
    if (!watches_.empty() && !step.touched.empty())
      wake_watches(step.touched);
  }
  overlay_.committed(committed_);
  while (!proposed_.empty() && proposed_.front().first <= committed_) {
    uncommitted_bytes_ -= proposed_.front().second;
    proposed_.pop_front();
  }
  set_commit_due(now);
  release_gate(now);
}

void replica_core::impl::release_gate(time_point now) {
  while (!gate_.empty()
         && (gate_.begin()->first <= committed_
             || planted(planted_bug::reply_before_commit))) {
    const auto index = gate_.begin()->first;
    auto items = std::move(gate_.begin()->second);
    gate_.erase(gate_.begin());
    for (auto& item : items)
      release(item, index, now);
  }
}

void replica_core::impl::release(gate_item& item, log_index index,
                                 time_point now) {
  if (item.pending_id != 0) {
    const auto it = pendings_.find(item.pending_id);
    if (it != pendings_.end()) {
      const auto& p = *it->second;
      for (const auto& c : p.callers)
        answer(c.call, reply_of(p.outcome, index));
      if (failover_open_ && !p.callers.empty()) {
        failover_open_ = false;
        out_.emplace_back(failover_report{leading_term_, old_leader_,
                                          detected_.value_or(elected_),
                                          elected_, first_commit_, now});
        detected_.reset();
      }
      drop_pending(item.pending_id);
    }
  }
  if (item.direct)
    answer(item.call, std::move(*item.direct));
  if (item.query_id != 0) {
    const auto q = queries_.find(item.query_id);
    if (q != queries_.end())
      try_answer(q->second, now);
  }
  for (auto id : item.recorded) {
    const auto it = pendings_.find(id);
    if (it == pendings_.end())
      continue;
    it->second->alone = true;
    it->second->at = pending::state::waiting;
    enqueue(*it->second, true);
  }
  if (item.took) {
    auto& flow = in_flows_[item.took->first];
    flow.committed = std::max(flow.committed, item.took->second);
    acks_due_.insert(item.took->first);
  }
  if (item.change != 0)
    out_.emplace_back(change_done{item.change, true, {}});
}

} // namespace banyan
