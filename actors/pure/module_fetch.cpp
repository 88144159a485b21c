#include "actors/pure/module_fetch.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <tuple>

namespace banyan {

std::vector<digest>
module_fetch::want(const std::map<digest, std::uint64_t>& modules) {
  for (auto i = fetches_.begin(); i != fetches_.end();)
    i = modules.count(i->first) == 0 ? fetches_.erase(i) : std::next(i);
  std::vector<digest> fresh;
  for (const auto& [hash, size] : modules) {
    const auto [at, is_new] = fetches_.try_emplace(hash);
    auto& f = at->second;
    if (is_new)
      fresh.push_back(hash);
    else if (f.size != size)
      leave(f);
    f.size = size;
  }
  return fresh;
}

void module_fetch::pause(const digest& hash, time_point until) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end())
    return;
  leave(at->second);
  at->second.checking = false;
  at->second.not_before = until;
}

void module_fetch::on_held(const digest& hash, std::uint64_t have, bool whole) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end())
    return;
  auto& f = at->second;
  const auto size = f.size;
  f = {};
  f.size = size;
  f.whole = whole;
  f.stored = f.arrived = f.asked = have;
  f.inherited = have > 0;
}

void module_fetch::restart(fetch& f) {
  f.stored = f.arrived = f.asked = 0;
  f.source.reset();
  f.sources.clear();
  f.inherited = f.checking = f.whole = false;
}

// ---- peers

void module_fetch::on_peer(const node_id& who, std::set<digest> whole) {
  auto& p = peers_[who];
  p.whole = std::move(whole);
  for (auto& [hash, f] : fetches_)
    if (f.source == who && p.whole.count(hash) == 0)
      leave(f);
}

void module_fetch::on_peer_gone(const node_id& who) {
  const auto at = peers_.find(who);
  if (at == peers_.end())
    return;
  at->second.whole.clear(); // it says anew what it has, as it comes back
  for (auto& [hash, f] : fetches_)
    if (f.source == who)
      leave(f);
}

void module_fetch::leave(fetch& f) {
  f.source.reset();
  f.asked = f.arrived;
}

void module_fetch::fail(const node_id& who, time_point now) {
  auto& p = peers_[who];
  auto pause = config_.retry_first;
  for (unsigned n = 0; n < p.failures && pause < config_.retry_max; ++n)
    pause *= 2;
  ++p.failures;
  p.not_before = now + std::min(pause, config_.retry_max);
  for (auto& [hash, f] : fetches_)
    if (f.source == who)
      leave(f);
}

bool module_fetch::may_ask(const peer& p, const digest& hash,
                           time_point now) const {
  if (p.whole.count(hash) == 0 || now < p.not_before)
    return false;
  const auto wrong = p.wrong.find(hash);
  return wrong == p.wrong.end() || now >= wrong->second;
}

// The one that failed least, then the one that serves the fewest of these.
std::optional<node_id> module_fetch::choose(const digest& hash,
                                            time_point now) const {
  std::optional<std::tuple<unsigned, std::size_t, node_id>> best;
  for (const auto& [who, p] : peers_) {
    if (!may_ask(p, hash, now))
      continue;
    std::size_t load = 0;
    for (const auto& [other, f] : fetches_)
      load += f.source == who ? 1 : 0;
    const std::tuple<unsigned, std::size_t, node_id> mine{p.failures, load,
                                                          who};
    if (!best || mine < *best)
      best = mine;
  }
  if (!best)
    return std::nullopt;
  return std::get<2>(*best);
}

// ---- what comes

bool module_fetch::on_piece(const node_id& from, const digest& hash,
                            std::uint64_t offset, std::uint64_t size,
                            time_point now) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end())
    return false;
  auto& f = at->second;
  if (f.source != from || f.checking || offset != f.arrived
      || f.arrived >= f.asked)
    return false;
  if (size != std::min(config_.piece_bytes, f.size - f.arrived)) {
    fail(from, now); // not what was asked for
    return false;
  }
  f.arrived += size;
  f.heard = now;
  f.sources.insert(from);
  peers_[from].failures = 0;
  return true;
}

void module_fetch::on_refused(const node_id& from, const digest& hash,
                              bool not_here, time_point now) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end() || at->second.source != from)
    return;
  if (not_here) {
    peers_[from].whole.erase(hash);
    return leave(at->second);
  }
  fail(from, now);
}

void module_fetch::on_stored(const digest& hash, std::uint64_t have) {
  const auto at = fetches_.find(hash);
  if (at != fetches_.end() && have <= at->second.arrived)
    at->second.stored = have;
}

void module_fetch::on_store_failed(const digest& hash, time_point now,
                                   module_fetch_effects& out) {
  out.emplace_back(module_discard{hash});
  const auto at = fetches_.find(hash);
  if (at == fetches_.end())
    return;
  restart(at->second);
  at->second.not_before = now + config_.store_pause;
}

void module_fetch::on_checked(const digest& hash, bool right, time_point now,
                              module_fetch_effects& out) {
  const auto at = fetches_.find(hash);
  if (at == fetches_.end())
    return;
  auto& f = at->second;
  if (right) {
    f.checking = false;
    f.whole = true;
    return;
  }
  const auto sources = f.sources;
  const bool known = sources.size() == 1 && !f.inherited;
  restart(f);
  f.alone = true;
  if (!known)
    return;
  const auto who = *sources.begin();
  peers_[who].wrong[hash] = now + config_.wrong_pause;
  out.emplace_back(module_wrong{who, hash});
}

// ---- what is done

void module_fetch::ask(const digest& hash, fetch& f, time_point now,
                       module_fetch_effects& out) {
  if (f.asked == f.arrived)
    f.heard = now; // nothing is outstanding: patience begins here
  const auto end =
      std::min(f.size, f.arrived + config_.window * config_.piece_bytes);
  while (f.asked < end) {
    const auto n = std::min(config_.piece_bytes, f.size - f.asked);
    out.emplace_back(module_ask{*f.source, hash, f.asked, n});
    f.asked += n;
  }
}

void module_fetch::step(time_point now, module_fetch_effects& out) {
  std::size_t running = 0;
  for (auto& [hash, f] : fetches_) {
    if (f.source && f.arrived < f.size && f.asked > f.arrived
        && now - f.heard >= config_.patience)
      fail(*f.source, now);
    running += runs(f) ? 1 : 0;
  }
  for (auto& [hash, f] : fetches_) {
    if (f.whole || f.checking || now < f.not_before)
      continue;
    if (f.stored > f.size) { // of another size than the spec says
      out.emplace_back(module_discard{hash});
      restart(f);
    }
    if (f.stored == f.size) {
      f.checking = true;
      f.source.reset();
      out.emplace_back(module_finish{hash});
      continue;
    }
    if (f.arrived >= f.size)
      continue; // being stored
    if (!f.source) {
      if (!runs(f) && running >= config_.at_once)
        continue;
      const auto who = choose(hash, now);
      if (!who)
        continue;
      if (f.alone && f.arrived > 0 && f.sources.count(*who) == 0) {
        if (f.arrived > f.stored)
          continue; // what is on its way to the disk comes first
        out.emplace_back(module_discard{hash});
        restart(f);
      }
      running += runs(f) ? 0 : 1;
      f.source = who;
      f.asked = f.arrived;
    }
    ask(hash, f, now, out);
  }
}

time_point module_fetch::deadline(time_point now) const {
  auto due = never;
  for (const auto& [hash, f] : fetches_) {
    if (f.whole || f.checking)
      continue;
    if (f.not_before > now)
      due = std::min(due, f.not_before);
    if (f.source && f.asked > f.arrived)
      due = std::min(due, f.heard + config_.patience);
    if (f.source)
      continue;
    for (const auto& [who, p] : peers_) {
      if (p.whole.count(hash) == 0)
        continue;
      auto free = p.not_before;
      if (const auto wrong = p.wrong.find(hash); wrong != p.wrong.end())
        free = std::max(free, wrong->second);
      if (free > now)
        due = std::min(due, free);
    }
  }
  return due;
}

std::map<digest, module_fetch::progress> module_fetch::under_way() const {
  std::map<digest, progress> out;
  for (const auto& [hash, f] : fetches_)
    if (!f.whole)
      out[hash] = {f.stored, f.size, f.source, f.checking};
  return out;
}

} // namespace banyan
