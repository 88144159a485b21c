#include "actors/node/lead_balance.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/names.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <set>

namespace banyan::actors {
namespace {

constexpr duration look_every = 2s;
constexpr duration rest = 10s;         ///< between two looks that found nothing
constexpr std::uint16_t no_rest = 700; ///< permille of work that ends it
constexpr duration fsync_patience = 200ms; ///< of a disk that may lead
constexpr duration load_told_every = 10s;  ///< though it is the same
constexpr std::uint16_t load_change = 50;  ///< permille: worth telling at once

/// The same as long as nobody comes, goes or begins anew.
std::uint64_t fingerprint(const net::membership& members,
                          const std::set<node_id>* among) {
  std::uint64_t sum = 14695981039346656037U;
  const auto take = [&](std::uint64_t x) { sum = (sum ^ x) * 1099511628211U; };
  members.each([&](const net::member_record& r, net::member_state state) {
    if (among != nullptr && among->count(r.node) == 0)
      return;
    for (const auto b : r.node.array())
      take(b);
    take(static_cast<std::uint64_t>(state));
    take(r.incarnation.value());
  });
  return sum;
}

} // namespace

void lead_balance_state::arm() {
  timer->arm(
      ctx->loop.now() + look_every,
      [this] {
        look();
        arm();
      },
      "lead_balance");
}

lead_facts lead_balance_state::facts() const {
  lead_facts f;
  f.self = ctx->self();
  for (const auto& [node, load] : ctx->loads)
    f.busy[node] = load.busy;
  const auto& members = *ctx->members;
  const auto may_lead = [&](const group_id& g, const replica_view& v,
                            const std::set<node_id>* unwell) {
    return v.state == static_cast<std::uint8_t>(replica_state::current)
           && members.hears(v.who.node) && !ctx->is_drained(v.who.node)
           && members.fsync_age(v.who.node) < fsync_patience
           && ctx->state_of(g, v.who) == state_phase::whole
           && (unwell == nullptr || unwell->count(v.who.node) == 0);
  };
  ctx->known.each_view([&](const group_view& v) {
    const auto* app = ctx->known.find_app(v.group.app);
    if (v.leader.node.is_none() || app == nullptr)
      return;
    lead_facts::group g;
    g.id = v.group;
    g.leader = v.leader.node;
    if (g.leader == f.self) {
      const auto unwell = ctx->unwell_hosts.find(app->name);
      const auto word = ctx->version_words.find(v.group);
      // An update sees to it where its groups are led meanwhile.
      const bool updates = word != ctx->version_words.end()
                           && word->second.state != update_state::done;
      for (const auto& r : v.voters)
        if (r.who.node != f.self) {
          g.voters.push_back(r.who.node);
          if (!updates
              && may_lead(v.group, r,
                          unwell == ctx->unwell_hosts.end() ? nullptr
                                                            : &unwell->second))
            g.fit.push_back(r.who.node);
        }
    }
    f.groups.push_back(std::move(g));
  });
  // In a large mesh somebody comes or goes all the time, and what others lead
  // is known in part.
  const bool full = ctx->full_mesh();
  std::set<node_id> partners;
  for (const auto& g : f.groups)
    partners.insert(g.voters.begin(), g.voters.end());
  f.members = fingerprint(members, full ? nullptr : &partners);
  if (!full)
    for (const auto& [node, load] : ctx->loads)
      f.leads[node] = load.leads;
  return f;
}

void lead_balance_state::look() {
  if (ctx->members == nullptr)
    return;
  const auto now = ctx->loop.now();
  const auto busy = std::min<std::uint16_t>(ctx->settings.busy(), 1000);
  tell_load(busy, now);
  if (now < due && busy < no_rest)
    return;
  auto f = facts();
  f.busy[f.self] = busy;
  leads = static_cast<std::uint32_t>(
      std::count_if(f.groups.begin(), f.groups.end(),
                    [&](const auto& g) { return g.leader == f.self; }));
  // Who is drained gives everything away by other rules.
  const auto move = ctx->is_drained(f.self) ? std::nullopt : core.next(f, now);
  due = now + (core.resting() ? rest : duration{});
  if (move)
    carry_out(*move);
}

void lead_balance_state::tell_load(std::uint16_t busy, time_point now) {
  node_load load;
  load.busy = busy;
  load.leads = leads;
  const auto all = ctx->counters.calls;
  load.calls = static_cast<std::uint32_t>(
      (all - std::exchange(calls, all))
      / static_cast<std::uint64_t>(look_every / duration{1s}));
  const auto apart =
      load.busy > told.busy ? load.busy - told.busy : told.busy - load.busy;
  if (told_at != time_point::min() && apart < load_change
      && now - told_at < load_told_every)
    return;
  told = load;
  told_at = now;
  ctx->broadcast(net::channel::group, encoded_control(load));
}

void lead_balance_state::carry_out(const lead_move& m) {
  const auto* v = ctx->known.view(m.group);
  if (v == nullptr)
    return;
  group_order o;
  o.what = group_order::kind::transfer;
  for (const auto& r : v->voters)
    if (r.who.node == m.to)
      o.who = r.who;
  if (!o.who)
    return;
  const std::string why = m.for_load ? "this peer has more work than it can do"
                                     : "leaders are spread evenly";
  ctx->log(log_level::info, ctx->known.find_app(m.group.app)->name + ": " + why
                                + ": leadership of shard "
                                + std::to_string(m.group.shard) + " moves to "
                                + short_string(m.to));
  ctx->group_event(event_kind::leadership_moved, m.group,
                   why + ": " + short_string(m.to) + " shall lead", m.to);
  ctx->tell_replica(m.group, std::move(o));
}

caf::behavior lead_balance_actor(caf::stateful_actor<lead_balance_state>* self,
                                 node_context* ctx) {
  quiet(self);
  auto& s = self->state;
  s.ctx = ctx;
  s.timer = std::make_unique<io::timer>(ctx->loop);
  s.arm();
  // Its timer is all that it hears; a behavior keeps it alive.
  return {[](caf::unit_t) {}};
}

} // namespace banyan::actors
