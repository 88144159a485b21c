// Turns: one per actor at a time, on the overlay's version, without waiting for
// the commit of the one before.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t poison_records_max = 3;
constexpr unsigned restarts_max = 100;

} // namespace

replica_core::impl::pending& replica_core::impl::add_pending(pending p) {
  p.id = ++ids_;
  if (!p.request.empty())
    by_request_[to_text(p.request)] = p.id;
  if (const auto* s = std::get_if<replica::by_session>(&p.by))
    ++session_open_[s->session];
  ++waiting_;
  auto& place = pendings_[p.id];
  place = std::make_unique<pending>(std::move(p));
  return *place;
}

void replica_core::impl::enqueue(pending& p, bool front) {
  auto& s = slots_[p.actor];
  if (front)
    s.queue.push_front(p.id);
  else
    s.queue.push_back(p.id);
  make_ready(p.actor, s);
}

void replica_core::impl::make_ready(const std::string& actor, slot& s) {
  if (s.busy || s.ready || s.queue.empty())
    return;
  s.ready = true;
  ready_.push_back(actor);
}

void replica_core::impl::actor_free(const std::string& actor) {
  const auto it = slots_.find(actor);
  if (it == slots_.end())
    return;
  it->second.busy = false;
  if (it->second.queue.empty())
    slots_.erase(it);
  else
    make_ready(actor, it->second);
}

void replica_core::impl::pump_turns(time_point now) {
  if (!may_propose() || !host_up() || raft_->transferring() || switching_) {
    flows_since_.reset();
    return;
  }
  if (!flows_since_)
    flows_since_ = now;
  while (!ready_.empty() && exclusive_ == 0
         && command_runs_ < config_.running_turns_max
         && uncommitted_bytes_ < config_.uncommitted_bytes_max) {
    const auto actor = ready_.front();
    const auto it = slots_.find(actor);
    if (it == slots_.end()) {
      ready_.pop_front();
      continue;
    }
    auto& s = it->second;
    while (!s.queue.empty() && pendings_.count(s.queue.front()) == 0)
      s.queue.pop_front();
    if (s.queue.empty()) {
      ready_.pop_front();
      slots_.erase(it);
      continue;
    }
    auto& p = *pendings_.at(s.queue.front());
    if (p.alone && command_runs_ > 0)
      break; // it runs alone: what runs now comes to its end first
    ready_.pop_front();
    s.ready = false;
    s.queue.pop_front();
    s.busy = true;
    note_wait(s, p, now);
    if (!begin(p, now))
      actor_free(actor);
  }
}

void replica_core::impl::note_queued(pending& p, time_point now) {
  const auto s = slots_.find(p.actor);
  if (s != slots_.end())
    p.ahead = s->second.queue.size() + (s->second.busy ? 1 : 0);
  p.actors_ahead = ready_.size();
  p.queued = now;
}

/// A wait for a host or a leader says nothing about the queue.
void replica_core::impl::note_wait(slot& s, pending& p, time_point now) {
  if (p.queued == time_point{})
    return;
  const auto waited = now - std::exchange(p.queued, time_point{});
  if (!flows_since_ || now - waited < *flows_since_)
    return;
  if (p.ahead > 0)
    s.turns.saw(waited, p.ahead);
  else
    ready_pace_.saw(waited, p.actors_ahead + 1);
}

/// How long the first that waits for a turn of this actor has waited, while
/// turns began.
duration replica_core::impl::waited_at(const slot& s, time_point now) const {
  for (const auto id : s.queue)
    if (const auto p = pendings_.find(id); p != pendings_.end())
      return p->second->queued == time_point{}
                 ? duration{}
                 : now - std::max(p->second->queued, *flows_since_);
  return {};
}

/// How long a command that comes now will wait for its turn, by what those
/// before it waited: behind its own actor's turns, else behind other actors.
/// Many that came at once are no queue yet: never more than twice as long as
/// the first of them has waited already.
duration replica_core::impl::expected_wait(const std::string& actor,
                                           time_point now) const {
  if (!flows_since_)
    return {};
  if (const auto s = slots_.find(actor);
      s != slots_.end() && (s->second.busy || !s->second.queue.empty())) {
    const auto ahead = s->second.queue.size() + (s->second.busy ? 1 : 0);
    return std::min(s->second.turns.of(ahead), 2 * waited_at(s->second, now));
  }
  const auto first =
      ready_.empty() ? slots_.end() : slots_.find(ready_.front());
  return first == slots_.end() ? duration{}
                               : std::min(ready_pace_.of(ready_.size()),
                                          2 * waited_at(first->second, now));
}

/// True when a run began; otherwise the request is settled in another way.
bool replica_core::impl::begin(pending& p, time_point now) {
  const bool rests = tables_.stopped || parked_;
  if (p.origin == turn_origin::client) {
    const auto late =
        std::all_of(p.callers.begin(), p.callers.end(),
                    [&](const caller& c) { return c.deadline <= now; });
    const auto* by = std::get_if<replica::by_session>(&p.by);
    if (rests || late) {
      for (const auto& c : p.callers)
        if (rests)
          answer(c.call, resting());
        else
          answer(c.call, reply_status::deadline);
      drop_pending(p.id);
      return false;
    }
    if (by && !tables_.sessions.find(by->session)) {
      for (const auto& c : p.callers)
        answer_gated(c.call, reply_status::expired, "the session is closed");
      drop_pending(p.id);
      return false;
    }
  } else if (const auto* t = std::get_if<replica::by_timer>(&p.by)) {
    const auto row = replica::timer_row(p.actor, t->id);
    const auto* timer = tables_.timers.find(row);
    if (!timer || timer->set_at != t->set_at || rests) {
      timers_queued_.erase(row); // cancelled, replaced, or not now
      drop_pending(p.id);
      return false;
    }
  } else if (const auto* s = std::get_if<replica::by_stream>(&p.by);
             s != nullptr && tables_.stopped) {
    put_back(p, *s); // it waits until an operator starts the app again
    return false;
  }
  p.at = pending::state::running;
  --waiting_;
  replica::turn_entry told;
  if (rests) { // a message of a stream: the stream goes on
    told.answer.status = reply_status::parked;
    conclude(p, std::move(told), now);
    return false;
  }
  const auto* records = p.request.empty() ? nullptr : tables_.poison(p.request);
  if (records && records->size() >= poison_records_max) {
    told.answer.status = reply_status::poisoned;
    told.answer.message = "its host or leader died under it "
                          + std::to_string(records->size()) + " times";
    out_.emplace_back(host_trouble{host_trouble::what::poisoned, p.actor,
                                   p.command + " of " + p.actor + ": "
                                       + told.answer.message});
    conclude(p, std::move(told), now);
    return false;
  }
  auto& r = add_run(p.actor, p.id, false);
  r.alone = p.alone;
  ++command_runs_;
  if (r.alone)
    exclusive_ = r.key.number;
  gather(r);
  return true;
}

replica_core::impl::run& replica_core::impl::add_run(const std::string& actor,
                                                     std::uint64_t owner,
                                                     bool is_query) {
  auto r = std::make_unique<run>();
  r->key = {config_.group, config_.self.replica, raft_->term(), ++ids_};
  r->owner = owner;
  r->is_query = is_query;
  r->actor = actor;
  auto& place = runs_[r->key.number];
  place = std::move(r);
  return *place;
}

void replica_core::impl::launch(run& r) {
  if (r.is_query && queries_.at(r.owner).what != look::none)
    return look_ready(r);
  if (!host_up() || (switching_ && !r.is_query))
    return;
  if (!launching_.empty() && launching_version_ != this->version())
    out_.emplace_back(
        order_turns{launching_version_, std::exchange(launching_, {})});
  const auto version = version_of(r).value();
  if (!r.ranges.empty() && version != r.version && r.restarts < restarts_max) {
    restart(r); // its ranges were read over more than one version
    return;
  }
  r.version = version;
  turn_order o;
  o.key = r.key;
  o.actor = r.actor;
  o.round = r.round;
  o.seed = random_.next();
  if (r.is_query) {
    const auto& q = queries_.at(r.owner);
    o.query = true;
    o.command = q.command;
    o.argument = q.argument;
  } else {
    const auto& p = *pendings_.at(r.owner);
    o.command = p.command;
    o.argument = p.argument;
    o.origin = p.origin;
    o.caller = p.caller_name;
    o.request = p.request;
  }
  o.version = version;
  if (const auto state = known(r, replica::actor_row(r.actor));
      state && state->value)
    o.state = *state->value;
  for (const auto& key : r.keys) {
    const auto row = known(r, replica::table_row(r.actor, key));
    o.rows.push_back({key, row ? row->value : std::nullopt});
  }
  for (const auto& w : r.ranges)
    o.ranges.push_back(w.found);
  r.launched = true;
  r.host = launching_version_ = this->version();
  launching_.push_back(std::move(o));
}

void replica_core::impl::on_turn_results(std::vector<turn_result> results,
                                         time_point now) {
  if (!raft_ || failed_)
    return;
  for (auto& result : results) {
    const auto it = runs_.find(result.key.number);
    if (it == runs_.end()
        || (it->second->key != result.key
            && !planted(planted_bug::host_result_of_another_term))
        || !it->second->launched)
      continue; // of another term, replica or number: counts for nothing
    auto& r = *it->second;
    if (!result.log.empty())
      out_.emplace_back(app_log{r.actor, std::move(result.log)});
    on_result(r, std::move(result), now);
  }
}

void replica_core::impl::on_result(run& r, turn_result result, time_point now) {
  r.launched = false;
  note_turn(r, result, now);
  if (!r.is_query && version_of(r).value() > result.version) {
    restart(r); // it read another version: run again
    return;
  }
  if (result.outcome == turn_outcome::needs_rows
      && r.round < turn_limits::rounds_max) {
    ++r.round;
    for (auto& key : result.rows_needed)
      if (std::find(r.keys.begin(), r.keys.end(), key) == r.keys.end())
        r.keys.push_back(std::move(key));
    for (auto& range : result.ranges_needed) {
      range_work w;
      w.from = replica::table_row(r.actor, range.from);
      w.found.range = std::move(range);
      r.ranges.push_back(std::move(w));
    }
    gather(r);
    return;
  }
  if (result.outcome == turn_outcome::needs_rows) {
    result.outcome = turn_outcome::failed;
    result.message = "asks for rows again and again";
  }
  if (r.is_query) {
    on_query_result(r, std::move(result), now);
    return;
  }
  auto& p = *pendings_.at(r.owner);
  if (result.outcome == turn_outcome::newer_state) {
    out_.emplace_back(host_trouble{host_trouble::what::newer_state, r.actor,
                                   std::move(result.message)});
    end_run(r.key.number);
    if (p.origin == turn_origin::client) {
      for (const auto& c : p.callers)
        answer(c.call, not_leader(false));
      const auto actor = p.actor;
      drop_pending(p.id);
      actor_free(actor);
    } else {
      retry_later(p, now);
    }
    return;
  }
  if (result.outcome == turn_outcome::failed)
    out_.emplace_back(host_trouble{host_trouble::what::handler_threw, r.actor,
                                   result.message});
  if (result.outcome == turn_outcome::ok && result.removed) {
    r.finishing = std::move(result); // its table rows have to be found first
    read_wait w;
    w.run = r.key.number;
    w.erase_all = true;
    order_scan scan;
    scan.order = next_order();
    scan.request.prefix = replica::table_prefix(r.actor);
    reads_[scan.order.number] = std::move(w);
    out_.emplace_back(std::move(scan));
    return;
  }
  end_run(r.key.number);
  finish(p, std::move(result), {}, now);
}

void replica_core::impl::end_run(std::uint64_t number) {
  const auto it = runs_.find(number);
  if (it == runs_.end())
    return;
  if (!it->second->is_query)
    --command_runs_;
  if (exclusive_ == number)
    exclusive_ = 0;
  runs_.erase(it);
}

/// Its turn could not be concluded now: the same request runs again shortly.
void replica_core::impl::retry_later(pending& p, time_point now) {
  if (p.at == pending::state::running)
    ++waiting_;
  p.at = pending::state::waiting;
  delayed_.emplace(now + 20ms, p.id);
  actor_free(p.actor);
}

void replica_core::impl::pump_timers(time_point now) {
  if (!released_ || tables_.stopped || parked_ || config_.closed
      || tables_.timers.size() == 0)
    return;
  const auto at = log_time(now);
  for (const auto& [due, timer] : tables_.timers.due()) {
    if (due.first > at)
      break;
    if ((timer->set_at > committed_
         && !planted(planted_bug::timer_before_commit))
        || !timers_queued_.insert(due.second).second)
      continue;
    pending p;
    p.by = replica::by_timer{timer->id, timer->set_at};
    p.request = replica::request_key(p.by, timer->actor);
    p.actor = timer->actor;
    p.command = timer->value.command;
    p.argument = timer->value.argument;
    p.origin = turn_origin::timer;
    p.alone = is_suspect(p.request);
    enqueue(add_pending(std::move(p)), false);
  }
}

} // namespace banyan
