// Calls on their way: sessions, peers, time.
#include "actors/client/client_core.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration pause_min = std::chrono::milliseconds{5};
constexpr duration pause_max = std::chrono::milliseconds{100};
/// What waits for a look-up or a session has deadlines of its own.
constexpr duration internal_max = std::chrono::seconds{10};

bool is_command(const client_call_frame& f) {
  return f.kind == client_call_kind::command;
}

} // namespace

// ---- calls ------------------------------------------------------------------

void client_core::call(client_request r, time_point now, effects& out) {
  pending c;
  c.home = &app_of(r.app);
  c.token = r.token;
  c.since = now;
  c.until = now + r.deadline;
  c.frame.kind = r.query ? client_call_kind::query : client_call_kind::command;
  c.frame.key = std::move(r.key);
  c.frame.max_staleness = r.max_staleness;
  if (auto no = refusal(c, now)) {
    ++refused_;
    out.emplace_back(client_answer{c.token, std::move(*no), false});
    return;
  }
  const std::uint64_t id = ++next_call_;
  c.frame.call = id;
  c.frame.app = std::move(r.app);
  c.frame.command = std::move(r.command);
  c.frame.argument = std::move(r.argument);
  if (!r.query && !r.idempotency_key.empty())
    c.frame.identity = idempotency_request{std::move(r.idempotency_key)};
  ++c.home->calls;
  calls_.emplace(id, std::move(c));
  place_call(id, now, out);
}

void client_core::start(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  if (!is_command(c.frame)
      || !std::holds_alternative<std::monostate>(c.frame.identity))
    return send_to_best(id, now, out);
  auto& a = *c.home;
  if (a.shards == 0) {
    schedule(id, c);
    return look_up(a, id, now, out);
  }
  c.shard = shard_of(c.frame.key, a.shards);
  auto& g = a.groups[c.shard];
  const auto floor = g.open.empty() ? g.next : g.open.begin()->first;
  if (g.session == 0 || g.next - floor >= session_window) {
    schedule(id, c);
    g.waiting.push_back(id);
    if (g.session == 0 && !g.opening)
      open_session(a, c.shard, c.frame.key, now, out);
    return;
  }
  c.frame.identity = session_request{g.session, g.next, floor};
  g.open.emplace(g.next++, id);
  send_to_best(id, now, out);
}

std::uint64_t client_core::internal(purpose what, app& a,
                                    const std::string& key, time_point now) {
  const std::uint64_t id = ++next_call_;
  pending c;
  c.what = what;
  c.home = &a;
  c.since = now;
  c.until = now + internal_max;
  c.frame.call = id;
  c.frame.kind = what == purpose::lookup ? client_call_kind::lookup
                                         : client_call_kind::open_session;
  c.frame.app = a.name;
  c.frame.key = key;
  ++a.calls;
  calls_.emplace(id, std::move(c));
  return id;
}

void client_core::look_up(app& a, std::uint64_t id, time_point now,
                          effects& out) {
  a.waiting.push_back(id);
  if (std::exchange(a.asking, true))
    return;
  send_to_best(internal(purpose::lookup, a, {}, now), now, out);
}

void client_core::open_session(app& a, std::uint32_t shard,
                               const std::string& key, time_point now,
                               effects& out) {
  auto& g = a.groups[shard];
  g.opening = true;
  g.key = key;
  const auto id = internal(purpose::open, a, key, now);
  calls_.at(id).shard = shard;
  send_to_best(id, now, out);
}

void client_core::pump(group& g, time_point now, effects& out) {
  auto list = std::exchange(g.waiting, {});
  for (const auto id : list)
    if (calls_.count(id) != 0)
      start(id, now, out);
}

// ---- peers ------------------------------------------------------------------

client_core::peer* client_core::find(const node_id& node) {
  for (auto& p : peers_)
    if (p.node == node)
      return &p;
  return nullptr;
}

bool client_core::drop(std::vector<node_id>& list, const node_id& node) {
  const auto at = std::find(list.begin(), list.end(), node);
  if (at == list.end())
    return false;
  list.erase(at);
  return true;
}

void client_core::send_to_best(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  c.retry_at = never;
  if (auto* p = choose(c, now))
    return send(id, *p, now, out);
  if (c.asked.empty())
    return retry_later(id, now); // no peer: `on_peer_up` is sooner
  c.check_at = now + silence_max;
  schedule(id, c);
}

void client_core::send(std::uint64_t id, peer& to, time_point now,
                       effects& out) {
  auto& c = calls_.at(id);
  if (now >= c.until)
    return finish(id, out_of_time(c), now, out);
  if (c.sends++ > 0)
    ++repeated_;
  c.sent_at = now;
  c.retry_at = never;
  c.check_at = now + silence_max;
  c.asked.push_back(to.node);
  begin_attempt(c, to.node, now);
  c.frame.deadline = c.until - now;
  if (auto* s = std::get_if<session_request>(&c.frame.identity)) {
    const auto& open = c.home->groups.at(c.shard).open;
    if (!open.empty())
      s->floor = std::min(s->number, open.begin()->first);
  }
  schedule(id, c);
  out.emplace_back(client_send{to.node, c.frame});
}

void client_core::retry_later(std::uint64_t id, time_point now,
                              duration at_least) {
  auto& c = calls_.at(id);
  c.pause = std::clamp(c.pause * 2, pause_min, pause_max);
  c.retry_at = now + std::max(c.pause, std::min(at_least, retry_max));
  schedule(id, c);
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
    if (c.at != place::held && c.asked.empty() && c.retry_at != never)
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

// ---- time -------------------------------------------------------------------

/// Nothing becomes of a call before then, unless something comes in.
time_point client_core::next_look(const pending& c) {
  if (c.at == place::queued)
    return c.until - std::min(c.home->window.needed(), c.until - c.since);
  if (c.asked.empty())
    return std::min(c.retry_at, c.until);
  return c.check_at < c.until ? c.check_at : c.until + grace;
}

/// One alarm for each call is enough: when it is too early, it is set again.
void client_core::schedule(std::uint64_t id, pending& c) {
  const auto at = next_look(c);
  if (at >= c.alarm_at)
    return;
  c.alarm_at = at;
  if (in_order_.empty() || in_order_.back().at <= at)
    in_order_.push_back({at, id});
  else
    alarms_.push({at, id});
}

void client_core::check_silence(std::uint64_t id, time_point now,
                                effects& out) {
  auto& c = calls_.at(id);
  auto* last = find(c.asked.back());
  const bool silent = last != nullptr && last->heard <= c.sent_at;
  // A second peer for what is only slow costs twice where there is too much.
  const bool patient = !silent && now < c.sent_at + patience;
  if (patient || (!silent && !may_repeat())) {
    c.check_at = patient ? std::min(now + silence_max, c.sent_at + patience)
                         : now + silence_max;
    return schedule(id, c);
  }
  if (silent) {
    last->silent = true;
    end_attempt(c, last->node, balanced_end::failed, now);
    if (last == &peers_.front()) // later calls begin elsewhere
      std::rotate(peers_.begin(), peers_.begin() + 1, peers_.end());
  }
  send_to_best(id, now, out);
}

void client_core::look(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  if (now < next_look(c))
    return;
  if (c.at == place::queued)
    return shed(id, now, out);
  if (now >= c.until) {
    if (c.asked.empty() || now >= c.until + grace)
      return finish(id, out_of_time(c), now, out);
    c.check_at = c.until; // its grace
    return;
  }
  if (c.at == place::held)
    return place_call(id, now, out);
  if (c.asked.empty())
    send_to_best(id, now, out);
  else
    check_silence(id, now, out);
}

void client_core::on_tick(time_point now, effects& out) {
  for (;;) {
    const bool ordered =
        !in_order_.empty()
        && (alarms_.empty() || in_order_.front().at <= alarms_.top().at);
    if (!ordered && alarms_.empty())
      return;
    const auto next = ordered ? in_order_.front() : alarms_.top();
    auto at = calls_.find(next.call);
    const bool stale = at == calls_.end() || at->second.alarm_at != next.at;
    if (!stale && next.at > now)
      return;
    if (ordered)
      in_order_.pop_front();
    else
      alarms_.pop();
    if (stale)
      continue;
    at->second.alarm_at = never;
    look(next.call, now, out);
    at = calls_.find(next.call);
    if (at != calls_.end()) {
      BANYAN_ASSERT(next_look(at->second) > now);
      schedule(next.call, at->second);
    }
  }
}

time_point client_core::deadline() const {
  const auto first = in_order_.empty() ? never : in_order_.front().at;
  return alarms_.empty() ? first : std::min(first, alarms_.top().at);
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
  turns_.clear();
  begun_ = 0;
  for (const auto& [name, a] : apps_)
    for (const auto& [shard, g] : a.groups) {
      if (g.session == 0 || peers_.empty())
        continue;
      client_call_frame f;
      f.call = ++next_call_;
      f.kind = client_call_kind::close_session;
      f.app = name;
      f.key = g.key;
      f.identity = session_request{g.session, 0, 0};
      out.emplace_back(client_send{peers_.front().node, std::move(f)});
    }
  apps_.clear();
}

} // namespace banyan
