#include "net/link/detail/table.hpp"

#include <algorithm>

namespace banyan::net {
namespace {

/// How much less often than a lost link is one dialled that would replace a
/// relayed one.
constexpr int better_later = 12;

} // namespace

bool link_table::state::satisfied(const target& t) const {
  const auto* const link = current(t.by_address ? t.resolved : t.what.node);
  // A stream of its own would be better than a relayed one.
  return link != nullptr && (!link->relayed() || t.what.at.empty());
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
  t.next_dial = now + t.wait;
  const auto update = [&](auto& targets, const auto& key) {
    const auto [it, fresh] = targets.emplace(key, t);
    if (fresh)
      return;
    auto& known = it->second;
    known.wait = t.wait;
    if (known.relays != t.relays) {
      known.relays = t.relays;
      known.first_relay = known.turn = 0;
      known.next_dial = std::min(known.next_dial, t.next_dial);
      if (!t.relays.empty())
        dial_no_longer(known);
    }
    if (known.what.at == t.what.at && known.what.node == t.what.node)
      return;
    known.what = t.what;
    known.failures = 0;
    known.given_up = false;
    known.next_dial = t.next_dial;
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
  if (!t.by_address && current(t.what.node) == nullptr)
    p.via = next_relay(t);
  if (p.via.is_none() && p.at.empty()) { // until a neighbour is there
    ++t.failures;
    t.next_dial = now + backoff(t.failures);
    say(failed_event{t.what, dial_error::unreachable, t.next_dial});
    return;
  }
  t.dialling = open_dial(t.what.at, std::move(p), now);
}

stream_id link_table::state::open_dial(const address& at, dial_purpose purpose,
                                       time_point now) {
  ++counters_.dials;
  auto c = std::make_unique<connection>();
  const auto* const by = neighbour(purpose.via);
  if (by != nullptr) {
    if (!ends_.begun())
      ends_.begin_at(random_.next() >> 2U | 1U);
    ++counters_.relay.dialled;
    c->stream = ends_.open(purpose.via, purpose.node);
    c->via = purpose.via;
  } else {
    c->stream = io_.dial(at);
  }
  c->dialled = true;
  c->purpose = std::move(purpose);
  c->remote = by != nullptr ? by->remote : at;
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
  ++t->turn;
  t->next_dial = now + backoff(t->failures);
  if (const auto* const link = current(p.node);
      link != nullptr && link->relayed())
    t->next_dial = now + better_later * backoff(t->failures);
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

void link_table::state::link_lost(const connection& c, duration lived,
                                  bool at_once, time_point now) {
  const auto& node = c.info->node;
  const auto again = [&](target& t) {
    if (c.relayed()) {
      relay_failed(t, c.via);
      if (!t.relays.empty())
        dial_no_longer(t);
    }
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
