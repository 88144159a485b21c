#include "actors/node/router.hpp"

#include "actors/loop/coordinator.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

void router_actor_state::carry_out() {
  auto list = std::move(effects);
  effects.clear();
  for (auto& e : list) {
    if (auto* send = std::get_if<router_send>(&e)) {
      const auto call = send->frame.call;
      if (send->to == ctx->self()) {
        const auto group = send->frame.group;
        if (ctx->tell_replica(group,
                              request_in{send->to, std::move(send->frame)}))
          continue;
        reply none;
        none.status = reply_status::no_such_replica;
        core->on_reply(send->to, reply_frame{call, std::move(none)},
                       ctx->loop.now(), effects);
        continue;
      }
      bytes b;
      encode(send->frame, b);
      if (ctx->send(send->to, net::channel::request, b))
        continue;
      reply lost; // no link or its lane is full: as good as not there
      lost.status = reply_status::no_such_replica;
      core->on_reply(send->to, reply_frame{call, std::move(lost)},
                     ctx->loop.now(), effects);
    } else {
      auto& answer = std::get<router_answer>(e);
      const auto at = waiting.find(answer.token);
      BANYAN_ASSERT(at != waiting.end());
      auto f = std::move(at->second);
      waiting.erase(at);
      f(std::move(answer.reply), answer.shard);
    }
  }
  if (!effects.empty())
    return carry_out();
  arm();
}

void router_actor_state::arm() {
  const auto due = core->deadline();
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
  return {
      [&s](call_in& m) {
        ++s.ctx->counters.calls;
        const auto token = ++s.tokens;
        m.request.token = token;
        s.waiting.emplace(token, std::move(m.answer));
        s.input([&](auto& c, auto now, auto& out) {
          c.call(std::move(m.request), now, out);
        });
      },
      [&s](reply_in& m) {
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
