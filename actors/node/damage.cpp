// What this node's disk has lost, and what is done about it: states that are
// verified, rebuilt or set aside, rows that are fetched, logs that are given
// up.
#include "actors/node/names.hpp"
#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration aside_look_interval = 2s;

std::string name_of(const group_id& g) {
  return short_string(g.app) + "/" + std::to_string(g.shard);
}

} // namespace

// ---- the state as it was found
// ---------------------------------------------------------------

void group_supervisor::await_state() {
  ctx_.disk.on_state_open(
      [weak = weak_from_this()](const store::state_opening& o) {
        if (const auto self = weak.lock())
          self->on_state_open(o);
      });
}

void group_supervisor::on_state_open(const store::state_opening& o) {
  if (o.error)
    return start_.fatal(3, o.error->message);
  if (o.set_aside)
    ctx_.log(log_level::error, "the state on this disk is damaged (" + o.damage
                                   + "): it was set aside as aside/"
                                   + *o.set_aside
                                   + " and is rebuilt from the other peers");
  look_aside();
  states_.emplace();
  for (const auto& g : o.groups)
    states_->emplace(g.group, g);
  for (auto& [g, r] : replicas_)
    give_state(g, r);
  if (ctx_.settings.state_check)
    for (auto& [g, key] : ctx_.settings.state_check->look().damaged_rows)
      ctx_.tell_replica(g, row_damaged_in{key});
}

void group_supervisor::give_state(const group_id& g, local_replica& r) {
  if (std::exchange(r.state_told, true))
    return;
  state_in in;
  if (const auto at = states_->find(g); at != states_->end()) {
    const auto& found = at->second;
    if (found.replica == r.id && !found.damaged) {
      in.meta = found.meta;
      in.digest = found.digest;
    } else {
      drop_rows({g, r.id, {}, 0});
    }
    states_->erase(at);
  }
  ctx_.tell_replica(g, std::move(in));
}

// ---- what replicas say of their states
// ---------------------------------------------------------------

void group_supervisor::on_phase(const group_id& g, local_replica& r,
                                const state_phase_changed& p) {
  const auto before = std::exchange(r.phase, p.now);
  states_changed_ = true;
  if (p.now == state_phase::lost) {
    ++ctx_.counters.states_lost;
    ctx_.counters.quarantines += p.quarantined ? 1 : 0;
    ctx_.log(log_level::error,
             "the state of " + name_of(g) + " here "
                 + (p.quarantined ? "differs from the others'" : "is lost")
                 + (p.why.empty() ? "" : " (" + p.why + ")")
                 + ": it is rebuilt from another voter");
    ctx_.group_event(
        p.quarantined ? event_kind::quarantined : event_kind::state_lost, g,
        std::string{"the state here "}
            + (p.quarantined ? "differs from the others'" : "is lost")
            + (p.why.empty() ? "" : " (" + p.why + ")") + ": it is rebuilt",
        ctx_.self());
  } else if (p.now == state_phase::whole && before == state_phase::lost) {
    ++ctx_.counters.states_rebuilt;
    ctx_.log(log_level::info, "the state of " + name_of(g) + " is rebuilt");
    ctx_.group_event(event_kind::state_rebuilt, g, "the state here is rebuilt",
                     ctx_.self());
  }
}

void group_supervisor::on_row(const group_id& g, local_replica& r,
                              const row_damaged& d) {
  if (!d.hopeless) {
    ++r.rows_open;
    ++ctx_.counters.rows_damaged;
    ctx_.log(log_level::error, "a stored row of " + name_of(g)
                                   + " is damaged: " + to_hex(d.key)
                                   + "; it is fetched from another voter");
    ctx_.group_event(
        event_kind::row_damaged, g,
        "a stored row here is damaged: it is fetched from another voter",
        ctx_.self());
  } else if (r.role.now == role_changed::role::leader) {
    order(g, r, group_order{}); // another voter's row is whole
  }
}

void group_supervisor::on_judged(const group_id& g,
                                 const checkpoint_judged& j) {
  ctx_.counters.digests_compared += j.compared;
  if (j.conflict) {
    ++ctx_.counters.conflicts;
    ctx_.log(log_level::error,
             "the replicas of " + name_of(g) + " differ at entry "
                 + std::to_string(j.index.value())
                 + " and no majority agrees: calls are answered `conflict`, "
                   "and nothing is rebuilt");
    ctx_.group_event(event_kind::states_differ, g,
                     "the replicas differ at entry "
                         + std::to_string(j.index.value())
                         + " and no majority agrees");
  }
  for (const auto& odd : j.odd)
    ctx_.log(log_level::error, "the state of " + name_of(g) + " on "
                                   + short_string(odd.node)
                                   + " differs from the majority's: that one "
                                     "rebuilds it");
}

// ---- what the others know of it
// ---------------------------------------------------------------

// All that aren't whole; an empty list takes back what an earlier boot said.
// One that was given up counts as lost until this node has another: no voter
// gives up its own log on the strength of a fellow that is gone.
void group_supervisor::tell_states(const node_id* to) {
  auto& mine = ctx_.unready_states[ctx_.self()];
  mine.clear();
  for (const auto& [g, r] : replicas_)
    if (r.phase != state_phase::whole)
      mine[g] = {r.id, r.phase};
  for (const auto& [id, a] : apps_)
    for (std::uint32_t s = 0; !a.deleted && s < a.genesis.shards(); ++s) {
      const group_id g{id, s};
      if (replicas_.count(g) != 0 || first_writes_.count(g) != 0)
        continue;
      if (const auto given_up =
              read_replica(*ctx_.disk.documents, document_kind::replica,
                           shard_name(id.view(), s)))
        mine[g] = {*given_up, state_phase::lost};
    }
  unready_replicas all;
  for (const auto& [g, u] : mine)
    all.replicas.push_back({g, u.id, u.phase});
  const auto b = encoded_control(std::move(all));
  if (to != nullptr)
    ctx_.send(*to, net::channel::group, b);
  else
    ctx_.broadcast(net::channel::group, b);
}

void group_supervisor::on_states(const node_id& from,
                                 const unready_replicas& theirs) {
  if (theirs.replicas.empty()) {
    ctx_.unready_states.erase(from);
    return;
  }
  auto& known = ctx_.unready_states[from];
  known.clear();
  for (const auto& i : theirs.replicas)
    known[i.group] = {i.replica, i.phase};
}

// ---- the scrub's wishes
// ---------------------------------------------------------------

void group_supervisor::compare(const group_id& g) {
  const auto leader = ctx_.known.leader(g);
  if (!leader)
    return;
  if (*leader == ctx_.self()) {
    group_order o;
    o.what = group_order::kind::checkpoint;
    ctx_.tell_replica(g, std::move(o));
    return;
  }
  ctx_.send(*leader, net::channel::group, encoded_control(compare_wanted{g}));
}

void group_supervisor::on_compare(const node_id& from,
                                  const compare_wanted& m) {
  const auto& g = m.group;
  const auto nodes = ctx_.known.candidates(g);
  const auto leader = ctx_.known.leader(g);
  if (leader && *leader == ctx_.self()
      && std::find(nodes.begin(), nodes.end(), from) != nodes.end())
    compare(g);
}

// ---- logs that rotted at rest
// ---------------------------------------------------------------

// Entries in memory are still whole, and this node's vote still counts: it is
// given up once a majority of others has promised to stay (parting.hpp).
void group_supervisor::on_log_damaged(const log_damaged_in& m) {
  const auto at = replicas_.find(m.group);
  if (at == replicas_.end() || at->second.id != m.id
      || at->second.going.wanted())
    return;
  ctx_.log(log_level::error, "the log of " + name_of(m.group)
                                 + " is damaged on this disk: it is given up "
                                   "once enough of the others stay");
  ctx_.group_event(
      event_kind::log_damaged, m.group,
      "its log is damaged on this disk: it is given up once enough of "
      "the others stay",
      ctx_.self());
  at->second.going.want(ctx_.loop.now());
}

void group_supervisor::ask_to_stay(time_point now) {
  std::vector<group_id> alone; // nobody counts on a learner
  for (auto& [g, r] : replicas_) {
    if (!r.going.wanted())
      continue;
    if (!r.votes) {
      alone.push_back(g);
      continue;
    }
    const auto round = r.going.on_tick(
        now, [this](const node_id& n) { return ctx_.process_of(n); });
    if (!round)
      continue;
    const auto b = encoded_control(stay_wanted{g, r.id, *round});
    for (const auto& o : r.going.others())
      ctx_.send(o.node, net::channel::group, b);
  }
  for (const auto& g : alone)
    give_up_replica(g, "its log is damaged on this disk");
}

void group_supervisor::on_stay(const node_id& from, const stay_wanted& m) {
  const auto at = replicas_.find(m.group);
  if (at == replicas_.end() || at->second.phase != state_phase::whole
      || !at->second.going.on_question({from, m.asker}, ctx_.process_of(from)))
    return;
  ctx_.send(
      from, net::channel::group,
      encoded_control(stay_promised{m.group, at->second.id, m.asker, m.round}));
}

void group_supervisor::on_staying(const node_id& from, const stay_promised& m) {
  const auto at = replicas_.find(m.group);
  if (at == replicas_.end() || at->second.id != m.asker
      || !at->second.going.on_promise({from, m.who}, m.round))
    return;
  if (at->second.role.now == role_changed::role::leader) {
    ctx_.tell_replica(m.group, group_order{}); // first somebody else leads
    at->second.going.put_off(ctx_.loop.now());
    return;
  }
  give_up_replica(m.group, "its log is damaged on this disk");
}

// ---- what was set aside
// ---------------------------------------------------------------

void group_supervisor::look_aside() {
  if (ctx_.disk.aside == nullptr)
    return;
  ctx_.disk.aside->list(
      [weak = weak_from_this()](const result<std::vector<store::aside::item>,
                                             store::store_error>& found) {
        const auto self = weak.lock();
        if (self == nullptr || !found.ok())
          return;
        for (const auto& item : *found)
          if (item.name.compare(0, 6, "state-") == 0)
            self->aside_.push_back(item.name);
      });
}

bool group_supervisor::all_voters_well() const {
  std::size_t named = 0;
  for (const auto& [id, a] : apps_)
    for (std::uint32_t s = 0; !a.deleted && s < a.genesis.shards(); ++s)
      if (read_replica(*ctx_.disk.documents, document_kind::replica,
                       shard_name(id.view(), s)))
        ++named;
  if (named == 0 || named != replicas_.size())
    return false;
  for (const auto& [g, r] : replicas_) {
    const auto* v = ctx_.known.view(g);
    if (v == nullptr || v->health != group_health::healthy
        || r.phase != state_phase::whole)
      return false;
    for (const auto& w : v->voters)
      if (ctx_.state_of(g, w.who) != state_phase::whole)
        return false;
  }
  return true;
}

void group_supervisor::clear_aside(time_point now) {
  if (aside_.empty() || now < aside_look_)
    return;
  aside_look_ = now + aside_look_interval;
  if (!states_ || !all_voters_well())
    return;
  for (const auto& name : std::exchange(aside_, {})) {
    ctx_.log(log_level::info, "every group has all its voters again: aside/"
                                  + name + " is removed");
    ctx_.disk.aside->drop(name, [](const result<void, store::store_error>&) {});
  }
}

} // namespace banyan::actors
