#include "actors/node/placing.hpp"

#include "actors/docs/app_documents.hpp"
#include "actors/node/hardware.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/unlisted.hpp"
#include "actors/pure/features.hpp"
#include "actors/pure/uptime/policy.hpp"

#include <algorithm>

namespace banyan::actors {
namespace {

bool serves(const node_context& ctx, const node_id& node, const app_spec* s) {
  const auto* app = s != nullptr && s->kind == app_kind::stateless
                        ? ctx.known.find_app(s->name)
                        : nullptr;
  return app != nullptr && ctx.known.instances(app->id).count(node) != 0;
}

/// An app needs what its build doesn't know.
away build_of(const node_context& ctx, const node_id& node, const app_spec* s) {
  if (s == nullptr || s->kind != app_kind::stateless)
    return away::none;
  if (!knows(ctx.features_of(node), feature::stateless))
    return away::older;
  // Who came after the deploy asks for its secrets, unless it is an older one:
  // a place there would stay empty.
  const bool named =
      std::any_of(s->secret_keys.begin(), s->secret_keys.end(),
                  [&](const sealed_for& k) { return k.node == node; });
  return s->secret_keys.empty() || named
                 || knows(ctx.features_of(node), feature::instance_secrets)
             ? away::none
             : away::sealed;
}

away away_of(const node_context& ctx, const net::member_record& record,
             net::member_state state, const app_spec* s) {
  switch (state) {
  case net::member_state::alive:
    break;
  case net::member_state::suspect:
    return away::suspect;
  case net::member_state::dead:
    return away::dead;
  case net::member_state::left:
    return away::left;
  }
  const auto& node = record.node;
  if (record.word != net::member_word::normal)
    return away::left;
  const auto policy = policy_of(ctx, record);
  // One that is evacuated says that it is drained.
  if (ctx.is_drained(node) && policy != away::evacuated)
    return away::drained;
  if (!ctx.reaches(node))
    return away::unheard;
  const auto build = build_of(ctx, node, s);
  return build == away::none ? policy : build;
}

} // namespace

away policy_of(const node_context& ctx, const net::member_record& m) {
  const auto as = ctx.standing_of(m.node);
  if (as == standing::evacuate || as == standing::excluded)
    return away::evacuated;
  if (!is_allowed(ctx, m.node))
    return away::unlisted;
  if (!takes_replicas(as))
    return away::held;
  return ctx.hardware != nullptr && ctx.hardware->held(m) ? away::unproven
                                                          : away::none;
}

std::vector<why_member> members_for(const node_context& ctx,
                                    const app_spec* s) {
  std::vector<why_member> out;
  ctx.members->each([&](const net::member_record& r, net::member_state state) {
    auto& member = out.emplace_back();
    member.away = away_of(ctx, r, state, s);
    member.serves = serves(ctx, r.node, s);
    auto& c = member.as;
    c.node = r.node;
    c.region = r.region;
    c.unverified = ctx.region_claims.unverified().count(c.node) != 0;
    c.zone = r.zone;
    c.host = r.address.host;
    c.tier = tier_of(ctx, r);
    c.weight = r.capacity.weight;
    c.memory_mib = r.capacity.memory_mib;
    c.disk_mib = r.capacity.disk_mib;
    c.has_module = s == nullptr || s->modules.empty()
                   || module_for(*s, r.target) != nullptr;
  });
  return out;
}

std::uint8_t tier_of(const node_context& ctx, const net::member_record& m) {
  return ctx.hardware == nullptr ? m.tier : ctx.hardware->tier_of(m);
}

placement_need need_for(const app_spec& s) {
  placement_need n;
  n.voters = s.replicas;
  n.regions = s.regions;
  n.regions_min = s.spread == app_spread::regions ? s.spread_regions : 0U;
  n.min_tier = s.min_tier;
  return n;
}

} // namespace banyan::actors
