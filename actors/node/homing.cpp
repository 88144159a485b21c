// Voters of the groups that this node leads return home, and nobody undoes what
// an operator ordered: the shell of actors/pure/homing.
#include "actors/node/names.hpp"
#include "actors/node/operator_desk.hpp"
#include "actors/node/placing.hpp"
#include "actors/pure/uptime/policy.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

constexpr duration wish_lasts = 10s;     ///< asked for again each tick
constexpr duration pins_forgotten = 60s; ///< of replicas that aren't here
constexpr duration pins_looked_at = 500ms;

/// A node on hold keeps its place, though it gets nothing new.
bool has_place(away a) {
  return a == away::none || is_hold(a);
}

} // namespace

// ---- what an operator put where it is

void operator_desk::load_pins() {
  for (const auto& [name, content] : s_.ctx_.disk.documents->list(
           static_cast<std::uint8_t>(document_kind::pinned))) {
    constexpr std::size_t id_bytes = 32;
    group_id g;
    replica_id id;
    if (name.size() != id_bytes + 4
        || !app_id::from(const_bytes{name}.first(id_bytes), g.app)
        || !replica_id::from(content.view(), id))
      continue;
    for (std::size_t i = id_bytes; i < name.size(); ++i)
      g.shard = (g.shard << 8) | name[i];
    pins_[g] = id;
  }
  pins_since_ = s_.ctx_.loop.now();
}

/// By the leader of the group alone: an operator's order goes through it.
void operator_desk::on_pin(const node_id& from, const pin_wanted& p) {
  const auto leader = s_.ctx_.known.leader(p.group);
  const auto at = s_.replicas_.find(p.group);
  if (!leader || *leader != from || at == s_.replicas_.end()
      || at->second.id != p.replica)
    return;
  auto& pin = pins_[p.group];
  if (pin == p.replica)
    return;
  pin = p.replica;
  pins_at_ = {};
  s_.put_documents({document(document_kind::pinned,
                             shard_name(p.group.app.view(), p.group.shard),
                             p.replica.view().copy())},
                   nullptr);
}

void operator_desk::on_pinned(const node_id& from, const pinned_replicas& p) {
  if (p.groups.empty())
    s_.ctx_.pinned.erase(from);
  else
    s_.ctx_.pinned[from] = {p.groups.begin(), p.groups.end()};
}

void operator_desk::pin(const group_id& g, const replica_ref& who) {
  const pin_wanted p{g, who.replica};
  if (who.node == s_.ctx_.self())
    on_pin(who.node, p);
  else
    s_.ctx_.send(who.node, net::channel::group, encoded_control(p));
}

pinned_replicas operator_desk::pins_here() const {
  pinned_replicas out;
  for (const auto& [g, id] : pins_)
    if (const auto at = s_.replicas_.find(g);
        at != s_.replicas_.end() && at->second.id == id)
      out.groups.push_back(g);
  return out;
}

/// A pin ends with its replica.
void operator_desk::tick_pins(time_point now) {
  if (now < pins_at_)
    return;
  pins_at_ = now + pins_looked_at;
  std::vector<store::documents::change> over;
  for (auto i = pins_.begin(); i != pins_.end();) {
    const auto at = s_.replicas_.find(i->first);
    const bool other = at != s_.replicas_.end() && at->second.id != i->second;
    // At a start they come one after the other.
    if (!other
        && (at != s_.replicas_.end() || now - pins_since_ < pins_forgotten)) {
      ++i;
      continue;
    }
    over.push_back(document(document_kind::pinned,
                            shard_name(i->first.app.view(), i->first.shard),
                            std::nullopt));
    i = pins_.erase(i);
  }
  if (!over.empty())
    s_.put_documents(std::move(over), nullptr);
  auto mine = pins_here();
  if (mine.groups == pins_told_.groups)
    return;
  pins_told_ = std::move(mine);
  on_pinned(s_.ctx_.self(), pins_told_);
  s_.ctx_.broadcast(net::channel::group, encoded_control(pins_told_));
}

// ---- returning home

std::vector<led_group> operator_desk::led_groups(time_point now) {
  auto& ctx = s_.ctx_;
  std::vector<led_group> out;
  for (const auto& [g, r] : s_.replicas_) {
    if (r.role.now != role_changed::role::leader)
      continue;
    auto& l = out.emplace_back();
    l.group = g;
    l.serving = r.role.serving;
    l.configured = r.configured;
    l.changing = r.adding || r.configuration.joint();
    for (const auto& v : r.configuration.voters)
      l.hears.push_back(ctx.hears(v.node));
    const auto app = s_.apps_.find(g.app);
    l.app_lives = app != s_.apps_.end() && !app->second.deleted;
    l.updating = r.roll.pending;
    l.wished = wish_of(g, now) != nullptr;
    l.learners = r.configuration.learners.size();
    if (l.app_lives)
      l.replicas = app->second.version.spec.replicas;
  }
  return out;
}

/// A node that is heard is on its way out, or puts a state together.
bool operator_desk::others_change() const {
  auto& ctx = s_.ctx_;
  const auto& all = ctx.draining;
  const auto& states = ctx.unready_states;
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& d) {
                       return moves_on(d.second) && ctx.hears(d.first);
                     })
         || std::any_of(states.begin(), states.end(), [&](const auto& s) {
              return !s.second.empty() && ctx.hears(s.first);
            });
}

homing_scene operator_desk::scene() const {
  auto& ctx = s_.ctx_;
  homing_scene out;
  ctx.known.each_view([&](const group_view& v) {
    for (const auto& l : v.learners)
      if (l.state != static_cast<std::uint8_t>(replica_state::current))
        out.catching_up.insert(l.who.node);
  });
  for (const auto& [node, load] : ctx.loads)
    out.busy[node] = load.busy;
  out.standings = ctx.standings();
  return out;
}

void operator_desk::tick_homing(time_point now) {
  auto& ctx = s_.ctx_;
  if (ctx.members == nullptr || s_.stopping_)
    return;
  if (const auto* m = homing_.running())
    return follow_home(homing_move{*m}, now);
  if (!homing_.due(now))
    return;
  std::vector<homing::seen_member> seen;
  for (auto& m : members_for(ctx, nullptr))
    if (has_place(m.away)) {
      const auto found = ctx.members->find(m.as.node);
      const auto process = found ? found->record.incarnation.value() : 0;
      seen.push_back({std::move(m.as), process});
    }
  homing_.see(seen, now);
  const auto calm = calm_groups(others_change(), led_groups(now));
  if (!calm)
    return;
  const auto g = homing_.turn(*calm, now);
  if (!g)
    return;
  const auto standing = standing_of(*g, {});
  if (!std::all_of(standing.voters.begin(), standing.voters.end(),
                   [](const auto& v) { return v.reached && v.current; }))
    return;
  const auto& a = s_.apps_.at(g->app);
  const auto& spec = a.version.spec;
  const auto& r = s_.replicas_.at(*g);
  homing_group h;
  h.group = *g;
  h.hash = placement_hash(a.genesis.nonce, g->shard);
  h.need = s_.need_of(spec);
  for (const auto& v : r.configuration.voters) {
    h.voters.push_back(v.node);
    if (const auto at = ctx.pinned.find(v.node);
        at != ctx.pinned.end() && at->second.count(*g) != 0)
      h.pinned.insert(v.node);
  }
  std::vector<candidate> all;
  auto seen_now = scene();
  for (auto& m : members_for(ctx, &spec))
    if (has_place(m.away)
        && knows(ctx.features_of(m.as.node), r.version.features)) {
      if (m.away != away::none || m.as.weight == 0)
        seen_now.held.insert(m.as.node);
      all.push_back(std::move(m.as));
    }
  const auto m = homing_.next(h, all, occupied(seen_now), now);
  if (!m)
    return;
  const auto text = "a voter returns home: from " + short_string(m->from)
                    + " to " + short_string(m->to);
  ctx.log(log_level::info,
          spec.name + "/" + std::to_string(g->shard) + ": " + text);
  ctx.group_event(event_kind::voter_goes_home, *g, text, m->to);
  follow_home(*m, now);
}

/// True: that group's wish is this desk's own, or there is none.
bool operator_desk::wish_for_own(const group_id& g, const node_id& from,
                                 const std::optional<node_id>& to,
                                 time_point now) {
  const auto at = wishes_.find(g);
  if (at != wishes_.end() && !at->second.own && at->second.until > now)
    return false;
  wish w;
  w.from = from;
  w.to = to;
  w.own = true;
  w.until = now + wish_lasts;
  wishes_[g] = w;
  return true;
}

void operator_desk::end_own(const group_id& g) {
  if (const auto at = wishes_.find(g); at != wishes_.end() && at->second.own)
    wishes_.erase(at);
}

void operator_desk::follow_home(const homing_move& m, time_point now) {
  auto& ctx = s_.ctx_;
  homing_progress p;
  const auto at = s_.replicas_.find(m.group);
  p.led = at != s_.replicas_.end() && at->second.role.serving
          && at->second.configured;
  if (p.led)
    for (const auto& v : at->second.configuration.voters)
      p.voters.emplace_back(v.node, ctx.hears(v.node));
  p.to_drained = ctx.is_drained(m.to);
  p.to_stands = ctx.standing_of(m.to);
  if (homing_.goes_on(p, now) && wish_for_own(m.group, m.from, m.to, now))
    return;
  end_own(m.group);
  homing_.over(now);
}

} // namespace banyan::actors
