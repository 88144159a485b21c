#include "actors/node/supervisor.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/app.hpp"
#include "actors/node/instance.hpp"
#include "actors/node/names.hpp"
#include "actors/node/node.hpp"
#include "actors/node/operator_desk.hpp"
#include "actors/pure/features.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

/// As for a data directory that is in use or unreadable.
constexpr int exit_newer_data = 3;

bool concerns(const group_view& v, const node_id& node) {
  const auto is_it = [&](const replica_view& r) { return r.who.node == node; };
  return std::any_of(v.voters.begin(), v.voters.end(), is_it)
         || std::any_of(v.learners.begin(), v.learners.end(), is_it);
}

} // namespace

group_supervisor::group_supervisor(caf::event_based_actor* self,
                                   node_context& ctx, supervisor_start start)
    : self_{self}, ctx_{ctx}, start_{std::move(start)}, backups_{ctx},
      desk_{std::make_unique<operator_desk>(*this)} {
}

group_supervisor::~group_supervisor() = default;

void group_supervisor::put_documents(
    std::vector<store::documents::change> changes, std::function<void()> then) {
  ctx_.disk.documents->put(
      std::move(changes), [weak = weak_from_this(), then = std::move(then)](
                              const result<void, store::store_error>& done) {
        const auto self = weak.lock();
        if (self == nullptr)
          return;
        if (!done.ok())
          return self->start_.fatal(1, done.error().message);
        if (then)
          then();
      });
}

void group_supervisor::on_peer_up(const node_id& node) {
  const bool full = ctx_.full_mesh();
  far_.compared.forget(node); // it may trust others now
  if (full || !knows(ctx_.features_of(node), feature::keepers)) {
    tell_documents(node);
    tell_recoveries(node);
  } else {
    ctx_.tell(node, net::channel::group, encoded_control(sum_of_documents()));
  }
  for (const auto& [g, r] : replicas_)
    if (const auto* v = ctx_.known.view(g); v != nullptr && r.role.serving
                                            && v->leader.node == ctx_.self()
                                            && (full || concerns(*v, node)))
      ctx_.tell(node, net::channel::group, encoded_control(*v));
  tell_states(&node);
  forget_troubles(node); // it says how its hosts are, as this one does
  tell_troubles(node);
  desk_->on_peer_up(node);
  if (!start_.local_owner) {
    owners_trusted mine_too{start_.trusted};
    std::sort(mine_too.owners.begin(), mine_too.owners.end());
    ctx_.tell(node, net::channel::group, encoded_control(mine_too));
  }
  tell_versions(node);
  tell_instances(node);
  refresh_sharing();
}

void group_supervisor::on_control(control_in& m) {
  auto& f = m.frame;
  if (const auto* held = std::get_if<documents_held>(&f))
    on_documents(m.from, *held);
  else if (const auto* sum = std::get_if<documents_sum>(&f))
    on_sum(m.from, *sum);
  else if (const auto* papers = std::get_if<app_papers>(&f))
    adopt(*papers, &m.from, nullptr);
  else if (const auto* wanted = std::get_if<make_replicas>(&f))
    on_make_replica(m.from, *wanted);
  else if (auto* made = std::get_if<replicas_made>(&f))
    on_replica_made(m.from, *made);
  else if (auto* failover = std::get_if<failover_record>(&f))
    on_failover_frame(m.from, *failover);
  else if (const auto* state = std::get_if<host_state>(&f))
    on_host_state(m.from, *state);
  else if (const auto* wear = std::get_if<host_wear>(&f))
    on_host_wear(m.from, *wear);
  else if (const auto* unready = std::get_if<unready_replicas>(&f))
    on_states(m.from, *unready);
  else if (const auto* compared = std::get_if<compare_wanted>(&f))
    on_compare(m.from, *compared);
  else if (const auto* stay = std::get_if<stay_wanted>(&f))
    on_stay(m.from, *stay);
  else if (const auto* staying = std::get_if<stay_promised>(&f))
    on_staying(m.from, *staying);
  else if (const auto* notice = std::get_if<drain_notice>(&f))
    desk_->on_notice(m.from, *notice);
  else if (const auto* pin = std::get_if<pin_wanted>(&f))
    desk_->on_pin(m.from, *pin);
  else if (const auto* pinned = std::get_if<pinned_replicas>(&f))
    desk_->on_pinned(m.from, *pinned);
  else if (const auto* order = std::get_if<operator_order>(&f))
    desk_->on_order(m.from, *order);
  else if (const auto* answer = std::get_if<operator_answer>(&f))
    desk_->on_answer(m.from, *answer);
  else if (const auto* trust = std::get_if<owners_trusted>(&f))
    trusts_[m.from] = trust->owners;
  else if (const auto* ready = std::get_if<version_ready>(&f))
    on_version_ready(m.from, *ready);
  else if (const auto* word = std::get_if<version_word>(&f))
    on_version_word(m.from, *word);
  else if (const auto* recovered = std::get_if<recovery_told>(&f))
    on_recovery(m.from, *recovered);
  else if (auto* standings = std::get_if<standings_told>(&f))
    on_standings(m.from, *standings);
  else if (const auto* wanted_part = std::get_if<backup_wanted>(&f)) {
    const auto app = apps_.find(wanted_part->group.app);
    backups_.on_wanted(m.from, *wanted_part,
                       app == apps_.end() ? nullptr : &app->second);
  } else if (auto* given = std::get_if<backup_given>(&f))
    backups_.on_given(m.from, *given);
  else if (const auto* wants = std::get_if<secret_wanted>(&f))
    on_secret_wanted(m.from, *wants);
  else if (const auto* key = std::get_if<secret_key>(&f))
    on_secret_key(*key);
}

void group_supervisor::backup(backup_in& m) {
  const auto* known = ctx_.known.find_app(m.app);
  if (known == nullptr)
    return m.to->refuse(reply_status::not_found,
                        "no app named '" + m.app
                            + "'; `banyan apps` lists what there is");
  if (const auto among = ctx_.conflicts.find(m.app);
      among != ctx_.conflicts.end())
    return m.to->refuse(reply_status::conflict,
                        contested_words(m.app, among->second));
  when_known(m.app, [this, id = known->id, to = std::move(m.to)] {
    if (const auto app = apps_.find(id); app != apps_.end())
      return backups_.begin(app->second, to);
    to->refuse(reply_status::not_found, "the app was removed");
  });
}

// ---- news
// ------------------------------------------------------------------------

void group_supervisor::on_news(replica_news& m) {
  const auto at = replicas_.find(m.group);
  if (at == replicas_.end())
    return;
  auto& r = at->second;
  if (const auto* role = std::get_if<role_changed>(&m.what)) {
    if (role->now != role_changed::role::leader) {
      r.adding = false;
      r.newcomer.reset();
      r.watch.set_voters({});
      r.cut_off.clear();
      if (std::exchange(r.parked, false)) {
        group_order o; // the next leader judges anew
        o.what = group_order::kind::unpark;
        ctx_.tell_replica(m.group, std::move(o));
      }
    }
    if (role->serving != r.role.serving || role->term != r.role.term)
      r.roll = {};
    r.role = *role;
    if (const auto a = apps_.find(m.group.app); a != apps_.end())
      judge_host(a->second.genesis.name, m.group, r);
  } else if (const auto* conf = std::get_if<configuration_changed>(&m.what)) {
    const auto& newest = conf->configuration;
    r.votes = newest.is_voter({ctx_.self(), r.id});
    if (conf->committed) {
      r.configuration = conf->configuration;
      r.configured = true;
      const auto& voters = r.configuration.voters;
      r.watch.set_voters({voters.begin(), voters.end()});
      const auto& outgoing = r.configuration.outgoing;
      r.going.set_voters({voters.begin(), voters.end()},
                         {outgoing.begin(), outgoing.end()});
      refresh_sharing();
      r.roll.dirty = true;
      roll_out(m.group, r, ctx_.loop.now());
    }
  } else if (const auto* f = std::get_if<failover_report>(&m.what)) {
    on_failover(m.group, *f);
  } else if (const auto* lost = std::get_if<replica_lost>(&m.what)) {
    r.watch.give_up(lost->who, ctx_.loop.now());
    r.lost_learners.insert(lost->who);
  } else if (std::get_if<replica_retired>(&m.what) != nullptr) {
    forget_replica(m.group);
  } else if (const auto* t = std::get_if<host_trouble>(&m.what)) {
    on_host_trouble(m.group, r, *t);
  } else if (const auto* d = std::get_if<change_done>(&m.what)) {
    if (!on_rolled(m.group, r, *d) && !desk_->on_change_done(*d))
      on_change_done(m.group, *d);
  } else if (const auto* bad = std::get_if<replica_failed>(&m.what)) {
    if (bad->at_start) {
      give_up_replica(m.group, bad->message);
      if (bad->forgot)
        put_documents({document(document_kind::replica,
                                shard_name(m.group.app.view(), m.group.shard),
                                std::nullopt)},
                      nullptr);
      return;
    }
    start_.fatal(bad->newer ? exit_newer_data : 1, bad->message);
  } else if (auto* version = std::get_if<version_changed>(&m.what)) {
    on_version(m.group, r, *version);
  } else if (const auto* refused = std::get_if<entry_refused>(&m.what)) {
    ctx_.log(log_level::error, refused->why);
  } else if (const auto* row = std::get_if<row_damaged>(&m.what)) {
    on_row(m.group, r, *row);
  } else if (std::get_if<row_mended>(&m.what) != nullptr) {
    r.rows_open -= r.rows_open > 0 ? 1 : 0;
    ++ctx_.counters.rows_mended;
    ctx_.group_event(event_kind::row_mended, m.group,
                     "a damaged row is put back", ctx_.self());
  } else if (const auto* phase = std::get_if<state_phase_changed>(&m.what)) {
    on_phase(m.group, r, *phase);
  } else if (const auto* judged = std::get_if<checkpoint_judged>(&m.what)) {
    on_judged(m.group, *judged);
  } else if (const auto* doubt = std::get_if<state_doubted>(&m.what)) {
    ctx_.log(log_level::warning, "the state of a group is in doubt ("
                                     + doubt->why
                                     + "): everything here is read again");
    caf::anon_send(ctx_.scrub, verify_in{});
  }
}

void group_supervisor::on_down(const caf::down_msg& m) {
  for (const auto& [g, r] : replicas_)
    if (r.actor.address() == m.source)
      return start_.fatal(1, "a replica ended by a fault of its own; the peer "
                             "starts again from its disk");
  for (const auto& [id, seat] : instances_)
    if (seat.actor && seat.actor.address() == m.source)
      return start_.fatal(1, "an instance ended by a fault of its own; the "
                             "peer starts again");
  for (const auto& [host, actor] : ctx_.apps)
    if (actor.address() == m.source) {
      const app_host_id id{host};
      stop_host(id);
      return want_hosts(id.first);
    }
}

void group_supervisor::operate(operate_in& m) {
  desk_->operate(m);
}

void group_supervisor::stop(stop_in& m) {
  stopped_ = std::move(m.done);
  stopping_ = true;
  stop_until_ = ctx_.loop.now() + 30s;
  hand_over_at_ = {};
  on_tick();
}

void group_supervisor::on_tick() {
  const auto now = ctx_.loop.now();
  for (auto i = makings_.begin(); i != makings_.end();) {
    if (i->second.until > now) {
      ++i;
      continue;
    }
    const auto m = std::move(i->second);
    i = makings_.erase(i);
    m.done({}, "no answer from " + short_string(m.node));
  }
  end_trials(now);
  ask_for_secrets(now);
  end_waits(now);
  tick_hosts(now);
  keep_instances(now);
  if (std::exchange(states_changed_, false))
    tell_states(nullptr);
  clear_aside(now);
  backups_.on_tick(now);
  recovery_tick(now);
  count_removed(now);
  tick_far(now);
  if (stopping_) {
    bool leads = instances_busy();
    const bool again = now >= hand_over_at_; // whom it asked may not have come
    if (again)
      hand_over_at_ = now + 1s;
    for (auto& [g, r] : replicas_) {
      bool other = false;
      for (const auto& v : r.configuration.voters)
        other |= v.node != ctx_.self() && ctx_.members->hears(v.node);
      if (r.role.now == role_changed::role::leader && other)
        leads = true;
      if (again)
        ctx_.tell_replica(g, stop_leading_in{});
    }
    desk_->on_tick(now); // orders under way get their answers
    if (stopped_ && (!leads || now >= stop_until_))
      std::exchange(stopped_, nullptr)();
    return;
  }
  ask_to_stay(now);
  desk_->on_tick(now);
  for (auto& [g, r] : replicas_)
    if (r.role.now != role_changed::role::leader) {
      ask_if_left_out(g, r, now);
    } else if (r.role.serving && r.configured) {
      repair(g, r, now);
      hand_over_if_cut_off(g, r, now);
      lead_where_the_code_is(g, r, now);
      roll_out(g, r, now);
    }
}

caf::behavior
supervisor_actor(caf::stateful_actor<supervisor_actor_state>* self,
                 node_context* ctx, std::shared_ptr<supervisor_start> start) {
  quiet(self);
  auto shell =
      std::make_shared<group_supervisor>(self, *ctx, std::move(*start));
  self->state.shell = shell;
  self->state.timer = std::make_unique<io::timer>(ctx->loop);
  auto* s = shell.get();
  auto* timer = self->state.timer.get();
  const auto period = start->tick;
  struct ticker {
    static void arm(io::timer* t, node_context* c, group_supervisor* g,
                    duration every) {
      t->arm(
          c->loop.now() + every,
          [=] {
            g->on_tick();
            arm(t, c, g, every);
          },
          "supervisor");
    }
  };
  ticker::arm(timer, ctx, s, period);
  self->set_down_handler([s](const caf::down_msg& m) { s->on_down(m); });
  s->await_state();
  s->load_papers();
  return {
      [s](control_in& m) { s->on_control(m); },
      [s](const peer_up_in& m) { s->on_peer_up(m.node); },
      [s](replica_news& m) { s->on_news(m); },
      [s](const host_news& m) { s->on_host_news(m); },
      [s](const log_done_in& m) { s->on_log_done(m); },
      [s](plan_in& m) { s->plan(m); },
      [s](deploy_in& m) { s->deploy(m); },
      [s](papers_in& m) { s->take_papers(m); },
      [s](remove_in& m) { s->remove(m); },
      [s](backup_in& m) { s->backup(m); },
      [s](recover_plan_in& m) {
        const auto app = m.app;
        s->when_known(app,
                      [s, m = std::move(m)]() mutable { s->plan_recovery(m); });
      },
      [s](recover_in& m) { s->take_recoveries(m); },
      [s](copy_in& m) { s->on_copy(m); },
      [s](const compare_in& m) { s->on_compare_wanted(m); },
      [s](const log_damaged_in& m) { s->on_damaged_log(m); },
      [s](halt_replicas_in) { s->halt(); },
      [s](rolled_back_in& m) {
        s->halt();
        s->give_up_all(m.seen, std::move(m.done));
      },
      [s](stop_in& m) { s->stop(m); },
      [s](operate_in& m) { s->operate(m); },
  };
}

} // namespace banyan::actors