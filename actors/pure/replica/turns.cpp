// Turns: one per actor at a time, on the overlay's version, without waiting for
// the commit of the one before.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t poison_records_max = 3;
constexpr unsigned restarts_max = 100;
constexpr std::size_t timer_name_max = 200;
/// With the answer and its copy for a sender (a MiB each, and the argument's)
/// an entry stays below what one link frame carries.
constexpr std::size_t entry_effects_max = std::size_t{4} << 20;

std::string cut(std::string text) {
  if (text.size() > message_text_bytes_max)
    text.resize(message_text_bytes_max);
  return text;
}

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
  if (!may_propose() || !host_up_ || raft_->transferring())
    return;
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
    if (!begin(p, now))
      actor_free(actor);
  }
}

/// True when a run began; otherwise the request is settled in another way.
bool replica_core::impl::begin(pending& p, time_point now) {
  const bool rests = tables_.stopped || parked_;
  const auto rest =
      tables_.stopped ? reply_status::stopped : reply_status::parked;
  if (p.origin == turn_origin::client) {
    const auto late =
        std::all_of(p.callers.begin(), p.callers.end(),
                    [&](const caller& c) { return c.deadline <= now; });
    const auto* by = std::get_if<replica::by_session>(&p.by);
    if (rests || late) {
      for (const auto& c : p.callers)
        answer(c.call, rests ? rest : reply_status::deadline);
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
  }
  p.at = pending::state::running;
  --waiting_;
  replica::turn_entry told;
  if (rests) { // a message of a stream: the stream goes on
    told.answer.status = rest;
    conclude(p, std::move(told), now);
    return false;
  }
  const auto* records = p.request.empty() ? nullptr : tables_.poison(p.request);
  if (records && records->size() >= poison_records_max) {
    told.answer.status = reply_status::poisoned;
    told.answer.message = "its host or leader died under it "
                          + std::to_string(records->size()) + " times";
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
  if (!host_up_)
    return;
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

replica::answer replica_core::impl::answer_of(const turn_result& r) const {
  replica::answer a;
  switch (r.outcome) {
  case turn_outcome::ok:
    a.result = r.answer;
    return a;
  case turn_outcome::rejected:
    a.status = reply_status::rejected;
    a.code = cut(r.code);
    break;
  case turn_outcome::invalid:
    a.status = reply_status::invalid_argument;
    break;
  case turn_outcome::unknown_command:
    a.status = reply_status::not_found;
    break;
  default:
    a.status = reply_status::app_failed;
  }
  a.message = cut(r.message);
  return a;
}

void replica_core::impl::finish(pending& p, turn_result result,
                                std::vector<bytes> also_erased,
                                time_point now) {
  replica::turn_entry t;
  t.answer = answer_of(result);
  if (result.outcome == turn_outcome::ok) {
    for (auto& key : also_erased)
      t.rows.push_back({std::move(key), std::nullopt});
    add_effects(p, result, t, now);
  }
  conclude(p, std::move(t), now);
}

/// Makes the request's entry, whatever came of it. False: not now.
bool replica_core::impl::conclude(pending& p, replica::turn_entry t,
                                  time_point now) {
  if (const auto* s = std::get_if<replica::by_session>(&p.by);
      s && !tables_.sessions.find(s->session)) {
    // Closed while it ran: its answer would bring the session back, and with it
    // numbers that were answered before.
    for (const auto& c : p.callers)
      answer_gated(c.call, reply_status::expired, "the session is closed");
    const auto actor = p.actor;
    drop_pending(p.id);
    actor_free(actor);
    return false;
  }
  if (t.answer.result.size() > result_bytes_max) {
    replica::turn_entry nothing;
    nothing.answer.status = reply_status::too_large;
    nothing.answer.message = "the answer is over 1 MiB";
    t = std::move(nothing);
  }
  t.by = p.by;
  t.actor = p.actor;
  add_reply_message(p, t);
  number_sends(t);
  if (planted(planted_bug::turn_runs_twice)
      && p.origin == turn_origin::client) {
    auto& again = add_pending({});
    again.actor = p.actor;
    again.command = p.command;
    again.argument = p.argument;
    again.origin = turn_origin::send;
    enqueue(again, true);
  }
  if (std::holds_alternative<replica::by_idempotency>(p.by))
    t.idempotency_floor = tables_.idempotency.floor(
        log_time(now), config_.idempotency_kept_min,
        config_.idempotency_kept_max, config_.idempotency_age_min, 64);
  p.outcome = t.answer;
  if (planted(planted_bug::rejection_before_commit)
      && t.answer.status == reply_status::rejected)
    for (const auto& c : p.callers)
      answer(c.call, reply_of(t.answer, overlay_.last()));
  const auto index = propose(std::move(t), now);
  if (!index) {
    retry_later(p, now);
    return false;
  }
  session_request_done(p);
  p.at = pending::state::gated;
  p.argument = {};
  gate_item item;
  item.pending_id = p.id;
  if (const auto* s = std::get_if<replica::by_stream>(&p.by))
    item.took.emplace(replica::stream_table::source{s->from, s->lineage},
                      s->number);
  if (const auto* timer = std::get_if<replica::by_timer>(&p.by))
    timers_queued_.erase(replica::timer_row(p.actor, timer->id));
  took(p.by, *index);
  gate_[*index].push_back(std::move(item));
  actor_free(p.actor);
  if (planted(planted_bug::reply_before_commit))
    release_gate(now);
  return true;
}

void replica_core::impl::add_effects(const pending& p, turn_result& r,
                                     replica::turn_entry& t, time_point now) {
  const auto refuse = [&](reply_status status, const char* why) {
    replica::turn_entry nothing;
    nothing.answer.status = status;
    nothing.answer.message = why;
    t = std::move(nothing);
  };
  std::size_t size = r.state ? r.state->size() : 0;
  for (const auto& row : t.rows) // erased with the actor
    size += row.key.size();
  t.removed = r.removed;
  if (r.state)
    t.state = shared_bytes{std::move(*r.state)};
  for (auto& row : r.rows) {
    if (row.key.size() + p.actor.size() + 2 > store::row_key_plain_max)
      return refuse(reply_status::app_failed, "a table key is too long");
    size += row.key.size() + (row.value ? row.value->size() : 0);
    t.rows.push_back(std::move(row));
  }
  const auto at = log_time(now);
  for (auto& timer : r.timers) {
    if (timer.name.size() > timer_name_max)
      return refuse(reply_status::app_failed, "a timer's name is too long");
    size += timer.argument.size();
    replica::timer_set set;
    if (!timer.name.empty())
      set.id = replica::timer_named(timer.name);
    set.value.due = at + timer.after;
    set.value.command = std::move(timer.command);
    set.value.argument = std::move(timer.argument);
    t.timers.push_back(std::move(set));
  }
  for (const auto& name : r.cancelled)
    if (name.size() <= timer_name_max)
      t.cancelled.push_back(replica::timer_named(name));
  for (auto& send : r.sends) {
    if (send.key.empty() || send.key.size() > actor_key_bytes_max
        || send.app.size() > name_bytes_max
        || send.command.size() > name_bytes_max
        || send.on_reply.size() > name_bytes_max)
      return refuse(reply_status::app_failed, "a send's name is too long");
    size += send.argument.size();
    replica::outgoing o;
    o.message.from_app = config_.app_name;
    o.message.from_key = p.actor;
    o.message.to_app = send.app;
    o.message.to_key = send.key;
    if (send.app.empty() || send.app == config_.app_name) {
      o.to = {config_.group.app, shard_of(send.key, config_.shards)};
    } else if (const auto app = apps_.find(send.app)) {
      o.to = {app->id, shard_of(send.key, app->shards)};
    } else {
      // Nobody to send to: the sender has the answer from its own group.
      if (send.on_reply.empty())
        continue;
      o.to = config_.group;
      o.message.what = stream_message::kind::reply;
      o.message.from_app = send.app;
      o.message.from_key = send.key;
      o.message.to_app = config_.app_name;
      o.message.to_key = p.actor;
      o.message.command = send.on_reply;
      o.message.argument =
          reply_argument(send, {}, to_string(reply_status::not_found),
                         "there is no app " + send.app);
      t.sends.push_back(std::move(o));
      continue;
    }
    o.message.command = std::move(send.command);
    o.message.argument = std::move(send.argument);
    o.message.on_reply = std::move(send.on_reply);
    t.sends.push_back(std::move(o));
  }
  if (size > entry_effects_max)
    refuse(reply_status::too_large, "the turn's effects are too large");
}

/// A message that asks for its answer gets it by the stream back, in the same
/// entry; a reply isn't answered.
void replica_core::impl::add_reply_message(const pending& p,
                                           replica::turn_entry& t) {
  const auto* by = std::get_if<replica::by_stream>(&p.by);
  if (!by || !p.message || p.message->what != stream_message::kind::call
      || p.message->on_reply.empty())
    return;
  const auto& m = *p.message;
  turn_send sent;
  sent.app = m.to_app;
  sent.key = m.to_key;
  sent.command = m.command;
  sent.argument = p.argument;
  sent.on_reply = m.on_reply;
  const auto& a = t.answer;
  const std::string code = a.status == reply_status::ok ? std::string{}
                           : a.status == reply_status::rejected
                               ? a.code
                               : std::string{to_string(a.status)};
  replica::outgoing o;
  o.to = by->from;
  o.message.what = stream_message::kind::reply;
  o.message.from_app = config_.app_name;
  o.message.from_key = p.actor;
  o.message.to_app = m.from_app;
  o.message.to_key = m.from_key;
  o.message.command = m.on_reply;
  o.message.argument = reply_argument(sent, a.result, code, a.message);
  t.sends.push_back(std::move(o));
}

void replica_core::impl::number_sends(replica::turn_entry& t) const {
  std::map<group_id, std::uint64_t> next;
  for (auto& s : t.sends) {
    auto& n = next[s.to];
    if (n == 0) {
      const auto* out = tables_.streams.out(s.to);
      n = out ? out->next : 1;
    }
    s.message.number = n++;
  }
}

// ---- the host ---------------------------------------------------------------

void replica_core::impl::on_host_up(time_point) {
  host_up_ = true;
  if (!raft_ || failed_)
    return;
  for (auto& [number, r] : runs_)
    if (!r->launched && !r->finishing)
      gather(*r);
}

void replica_core::impl::on_host_down(std::optional<turn_key> running,
                                      time_point now) {
  host_up_ = false;
  if (!raft_ || failed_)
    return;
  // Orders that were not handed over yet have not been outstanding.
  std::set<std::uint64_t> kept_back;
  for (const auto& o : launching_)
    kept_back.insert(o.key.number);
  launching_.clear();
  std::vector<std::uint64_t> lost;
  for (auto& [number, r] : runs_) {
    if (!r->launched)
      continue;
    r->launched = false;
    if (kept_back.count(number) == 0)
      lost.push_back(number);
  }
  for (auto number : lost) {
    auto& r = *runs_.at(number);
    const bool suspect = !running || r.key == *running;
    if (!suspect) {
      restart(r); // runs again once the host is back
      continue;
    }
    if (r.is_query) {
      auto& q = queries_.at(r.owner);
      answer(q.call, reply_status::app_failed, "its host died under it");
      drop_query(q.id);
      continue;
    }
    auto& p = *pendings_.at(r.owner);
    end_run(number);
    const auto actor = p.actor;
    if (p.request.empty()) {
      for (const auto& c : p.callers)
        answer(c.call, reply_status::app_failed, "its host died under it");
      drop_pending(p.id);
    } else {
      p.at = pending::state::recording;
      ++waiting_;
      poison_due_.push_back({p.id, {config_.self.node, config_.incarnation}});
    }
    actor_free(actor);
  }
  (void)now;
}

/// One entry for all that wait; they run only once it is committed.
void replica_core::impl::record_poison(time_point now) {
  if (poison_due_.empty() || raft_->transferring())
    return;
  replica::poison_entry e;
  gate_item item;
  for (const auto& due : poison_due_) {
    const auto it = pendings_.find(due.pending);
    if (it == pendings_.end())
      continue;
    const auto& request = it->second->request;
    std::vector<replica::poison_record> records;
    if (const auto* known = tables_.poison(request))
      records = *known;
    records.push_back(due.record);
    e.items.push_back({request, std::move(records)});
    item.recorded.push_back(due.pending);
  }
  if (!e.items.empty()) {
    const auto index = propose(std::move(e), now);
    if (!index)
      return;
    gate_[*index].push_back(std::move(item));
  }
  poison_due_.clear();
}

void replica_core::impl::pump_timers(time_point now) {
  if (!released_ || tables_.stopped || parked_ || tables_.timers.size() == 0)
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
    p.alone = tables_.poison(p.request) != nullptr;
    enqueue(add_pending(std::move(p)), false);
  }
}

} // namespace banyan
