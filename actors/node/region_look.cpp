#include "actors/node/region_look.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/names.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

void region_look_state::arm() {
  timer->arm(
      ctx->loop.now() + region_watch::look_every,
      [this] {
        look();
        arm();
      },
      "region_look");
}

void region_look_state::look() {
  if (ctx->members == nullptr)
    return;
  const auto now = ctx->loop.now();
  std::map<node_id, duration> round_trips;
  std::vector<region_claim> claims;
  std::set<std::string> regions;
  ctx->members->each([&](const net::member_record& m, net::member_state state) {
    if (state != net::member_state::alive || m.word != net::member_word::normal)
      return;
    claims.push_back({m.node, m.region});
    regions.insert(m.region);
  });
  for (const auto& node : ctx->members->linked())
    if (const auto m = ctx->members->find(node);
        m && m->state == net::member_state::alive
        && m->record.word == net::member_word::normal && m->heard
        && m->round_trip > duration{})
      round_trips.emplace(node, m->round_trip);
  const auto before = ctx->region_claims.unverified();
  const bool changed =
      ctx->region_claims.on_look(ctx->self(), round_trips, claims, now);
  if (regions.size() > 1) // of one region nothing is to be told apart
    tell(now);
  if (!changed)
    return;
  const auto& after = ctx->region_claims.unverified();
  const auto say = [&](event_kind kind, const node_id& node,
                       const std::string& what) {
    const auto m = ctx->members->find(node);
    const auto text = "region " + (m ? m->record.region : std::string{"?"})
                      + " of " + short_string(node) + what;
    ctx->log(log_level::warning, text);
    ctx->event(kind, {}, text, std::nullopt, node);
  };
  for (const auto& n : after)
    if (before.count(n) == 0)
      say(event_kind::region_unverified, n,
          " is contradicted by measured round trips: it doesn't count as "
          "another region");
  for (const auto& n : before)
    if (after.count(n) == 0)
      say(event_kind::region_verified, n, " is no longer contradicted");
}

void region_look_state::tell(time_point now) {
  auto mine = ctx->region_claims.mine();
  if (told_at != time_point::min()
      && now - told_at < region_watch::words_last / 2
      && !region_watch::worth_telling(told, mine))
    return;
  told_at = now;
  told = mine;
  ctx->broadcast(net::channel::group,
                 encoded_control(distances_told{std::move(mine)}));
}

caf::behavior region_look_actor(caf::stateful_actor<region_look_state>* self,
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
