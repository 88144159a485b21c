// What becomes of a call that was answered, and how each one ends.
#include "actors/client/client_core.hpp"
#include "base/assert.hpp"

#include <algorithm>

namespace banyan {
namespace {

reply ended(reply_status s, std::string message) {
  reply r;
  r.status = s;
  r.message = std::move(message);
  return r;
}

/// A call without a key is a stateless app's: it may do something outside.
bool may_act(const client_call_frame& f) {
  return f.kind == client_call_kind::command
         || (f.kind == client_call_kind::query && f.key.empty());
}

balanced_end end_of(reply_status s) {
  switch (s) {
  case reply_status::overloaded:
    return balanced_end::overloaded;
  case reply_status::no_quorum:
  case reply_status::no_such_replica:
  case reply_status::unknown:
    return balanced_end::failed;
  default:
    return balanced_end::answered;
  }
}

/// Nothing more can come of asking again.
bool is_final(reply_status s) {
  switch (s) {
  case reply_status::ok:
  case reply_status::rejected:
  case reply_status::invalid_argument:
  case reply_status::app_failed:
  case reply_status::poisoned:
  case reply_status::too_large:
  case reply_status::conflict:
  case reply_status::unauthorized:
  case reply_status::forbidden:
    return true;
  default:
    return false;
  }
}

} // namespace

void client_core::on_reply(const node_id& from, client_reply_frame f,
                           time_point now, effects& out) {
  if (auto* p = find(from)) {
    p->heard = now;
    p->silent = false;
  }
  const auto id = f.call;
  const auto at = calls_.find(id);
  if (at == calls_.end() || !drop(at->second.asked, from))
    return;
  auto& c = at->second;
  learn(c, from, f);
  end_attempt(c, from, end_of(f.reply.status), now,
              f.reply.retry_after.value_or(duration{}));
  switch (c.what) {
  case purpose::lookup:
    return on_looked_up(id, from, f, now, out);
  case purpose::open:
    if (f.reply.status == reply_status::not_found
        && ask_elsewhere(id, from, now, out))
      return;
    return on_session(id, std::move(f.reply), now, out);
  case purpose::call:
    if (f.reply.status == reply_status::overloaded)
      note_overload(c, from, f.reply, now);
    return on_answer(id, from, std::move(f.reply), now, out);
  }
}

bool client_core::ask_elsewhere(std::uint64_t id, const node_id& not_here,
                                time_point now, effects& out) {
  // That peer may not have heard of a new app yet; all of them is an answer.
  auto& c = calls_.at(id);
  c.not_here.push_back(not_here);
  if (!c.asked.empty())
    return true;
  auto* p = choose(c, now);
  if (p == nullptr)
    return false;
  send(id, *p, now, out);
  return true;
}

void client_core::on_looked_up(std::uint64_t id, const node_id& from,
                               const client_reply_frame& f, time_point now,
                               effects& out) {
  const bool found = f.reply.status == reply_status::ok && f.shards > 0;
  if (!found && ask_elsewhere(id, from, now, out))
    return;
  auto& a = *calls_.at(id).home;
  calls_.erase(id);
  --a.calls;
  a.asking = false;
  a.shards = found ? f.shards : 0;
  a.hints.clear();
  const auto list = std::exchange(a.waiting, {});
  for (const auto waiting : list) {
    if (calls_.count(waiting) == 0)
      continue;
    if (found)
      start(waiting, now, out);
    else
      finish(waiting,
             ended(reply_status::not_found,
                   "no app named '" + a.name + "'; `banyan apps` lists them"),
             now, out);
  }
}

void client_core::on_session(std::uint64_t id, reply r, time_point now,
                             effects& out) {
  auto& c = calls_.at(id);
  auto& a = *c.home;
  auto& g = a.groups.at(c.shard);
  const bool opened = r.status == reply_status::ok && r.session != 0;
  if (!opened && !is_final(r.status) && r.status != reply_status::not_found) {
    // Nothing is lost with a session that nobody uses.
    if (now < c.until)
      return retry_later(id, now, r.retry_after.value_or(duration{}));
  }
  calls_.erase(id);
  --a.calls;
  g.opening = false;
  if (opened) {
    ++sessions_;
    g.session = r.session;
    g.next = 1;
    g.open.clear();
    return pump(g, now, out);
  }
  const auto list = std::exchange(g.waiting, {});
  for (const auto waiting : list)
    if (calls_.count(waiting) != 0)
      finish(waiting, r, now, out);
}

void client_core::on_answer(std::uint64_t id, const node_id& from, reply r,
                            time_point now, effects& out) {
  auto& c = calls_.at(id);
  if (is_final(r.status))
    return finish(id, std::move(r), now, out);
  if (r.status == reply_status::expired)
    return on_expired(id, std::move(r), now, out);
  c.lost |= r.status == reply_status::unknown && may_act(c.frame);
  if (r.status == reply_status::not_found) {
    if (ask_elsewhere(id, from, now, out))
      return;
  } else if (!c.asked.empty()) { // another peer is still at it
    if (r.status == reply_status::overloaded)
      c.check_at = std::max(
          c.check_at, now
                          + std::clamp(r.retry_after.value_or(duration{}),
                                       retry_min, retry_max));
    return;
  }
  const bool open = c.lost || r.status == reply_status::unknown
                    || r.status == reply_status::no_quorum;
  if (open && r.status != reply_status::not_found && now < c.until)
    return retry_later(id, now, r.retry_after.value_or(duration{}));
  if (r.status == reply_status::overloaded && repeat_overload(id, r, now, out))
    return;
  if (c.lost && may_act(c.frame))
    r = out_of_time(c);
  finish(id, std::move(r), now, out);
}

void client_core::on_expired(std::uint64_t id, reply r, time_point now,
                             effects& out) {
  auto& c = calls_.at(id);
  const auto* s = std::get_if<session_request>(&c.frame.identity);
  if (s == nullptr)
    return finish(id, std::move(r), now, out);
  // The session is closed: later calls need another. The app may even be
  // another one of that name, with other shards.
  auto& a = *c.home;
  auto& g = a.groups.at(c.shard);
  if (g.session == s->session) {
    g.session = 0;
    g.open.clear();
    a.shards = 0;
    a.hints.clear();
  }
  if (c.lost || !c.asked.empty()) {
    r.message = "the session ended before the outcome was known";
    finish(id, std::move(r), now, out);
  } else {
    c.frame.identity = std::monostate{}; // never run: it may be numbered anew
    start(id, now, out);
  }
  pump(g, now, out);
}

void client_core::finish(std::uint64_t id, reply r, time_point now,
                         effects& out) {
  const auto at = calls_.find(id);
  BANYAN_ASSERT(at != calls_.end());
  measure(at->second, r.status, now);
  give_back(at->second);
  const auto c = std::move(at->second);
  calls_.erase(at);
  auto& a = *c.home;
  --a.calls;
  for (const auto& [node, attempt] : c.spread)
    spread_.ended(attempt, balanced_end::given_up, now);
  if (c.what == purpose::lookup) {
    a.asking = false;
    const auto list = std::exchange(a.waiting, {});
    for (const auto waiting : list) // the next one asks again
      if (calls_.count(waiting) != 0)
        start(waiting, now, out);
    return;
  }
  if (c.what == purpose::open) {
    auto& g = a.groups.at(c.shard);
    g.opening = false;
    return pump(g, now, out);
  }
  const bool unreachable =
      c.sends == 0 && peers_.empty() && r.status == reply_status::deadline;
  out.emplace_back(client_answer{c.token, std::move(r), unreachable});
  if (const auto* s = std::get_if<session_request>(&c.frame.identity)) {
    auto& g = a.groups.at(c.shard);
    if (g.session == s->session) {
      g.open.erase(s->number);
      pump(g, now, out);
    }
  }
  begin_calls(now, out);
}

/// What several peers were asked for, or one that is gone, says nothing.
void client_core::measure(const pending& c, reply_status how, time_point now) {
  if (c.at == place::begun && c.sends == 1 && !c.lost
      && how != reply_status::overloaded)
    c.home->window.answered(now - c.sent_at, c.until - c.since, now);
}

reply client_core::out_of_time(const pending& c) const {
  if (may_act(c.frame) && (c.lost || !c.asked.empty()))
    return ended(reply_status::unknown,
                 "no peer answered in time; it may have taken effect");
  if (c.sends == 0 && peers_.empty())
    return ended(reply_status::deadline, "no peer could be reached");
  return ended(reply_status::deadline, "no answer in time");
}

} // namespace banyan
