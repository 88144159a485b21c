#include "actors/pure/router_core.hpp"

namespace banyan {
namespace {

constexpr duration pause_min = 2ms;
constexpr duration pause_max = 50ms;

bool repeatable(const request_frame& f) {
  return f.kind != request_kind::command
         || !std::holds_alternative<std::monostate>(f.identity);
}

reply ended(reply_status s, std::string message) {
  reply r;
  r.status = s;
  r.message = std::move(message);
  return r;
}

} // namespace

router_core::router_core(node_id self, const directory& known,
                         random_source& random)
    : self_{self}, known_{known}, random_{random}, next_call_{
                                                       (random.next() >> 16)
                                                       << 8} {
}

void router_core::arm(time_point at, std::uint64_t id) {
  alarms_.push({at, id});
}

void router_core::call(call_request c, time_point now, effects& out) {
  const auto refuse = [&](reply_status s, std::string message) {
    auto r = ended(s, std::move(message));
    if (s == reply_status::overloaded)
      r.retry_after = 100ms;
    out.emplace_back(router_answer{c.token, std::move(r), 0});
  };
  const auto* app = known_.find_app(c.app);
  if (app == nullptr)
    return refuse(reply_status::not_found,
                  "no app named '" + c.app + "'; `banyan apps` lists them");
  if (calls_.size() >= calls_max)
    return refuse(reply_status::overloaded, "this peer has "
                                                + std::to_string(calls_max)
                                                + " calls under way");
  const std::uint64_t id = ++next_call_;
  pending p;
  p.token = c.token;
  p.until = now + c.deadline;
  p.frame.call = id;
  p.frame.group = {app->id, shard_of(c.key, app->shards)};
  p.frame.kind = c.kind;
  p.frame.key = std::move(c.key);
  p.frame.command = std::move(c.command);
  p.frame.argument = std::move(c.argument);
  p.frame.identity = std::move(c.identity);
  p.frame.max_staleness = c.max_staleness;
  p.own_session = c.kind == request_kind::command
                  && std::holds_alternative<std::monostate>(p.frame.identity);
  arm(p.until, id);
  groups_[p.frame.group].calls.insert(id);
  calls_.emplace(id, std::move(p));
  start(id, now, out);
}

void router_core::start(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  if (c.own_session && !give_session(c, id))
    return want_session(id, now, out);
  send_to_best(id, now, out);
}

bool router_core::give_session(pending& c, std::uint64_t id) {
  if (std::holds_alternative<session_request>(c.frame.identity))
    return true;
  for (auto& s : groups_[c.frame.group].sessions) {
    const auto floor = s.open.empty() ? s.next : s.open.begin()->first;
    if (s.next - floor >= session_window)
      continue;
    s.open.emplace(s.next, id);
    c.frame.identity = session_request{s.id, s.next, floor};
    ++s.next;
    return true;
  }
  return false;
}

void router_core::want_session(std::uint64_t id, time_point now, effects& out) {
  const auto group = calls_.at(id).frame.group;
  auto& g = groups_[group];
  g.want_session.push_back(id);
  if (g.opening != 0)
    return;
  const std::uint64_t open = ++next_call_;
  pending p;
  p.internal = true;
  p.until = now + 10s;
  p.frame.call = open;
  p.frame.group = group;
  p.frame.kind = request_kind::open_session;
  g.opening = open;
  g.calls.insert(open);
  arm(p.until, open);
  calls_.emplace(open, std::move(p));
  send_to_best(open, now, out);
}

void router_core::session_opened(const group_id& g, std::uint64_t session_id,
                                 time_point now, effects& out) {
  auto& state = groups_[g];
  session s;
  s.id = session_id;
  state.sessions.push_back(std::move(s));
  auto waiting = std::move(state.want_session);
  state.want_session.clear();
  for (const auto id : waiting)
    if (calls_.count(id) != 0)
      start(id, now, out);
}

void router_core::forget_session(pending& c) {
  const auto* asked = std::get_if<session_request>(&c.frame.identity);
  if (asked == nullptr)
    return;
  const auto number = asked->session;
  auto& list = groups_[c.frame.group].sessions;
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const session& s) { return s.id == number; }),
             list.end());
  c.frame.identity = std::monostate{};
}

void router_core::send(std::uint64_t id, const node_id& to, time_point now,
                       effects& out) {
  auto& c = calls_.at(id);
  if (now >= c.until)
    return finish(id, out_of_time(c), now, out);
  c.in_flight = true;
  c.at = to;
  c.retry_at = never;
  c.frame.deadline_left = c.until - now;
  if (auto* s = std::get_if<session_request>(&c.frame.identity);
      s != nullptr && c.own_session)
    for (const auto& mine : groups_[c.frame.group].sessions)
      if (mine.id == s->session && !mine.open.empty())
        s->floor = mine.open.begin()->first;
  out.emplace_back(router_send{to, c.frame});
}

void router_core::send_to_best(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  const auto nodes = known_.candidates(c.frame.group);
  if (nodes.empty()) {
    c.last = reply_status::no_quorum;
    return retry_later(id, now);
  }
  const bool here = std::find(nodes.begin(), nodes.end(), self_) != nodes.end();
  if (c.frame.max_staleness && here && c.next_candidate == 0)
    return send(id, self_, now, out);
  if (const auto leader = known_.leader(c.frame.group);
      leader && c.next_candidate == 0)
    return send(id, *leader, now, out);
  send(id, nodes[c.next_candidate % nodes.size()], now, out);
}

void router_core::retry_later(std::uint64_t id, time_point now) {
  auto& c = calls_.at(id);
  ++retries_;
  c.in_flight = false;
  c.pause =
      c.pause == duration{} ? pause_min : std::min(c.pause * 2, pause_max);
  c.retry_at = now + random_.between(c.pause / 2, c.pause);
  if (c.retry_at < c.until)
    arm(c.retry_at, id);
}

reply router_core::out_of_time(const pending& c) const {
  if (c.submitted || c.in_flight) {
    auto r = ended(reply_status::unknown,
                   "sent, but no answer in time; repeat it with the same key "
                   "to learn or make its outcome");
    if (c.frame.kind != request_kind::command)
      r = ended(reply_status::deadline, "no answer in time; nothing changed");
    return r;
  }
  if (c.last == reply_status::no_quorum)
    return ended(reply_status::no_quorum,
                 "no majority of the group's voters is reachable; not "
                 "executed. `banyan apps` shows which are missing");
  return ended(reply_status::deadline, "no leader in time; not executed");
}

void router_core::finish(std::uint64_t id, reply r, time_point now,
                         effects& out) {
  const auto at = calls_.find(id);
  BANYAN_ASSERT(at != calls_.end());
  auto c = std::move(at->second);
  calls_.erase(at);
  auto& g = groups_[c.frame.group];
  g.calls.erase(id);
  if (c.internal) {
    g.opening = 0;
    if (r.status == reply_status::ok)
      return session_opened(c.frame.group, r.session, now, out);
    auto waiting = std::move(g.want_session);
    g.want_session.clear();
    for (const auto other : waiting)
      if (calls_.count(other) != 0)
        finish(other, r, now, out);
    return;
  }
  if (c.own_session)
    if (const auto* s = std::get_if<session_request>(&c.frame.identity))
      for (auto& mine : g.sessions)
        if (mine.id == s->session)
          mine.open.erase(s->number);
  out.emplace_back(router_answer{c.token, std::move(r), c.frame.group.shard});
}

void router_core::on_reply(const node_id& from, reply_frame f, time_point now,
                           effects& out) {
  const auto at = calls_.find(f.call);
  if (at == calls_.end() || !at->second.in_flight || at->second.at != from)
    return;
  auto& c = at->second;
  auto& r = f.reply;
  switch (r.status) {
  case reply_status::not_leader:
    c.submitted |= r.submitted;
    c.in_flight = false;
    if (r.leader && r.leader->node != from && c.pause < pause_max) {
      c.pause += pause_min; // two that name each other don't spin
      return send(f.call, r.leader->node, now, out);
    }
    ++c.next_candidate;
    return retry_later(f.call, now);
  case reply_status::no_such_replica:
    c.in_flight = false;
    ++c.next_candidate;
    return retry_later(f.call, now);
  case reply_status::no_quorum:
    c.submitted |= r.submitted;
    c.last = reply_status::no_quorum;
    c.in_flight = false;
    ++c.next_candidate;
    return retry_later(f.call, now);
  case reply_status::unknown:
    c.submitted = true;
    if (repeatable(c.frame)) {
      ++c.next_candidate;
      return retry_later(f.call, now);
    }
    break;
  case reply_status::deadline:
    if (c.submitted)
      return finish(f.call, out_of_time(c), now, out);
    break;
  case reply_status::expired:
    if (c.own_session && !c.submitted) { // our session was closed: a new one
      forget_session(c);
      c.in_flight = false;
      return start(f.call, now, out);
    }
    if (c.own_session)
      r = ended(reply_status::unknown,
                "the peer's session ended before the outcome was known");
    break;
  default:
    break;
  }
  finish(f.call, std::move(r), now, out);
}

void router_core::on_link_up(const node_id&, time_point now, effects& out) {
  std::vector<std::uint64_t> waiting;
  for (const auto& [id, c] : calls_)
    if (!c.in_flight && c.retry_at != never)
      waiting.push_back(id);
  std::sort(waiting.begin(), waiting.end());
  for (const auto id : waiting)
    send_to_best(id, now, out);
}

void router_core::on_link_down(const node_id& node, incarnation at,
                               time_point now, effects& out) {
  std::vector<std::uint64_t> cut;
  for (const auto& [id, c] : calls_)
    if (c.in_flight && c.at == node)
      cut.push_back(id);
  std::sort(cut.begin(), cut.end());
  for (const auto id : cut) {
    auto& c = calls_.at(id);
    c.in_flight = false;
    if (c.frame.kind == request_kind::command) {
      c.submitted = true;
      c.frame.outstanding = outstanding_at{node, at};
    }
    if (!repeatable(c.frame)) {
      finish(id, out_of_time(c), now, out);
      continue;
    }
    c.next_candidate = 0;
    const auto leader = known_.leader(c.frame.group);
    if (leader && *leader != node)
      send(id, *leader, now, out);
    else
      retry_later(id, now);
  }
}

void router_core::on_view(const group_id& g, time_point now, effects& out) {
  const auto at = groups_.find(g);
  const auto leader = known_.leader(g);
  if (at == groups_.end() || !leader)
    return;
  std::vector<std::uint64_t> waiting;
  for (const auto id : at->second.calls) {
    const auto& c = calls_.at(id);
    if (!c.in_flight && c.retry_at != never)
      waiting.push_back(id);
  }
  std::sort(waiting.begin(), waiting.end());
  for (const auto id : waiting) {
    calls_.at(id).next_candidate = 0;
    calls_.at(id).pause = {};
    send(id, *leader, now, out);
  }
}

void router_core::on_app_removed(const app_id& app, time_point now,
                                 effects& out) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, c] : calls_)
    if (c.frame.group.app == app)
      ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const auto id : ids)
    if (calls_.count(id) != 0)
      finish(id, ended(reply_status::not_found, "the app was removed"), now,
             out);
  for (auto g = groups_.begin(); g != groups_.end();)
    g = g->first.app == app ? groups_.erase(g) : std::next(g);
}

void router_core::on_tick(time_point now, effects& out) {
  while (!alarms_.empty() && alarms_.top().at <= now) {
    const auto id = alarms_.top().call;
    alarms_.pop();
    const auto at = calls_.find(id);
    if (at == calls_.end())
      continue;
    if (now >= at->second.until)
      finish(id, out_of_time(at->second), now, out);
    else if (!at->second.in_flight && at->second.retry_at <= now)
      send_to_best(id, now, out);
  }
}

time_point router_core::deadline() const {
  return alarms_.empty() ? never : alarms_.top().at;
}

} // namespace banyan
