// What a turn leaves: its answer and its effects, as one entry of the log.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

namespace banyan {
namespace {

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
  t.first_of_state_version = first_write(t);
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
  p.holds = {};
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

} // namespace banyan
