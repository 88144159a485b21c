// Queries: linearizable by a round of the leader's, or stale at any voter.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {

void replica_core::impl::on_query(std::uint64_t call, request_frame& r,
                                  time_point now) {
  if (r.key.empty() || r.key.size() > actor_key_bytes_max || r.command.empty()
      || r.command.size() > name_bytes_max
      || r.argument.size() > argument_bytes_max) {
    answer(call, reply_status::invalid_argument, "key or query is too long");
    return;
  }
  if (r.command[0] == '_')
    return on_look(call, r, now);
  if (tables_.stopped || parked_) {
    answer(call, resting());
    return;
  }
  admit_query(call, {}, r, now);
}

void replica_core::impl::admit_query(std::uint64_t call, query q,
                                     request_frame& r, time_point now) {
  if (queries_.size() - watching_ >= config_.waiting_turns_max) {
    answer(call, reply_status::overloaded, "too many queries wait");
    return;
  }
  if (held_bytes_ + r.argument.size() > held_bytes_max) {
    answer(call, reply_status::overloaded,
           "the arguments of the calls that wait have too many bytes");
    return;
  }
  q.id = ++ids_;
  q.call = call;
  if (r.max_staleness)
    ask_for_freshness(*r.max_staleness, now);
  const bool fresh = r.max_staleness && is_fresh(*r.max_staleness, now);
  // What a watch shows is newer than what its caller has seen: that needs no
  // round.
  q.confirmed = fresh || q.after;
  if (leading_) {
    if (!q.confirmed && !(may_propose() && raft_->read(now, q.id))) {
      answer(call, not_leader(false));
      return;
    }
  } else if (!fresh || !whole() || config_.closed
             || !raft_->configuration().is_voter(config_.self)
             || (q.what == look::none && !host_up())) {
    // Older than the caller bears, or no code to run it: the leader answers.
    answer(call, not_leader(false));
    return;
  }
  watching_ += q.what == look::watch ? 1 : 0;
  q.actor = std::move(r.key);
  q.command = std::move(r.command);
  q.argument = std::move(r.argument);
  q.holds = {held_bytes_, q.argument.size()};
  calls_[call] = {owner_kind::query, q.id};
  auto& added = queries_[q.id];
  added = std::move(q);
  begin_query(added);
}

/// Age counts from when this replica asked a leader that then proved to be one:
/// of a leader's own state, too. It may have been cut off, or have slept under
/// a majority that went on without it.
bool replica_core::impl::is_fresh(duration bound, time_point now) {
  take_fresh();
  return fresh_ && fresh_->index <= committed_ && now - fresh_->asked <= bound;
}

/// Before the bound is reached, so that a query need not wait for a round; not
/// for each query, or the leader would have a round for every one of them.
void replica_core::impl::ask_for_freshness(duration bound, time_point now) {
  const auto newest = fresh_soon_.empty() ? fresh_ : fresh_soon_.back();
  if (newest && now - newest->asked < std::min<duration>(bound / 4, 1s))
    return;
  if (raft_->configuration().is_voter(config_.self))
    raft_->confirm(now);
}

/// It runs at once, beside the round: the answer waits for the round and for
/// the commit of the last entry that it read.
void replica_core::impl::begin_query(query& q) {
  if (q.what == look::list)
    return begin_list(q);
  auto& r = add_run(q.actor, q.id, true);
  gather(r);
}

void replica_core::impl::on_query_result(run& r, turn_result result,
                                         time_point now) {
  auto& q = queries_.at(r.owner);
  q.version = log_index{r.version};
  const auto a = answer_of(result);
  q.reply = reply_of(a, q.version);
  q.reply.term = raft_->term();
  if (result.outcome == turn_outcome::newer_state) {
    out_.emplace_back(host_trouble{host_trouble::what::newer_state, r.actor,
                                   std::move(result.message)});
    q.reply = not_leader(false);
  }
  end_run(r.key.number);
  q.done = true;
  if (q.version > committed_) {
    gate_item item;
    item.query_id = q.id;
    gate_[q.version].push_back(std::move(item));
  }
  try_answer(q, now);
}

void replica_core::impl::try_answer(query& q, time_point now) {
  if (!q.done || !q.confirmed
      || (q.version > committed_
          && !planted(planted_bug::query_of_uncommitted_state)))
    return;
  answer(q.call, std::move(q.reply));
  if (failover_open_ && leading_ && released_) {
    failover_open_ = false;
    out_.emplace_back(failover_report{leading_term_, old_leader_,
                                      detected_.value_or(elected_), elected_,
                                      first_commit_, now});
    detected_.reset();
  }
  drop_query(q.id);
}

void replica_core::impl::drop_query(std::uint64_t id) {
  const auto it = queries_.find(id);
  if (it == queries_.end())
    return;
  if (it->second.what == look::watch) {
    forget_watch(it->second);
    --watching_;
  }
  for (auto r = runs_.begin(); r != runs_.end(); ++r)
    if (r->second->is_query && r->second->owner == id) {
      runs_.erase(r);
      break;
    }
  queries_.erase(it);
}

void replica_core::impl::on_effect(const raft::reads_confirmed& e,
                                   time_point now) {
  for (auto id : e.contexts) {
    const auto q = queries_.find(id);
    if (q == queries_.end())
      continue;
    q->second.confirmed = true;
    try_answer(q->second, now);
  }
}

void replica_core::impl::on_effect(const raft::reads_dropped& e, time_point) {
  for (auto id : e.contexts) {
    const auto q = queries_.find(id);
    if (q == queries_.end())
      continue;
    answer(q->second.call, not_leader(false));
    drop_query(id);
  }
}

/// A later word replaces none that is still waited for: who trails by more than
/// the time between two of them would never have one that counts.
void replica_core::impl::on_effect(const raft::fresh& e, time_point) {
  constexpr std::size_t awaited_max = 8;
  take_fresh();
  if (fresh_soon_.size() < awaited_max)
    fresh_soon_.push_back(e);
  else
    fresh_soon_.back() = e;
}

void replica_core::impl::take_fresh() {
  while (!fresh_soon_.empty() && fresh_soon_.front().index <= committed_) {
    fresh_ = fresh_soon_.front();
    fresh_soon_.pop_front();
  }
}

/// By a leader that had its quorum's word after `asked`; nothing yet, if none
/// has said so.
std::optional<log_index>
replica_core::impl::committed_after(time_point asked) const {
  if (fresh_ && fresh_->asked >= asked)
    return fresh_->index;
  for (const auto& f : fresh_soon_)
    if (f.asked >= asked)
      return f.index;
  return std::nullopt;
}

} // namespace banyan
