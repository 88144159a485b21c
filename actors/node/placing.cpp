#include "actors/node/placing.hpp"

#include "actors/docs/app_documents.hpp"
#include "actors/node/hardware.hpp"
#include "actors/node/modules.hpp"
#include "actors/pure/features.hpp"

#include <algorithm>

namespace banyan::actors {
namespace {

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
  if (ctx.is_drained(node))
    return away::drained;
  if (!ctx.reaches(node))
    return away::unheard;
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

} // namespace

std::vector<why_member> members_for(const node_context& ctx,
                                    const app_spec* s) {
  std::vector<why_member> out;
  ctx.members->each([&](const net::member_record& r, net::member_state state) {
    auto& member = out.emplace_back();
    member.away = away_of(ctx, r, state, s);
    auto& c = member.as;
    c.node = r.node;
    c.region = r.region;
    c.unverified = ctx.region_claims.unverified().count(c.node) != 0;
    c.zone = r.zone;
    c.host = r.address.host;
    c.tier = tier_of(ctx, r);
    c.weight = r.capacity.weight;
    if (ctx.standings.count(c.node) != 0)
      c.weight = 0; // on hold, by its uptime
    if (ctx.hardware != nullptr && ctx.hardware->held(r))
      c.weight = 0; // on hold, by its hardware
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
