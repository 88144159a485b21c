// Requests as they arrive: who may ask what, duplicates, deadlines.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {
namespace {

/// Calls are watched in steps, so that many share one timer.
time_point step_of(time_point at) {
  constexpr duration step = std::chrono::milliseconds{10};
  const auto n = (at.time_since_epoch() + step - duration{1}) / step;
  return time_point{step * n};
}

} // namespace

void replica_core::impl::answer(std::uint64_t call, banyan::reply r) {
  if (calls_.erase(call) != 0)
    out_.emplace_back(answer_call{call, std::move(r)});
}
void replica_core::impl::answer(std::uint64_t call, reply_status status,
                                std::string message) {
  banyan::reply r;
  r.status = status;
  r.message = std::move(message);
  r.term = raft_->term();
  if (status == reply_status::overloaded)
    r.retry_after = std::chrono::milliseconds{50};
  answer(call, std::move(r));
}
banyan::reply replica_core::impl::not_leader(bool submitted) const {
  banyan::reply r;
  r.status = reply_status::not_leader;
  r.term = raft_->term();
  r.submitted = submitted;
  if (leader_ && *leader_ != config_.self)
    r.leader = leader_;
  return r;
}
banyan::reply replica_core::impl::reply_of(const replica::answer& a,
                                           log_index index) const {
  banyan::reply r;
  r.status = a.status;
  r.result = a.result;
  r.code = a.code;
  r.message = a.message;
  r.term = leading_term_;
  r.index = index;
  return r;
}

void replica_core::impl::on_request(std::uint64_t call, request_frame r,
                                    time_point now) {
  if (!calls_.emplace(call, call_owner{}).second)
    return; // the shell's numbers are unique: a repeated one has its answer
  if (!raft_ || failed_) {
    calls_.erase(call);
    banyan::reply none;
    none.status = reply_status::no_such_replica;
    out_.emplace_back(answer_call{call, std::move(none)});
    return;
  }
  if (r.group != config_.group) {
    answer(call, reply_status::no_such_replica);
    return;
  }
  if (r.deadline_left <= duration{}) {
    answer(call, reply_status::deadline);
    return;
  }
  if (conflict_ && (leading_ || r.kind == request_kind::query)) {
    answer(call, reply_status::conflict,
           "the replicas' states differ, and no majority agrees");
    return;
  }
  if (config_.closed && leading_ && r.kind != request_kind::load) {
    answer(call, reply_status::parked,
           "the app is closed: it is being restored, it was removed, or two "
           "recoveries of this shard conflict");
    return;
  }
  watch_deadline(call, now + r.deadline_left);
  if (r.kind == request_kind::query) {
    on_query(call, r, now);
    return;
  }
  if (!leading_) {
    answer(call, not_leader(false));
    return;
  }
  switch (r.kind) {
  case request_kind::open_session:
    on_open_session(call, now);
    return;
  case request_kind::load:
    on_load(call, r, now);
    return;
  case request_kind::close_session:
    on_close_session(call, r, now);
    return;
  default:
    on_command(call, r, now);
  }
}

void replica_core::impl::on_command(std::uint64_t call, request_frame& r,
                                    time_point now) {
  if (r.key.empty() || r.key.size() > actor_key_bytes_max || r.command.empty()
      || r.command.size() > name_bytes_max
      || r.argument.size() > argument_bytes_max) {
    answer(call, reply_status::invalid_argument, "key or command is too long");
    return;
  }
  const auto deadline = now + r.deadline_left;
  pending p;
  if (const auto* s = std::get_if<session_request>(&r.identity)) {
    const replica::by_session by{s->session, s->number, s->floor};
    p.by = by;
    p.request = replica::request_key(p.by, r.key);
    const auto known = by_request_.find(to_text(p.request));
    if (known != by_request_.end()) {
      attach(call, *pendings_.at(known->second), deadline);
      return;
    }
    const auto checked = tables_.sessions.check(
        by, open_pendings_of(by.session), config_.session_answers_max);
    switch (checked.what) {
    case replica::session_table::verdict::answered:
      if (planted(planted_bug::forget_answers_of_sessions))
        break;
      answer_kept(call, checked.kept->index, checked.kept->value.view());
      return;
    case replica::session_table::verdict::expired:
      if (planted(planted_bug::run_again_behind_the_window))
        break;
      answer_gated(call, reply_status::expired,
                   "the session is closed or the request below its floor");
      return;
    case replica::session_table::verdict::overloaded:
      answer(call, reply_status::overloaded,
             "too many unconfirmed requests in this session");
      return;
    default:
      break;
    }
  } else if (const auto* i = std::get_if<idempotency_request>(&r.identity)) {
    replica::by_idempotency by;
    by.key = replica::idempotency_key_hash(r.key, i->key);
    by.body = replica::body_hash(r.command, r.argument);
    p.by = by;
    p.request = replica::request_key(p.by, r.key);
    const auto known = by_request_.find(to_text(p.request));
    if (known != by_request_.end()) {
      auto& other = *pendings_.at(known->second);
      if (std::get<replica::by_idempotency>(other.by).body != by.body)
        answer(call, reply_status::conflict,
               "this Idempotency-Key came with another body");
      else
        attach(call, other, deadline);
      return;
    }
    if (const auto* kept = tables_.idempotency.find(by.key)) {
      if (kept->body != by.body)
        answer_gated(call, reply_status::conflict,
                     "this Idempotency-Key came with another body");
      else
        answer_kept(call, kept->index, kept->value.view());
      return;
    }
  }
  if (tables_.stopped || parked_) {
    answer(call, resting());
    return;
  }
  if (log_full_) {
    answer(call, reply_status::disk_full);
    return;
  }
  if (refuse_overload(call, r, now))
    return;
  p.actor = std::move(r.key);
  p.command = std::move(r.command);
  p.argument = std::move(r.argument);
  p.holds = {held_bytes_, p.argument.size()};
  auto& added = add_pending(std::move(p));
  attach(call, added, deadline);
  added.alone = is_suspect(added.request);
  if (r.outstanding && !added.request.empty()) {
    const replica::poison_record record{r.outstanding->node,
                                        r.outstanding->incarnation};
    if (!is_recorded(added.request, record)
        && !is_cleared(added.request, record)) {
      added.at = pending::state::recording;
      poison_due_.push_back({added.id, record});
      return;
    }
  }
  note_queued(added, now);
  enqueue(added, false);
}

/// After the duplicates: who asks again gets its answer however long the queue.
bool replica_core::impl::refuse_overload(std::uint64_t call,
                                         const request_frame& r,
                                         time_point now) {
  const auto wait = expected_wait(r.key, now);
  const auto busy = slots_.find(r.key);
  const bool heavy = held_bytes_ + r.argument.size() > held_bytes_max;
  const bool full =
      heavy || waiting_ >= config_.waiting_turns_max
      || (busy != slots_.end()
          && busy->second.queue.size() >= config_.waiting_per_actor_max);
  if (!full && wait <= std::min(r.deadline_left, config_.queue_time_max))
    return false;
  banyan::reply no;
  no.status = reply_status::overloaded;
  no.message = heavy
                   ? "the arguments of the calls that wait have too many bytes"
               : full ? "too many calls wait"
                      : "the calls before it would take too long";
  no.term = raft_->term();
  no.retry_after =
      std::clamp<duration>(wait, full ? 50ms : 10ms, std::chrono::seconds{2});
  answer(call, std::move(no));
  return true;
}

void replica_core::impl::attach(std::uint64_t call, pending& p,
                                time_point deadline) {
  p.callers.push_back({call, deadline});
  calls_[call] = {owner_kind::pending, p.id};
}

void replica_core::impl::answer_kept(std::uint64_t call, log_index index,
                                     const_bytes kept) {
  replica::answer a;
  if (!replica::decode(kept, a)) {
    answer(call, reply_status::unknown, "the kept answer can't be read");
    return;
  }
  auto r = reply_of(a, index);
  if (index <= committed_
      || planted(planted_bug::duplicate_answered_before_commit)) {
    answer(call, std::move(r));
    return;
  }
  gate_item item; // a duplicate of an uncommitted entry waits for it
  item.call = call;
  item.direct = std::move(r);
  gate_[index].push_back(std::move(item));
}

/// A verdict that rests on the log's uncommitted end waits for that, too.
void replica_core::impl::answer_gated(std::uint64_t call, reply_status status,
                                      std::string message) {
  if (overlay_.last() <= committed_) {
    answer(call, status, std::move(message));
    return;
  }
  gate_item item;
  item.call = call;
  item.direct.emplace();
  item.direct->status = status;
  item.direct->message = std::move(message);
  item.direct->term = leading_term_;
  gate_[overlay_.last()].push_back(std::move(item));
}

void replica_core::impl::on_open_session(std::uint64_t call, time_point now) {
  replica::open_session_entry e;
  const auto size = tables_.sessions.size();
  if (size >= config_.sessions_max)
    e.closed = tables_.sessions.longest_idle(size - config_.sessions_max + 1);
  const auto index = propose(std::move(e), now);
  if (!index) {
    answer(call, not_leader(false));
    return;
  }
  gate_item item;
  item.call = call;
  item.direct = reply_of({}, *index);
  item.direct->session = index->value();
  gate_[*index].push_back(std::move(item));
}

void replica_core::impl::on_close_session(std::uint64_t call,
                                          const request_frame& r,
                                          time_point now) {
  const auto* s = std::get_if<session_request>(&r.identity);
  if (!s || !tables_.sessions.find(s->session)) {
    answer(call, reply_status::ok);
    return;
  }
  const auto index = propose(replica::close_sessions_entry{{s->session}}, now);
  if (!index) {
    answer(call, not_leader(false));
    return;
  }
  gate_item item;
  item.call = call;
  item.direct = reply_of({}, *index);
  gate_[*index].push_back(std::move(item));
}

void replica_core::impl::sweep_sessions(time_point now) {
  if (sessions_sweep_at_ > now || !may_propose())
    return;
  if (tables_.sessions.size() == 0) {
    sessions_sweep_at_ = now + 10min;
    return;
  }
  const auto at = log_time(now);
  auto idle = tables_.sessions.idle(at, config_.session_idle_max);
  if (idle.size() > 1000)
    idle.resize(1000);
  if (!idle.empty())
    propose(replica::close_sessions_entry{std::move(idle)}, now);
  const auto oldest = tables_.sessions.oldest_use();
  const auto wait = oldest == duration::max()
                        ? duration{10min}
                        : oldest + config_.session_idle_max - at;
  sessions_sweep_at_ = now + std::max(wait, duration{1s});
}

void replica_core::impl::watch_deadline(std::uint64_t call,
                                        time_point deadline) {
  call_deadlines_[step_of(deadline)].push_back(call);
}

void replica_core::impl::expire_calls(time_point now) {
  while (!call_deadlines_.empty() && call_deadlines_.begin()->first <= now) {
    const auto due = std::move(call_deadlines_.begin()->second);
    call_deadlines_.erase(call_deadlines_.begin());
    for (auto call : due) {
      const auto it = calls_.find(call);
      if (it == calls_.end())
        continue;
      const auto owner = it->second;
      const auto not_run = leading_ && log_full_ ? reply_status::disk_full
                                                 : reply_status::deadline;
      if (owner.kind == owner_kind::query) {
        answer(call, not_run);
        drop_query(owner.id);
      } else if (owner.kind == owner_kind::pending) {
        const auto p = pendings_.find(owner.id);
        if (p == pendings_.end())
          continue;
        // What has not begun never will for this caller.
        const bool begun = p->second->at == pending::state::running
                           || p->second->at == pending::state::gated;
        const bool others = p->second->callers.size() > 1;
        answer(call, begun || others ? reply_status::unknown : not_run);
        auto& callers = p->second->callers;
        for (auto c = callers.begin(); c != callers.end(); ++c)
          if (c->call == call) {
            callers.erase(c);
            break;
          }
        if (!begun && callers.empty())
          drop_pending(owner.id);
      } else {
        answer(call, reply_status::unknown); // behind the gate
      }
    }
  }
}

void replica_core::impl::forget_call(std::uint64_t call) {
  const auto it = calls_.find(call);
  if (it == calls_.end())
    return;
  const auto owner = it->second;
  calls_.erase(it);
  if (owner.kind == owner_kind::query)
    drop_query(owner.id);
}

/// Out of every list; a queue drops the id when it comes to it.
void replica_core::impl::drop_pending(std::uint64_t id) {
  const auto it = pendings_.find(id);
  if (it == pendings_.end())
    return;
  auto& p = *it->second;
  if (p.at == pending::state::waiting || p.at == pending::state::recording)
    --waiting_;
  if (!p.request.empty())
    by_request_.erase(to_text(p.request));
  if (p.at != pending::state::gated)
    session_request_done(p);
  pendings_.erase(it);
}

/// From here on its answer counts, not the request.
void replica_core::impl::session_request_done(const pending& p) {
  const auto* s = std::get_if<replica::by_session>(&p.by);
  if (!s)
    return;
  const auto open = session_open_.find(s->session);
  if (open != session_open_.end() && --open->second == 0)
    session_open_.erase(open);
}

std::uint64_t
replica_core::impl::open_pendings_of(std::uint64_t session) const {
  const auto it = session_open_.find(session);
  return it == session_open_.end() ? 0 : it->second;
}

} // namespace banyan
