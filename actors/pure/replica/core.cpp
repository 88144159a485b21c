// Start, flush, roles: what ties the parts of a replica together.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {

replica_core::impl::impl(replica_config config, random_source& random,
                         const app_directory& apps)
    : config_{std::move(config)}, random_{random}, apps_{apps},
      cache_{config_.cache_bytes}, sender_{{config_.stream_window,
                                            std::size_t{256} << 10,
                                            config_.stream_resend_min,
                                            config_.stream_resend_max}} {
  version_ran_ = config_.base_version;
}

bool replica_core::impl::may_propose() const {
  return leading_ && !failed_ && raft_->leads()
         && raft_->term() == leading_term_;
}

void replica_core::impl::flush(time_point now) {
  if (!raft_ || failed_)
    return;
  // Each pass may give the next one something to do (a commit frees what waits
  // for it); what is left over waits for the next loop turn.
  for (int pass = 0; pass < 16; ++pass) {
    if (may_propose()) {
      record_poison(now);
      pump_timers(now);
      pump_streams(now);
      propose_acks(now);
      step_changes(now);
      propose_checkpoint(now);
      step_version(now);
    }
    pump_turns(now);
    process_raft(now);
    if (failed_)
      return;
    send_acks();
    if (raft_effects_.empty() && own_frames_.empty())
      break;
  }
  clear_suspects(now);
  answer_looks(now);
  mend(now);
  if (failed_)
    return;
  order_commit_if_due(now);
  close_failover(now);
  note_version(now);
  hand_out_turns(now);
}

void replica_core::impl::hand_out(replica_effects& out) {
  if (out.empty()) {
    out.swap(out_);
    return;
  }
  out.insert(out.end(), std::make_move_iterator(out_.begin()),
             std::make_move_iterator(out_.end()));
  out_.clear();
}

void replica_core::impl::process_raft(time_point now) {
  BANYAN_ASSERT(!processing_raft_);
  processing_raft_ = true;
  raft_effects_.clear();
  raft_->flush(now, raft_effects_);
  // By index: an effect's consequences go to raft, not into this list.
  for (std::size_t i = 0; i < raft_effects_.size(); ++i)
    std::visit([&](const auto& e) { on_effect(e, now); }, raft_effects_[i]);
  processing_raft_ = false;
}

void replica_core::impl::on_tick(time_point now) {
  if (!raft_ || failed_)
    return;
  if (raft_->deadline() <= now)
    raft_->tick(now);
  expire_calls(now);
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const auto id = delayed_.begin()->second;
    delayed_.erase(delayed_.begin());
    const auto p = pendings_.find(id);
    if (p != pendings_.end() && p->second->at == pending::state::waiting)
      enqueue(*p->second, true);
  }
  retry_log(now);
  snapshot_tick(now);
  copies_tick(now);
  if (ask_state_at_ <= now)
    ask_for_state(now);
  if (hand_over_at_ <= now)
    leave_the_lead(now);
  mark_again(now);
  mending_tick(now);
  checkpoint_tick(now);
  tell_leaving(now);
  sweep_sessions(now);
}

time_point replica_core::impl::deadline() const {
  if (!raft_ || failed_)
    return never;
  auto at = std::min({raft_->deadline(), commit_ ? never : commit_due_,
                      log_retry_at_, clear_at_, ask_state_at_, hand_over_at_,
                      mark_at_, checkpoint_deadline()});
  for (const auto& [key, d] : damage_)
    at = std::min(at, d.answer ? d.hopeless_at
                               : std::min(d.next_ask, d.hopeless_at));
  if (!call_deadlines_.empty())
    at = std::min(at, call_deadlines_.begin()->first);
  if (!delayed_.empty())
    at = std::min(at, delayed_.begin()->first);
  if (install_ && install_->staging == 0 && !install_->finishing)
    at = std::min(at, install_->last_pull + 500ms);
  for (const auto& [who, offer] : offers_)
    at = std::min(at, std::max(offer.last_heard, offer.offered) + 1s);
  if (!copies_.empty())
    at = std::min(at, copies_.begin()->second.heard + copy_patience);
  if (!leading_)
    return at;
  if (released_ && !config_.closed)
    at = std::min(at, sender_.deadline());
  at = std::min({at, ack_entry_at_, change_poll_at_, sessions_sweep_at_,
                 switching_ ? switching_->until : never});
  for (const auto& l : leaving_)
    at = std::min(at, l.next);
  for (const auto& [due, timer] : tables_.timers.due()) {
    if (timers_queued_.count(due.second) != 0 || timer->set_at > committed_)
      continue; // the commit of its entry wakes it
    if (released_ && !tables_.stopped && !parked_ && !config_.closed)
      at = std::min(at, log_time_at_ + (due.first - log_time_));
    break;
  }
  return at;
}

// ---- roles ------------------------------------------------------------------

void replica_core::impl::on_effect(const raft::role_changed& e,
                                   time_point now) {
  const bool leads = e.role == raft::role::leader;
  const auto before = std::exchange(leader_, e.leader);
  if (leading_ && (!leads || e.term != leading_term_))
    step_down();
  if (before && before != e.leader && *before != config_.self) {
    old_leader_ = before;
    if (!detected_)
      detected_ = now;
  }
  switch (e.role) {
  case raft::role::leader:
    role_ = role::leader;
    break;
  case raft::role::follower:
    // Without a state the configuration may be unknown.
    role_ = raft_->configuration().is_voter(config_.self)
                    || (!whole() && raft_->configuration().members().empty())
                ? role::follower
                : role::learner;
    break;
  default:
    role_ = role::candidate;
  }
  if (leads && !leading_ && !whole()) {
    leave_the_lead(now);
  } else if (leads && !leading_) {
    leading_term_ = e.term;
    take_over(now);
  } else if (leader_ && !leads)
    detected_.reset(); // somebody else saw to it
  report_role();
}

/// The Raft core may have seen a later term already, whose effects come next:
/// what this replica leads, it leads in the term that it was elected in.
void replica_core::impl::report_role() {
  out_.emplace_back(role_changed{role_,
                                 leading_ ? leading_term_ : raft_->term(),
                                 leader_, leading_ && released_});
}

void replica_core::impl::take_over(time_point now) {
  // Queries of a follower read another state than a leader's do.
  while (!queries_.empty()) {
    const auto& q = queries_.begin()->second;
    answer(q.call, not_leader(false));
    drop_query(q.id);
  }
  runs_.clear();
  leading_ = true;
  released_ = false;
  log_time_at_ = now;
  if (!catch_up(raft_->log().last_index(), true))
    return;
  sender_.reset();
  in_flows_.clear();
  acks_due_.clear();
  ack_entry_at_ = never;
  timers_queued_.clear();
  if (planted(planted_bug::forget_timers_on_take_over))
    for (const auto& [due, timer] : tables_.timers.due())
      timers_queued_.insert(due.second);
  sessions_sweep_at_ = now + 1min;
  elected_ = now;
  failover_open_ = detected_.has_value();
}

void replica_core::impl::on_effect(const raft::own_term_committed& e,
                                   time_point now) {
  if (!leading_ || e.term != leading_term_)
    return;
  released_ = true;
  first_commit_ = now;
  close_failover(now);
  report_role();
}

/// The report ends with the first reply, or without one once nobody waits.
void replica_core::impl::close_failover(time_point) {
  if (!failover_open_ || !released_ || calls_.size() > watching_)
    return; // who watches waits for nothing
  failover_open_ = false;
  out_.emplace_back(failover_report{leading_term_, old_leader_,
                                    detected_.value_or(elected_), elected_,
                                    first_commit_, std::nullopt});
  detected_.reset();
}

void replica_core::impl::step_down() {
  leading_ = released_ = false;
  unordered_bytes_ = 0;
  failover_open_ = false;
  // What is not committed is dropped: the next leader may or may not have it,
  // and the request ids make asking again safe.
  for (auto& [id, p] : pendings_) {
    const bool submitted = p->at == pending::state::gated;
    for (const auto& c : p->callers)
      answer(c.call, not_leader(submitted));
  }
  pendings_.clear();
  by_request_.clear();
  session_open_.clear();
  slots_.clear();
  ready_.clear();
  runs_.clear();
  delayed_.clear();
  launching_.clear();
  poison_due_.clear();
  proposed_.clear();
  uncommitted_bytes_ = waiting_ = command_runs_ = 0;
  exclusive_ = 0;
  flows_since_.reset();
  for (auto& [index, items] : gate_)
    for (auto& item : items) {
      if (item.direct)
        answer(item.call, not_leader(true));
      if (item.change != 0)
        end_change(item.change, false, "the leadership moved");
    }
  gate_.clear();
  while (!queries_.empty()) {
    const auto& q = queries_.begin()->second;
    answer(q.call, not_leader(false));
    drop_query(q.id);
  }
  for (const auto& c : changes_)
    out_.emplace_back(change_done{c.number, false, "the leadership moved"});
  changes_.clear();
  if (switching_)
    end_change(switching_->number, false, "the leadership moved");
  switching_.reset();
  change_poll_at_ = never;
  leaving_.clear();
  for (auto it = offers_.begin(); it != offers_.end();)
    it = it->second.rebuild ? std::next(it) : offers_.erase(it);
  for (auto& [index, c] : comparisons_)
    end_comparison(index, c, false, "the leadership moved");
  comparisons_.clear();
  for (const auto number : std::exchange(checkpoint_wanted_, {}))
    end_change(number, false, "the leadership moved");
  timers_queued_.clear();
  in_flows_.clear();
  acks_due_.clear();
  own_frames_.clear();
  roll_back(committed_);
}

void replica_core::impl::fail(std::string message, bool newer) {
  if (failed_)
    return;
  if (leading_)
    step_down();
  failed_ = true;
  replica_failed f;
  f.message = std::move(message);
  f.newer = newer;
  out_.emplace_back(std::move(f));
}

void replica_core::impl::fail_on_later(log_index index) {
  fail("the log of " + config_.app_name + "/"
           + std::to_string(config_.group.shard)
           + " was written by a newer version of banyan-peer (entry "
           + std::to_string(index.value())
           + "): start that version or a newer one again; nothing is lost",
       true);
}

replica_status replica_core::impl::status() const {
  replica_status s;
  if (!raft_)
    return s;
  s.role = role_;
  s.serving = leading_ && released_ && !failed_;
  s.term = leading_ ? leading_term_ : raft_->term();
  s.leader = raft_->leader();
  s.last = raft_->log().last_index();
  s.last_term = raft_->log().last_term();
  s.committed = committed_;
  s.applied = state_meta_.index;
  s.configuration = raft_->configuration();
  for (const auto& p : raft_->peers())
    s.progress.push_back({p.peer, p.voter, p.state != raft::peer_state::probe,
                          p.match, p.state == raft::peer_state::snapshot,
                          p.heard});
  s.waiting_turns = waiting_;
  s.running_turns = runs_.size();
  s.sessions = tables_.sessions.size();
  s.log_time = log_time_;
  s.stopped = tables_.stopped;
  s.asleep = raft_->is_asleep();
  s.state = phase_;
  s.quarantined = quarantined_;
  s.conflict = conflict_;
  s.rows_damaged = damage_.size();
  s.rows_mended = rows_mended_;
  s.digests_compared = digests_compared_;
  s.digests_odd = digests_odd_;
  if (report_)
    s.checkpoint = report_->index;
  return s;
}

} // namespace banyan
