#include "actors/node/router.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/reach.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {

namespace {

/// What waits by design, or is a part of other calls, takes no place.
bool takes_no_place(const call_request& r) {
  return (r.kind != request_kind::command && r.kind != request_kind::query)
         || (!r.command.empty() && r.command[0] == '_');
}

std::uint32_t shard_in(const call_request& r, const directory::app& app) {
  return app.stateless ? 0 : r.shard ? *r.shard : shard_of(r.key, app.shards);
}

} // namespace

router_actor_state::~router_actor_state() {
  if (ctx == nullptr)
    return;
  ctx->door = nullptr;
  ctx->routes = nullptr;
}

void router_actor_state::take(call_in& m) {
  ++ctx->counters.calls;
  const auto now = ctx->loop.now();
  const auto token = ++tokens;
  auto& r = m.request;
  r.token = token;
  admission::call c;
  c.token = token;
  c.client = std::move(m.client);
  c.bytes = r.argument.size() + m.kept;
  c.until = now + std::clamp(r.deadline, duration{}, router_core::deadline_max);
  const auto* app = ctx->known.find_app(r.app);
  if (app != nullptr && !ctx->full_mesh()) {
    // Instances come and go, and nobody tells everybody.
    const group_id g{app->id, shard_in(r, *app)};
    if (g.shard < app->shards && (app->stateless || !ctx->known.leader(g)))
      ctx->ask_view(g);
  }
  // What a client asks for itself is a call of its own, whatever it is.
  c.exempt = app == nullptr || (takes_no_place(r) && c.client.empty());
  if (!c.exempt) {
    c.group = {app->id, shard_in(r, *app)};
    if (const auto leader = ctx->known.leader(c.group);
        leader && *leader != ctx->self())
      c.peer = *leader;
  }
  const auto said = door.ask(c, now);
  if (said.what == admission::verdict::refuse) {
    reply no;
    no.status = reply_status::overloaded;
    no.message = said.why;
    no.retry_after = said.retry_after;
    m.answer(std::move(no), c.group.shard);
    return arm();
  }
  waiting.emplace(token, std::move(m.answer));
  if (said.what == admission::verdict::wait) {
    held.emplace(token, held_call{std::move(r), c.until, c.group.shard});
    return arm();
  }
  core->call(std::move(r), now, effects);
  carry_out();
}

/// Those whose turn it is at the door, and those whose time is up there.
void router_actor_state::let_in() {
  const auto now = ctx->loop.now();
  const auto turn = door.release(now);
  for (const auto token : turn.late) {
    const auto at = held.find(token);
    BANYAN_ASSERT(at != held.end());
    router_answer late;
    late.token = token;
    late.shard = at->second.shard;
    late.reply.status = reply_status::deadline;
    late.reply.message = "this peer has more calls than it can answer in "
                         "time; not executed";
    held.erase(at);
    effects.emplace_back(std::move(late));
  }
  for (const auto token : turn.go) {
    const auto at = held.find(token);
    BANYAN_ASSERT(at != held.end());
    auto call = std::move(at->second);
    held.erase(at);
    call.request.deadline = call.until - now;
    core->call(std::move(call.request), now, effects);
  }
}

void router_actor_state::carry(router_send& e) {
  const auto call = e.frame.call;
  // Who asks somebody else than the leader doesn't know it, or in vain: but
  // what any voter may answer.
  if (!ctx->full_mesh()) {
    const auto leader = ctx->known.leader(e.frame.group);
    const bool in_vain = leader && *leader != e.to && !e.frame.max_staleness;
    if (!leader || in_vain)
      ctx->ask_view(e.frame.group, in_vain);
  }
  reply none; // no replica here; no link or its lane is full: as good as that
  none.status = reply_status::no_such_replica;
  if (e.to == ctx->self()) {
    const auto group = e.frame.group;
    if (ctx->tell_replica(group, request_in{e.to, std::move(e.frame)}))
      return;
  } else {
    bytes b;
    encode(e.frame, b);
    if (ctx->send(e.to, net::channel::request, b)) {
      if (ctx->far != nullptr)
        ctx->far->call_began(e.to, link_waits::caller::here, call,
                             e.frame.deadline_left);
      return;
    }
  }
  core->on_reply(e.to, reply_frame{call, std::move(none)}, ctx->loop.now(),
                 effects);
}

void router_actor_state::carry(router_answer& e) {
  // A failover, or who sent it back at once, tells nothing about how much is
  // too much; that nobody answered in time does.
  const bool in_vain = e.reply.status == reply_status::unknown
                       || e.reply.status == reply_status::deadline;
  const bool tells =
      e.by.is_none() ? in_vain : e.reply.status != reply_status::overloaded;
  door.ended(e.token, tells && !e.repeated, ctx->loop.now());
  const auto at = waiting.find(e.token);
  BANYAN_ASSERT(at != waiting.end());
  auto f = std::move(at->second);
  waiting.erase(at);
  f(std::move(e.reply), e.shard);
}

void router_actor_state::carry_out() {
  let_in();
  while (!effects.empty()) {
    auto list = std::move(effects);
    effects.clear();
    for (auto& e : list)
      std::visit([this](auto& x) { carry(x); }, e);
    let_in();
  }
  arm();
}

void router_actor_state::arm() {
  const auto due = std::min(core->deadline(), door.deadline());
  if (due == never)
    return timer->cancel();
  timer->arm(
      due,
      [this] {
        input([](auto& c, auto now, auto& out) { c.on_tick(now, out); });
      },
      "router");
}

caf::behavior router_actor(caf::stateful_actor<router_actor_state>* self,
                           node_context* ctx) {
  quiet(self);
  auto& s = self->state;
  s.ctx = ctx;
  s.core = std::make_unique<router_core>(ctx->self(), ctx->known, ctx->random);
  s.timer = std::make_unique<io::timer>(ctx->loop);
  ctx->door = &s.door;
  ctx->routes = s.core.get();
  return {
      [&s](call_in& m) { s.take(m); },
      [&s](reply_in& m) {
        if (s.ctx->far != nullptr)
          s.ctx->far->call_ended(m.from, link_waits::caller::here,
                                 m.frame.call);
        s.input([&](auto& c, auto now, auto& out) {
          c.on_reply(m.from, std::move(m.frame), now, out);
        });
      },
      [&s](const link_change_in& m) {
        s.input([&](auto& c, auto now, auto& out) {
          if (m.up)
            c.on_link_up(m.node, m.incarnation, now, out);
          else
            c.on_link_down(m.node, m.incarnation, now, out);
        });
      },
      [&s](const view_in& m) {
        s.input([&](auto& c, auto now, auto& out) {
          c.on_view(m.group, now, out);
        });
      },
      [&s](const app_gone_in& m) {
        s.input([&](auto& c, auto now, auto& out) {
          c.on_app_removed(m.app, now, out);
        });
      },
  };
}

} // namespace banyan::actors
