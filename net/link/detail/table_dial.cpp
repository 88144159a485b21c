#include "net/link/detail/table.hpp"

#include <algorithm>

namespace banyan::net {

bool link_table::state::satisfied(const target& t) const {
  return current(t.by_address ? t.resolved : t.what.node) != nullptr;
}

target* link_table::state::find_target(const dial_purpose& p) {
  if (p.what == dial_purpose::kind::node) {
    const auto it = by_node_.find(p.node);
    return it == by_node_.end() ? nullptr : &it->second;
  }
  if (p.what == dial_purpose::kind::address) {
    const auto it = by_address_.find(p.at);
    return it == by_address_.end() ? nullptr : &it->second;
  }
  return nullptr;
}

void link_table::state::want(target t, time_point now) {
  if (stopping_)
    return;
  t.next_dial = now;
  const auto update = [&](auto& targets, const auto& key) {
    const auto [it, fresh] = targets.emplace(key, t);
    if (fresh)
      return;
    auto& known = it->second;
    if (known.what.at == t.what.at && known.what.node == t.what.node)
      return;
    known.what = t.what;
    known.failures = 0;
    known.given_up = false;
    known.next_dial = now;
  };
  if (t.by_address)
    update(by_address_, t.what.at);
  else
    update(by_node_, t.what.node);
  dial_due(now);
}

void link_table::state::unwant(target& t) {
  auto* const c = find(t.dialling);
  if (c != nullptr && c->phase <= phase::confirming)
    drop(*c, ending::reset);
}

void link_table::state::dial_due(time_point now) {
  changed();
  if (stopping_)
    return;
  const auto visit = [&](auto& targets) {
    for (auto& [key, t] : targets) {
      if (!t.given_up && t.dialling == stream_id{} && t.next_dial <= now
          && !satisfied(t))
        start_dial(t, now);
    }
  };
  visit(by_node_);
  visit(by_address_);
}

void link_table::state::start_dial(target& t, time_point now) {
  dial_purpose p;
  p.what =
      t.by_address ? dial_purpose::kind::address : dial_purpose::kind::node;
  p.node = t.what.node;
  p.at = t.what.at;
  t.dialling = open_dial(t.what.at, std::move(p), now);
}

stream_id link_table::state::open_dial(const address& at, dial_purpose purpose,
                                       time_point now) {
  ++counters_.dials;
  auto c = std::make_unique<connection>();
  c->stream = io_.dial(at);
  c->dialled = true;
  c->purpose = std::move(purpose);
  c->remote = at;
  c->role = config_.client_key ? link_role::client : link_role::peer;
  c->dial = ++last_dial_;
  c->started = now;
  c->due = now + limits_.handshake;
  const auto id = c->stream;
  connections_[id] = std::move(c);
  changed();
  return id;
}

duration link_table::state::backoff(unsigned failures) {
  auto d = limits_.backoff_first;
  for (unsigned i = 1; i < failures && d < limits_.backoff_max; ++i)
    d *= 2;
  d = std::min(d, limits_.backoff_max);
  return random_.between(d / 2, d + 1ns);
}

void link_table::state::dial_failed(connection& c, dial_error why,
                                    time_point now) {
  const auto p = c.purpose;
  ++counters_.dials_failed;
  drop(c, ending::reset);
  if (p.what == dial_purpose::kind::probe)
    say(probed_event{p.token, failure{why}});
  auto* const t = find_target(p);
  if (t == nullptr)
    return;
  ++t->failures;
  t->next_dial = now + backoff(t->failures);
  if (why == dial_error::self && t->by_address) {
    t->given_up = true;
    t->next_dial = never;
  }
  // Linked from the other side meanwhile: nothing has failed.
  if (!satisfied(*t))
    say(failed_event{t->what, why, t->next_dial});
}

void link_table::state::dial_needless(connection& c, const node_id& answered) {
  const auto p = c.purpose;
  drop(c, ending::reset);
  if (auto* const t = find_target(p))
    t->resolved = answered;
}

void link_table::state::link_found(const connection& c) {
  if (auto* const t = find_target(c.purpose))
    t->resolved = c.info->node;
}

void link_table::state::link_lost(const node_id& node, duration lived,
                                  bool at_once, time_point now) {
  const auto again = [&](target& t) {
    t.failures = lived >= limits_.settled ? 0 : t.failures + 1;
    t.next_dial = at_once || t.failures == 0
                      ? now
                      : now + backoff(std::max(t.failures, 1U));
  };
  if (const auto it = by_node_.find(node); it != by_node_.end())
    again(it->second);
  for (auto& [at, t] : by_address_) {
    if (t.resolved == node)
      again(t);
  }
  dial_due(now);
}

} // namespace banyan::net
