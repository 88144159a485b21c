#include "actors/node/instance.hpp"

#include "actors/loop/coordinator.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

instance_shell::instance_shell(node_context& ctx, const app_id& app,
                               std::string name,
                               std::shared_ptr<instance_load> load)
    : ctx_{ctx}, app_{app}, name_{std::move(name)}, load_{std::move(load)},
      core_{app, ctx.random}, timer_{ctx.loop} {
}

void instance_shell::on_request(request_in& in) {
  const auto call = ++next_call_;
  calls_.emplace(call, caller{in.from, in.frame.call});
  input([&](auto& core, auto now, auto& out) {
    core.on_request(call, std::move(in.frame), now, out);
  });
}

void instance_shell::on_results(turn_results_in& in) {
  load_->turns += in.results.size();
  input([&](auto& core, auto now, auto& out) {
    core.on_results(std::move(in.results), now, out);
  });
}

void instance_shell::on_host_up(std::uint64_t version) {
  if (!started_.insert(version).second)
    ++load_->restarts;
  input([&](auto& core, auto now, auto& out) {
    core.on_host_up(version, now, out);
  });
}

void instance_shell::carry_out() {
  auto effects = std::move(effects_);
  effects_.clear();
  for (auto& e : effects)
    std::visit([this](auto& x) { carry(x); }, e);
  load_->waiting = core_.waiting();
  for (auto& [version, n] : load_->outstanding)
    n = core_.outstanding(version);
  arm();
}

void instance_shell::carry(instance_turns& e) {
  const std::chrono::milliseconds now{ctx_.unix_ms()};
  for (auto& o : e.orders)
    o.now = now;
  load_->outstanding.try_emplace(e.version);
  ctx_.tell_host({app_, e.version}, turns_in{std::move(e.orders)});
}

void instance_shell::carry(instance_answer& e) {
  const auto at = calls_.find(e.call);
  BANYAN_ASSERT(at != calls_.end());
  const auto to = at->second;
  calls_.erase(at);
  ctx_.answer_to(to.node, to.call, std::move(e.reply));
}

void instance_shell::carry(instance_log& e) {
  auto& kept = ctx_.app_lines[name_];
  const auto now = ctx_.unix_ms();
  for (const auto& line : e.lines) {
    kept.add(log_source::log, {}, line, now);
    ctx_.log(log_level::info, name_ + ": " + line);
  }
}

void instance_shell::arm() {
  const auto due = core_.deadline();
  if (due == never)
    return timer_.cancel();
  timer_.arm(
      due,
      [this] {
        input([](auto& core, auto now, auto& out) { core.on_tick(now, out); });
      },
      "instance");
}

caf::behavior instance_actor(caf::stateful_actor<instance_actor_state>* self,
                             node_context* ctx, app_id app, std::string name,
                             std::shared_ptr<instance_load> load) {
  quiet(self);
  self->state.shell = std::make_unique<instance_shell>(
      *ctx, app, std::move(name), std::move(load));
  auto* s = self->state.shell.get();
  return {
      [s](request_in& m) { s->on_request(m); },
      [s](turn_results_in& m) { s->on_results(m); },
      [s](const host_up_in& m) { s->on_host_up(m.version); },
      [s](const host_down_in& m) {
        s->input([&](auto& core, auto now, auto& out) {
          core.on_host_down(m.version, m.died_of, now, out);
        });
      },
      [s](const use_version& m) {
        s->input([&](auto& core, auto now, auto& out) {
          core.use(m.number, now, out);
        });
      },
  };
}

} // namespace banyan::actors
