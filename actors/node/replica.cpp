#include "actors/node/replica.hpp"

#include "actors/loop/coordinator.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration publish_interval = 200ms;
constexpr std::uint64_t own_scan = UINT64_MAX; ///< a number the core never has

using staged = result<store::digest_at, store::store_errc>;

staged staged_of(const result<void, store::state_error>& done) {
  if (!done.ok())
    return failure{done.error().code};
  return store::digest_at{};
}
staged staged_of(const result<store::digest_at, store::state_error>& done) {
  if (!done.ok())
    return failure{done.error().code};
  return *done;
}

} // namespace

replica_shell::replica_shell(node_context& ctx, replica_start start)
    : ctx_{ctx}, group_{start.config.group}, start_{std::move(start)},
      core_{start_.config, ctx.random, ctx}, timer_{ctx.loop}, publish_timer_{
                                                                   ctx.loop} {
}

void replica_shell::start() {
  recovered_replica r;
  r.log = std::move(start_.log);
  if (start_.fresh)
    r.state.emplace();
  state_known_ = start_.fresh;
  started_ = true;
  if (!core_.start(std::move(r), ctx_.loop.now(), effects_)) {
    started_ = false;
    replica_failed failed{"what the disk holds of this replica contradicts "
                          "itself",
                          true};
    return carry(failed);
  }
  carry_out();
  flush_later();
  // They answer `host_up_in`.
  ctx_.tell_hosts(group_.app, replica_joined{group_});
  for (const auto& l : ctx_.links->links())
    if (l.role == link_role::peer)
      input([&](auto& core, auto now, auto& out) {
        core.on_evidence(l.node, node_evidence::link_up, now, out);
      });
}

void replica_shell::on_state(state_in& in) {
  if (!started_ || state_ || state_known_)
    return;
  state_.emplace();
  state_->meta = std::move(in.meta);
  state_->digest = in.digest;
  if (!state_->meta)
    return hand_over_state();
  loading_ = true;
  scan_next({static_cast<std::uint8_t>(row_kind::session)});
}

// Small rows are those of the kinds from `session` on: the end of all rows.
void replica_shell::scan_next(bytes from) {
  store::scan_request request;
  request.from = std::move(from);
  const store::order_id order{group_, start_.config.self.replica, {}, own_scan};
  ctx_.disk.state->scan(
      group_, std::move(request),
      [&ctx = ctx_, order](result<store::scan_page, store::state_error> page) {
        if (page.ok())
          ctx.tell_replica(order.group, page_in{order, std::move(*page)});
        else
          ctx.tell_replica(order.group,
                           page_in{order, failure{page.error().code}});
      });
}

void replica_shell::on_page(page_in& in) {
  if (!loading_ || in.order.number != own_scan)
    return input([&](auto& core, auto now, auto& out) {
      core.on_state_scanned(in.order, std::move(in.page), now, out);
    });
  if (in.order.replica != start_.config.self.replica)
    return;
  if (!in.page.ok() && in.page.error() == store::store_errc::damaged) {
    // Rows are missing, nobody knows which: the state is as good as lost.
    ctx_.disk.state->drop(in.order, {});
    state_.emplace();
    loading_ = false;
    return hand_over_state();
  }
  if (!in.page.ok()) {
    replica_failed failed{"the group's own rows can't be read", false};
    return carry(failed);
  }
  auto& s = *state_;
  for (auto& r : in.page->rows)
    s.small_rows.push_back(std::move(r));
  for (auto& key : in.page->damaged)
    s.damaged.push_back(std::move(key));
  if (!in.page->next.empty())
    return scan_next(std::move(in.page->next));
  loading_ = false;
  hand_over_state();
}

void replica_shell::hand_over_state() {
  auto state = std::move(*state_);
  state_.reset();
  state_known_ = true;
  input([&](auto& core, auto now, auto& out) {
    core.on_state_recovered(std::move(state), now, out);
  });
  for (auto& key : std::exchange(suspects_, {}))
    on_row_damaged(std::move(key));
}

void replica_shell::on_row_damaged(bytes key) {
  if (!state_known_) {
    suspects_.push_back(std::move(key));
    return;
  }
  input([&](auto& core, auto now, auto& out) {
    core.on_row_damaged(std::move(key), now, out);
  });
}

void replica_shell::on_report(const report_in& in) const {
  const auto s = core_.status();
  scrubbed_replica r;
  r.id = start_.config.self.replica;
  r.whole = s.state == state_phase::whole;
  r.lost = lost_;
  r.rebuilt = rebuilt_;
  r.rows_damaged = s.rows_damaged;
  r.checkpoint = s.checkpoint;
  in.done(r);
}

void replica_shell::on_health(const health_in& in) const {
  in.done(core_.health(ctx_.loop.now()));
}

void replica_shell::on_standing(const standing_in& in) const {
  const auto s = core_.status();
  surviving_replica r;
  r.group = group_;
  r.who = start_.config.self;
  r.lineage = core_.config().lineage;
  r.term = s.last_term;
  r.last = s.last;
  r.committed = s.committed;
  r.whole = s.state == state_phase::whole;
  r.serving = s.serving;
  r.voters = {s.configuration.voters.begin(), s.configuration.voters.end()};
  r.outgoing = {s.configuration.outgoing.begin(),
                s.configuration.outgoing.end()};
  r.pending = s.state == state_phase::pending;
  in.done(r);
}

void replica_shell::on_closing(const closing_in& in) {
  input([&](auto& core, auto now, auto& out) {
    core.set_closed(in.closed, now, out);
  });
  if (!in.closed)
    publish_now(); // who forgot the app has forgotten who leads it
}

void replica_shell::on_request(request_in& in) {
  if (!started_) {
    reply r;
    r.status = reply_status::not_leader;
    r.message = "this replica is still loading";
    answer_call a{0, std::move(r)};
    calls_[0] = {in.from, in.frame.call};
    return carry(a);
  }
  const auto call = ++next_call_;
  calls_.emplace(call, caller{in.from, in.frame.call});
  input([&](auto& core, auto now, auto& out) {
    core.on_request(call, std::move(in.frame), now, out);
  });
}

void replica_shell::on_order(const group_order& o) {
  input([&](auto& core, auto now, auto& out) {
    switch (o.what) {
    case group_order::kind::transfer:
      return core.transfer_leadership(o.number, o.who, now, out);
    case group_order::kind::add_learner:
      return core.add_learner(o.number, *o.who, now, out);
    case group_order::kind::change_voters:
      return core.change_voters(o.number, o.in, o.out, now, out);
    case group_order::kind::shrink_voters:
      return core.shrink_voters(o.number, o.out, o.demoted, now, out);
    case group_order::kind::remove_learner:
      return core.remove_learner(o.number, *o.who, now, out);
    case group_order::kind::stop:
      return core.set_stopped(o.number, true, now, out);
    case group_order::kind::start:
      return core.set_stopped(o.number, false, now, out);
    case group_order::kind::checkpoint:
      return core.checkpoint(o.number, now, out);
    case group_order::kind::features:
      return core.set_features(o.number, o.bits, now, out);
    case group_order::kind::version:
      return core.set_version(o.number, *o.version, now, out);
    case group_order::kind::park:
      parked_ = true;
      return core.set_parked(true, now, out);
    case group_order::kind::unpark:
      parked_ = false;
      return core.set_parked(false, now, out);
    }
  });
  publish_later();
}

void replica_shell::on_stop() {
  if (core_.status().role == role_changed::role::leader)
    input([&](auto& core, auto now, auto& out) {
      core.transfer_leadership(0, std::nullopt, now, out);
    });
}

void replica_shell::flush_later() {
  if (flush_asked_)
    return;
  flush_asked_ = true;
  ctx_.loop.flush_later([weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->flush();
  });
}

void replica_shell::flush() {
  flush_asked_ = false;
  if (!started_)
    return;
  core_.flush(ctx_.loop.now(), effects_);
  carry_out();
  arm();
}

void replica_shell::arm() {
  const auto due = core_.deadline();
  if (due == never)
    return timer_.cancel();
  timer_.arm(
      due,
      [this] {
        input([](auto& core, auto now, auto& out) { core.on_tick(now, out); });
      },
      "replica");
}

void replica_shell::carry_out() {
  auto effects = std::move(effects_);
  effects_.clear();
  for (auto& e : effects)
    std::visit([this](auto& x) { carry(x); }, e);
  if (effects_.empty()) { // keep the capacity
    effects.clear();
    effects_ = std::move(effects);
  }
}

void replica_shell::carry(send_group_frame& e) {
  ctx_.send_group(e.to, group_, e.bulk, e.frame);
}

void replica_shell::carry(order_log& e) {
  ++ctx_.counters.log_orders;
  ctx_.disk.log->submit(std::move(e.write));
}

void replica_shell::carry(order_log_cut& e) {
  ctx_.disk.log->cut(group_, start_.config.self.replica, e.index);
}

void replica_shell::carry(order_commit& e) {
  ctx_.commit(std::move(e.commit));
}

void replica_shell::carry(order_read& e) {
  ctx_.disk.state->read(
      group_, std::move(e.key),
      [&ctx = ctx_, order = e.order](
          result<std::optional<store::row>, store::state_error> row) {
        if (row.ok())
          ctx.tell_replica(order.group, row_read_in{order, std::move(*row)});
        else
          ctx.tell_replica(order.group,
                           row_read_in{order, failure{row.error().code}});
      });
}

void replica_shell::carry(order_scan& e) {
  ctx_.disk.state->scan(
      group_, std::move(e.request),
      [&ctx = ctx_,
       order = e.order](result<store::scan_page, store::state_error> page) {
        if (page.ok())
          ctx.tell_replica(order.group, page_in{order, std::move(*page)});
        else
          ctx.tell_replica(order.group,
                           page_in{order, failure{page.error().code}});
      });
}

void replica_shell::carry(order_stage& e) {
  auto& state = *ctx_.disk.state;
  auto done = [&ctx = ctx_, order = e.order, step = e.what](const auto& r) {
    ctx.tell_replica(order.group, staged_in{order, step, staged_of(r)});
  };
  switch (e.what) {
  case order_stage::step::begin:
    return state.stage_begin(e.order, std::move(done));
  case order_stage::step::put:
    return state.stage_put(e.order, std::move(e.rows), std::move(done));
  case order_stage::step::finish:
    return state.stage_finish(e.order, std::move(e.meta), e.expected,
                              std::move(done));
  case order_stage::step::abort:
    return state.stage_abort(e.order, std::move(done));
  }
}

void replica_shell::carry(order_turns& e) {
  const std::chrono::milliseconds now{ctx_.unix_ms()};
  for (auto& o : e.orders)
    o.now = now;
  ctx_.tell_host({group_.app, e.version}, turns_in{std::move(e.orders)});
}

void replica_shell::carry(answer_call& e) {
  const auto at = calls_.find(e.call);
  if (at == calls_.end())
    return;
  const auto to = at->second;
  calls_.erase(at);
  ctx_.answer_to(to.node, to.call, std::move(e.reply));
}

void replica_shell::carry(send_stream& e) {
  ctx_.send_stream(e.frame);
}

void replica_shell::carry(app_log& e) {
  auto& kept = ctx_.app_lines[start_.app];
  const auto now = ctx_.unix_ms();
  for (const auto& line : e.lines) {
    kept.add(log_source::log, e.actor, line, now);
    ctx_.log(log_level::info, start_.app + "/" + e.actor + ": " + line);
  }
}

void replica_shell::carry(probe_node& e) {
  caf::anon_send(ctx_.node, probe_in{e.node});
}

void replica_shell::carry(role_changed& e) {
  if (ctx_.settings.on_role)
    ctx_.settings.on_role(group_, e);
  const bool serving = e.serving;
  publish_now();
  caf::anon_send(ctx_.sent_calls, sender_changed{group_});
  caf::anon_send(ctx_.supervisor, replica_news{group_, std::move(e)});
  if (!serving)
    return;
  const auto conf = core_.status().configuration;
  caf::anon_send(
      ctx_.supervisor,
      replica_news{group_, configuration_changed{conf, !conf.joint()}});
}

void replica_shell::carry(configuration_changed& e) {
  publish_later();
  caf::anon_send(ctx_.supervisor, replica_news{group_, std::move(e)});
}

void replica_shell::carry(state_phase_changed& e) {
  if (e.now == state_phase::lost)
    ++lost_;
  else if (e.now == state_phase::whole && rebuilt_ < lost_)
    ++rebuilt_;
  caf::anon_send(ctx_.supervisor, replica_news{group_, std::move(e)});
}

void replica_shell::carry(checkpoint_judged& e) {
  if (std::exchange(conflict_, e.conflict) != e.conflict)
    publish_now();
  caf::anon_send(ctx_.supervisor, replica_news{group_, std::move(e)});
}

void replica_shell::carry(copy_given& e) {
  caf::anon_send(ctx_.supervisor, copy_in{group_, std::move(e)});
}

group_view replica_shell::view() const {
  const auto s = core_.status();
  group_view v;
  v.group = group_;
  v.term = s.term;
  v.leader = start_.config.self;
  v.committed = s.committed;
  bool all_well = true;
  const auto add = [&](const replica_ref& who, std::vector<replica_view>& to) {
    replica_view r;
    r.who = who;
    if (who != start_.config.self) {
      r.state = static_cast<std::uint8_t>(replica_state::unreachable);
      for (const auto& p : s.progress)
        if (p.who == who && p.reachable) {
          const bool behind =
              p.snapshot || p.durable.value() + 1000 < s.last.value();
          r.state = static_cast<std::uint8_t>(
              behind ? replica_state::catching_up : replica_state::current);
          if (s.last.value() > 0)
            r.permille = static_cast<std::uint16_t>(p.durable.value() * 1000
                                                    / s.last.value());
        }
    }
    all_well &=
        r.state != static_cast<std::uint8_t>(replica_state::unreachable);
    to.push_back(r);
  };
  for (const auto& who : s.configuration.voters)
    add(who, v.voters);
  for (const auto& who : s.configuration.learners)
    add(who, v.learners);
  v.health = s.conflict             ? group_health::conflict
             : parked_ || s.stopped ? group_health::parked
             : all_well && v.voters.size() >= start_.voters_wanted
                 ? group_health::healthy
                 : group_health::degraded;
  return v;
}

void replica_shell::publish_now() {
  if (!core_.status().serving)
    return;
  auto v = view();
  v.number = ++view_number_;
  published_ = v;
  ctx_.publish(v);
  publish_later();
}

void replica_shell::publish_later() {
  if (publish_armed_)
    return;
  publish_armed_ = true;
  publish_timer_.arm(
      ctx_.loop.now() + publish_interval,
      [this] {
        publish_armed_ = false;
        const auto s = core_.status();
        if (!s.serving)
          return;
        const auto v = view();
        const auto differs = [](const auto& a, const auto& b) {
          if (a.size() != b.size())
            return true;
          for (std::size_t i = 0; i < a.size(); ++i)
            if (a[i].who != b[i].who || a[i].state != b[i].state)
              return true;
          return false;
        };
        if (!published_ || v.term != published_->term
            || v.health != published_->health
            || differs(v.voters, published_->voters)
            || differs(v.learners, published_->learners))
          return publish_now();
        if (!s.asleep)
          publish_later();
      },
      "group view");
}

caf::behavior replica_actor(caf::stateful_actor<replica_actor_state>* self,
                            node_context* ctx, replica_start start) {
  quiet(self);
  auto shell = std::make_shared<replica_shell>(*ctx, std::move(start));
  self->state.shell = shell;
  auto* r = shell.get();
  r->start();
  return {
      [r](group_frame_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_group_frame(m.from, m.frame, now, out);
        });
      },
      [r](const stream_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_stream(m.frame, now, out);
        });
      },
      [r](const answers_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_answers(m.frame, now, out);
        });
      },
      [r](const evidence_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_evidence(m.node, m.what, now, out);
        });
      },
      [r](const node_seen_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_node_seen(m.node, m.incarnation, now, out);
        });
      },
      [r](wake_in) {
        r->input([](auto& core, auto now, auto& out) { core.wake(now, out); });
      },
      [r](const log_done_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_log_done(m.done, now, out);
        });
      },
      [r](const committed_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_state_committed(m.order, m.done, now, out);
        });
      },
      [r](row_read_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_state_read(m.order, std::move(m.row), now, out);
        });
      },
      [r](page_in& m) { r->on_page(m); },
      [r](state_in& m) { r->on_state(m); },
      [r](row_damaged_in& m) { r->on_row_damaged(std::move(m.key)); },
      [r](state_inconsistent_in) {
        r->input([](auto& core, auto now, auto& out) {
          core.on_state_inconsistent(now, out);
        });
      },
      [r](const report_in& m) { r->on_report(m); },
      [r](const staged_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_staged(m.order, m.step, m.done, now, out);
        });
      },
      [r](turn_results_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_turn_results(std::move(m.results), now, out);
        });
      },
      [r](const host_up_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_host_up(now, out, m.version);
        });
      },
      [r](const health_in& m) { r->on_health(m); },
      [r](const host_down_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_host_down(m.died_of, now, out, m.version);
        });
      },
      [r](request_in& m) { r->on_request(m); },
      [r](const closing_in& m) { r->on_closing(m); },
      [r](const recovery_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.recover(m.lineage, now, out);
        });
      },
      [r](const standing_in& m) { r->on_standing(m); },
      [r](const copy_step_in& m) {
        r->input([&](auto& core, auto now, auto& out) {
          core.on_copy(m.token, m.step, now, out);
        });
      },
      [r](const group_order& m) { r->on_order(m); },
      [r](stop_leading_in) { r->on_stop(); },
  };
}

} // namespace banyan::actors
