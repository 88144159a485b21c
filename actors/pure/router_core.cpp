#include "actors/pure/router_core.hpp"

#include <algorithm>
#include <utility>

namespace banyan {
namespace {

constexpr duration pause_min = 2ms;
constexpr duration pause_max = 50ms;

reply ended(reply_status s, std::string message) {
  reply r;
  r.status = s;
  r.message = std::move(message);
  return r;
}

reply overload(std::string message) {
  auto r = ended(reply_status::overloaded, std::move(message));
  r.retry_after = 100ms;
  return r;
}

} // namespace

bool router_core::says_not_run(reply_status s) {
  return s == reply_status::parked || s == reply_status::stopped
         || s == reply_status::disk_full || s == reply_status::expired
         || s == reply_status::deadline;
}

router_core::router_core(node_id self, const directory& known,
                         random_source& random)
    : self_{self}, known_{known}, random_{random}, next_call_{
                                                       (random.next() >> 16)
                                                       << 8} {
}

void router_core::arm(std::uint64_t id, pending& c) {
  auto at = std::min(c.retry_at, c.until);
  if (c.spread && c.in_flight && !c.spread->hedged)
    at = std::min(at, c.spread->hedge_at);
  if (at == c.alarm_at)
    return;
  if (c.alarm_at != never)
    alarms_.erase({c.alarm_at, id});
  alarms_.emplace(at, id);
  c.alarm_at = at;
}

void router_core::call(call_request c, time_point now, effects& out) {
  const auto refuse = [&](reply_status s, std::string message) {
    auto r = s == reply_status::overloaded ? overload(std::move(message))
                                           : ended(s, std::move(message));
    out.emplace_back(router_answer{c.token, std::move(r), 0, {}});
  };
  const auto* app = known_.find_app(c.app);
  if (app == nullptr)
    return refuse(reply_status::not_found,
                  "no app named '" + c.app + "'; `banyan apps` lists them");
  if (app->contested)
    return refuse(reply_status::conflict,
                  "two apps bear the name '" + c.app
                      + "': neither is served until an owner removes one "
                        "(`banyan apps "
                      + c.app + "` shows both)");
  if (calls_.size() >= calls_max)
    return refuse(reply_status::overloaded, "this peer has "
                                                + std::to_string(calls_max)
                                                + " calls under way");
  if (app->stateless) {
    // Whatever it is called, it has nothing that it could change.
    c.kind = request_kind::query;
    c.identity = std::monostate{};
    c.max_staleness.reset();
    c.shard.reset();
    if (c.key.empty())
      c.key = "-";
  }
  const bool runs =
      c.kind == request_kind::command || c.kind == request_kind::query;
  if (c.key.empty() || c.key.size() > actor_key_bytes_max
      || (runs && c.command.empty()) // a session has none
      || c.command.size() > name_bytes_max)
    return refuse(reply_status::invalid_argument,
                  "the actor's key and the command must be 1 to 255 bytes, "
                  "they have "
                      + std::to_string(c.key.size()) + " and "
                      + std::to_string(c.command.size()));
  if (const auto* k = std::get_if<idempotency_request>(&c.identity);
      k != nullptr && k->key.size() > idempotency_key_bytes_max)
    return refuse(reply_status::invalid_argument,
                  "the idempotency key is longer than 255 bytes");
  if (c.argument.size()
      > (c.kind == request_kind::load ? load_bytes_max : argument_bytes_max))
    return refuse(reply_status::too_large,
                  "the argument has " + std::to_string(c.argument.size())
                      + " bytes as msgpack; it may have 1 MiB");
  if (c.shard && *c.shard >= app->shards)
    return refuse(reply_status::invalid_argument,
                  "the app has " + std::to_string(app->shards) + " shards");
  const std::uint64_t id = ++next_call_;
  pending p;
  p.token = c.token;
  p.until = now + std::clamp(c.deadline, duration{}, deadline_max);
  p.frame.call = id;
  p.frame.group = {app->id, c.shard ? *c.shard : shard_of(c.key, app->shards)};
  p.frame.kind = c.kind;
  p.frame.key = std::move(c.key);
  p.frame.command = std::move(c.command);
  p.frame.argument = std::move(c.argument);
  p.frame.identity = std::move(c.identity);
  if (c.max_staleness)
    p.frame.max_staleness =
        std::clamp(*c.max_staleness, duration{}, staleness_max);
  p.own_session = c.kind == request_kind::command
                  && std::holds_alternative<std::monostate>(p.frame.identity);
  if (app->stateless
      || (p.frame.kind == request_kind::query && p.frame.max_staleness
          && *p.frame.max_staleness >= spread_staleness_min)) {
    p.spread = std::make_unique<spreading>();
    p.spread->instances = app->stateless;
    balance_of(p).nodes.count_call();
  }
  groups_[p.frame.group].calls.insert(id);
  arm(id, p);
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

// Calls wait for one that opens a session; it lives as long as any of them.
void router_core::want_session(std::uint64_t id, time_point now, effects& out) {
  const auto& c = calls_.at(id);
  const auto group = c.frame.group;
  const auto until = c.until;
  auto& g = groups_[group];
  g.want_session.insert(id);
  if (g.opening != 0) {
    auto& o = calls_.at(g.opening);
    if (until > o.until) {
      o.until = until;
      arm(g.opening, o);
    }
    return;
  }
  const std::uint64_t open = ++next_call_;
  pending p;
  p.internal = true;
  p.until = until;
  p.frame.call = open;
  p.frame.group = group;
  p.frame.kind = request_kind::open_session;
  g.opening = open;
  g.calls.insert(open);
  arm(open, p);
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
  c.repeated |= !c.at.is_none();
  c.in_flight = true;
  c.at = to;
  c.retry_at = never;
  arm(id, c);
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
  if (c.spread)
    return spread(id, now, out);
  auto nodes = known_.candidates(c.frame.group);
  if (nodes.empty()) {
    c.last = reply_status::no_quorum;
    return retry_later(id, now);
  }
  if (const auto leader = known_.leader(c.frame.group);
      leader && c.next_candidate == 0)
    return send(id, *leader, now, out);
  // Who is silent would keep it until it is heard again, which nothing tells.
  const auto silent =
      std::stable_partition(nodes.begin(), nodes.end(),
                            [&](const node_id& n) { return known_.heard(n); });
  if (silent != nodes.begin())
    nodes.erase(silent, nodes.end());
  send(id, nodes[c.next_candidate % nodes.size()], now, out);
}

void router_core::retry_later(std::uint64_t id, time_point now,
                              duration at_least) {
  auto& c = calls_.at(id);
  ++retries_;
  c.repeated = c.waited = true;
  c.in_flight = false;
  c.hops = 0;
  c.pause =
      c.pause == duration{} ? pause_min : std::min(c.pause * 2, pause_max);
  c.retry_at = now + at_least + random_.between(c.pause / 2, c.pause);
  arm(id, c);
}

bool router_core::may_have_run(const pending& c) const {
  // Only a query of a durable app changes nothing wherever it ran.
  const bool matters = c.frame.kind == request_kind::command
                       || (c.spread && c.spread->instances);
  return matters && (c.submitted || c.in_flight);
}

reply router_core::out_of_time(const pending& c) const {
  if (c.spread && c.spread->instances)
    return may_have_run(c)
               ? ended(reply_status::unknown,
                       "sent, but no answer in time; it may have run")
           : c.last == reply_status::overloaded
               ? overload("the instances have more calls than they can take")
               : ended(c.last, c.last == reply_status::no_quorum
                                   ? "no instance of the app is up; not "
                                     "executed. `banyan apps` shows why"
                                   : "no answer in time; not executed");
  if (may_have_run(c))
    return ended(reply_status::unknown,
                 "sent, but no answer in time; repeat it with the same key "
                 "to learn or make its outcome");
  auto last = c.last;
  if (c.own_session)
    if (const auto g = groups_.find(c.frame.group);
        g != groups_.end() && g->second.want_session.count(c.frame.call) != 0)
      if (const auto o = calls_.find(g->second.opening); o != calls_.end())
        last = o->second.last;
  const auto* v = known_.view(c.frame.group);
  if (last == reply_status::no_quorum || !known_.majority_alive(c.frame.group)
      || (v != nullptr && v->health == group_health::no_quorum))
    return ended(reply_status::no_quorum,
                 "no majority of the group's voters is reachable; not "
                 "executed. `banyan apps` shows which are missing");
  if (last == reply_status::overloaded)
    return overload("the group has more calls than it can take; not executed");
  if (c.in_flight)
    return ended(reply_status::deadline, "no answer in time; nothing changed");
  return ended(reply_status::deadline,
               "no leader in time; not executed. `banyan apps` shows how the "
               "group stands");
}

void router_core::finish(std::uint64_t id, reply r, time_point now,
                         effects& out, const node_id& by) {
  const auto at = calls_.find(id);
  BANYAN_ASSERT(at != calls_.end());
  auto c = std::move(at->second);
  calls_.erase(at);
  alarms_.erase({c.alarm_at, id});
  attempts_over(c, now);
  auto& g = groups_[c.frame.group];
  g.calls.erase(id);
  g.want_session.erase(id);
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
  out.emplace_back(router_answer{c.token, std::move(r), c.frame.group.shard, by,
                                 c.repeated});
}

void router_core::on_reply(const node_id& from, reply_frame f, time_point now,
                           effects& out) {
  const auto at = calls_.find(f.call);
  if (at == calls_.end() || !at->second.in_flight)
    return;
  if (at->second.spread)
    return on_spread_reply(from, f, now, out);
  if (at->second.at != from)
    return;
  auto& c = at->second;
  auto& r = f.reply;
  c.in_flight = false;
  switch (r.status) {
  case reply_status::not_leader:
    c.submitted |= r.submitted;
    if (r.leader && r.leader->node != from && c.hops < hops_max) {
      ++c.hops;
      return send(f.call, r.leader->node, now, out);
    }
    ++c.next_candidate;
    return retry_later(f.call, now);
  case reply_status::no_quorum:
    c.submitted |= r.submitted;
    c.last = reply_status::no_quorum;
    ++c.next_candidate;
    return retry_later(f.call, now);
  case reply_status::no_such_replica:
    ++c.next_candidate;
    return retry_later(f.call, now);
  case reply_status::unknown:
    c.submitted = true;
    ++c.next_candidate;
    return retry_later(f.call, now);
  case reply_status::overloaded: {
    // "Not run" holds for this attempt alone. And who waited out a failover
    // comes with all others that did: that is no load, and will pass.
    const auto pause = r.retry_after.value_or(duration{});
    if (!may_have_run(c) && !(c.waited && now + pause < c.until))
      break;
    c.last = reply_status::overloaded;
    return retry_later(f.call, now, pause);
  }
  case reply_status::expired:
    if (c.own_session && !c.submitted) { // our session was closed: a new one
      forget_session(c);
      return start(f.call, now, out);
    }
    break;
  default:
    break;
  }
  if (may_have_run(c) && says_not_run(r.status))
    r = ended(
        reply_status::unknown,
        std::string{"an earlier attempt's outcome is not known; now: "}
            + to_string(r.status)
            + (r.message.empty() ? "" : ": " + r.message.substr(0, 1024)));
  finish(f.call, std::move(r), now, out, from);
}

void router_core::on_link_up(const node_id& node, incarnation at,
                             time_point now, effects& out) {
  if (at.value() != 0) {
    const auto [known, fresh] = linked_.try_emplace(node, at);
    const auto before = std::exchange(known->second, at);
    if (!fresh && before < at)
      cut(node, before, now, out);
  }
  for (auto& [app, b] : balances_)
    b.nodes.back(node, now);
  std::vector<std::uint64_t> waiting;
  for (auto& [g, state] : groups_) {
    state.too_old.erase(node);
    if (state.calls.empty())
      continue;
    const auto nodes = known_.candidates(g);
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()
        && known_.instances(g.app).count(node) == 0)
      continue;
    for (const auto id : state.calls)
      if (const auto& c = calls_.at(id); !c.in_flight && c.retry_at != never)
        waiting.push_back(id);
  }
  std::sort(waiting.begin(), waiting.end());
  for (const auto id : waiting)
    if (calls_.count(id) != 0)
      send_to_best(id, now, out);
}

void router_core::on_link_down(const node_id& node, incarnation at,
                               time_point now, effects& out) {
  cut(node, at, now, out);
}

void router_core::cut(const node_id& node, incarnation at, time_point now,
                      effects& out) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, c] : calls_)
    if (c.in_flight
        && (c.at == node
            || (c.spread && c.spread->hedge != 0
                && c.spread->hedged_to == node)))
      ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const auto id : ids) {
    const auto found = calls_.find(id);
    if (found == calls_.end())
      continue;
    auto& c = found->second;
    if (c.spread) {
      spread_lost(id, node, now, out);
      continue;
    }
    c.in_flight = false;
    c.waited = true;
    if (c.frame.kind == request_kind::command) {
      c.submitted = true;
      if (at.value() != 0)
        c.frame.outstanding = outstanding_at{node, at};
    }
    const auto leader = known_.leader(c.frame.group);
    c.next_candidate = leader && *leader == node ? 1 : 0; // the leader is 0
    if (leader && *leader != node)
      send(id, *leader, now, out);
    else
      retry_later(id, now);
  }
}

void router_core::on_view(const group_id& g, time_point now, effects& out) {
  if (const auto* app = known_.find_app(g.app); app && app->stateless)
    return instances_changed(g.app, now, out);
  const auto at = groups_.find(g);
  const auto leader = known_.leader(g);
  if (at == groups_.end() || !leader)
    return;
  std::vector<std::uint64_t> ids;
  for (const auto id : at->second.calls) {
    const auto& c = calls_.at(id);
    if (c.in_flight ? c.at != *leader && !c.spread : c.retry_at != never)
      ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  for (const auto id : ids) {
    const auto found = calls_.find(id);
    if (found == calls_.end())
      continue;
    auto& c = found->second;
    c.submitted |= may_have_run(c);
    c.waited = true;
    c.in_flight = false;
    c.next_candidate = 0;
    c.pause = {};
    c.hops = 0;
    if (c.spread)
      spread(id, now, out);
    else
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
  for (const auto id : ids) {
    const auto at = calls_.find(id);
    if (at == calls_.end())
      continue;
    finish(id,
           may_have_run(at->second)
               ? ended(reply_status::unknown,
                       "the app was removed before the outcome was known")
               : ended(reply_status::not_found, "the app was removed"),
           now, out);
  }
  for (auto g = groups_.begin(); g != groups_.end();)
    g = g->first.app == app ? groups_.erase(g) : std::next(g);
  balances_.erase(app);
}

void router_core::on_tick(time_point now, effects& out) {
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    const auto id = alarms_.begin()->second;
    auto& c = calls_.at(id);
    if (now >= c.until)
      finish(id, out_of_time(c), now, out);
    else if (c.in_flight) // only what is spread has an alarm of its own then
      hedge(id, now, out);
    else if (c.spread)
      spread_due(id, now, out);
    else
      send_to_best(id, now, out);
  }
}

time_point router_core::deadline() const {
  return alarms_.empty() ? never : alarms_.begin()->first;
}

} // namespace banyan
