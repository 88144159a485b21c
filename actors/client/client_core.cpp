#include "actors/client/client_core.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration pause_min = std::chrono::milliseconds{5};
constexpr duration pause_max = std::chrono::milliseconds{100};
/// An app has no more shards; what a peer says may be anything.
constexpr std::uint32_t shards_named_max = 1024;
/// What waits for a look-up or a session has deadlines of its own.
constexpr duration internal_max = std::chrono::seconds{10};

reply ended(reply_status s, std::string message) {
  reply r;
  r.status = s;
  r.message = std::move(message);
  return r;
}

bool drop(std::vector<node_id>& list, const node_id& node) {
  const auto at = std::find(list.begin(), list.end(), node);
  if (at == list.end())
    return false;
  list.erase(at);
  return true;
}

bool is_command(const client_call_frame& f) {
  return f.kind == client_call_kind::command;
}

/// A call without a key is a stateless app's: it may do something outside.
bool may_act(const client_call_frame& f) {
  return is_command(f) || (f.kind == client_call_kind::query && f.key.empty());
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

// ---- calls
// -------------------------------------------------------------------

void client_core::call(client_request r, time_point now, effects& out) {
  if (calls_.size() >= calls_max) {
    auto full = ended(reply_status::overloaded, "this client has "
                                                    + std::to_string(calls_max)
                                                    + " calls under way");
    out.emplace_back(client_answer{r.token, std::move(full), false});
    return;
  }
  const std::uint64_t id = ++next_call_;
  pending c;
  c.token = r.token;
  c.until = now + r.deadline;
  c.frame.call = id;
  c.frame.kind = r.query ? client_call_kind::query : client_call_kind::command;
  c.frame.app = std::move(r.app);
  c.frame.key = std::move(r.key);
  c.frame.command = std::move(r.command);
  c.frame.argument = std::move(r.argument);
  c.frame.max_staleness = r.max_staleness;
  if (!r.query && !r.idempotency_key.empty())
    c.frame.identity = idempotency_request{std::move(r.idempotency_key)};
  alarms_.push({c.until, id});
  calls_.emplace(id, std::move(c));
  overload_budget_ =
      std::min(overload_budget_ + overload_share, overload_reserve);
  backlog_.push_back(id);
  begin_calls(now, out);
}

/// Never from within itself: a call may end as it begins.
void client_core::begin_calls(time_point now, effects& out) {
  if (std::exchange(beginning_, true))
    return;
  while (begun_ < window && !backlog_.empty()) {
    const auto id = backlog_.front();
    backlog_.pop_front();
    const auto at = calls_.find(id);
    if (at == calls_.end())
      continue; // its time was up
    at->second.begun = true;
    ++begun_;
    start(id, now, out);
  }
  beginning_ = false;
}

void client_core::start(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  if (!is_command(c.frame)
      || !std::holds_alternative<std::monostate>(c.frame.identity))
    return send_to_best(id, now, out);
  const auto& a = apps_[c.frame.app];
  if (a.shards == 0)
    return look_up(c.frame.app, id, now, out);
  c.shard = shard_of(c.frame.key, a.shards);
  const group_name name{c.frame.app, c.shard};
  auto& g = groups_[name];
  const auto floor = g.open.empty() ? g.next : g.open.begin()->first;
  if (g.session == 0 || g.next - floor >= session_window) {
    g.waiting.push_back(id);
    if (g.session == 0 && !g.opening)
      open_session(name, c.frame.key, now, out);
    return;
  }
  c.frame.identity = session_request{g.session, g.next, floor};
  g.open.emplace(g.next++, id);
  send_to_best(id, now, out);
}

std::uint64_t client_core::internal(purpose what, const std::string& name,
                                    const std::string& key, time_point until) {
  const std::uint64_t id = ++next_call_;
  pending c;
  c.what = what;
  c.until = until;
  c.frame.call = id;
  c.frame.kind = what == purpose::lookup ? client_call_kind::lookup
                                         : client_call_kind::open_session;
  c.frame.app = name;
  c.frame.key = key;
  alarms_.push({until, id});
  calls_.emplace(id, std::move(c));
  return id;
}

void client_core::look_up(const std::string& name, std::uint64_t id,
                          time_point now, effects& out) {
  auto& a = apps_[name];
  a.waiting.push_back(id);
  if (std::exchange(a.asking, true))
    return;
  send_to_best(internal(purpose::lookup, name, {}, now + internal_max), now,
               out);
}

void client_core::open_session(const group_name& name, const std::string& key,
                               time_point now, effects& out) {
  auto& g = groups_[name];
  g.opening = true;
  g.key = key;
  const auto id = internal(purpose::open, name.first, key, now + internal_max);
  calls_.at(id).shard = name.second;
  send_to_best(id, now, out);
}

void client_core::pump(group& g, time_point now, effects& out) {
  auto list = std::exchange(g.waiting, {});
  for (const auto id : list)
    if (calls_.count(id) != 0)
      start(id, now, out);
}

// ---- peers
// -------------------------------------------------------------------

client_core::peer* client_core::find(const node_id& node) {
  for (auto& p : peers_)
    if (p.node == node)
      return &p;
  return nullptr;
}

node_id client_core::leader_for(const client_call_frame& f) const {
  const auto at = apps_.find(f.app);
  if (at == apps_.end() || at->second.leaders.empty() || f.max_staleness
      || f.kind == client_call_kind::lookup)
    return {}; // any will do
  const auto& a = at->second;
  const auto shard = shard_of(f.key, a.shards);
  return shard < a.leaders.size() ? a.leaders[shard] : node_id{};
}

// A peer that leads the group, or knows no better, names nobody.
void client_core::learn(const client_call_frame& asked, const node_id& from,
                        const client_reply_frame& f) {
  const auto& r = f.reply;
  if (f.shards == 0 || asked.max_staleness
      || asked.kind == client_call_kind::lookup
      || (!r.leader && r.status != reply_status::ok))
    return;
  auto& a = apps_[asked.app];
  if (a.shards == 0 && !a.asking)
    a.shards = f.shards;
  if (a.shards != f.shards)
    return;
  const auto shard = shard_of(asked.key, a.shards);
  if (shard >= shards_named_max)
    return;
  if (a.leaders.size() <= shard)
    a.leaders.resize(shard + 1);
  a.leaders[shard] = r.leader ? r.leader->node : from;
}

void client_core::send_to_best(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  c.retry_at = never;
  if (auto* p = choose(c, now))
    return send(id, *p, now, out);
  if (c.asked.empty())
    retry_later(id, now); // no peer: `on_peer_up` is sooner
  else
    alarms_.push({now + silence_max, id});
}

void client_core::send(std::uint64_t id, peer& to, time_point now,
                       effects& out) {
  auto& c = calls_.at(id);
  if (now >= c.until)
    return finish(id, out_of_time(c), now, out);
  if (c.sent)
    ++repeated_;
  c.sent = true;
  c.sent_at = now;
  c.retry_at = never;
  c.asked.push_back(to.node);
  begin_attempt(c, to.node, now);
  c.frame.deadline = c.until - now;
  if (auto* s = std::get_if<session_request>(&c.frame.identity)) {
    const auto& open = groups_.at({c.frame.app, c.shard}).open;
    if (!open.empty())
      s->floor = std::min(s->number, open.begin()->first);
  }
  alarms_.push({now + silence_max, id});
  out.emplace_back(client_send{to.node, c.frame});
}

void client_core::retry_later(std::uint64_t id, time_point now) {
  auto& c = calls_.at(id);
  c.pause = std::clamp(c.pause * 2, pause_min, pause_max);
  c.retry_at = now + c.pause;
  alarms_.push({c.retry_at, id});
}

void client_core::on_peer_up(const node_id& node, time_point now,
                             effects& out) {
  if (auto* p = find(node)) { // a new link to a known peer
    p->silent = false;
    p->heard = now;
    spread_.back(node, now);
    return;
  }
  peers_.push_back({node, now, false});
  peers_changed(now);
  std::vector<std::uint64_t> idle;
  for (const auto& [id, c] : calls_)
    if (c.asked.empty() && c.retry_at != never)
      idle.push_back(id);
  std::sort(idle.begin(), idle.end());
  for (const auto id : idle)
    if (calls_.count(id) != 0)
      send_to_best(id, now, out);
}

void client_core::on_peer_down(const node_id& node, time_point now,
                               effects& out) {
  peers_.erase(std::remove_if(peers_.begin(), peers_.end(),
                              [&](const peer& p) { return p.node == node; }),
               peers_.end());
  peers_changed(now);
  std::vector<std::uint64_t> cut;
  for (auto& [id, c] : calls_) {
    drop(c.not_here, node);
    if (!drop(c.asked, node))
      continue;
    end_attempt(c, node, balanced_end::failed, now);
    c.lost = true;
    if (c.asked.empty())
      cut.push_back(id);
  }
  std::sort(cut.begin(), cut.end());
  for (const auto id : cut)
    if (calls_.count(id) != 0)
      send_to_best(id, now, out);
}

// ---- answers
// -----------------------------------------------------------------

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
  learn(at->second.frame, from, f);
  end_attempt(at->second, from, end_of(f.reply.status), now,
              f.reply.retry_after.value_or(duration{}));
  switch (at->second.what) {
  case purpose::lookup:
    return on_looked_up(id, from, f, now, out);
  case purpose::open:
    if (f.reply.status == reply_status::not_found
        && ask_elsewhere(id, from, now, out))
      return;
    return on_session(id, std::move(f.reply), now, out);
  case purpose::call:
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
  const auto name = calls_.at(id).frame.app;
  calls_.erase(id);
  auto& a = apps_[name];
  a.asking = false;
  a.shards = found ? f.shards : 0;
  a.leaders.clear();
  const auto list = std::exchange(a.waiting, {});
  for (const auto waiting : list) {
    if (calls_.count(waiting) == 0)
      continue;
    if (found)
      start(waiting, now, out);
    else
      finish(waiting,
             ended(reply_status::not_found,
                   "no app named '" + name + "'; `banyan apps` lists them"),
             now, out);
  }
}

void client_core::on_session(std::uint64_t id, reply r, time_point now,
                             effects& out) {
  auto& c = calls_.at(id);
  auto& g = groups_.at({c.frame.app, c.shard});
  const bool opened = r.status == reply_status::ok && r.session != 0;
  if (!opened && !is_final(r.status) && r.status != reply_status::not_found) {
    // Nothing is lost with a session that nobody uses.
    if (now < c.until)
      return retry_later(id, now);
  }
  calls_.erase(id);
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
  } else if (!c.asked.empty()) {
    return; // another peer is still at it
  }
  const bool open = c.lost || r.status == reply_status::unknown
                    || r.status == reply_status::no_quorum;
  if (open && r.status != reply_status::not_found && now < c.until)
    return retry_later(id, now);
  if (r.status == reply_status::overloaded && repeat_overload(id, r, now))
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
  auto& g = groups_.at({c.frame.app, c.shard});
  if (g.session == s->session) {
    g.session = 0;
    g.open.clear();
    apps_[c.frame.app].shards = 0;
    apps_[c.frame.app].leaders.clear();
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
  const auto c = std::move(at->second);
  calls_.erase(at);
  for (const auto& [node, attempt] : c.spread)
    spread_.ended(attempt, balanced_end::given_up, now);
  if (c.begun)
    --begun_;
  if (c.what == purpose::lookup) {
    auto& a = apps_[c.frame.app];
    a.asking = false;
    const auto list = std::exchange(a.waiting, {});
    for (const auto waiting : list) // the next one asks again
      if (calls_.count(waiting) != 0)
        start(waiting, now, out);
    return;
  }
  if (c.what == purpose::open) {
    auto& g = groups_.at({c.frame.app, c.shard});
    g.opening = false;
    return pump(g, now, out);
  }
  const bool unreachable = !c.sent && peers_.empty();
  out.emplace_back(client_answer{c.token, std::move(r), unreachable});
  if (const auto* s = std::get_if<session_request>(&c.frame.identity)) {
    auto& g = groups_.at({c.frame.app, c.shard});
    if (g.session == s->session) {
      g.open.erase(s->number);
      pump(g, now, out);
    }
  }
  begin_calls(now, out);
}

reply client_core::out_of_time(const pending& c) const {
  if (may_act(c.frame) && (c.lost || !c.asked.empty()))
    return ended(reply_status::unknown,
                 "no peer answered in time; it may have taken effect");
  if (!c.sent && peers_.empty())
    return ended(reply_status::deadline, "no peer could be reached");
  return ended(reply_status::deadline, "no answer in time");
}

// ---- time
// --------------------------------------------------------------------

void client_core::check_silence(std::uint64_t id, time_point now,
                                effects& out) {
  auto& c = calls_.at(id);
  if (now < c.sent_at + silence_max)
    return; // an alarm of an earlier attempt
  auto* last = find(c.asked.back());
  const bool silent = last != nullptr && last->heard <= c.sent_at;
  if (!silent && now < c.sent_at + patience) {
    alarms_.push({std::min(now + silence_max, c.sent_at + patience), id});
    return;
  }
  if (silent) {
    last->silent = true;
    end_attempt(c, last->node, balanced_end::failed, now);
    if (last == &peers_.front()) // later calls begin elsewhere
      std::rotate(peers_.begin(), peers_.begin() + 1, peers_.end());
  }
  send_to_best(id, now, out);
}

void client_core::on_tick(time_point now, effects& out) {
  while (!alarms_.empty() && alarms_.top().at <= now) {
    const auto id = alarms_.top().call;
    alarms_.pop();
    const auto at = calls_.find(id);
    if (at == calls_.end())
      continue;
    const auto& c = at->second;
    if (now >= c.until) {
      if (!c.asked.empty() && now < c.until + grace)
        alarms_.push({c.until + grace, id});
      else
        finish(id, out_of_time(c), now, out);
    } else if (c.asked.empty()) {
      if (c.retry_at <= now)
        send_to_best(id, now, out);
    } else {
      check_silence(id, now, out);
    }
  }
}

time_point client_core::deadline() const {
  return alarms_.empty() ? never : alarms_.top().at;
}

void client_core::close(effects& out) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, c] : calls_)
    if (c.what == purpose::call)
      ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const auto id : ids) {
    const auto& c = calls_.at(id);
    out.emplace_back(client_answer{c.token, out_of_time(c), false});
  }
  calls_.clear();
  backlog_.clear();
  begun_ = 0;
  for (const auto& [name, g] : groups_) {
    if (g.session == 0 || peers_.empty())
      continue;
    client_call_frame f;
    f.call = ++next_call_;
    f.kind = client_call_kind::close_session;
    f.app = name.first;
    f.key = g.key;
    f.identity = session_request{g.session, 0, 0};
    out.emplace_back(client_send{peers_.front().node, std::move(f)});
  }
  groups_.clear();
}

} // namespace banyan
