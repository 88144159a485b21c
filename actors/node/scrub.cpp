#include "actors/node/scrub.hpp"

#include "actors/loop/coordinator.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

std::uint64_t seed_of(const node_id& id) {
  std::uint64_t seed = 0;
  for (std::size_t i = 0; i < sizeof seed; ++i)
    seed = seed << 8 | id.view()[i];
  return seed;
}

} // namespace

scrub_shell::scrub_shell(node_context& ctx)
    : ctx_{ctx}, core_{ctx.settings.scrub, ctx.loop.now(), seed_of(ctx.self())},
      timer_{ctx.loop} {
}

std::vector<group_id> scrub_shell::groups() const {
  std::vector<group_id> out;
  for (const auto& [g, actor] : ctx_.replicas)
    out.push_back(g);
  std::sort(out.begin(), out.end());
  return out;
}

void scrub_shell::arm() {
  timer_.arm(
      core_.deadline(),
      [this] {
        core_.on_tick(groups(), ctx_.loop.now(), effects_);
        carry_out();
      },
      "scrub");
}

void scrub_shell::on_verify(const verify_in& m) {
  const auto now = ctx_.loop.now();
  if (m.begin) {
    core_.ask(now);
    core_.on_tick(groups(), now, effects_);
    carry_out();
  }
  if (m.done)
    m.done(core_.report(), now);
}

void scrub_shell::on_state_piece(const scrub_state_in& m) {
  if (m.page.ok())
    ctx_.counters.scrub_state_bytes += m.page->bytes_read;
  core_.on_state_piece(m.number, m.page, ctx_.loop.now(), effects_);
  carry_out();
}

void scrub_shell::on_log_piece(const scrub_log_in& m) {
  ctx_.counters.scrub_log_bytes += m.piece.bytes_read;
  core_.on_log_piece(m.number, m.piece, ctx_.loop.now(), effects_);
  carry_out();
}

void scrub_shell::carry_out() {
  auto effects = std::move(effects_);
  effects_.clear();
  for (auto& e : effects)
    std::visit([this](auto& x) { carry(x); }, e);
  const auto& r = core_.report();
  if (r.now == scrub_report::phase::done && finished_ != r.pass) {
    finished_ = r.pass;
    ++ctx_.counters.scrub_passes;
    const auto found = r.rows_damaged + r.states_wrong + r.logs_damaged;
    ctx_.log(r.open() != 0 ? log_level::error
             : found != 0  ? log_level::warning
                           : log_level::info,
             "this disk was read again: " + std::to_string(r.rows) + " rows, "
                 + std::to_string(r.log_bytes) + " bytes of log, "
                 + std::to_string(found) + " found damaged, "
                 + std::to_string(r.open()) + " not mended");
  }
  arm();
}

void scrub_shell::carry(scrub_state_piece& e) {
  ctx_.disk.state->scrub(
      e.group, std::move(e.from), e.bytes_max,
      [weak = weak_from_this(), &ctx = ctx_, number = e.number](
          const result<store::scrub_page, store::state_error>& page) {
        if (weak.expired())
          return;
        if (page.ok())
          caf::anon_send(ctx.scrub, scrub_state_in{number, *page});
        else
          caf::anon_send(ctx.scrub,
                         scrub_state_in{number, failure{page.error().code}});
      });
}

void scrub_shell::carry(scrub_log_piece& e) {
  ctx_.disk.log->scrub(
      e.from, e.bytes_max,
      [weak = weak_from_this(), &ctx = ctx_,
       number = e.number](const store::log_scrub& piece) {
        if (!weak.expired())
          caf::anon_send(ctx.scrub, scrub_log_in{number, piece});
      });
}

void scrub_shell::carry(scrub_row_damaged& e) {
  ctx_.tell_replica(e.group, row_damaged_in{std::move(e.key)});
}

void scrub_shell::carry(scrub_state_wrong& e) {
  ctx_.tell_replica(e.group, state_inconsistent_in{});
}

void scrub_shell::carry(scrub_log_damaged& e) {
  caf::anon_send(ctx_.supervisor, log_damaged_in{e.group, e.id});
}

void scrub_shell::carry(scrub_compare& e) {
  caf::anon_send(ctx_.supervisor, compare_in{e.group});
}

void scrub_shell::carry(scrub_look& e) {
  for (const auto& g : e.groups) {
    const bool here = ctx_.tell_replica(
        g, report_in{[weak = weak_from_this(), g](const scrubbed_replica& r) {
          if (const auto self = weak.lock())
            self->core_.on_replica(g, r, self->ctx_.loop.now());
        }});
    if (here)
      continue;
    core_.on_replica(g, std::nullopt, ctx_.loop.now());
    const auto* v = ctx_.known.view(g);
    const auto on_this_node = [this](const replica_view& r) {
      return r.who.node == ctx_.self();
    };
    if (v != nullptr && v->health == group_health::healthy
        && std::none_of(v->voters.begin(), v->voters.end(), on_this_node)
        && std::none_of(v->learners.begin(), v->learners.end(), on_this_node))
      core_.on_moved(g, ctx_.loop.now());
  }
}

caf::behavior scrub_actor(caf::stateful_actor<scrub_actor_state>* self,
                          node_context* ctx) {
  quiet(self);
  auto shell = std::make_shared<scrub_shell>(*ctx);
  self->state.shell = shell;
  auto* s = shell.get();
  s->arm();
  return {
      [s](const verify_in& m) { s->on_verify(m); },
      [s](const scrub_state_in& m) { s->on_state_piece(m); },
      [s](const scrub_log_in& m) { s->on_log_piece(m); },
  };
}

} // namespace banyan::actors
