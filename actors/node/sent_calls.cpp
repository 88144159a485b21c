#include "actors/node/sent_calls.hpp"

#include "actors/loop/coordinator.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
void sent_calls_state::carry_out() {
  while (!effects.empty()) {
    auto list = std::move(effects);
    effects.clear();
    for (auto& e : list)
      std::visit([this](auto& x) { carry(x); }, e);
  }
}

void sent_calls_state::carry(sent_call& e) {
  const auto* found = ctx->known.find_app(e.app);
  const auto spec = ctx->specs.find(e.app);
  called_app app;
  app.contested = ctx->conflicts.count(e.app) != 0;
  if (found != nullptr && spec != ctx->specs.end()) {
    app.is = found->id;
    app.turn_time_max = spec->second.turn_time_max;
  }
  if (auto end = sent_calls::refusal(e, app))
    return core.on_reply(e.token, std::move(*end), effects);
  call_in c;
  c.request.app = std::move(e.app);
  c.request.kind = request_kind::query;
  c.request.key = std::move(e.key);
  c.request.command = std::move(e.command);
  c.request.argument = std::move(e.argument);
  c.request.deadline = sent_calls::patience(app);
  c.answer = [ctx = ctx, token = e.token](reply r, std::uint32_t) {
    caf::anon_send(ctx->sent_calls, sent_call_over{token, std::move(r)});
  };
  caf::anon_send(ctx->router, std::move(c));
}

void sent_calls_state::carry(sent_done& e) {
  const auto group = e.ack.from;
  ctx->tell_replica(group, stream_in{std::move(e.ack)});
}

void sent_calls_state::carry(sent_answers& e) {
  const auto group = e.frame.to;
  ctx->tell_replica(group, answers_in{std::move(e.frame)});
}

caf::behavior sent_calls_actor(caf::stateful_actor<sent_calls_state>* self,
                               node_context* ctx) {
  quiet(self);
  auto* s = &self->state;
  s->ctx = ctx;
  return {
      [s](const sent_in& m) {
        if (m.frame.is_ack)
          s->core.on_taken(m.frame, s->effects);
        else
          s->core.on_messages(m.frame, s->effects);
        s->carry_out();
      },
      [s](sent_call_over& m) {
        s->core.on_reply(m.token, std::move(m.reply), s->effects);
        s->carry_out();
      },
      [s](const sender_changed& m) { s->core.forget(m.group); },
  };
}

} // namespace banyan::actors
