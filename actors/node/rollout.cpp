// Updates: each leader takes its group to the newest version, one step at a
// time, as the pure rules say; all tell each other how far they are.
#include "actors/node/modules.hpp"
#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration order_patience = 10s;
constexpr duration retry_pause = 300ms;
constexpr duration retell_pause = 1s;  ///< of figures, while an update is on
constexpr duration word_patience = 3s; ///< figures older than this say nothing
/// Groups of one app whose leaders here take a version at the same time.
constexpr std::size_t takes_at_once = 4;

std::string shard_text(const app_record& a, const group_id& g) {
  return a.genesis.name + "/" + std::to_string(g.shard);
}

} // namespace

// ---- what the others say ----------------------------------------------------

void group_supervisor::tell_ready(const app_id& app, const node_id* to) {
  const auto at = apps_.find(app);
  if (at == apps_.end() || at->second.deleted)
    return;
  const auto number = at->second.number;
  bool pending = false;
  for (auto i = replicas_.lower_bound({app, 0});
       i != replicas_.end() && i->first.app == app && !pending; ++i)
    pending = running(i->second) != number;
  if (!pending)
    return;
  version_ready m;
  m.app = app;
  m.number = number;
  const auto seat = seats_.find({app, number});
  if (seat == seats_.end()) {
    m.ready.why = "its host was ended";
  } else {
    m.ready.ok = seat->second.up;
    m.ready.state_version = seat->second.state_version;
    if (!seat->second.up)
      m.ready.why = why_no_code(ctx_, at->second.version.spec);
    if (!seat->second.up && m.ready.why.empty())
      m.ready.why = seat->second.why;
  }
  const auto frame = encoded_control(m);
  if (to != nullptr)
    ctx_.send(*to, net::channel::group, frame);
  else
    ctx_.broadcast(net::channel::group, frame);
}

void group_supervisor::tell_versions(const node_id& to) {
  for (const auto& [id, a] : apps_)
    tell_ready(id, &to);
  for (auto& [g, r] : replicas_) {
    r.roll.dirty = true; // its node may know more by now
    if (r.role.serving && r.roll.told)
      ctx_.send(to, net::channel::group, encoded_control(*r.roll.told));
  }
}

void group_supervisor::on_version_ready(const node_id& from,
                                        const version_ready& m) {
  if (apps_.count(m.app) == 0)
    return; // said again once its papers are here
  ready_[m.app][from] = m;
  look_at_updates(m.app);
}

void group_supervisor::on_version_word(const node_id& from,
                                       const version_word& m) {
  const auto app = apps_.find(m.group.app);
  if (app == apps_.end() || m.group.shard >= app->second.genesis.shards())
    return;
  const auto known = ctx_.version_words.find(m.group);
  const auto holders = ctx_.known.candidates(m.group);
  if ((known != ctx_.version_words.end() && known->second.term > m.term)
      || std::find(holders.begin(), holders.end(), from) == holders.end())
    return;
  const bool same =
      known != ctx_.version_words.end() && same_word(known->second, m);
  ctx_.version_words[m.group] = m;
  word_at_[m.group] = ctx_.loop.now();
  if (same || m.group.shard != 0)
    return;
  hosts_changed_.insert(m.group.app);
  look_at_updates(m.group.app);
}

void group_supervisor::look_at_updates(const app_id& app) {
  for (auto i = replicas_.lower_bound({app, 0});
       i != replicas_.end() && i->first.app == app; ++i)
    i->second.roll.dirty = true;
}

std::string group_supervisor::why_too_low(const app_record& a,
                                          std::uint32_t state_version) const {
  for (std::uint32_t shard = 0; shard < a.genesis.shards(); ++shard) {
    const auto word = ctx_.version_words.find({a.id, shard});
    if (word == ctx_.version_words.end() || !word->second.written
        || word->second.written->state_version <= state_version)
      continue;
    const auto& w = *word->second.written;
    return "this module writes state version " + std::to_string(state_version)
           + ", but state version " + std::to_string(w.state_version)
           + " was written in shard " + std::to_string(shard) + " at index "
           + std::to_string(w.index.value())
           + ": deploy a module that reads it";
  }
  return {};
}

// ---- a leader's group -------------------------------------------------------

void group_supervisor::on_version(const group_id& g, local_replica& r,
                                  version_changed& v) {
  const auto before = r.version_known ? running(r) : 0;
  r.version = std::move(v);
  r.version_known = true;
  r.roll.dirty = true;
  if (const auto a = apps_.find(g.app);
      a != apps_.end() && before != 0 && before != running(r))
    ctx_.log(log_level::info, shard_text(a->second, g) + " runs version "
                                  + std::to_string(running(r)));
  if (bases_.count(g.app) != 0 && !runs_unnamed(g.app))
    forget_base(g.app);
  if (ctx_.apps.count({g.app, running(r)}) == 0)
    want_hosts(g.app);
  else
    hosts_changed_.insert(g.app);
  if (r.role.serving)
    roll_out(g, r, ctx_.loop.now());
}

void group_supervisor::roll_out(const group_id& g, local_replica& r,
                                time_point now) {
  auto& s = r.roll;
  if (!r.role.serving || !r.configured || !r.version_known
      || (!s.dirty && !s.pending))
    return;
  if (s.number != 0 && now < s.give_up)
    return;
  s.number = 0;
  if (now < s.retry_at)
    return;
  const auto app = apps_.find(g.app);
  if (app == apps_.end() || app->second.deleted)
    return;
  const auto& a = app->second;
  const auto facts = facts_of(g, a, r, now);
  const auto step = next_step(facts);
  s.dirty = false;
  s.pending = step.what != rollout_step::kind::rest;
  tell_word(g, a, r, step, now);
  carry_out(g, a, r, facts, step, now);
}

rollout_facts group_supervisor::facts_of(const group_id& g, const app_record& a,
                                         local_replica& r, time_point now) {
  auto& s = r.roll;
  rollout_facts f;
  f.newest = a.number;
  f.watch = a.version.spec.update_watch;
  f.shard = g.shard;
  f.running = running(r);
  f.versions = r.version.versions;
  f.written = r.version.written;
  f.features = r.version.features;
  f.newborn = now < r.newborn_until;
  f.changing = r.adding || r.configuration.joint();
  if (const auto seat = seats_.find({g.app, f.running}); seat != seats_.end())
    f.host_up = seat->second.up;
  const auto& words = ready_[g.app];
  const auto note = [&](const replica_ref& who, bool voter) {
    rollout_member m;
    m.who = who;
    m.name = short_string(who.node);
    m.voter = voter;
    m.here = who.node == ctx_.self();
    m.reached = m.here || ctx_.members->hears(who.node);
    if (m.reached)
      s.away.erase(who.node);
    else
      m.away = now - s.away.try_emplace(who.node, now).first->second;
    m.features = ctx_.features_of(who.node);
    if (m.here) {
      if (const auto seat = seats_.find({g.app, a.number});
          seat != seats_.end())
        m.ready = version_readiness{seat->second.up, seat->second.state_version,
                                    seat->second.why};
    } else if (const auto w = words.find(who.node);
               w != words.end() && w->second.number == a.number) {
      m.ready = w->second.ready;
    }
    f.members.push_back(std::move(m));
  };
  for (const auto& v : r.configuration.voters)
    note(v, true);
  for (const auto& l : r.configuration.learners)
    note(l, false);
  if (const auto w = ctx_.version_words.find({g.app, 0});
      g.shard != 0 && w != ctx_.version_words.end())
    f.canary = canary_word{w->second.running, w->second.number, w->second.state,
                           w->second.why};
  if (!f.versions || !f.versions->former) {
    s.watched = 0;
    return f;
  }
  if (std::exchange(s.watched, f.running) != f.running)
    s.since = now;
  f.watched = now - s.since;
  if (s.health && s.health->version == f.running) {
    f.longest_turn = s.health->longest;
    f.fresh = figures_of(s.health->now);
    f.before = figures_of(s.health->before);
  }
  for (std::uint32_t shard = 1; shard < a.genesis.shards(); ++shard) {
    const auto w = ctx_.version_words.find({g.app, shard});
    const auto at = word_at_.find({g.app, shard});
    if (w != ctx_.version_words.end() && at != word_at_.end()
        && w->second.running != f.running && now - at->second < word_patience)
      f.others.push_back(w->second.health);
  }
  return f;
}

void group_supervisor::carry_out(const group_id& g, const app_record& a,
                                 local_replica& r, const rollout_facts& f,
                                 const rollout_step& step, time_point now) {
  using kind = rollout_step::kind;
  auto& s = r.roll;
  if (s.pending)
    ctx_.tell_replica(
        g, health_in{[weak = weak_from_this(), g](const version_health& h) {
          const auto self = weak.lock();
          if (self == nullptr)
            return;
          const auto at = self->replicas_.find(g);
          if (at != self->replicas_.end())
            at->second.roll.health = std::make_unique<version_health>(h);
        }});
  else
    s.health.reset();
  if (step.what == kind::rest || step.what == kind::wait)
    return;
  group_order o;
  o.what = group_order::kind::version;
  version_order v;
  const auto edition = [&](std::uint64_t number) {
    const auto seat = seats_.find({g.app, number});
    const auto spec = spec_of(a, number);
    if (seat == seats_.end() || !seat->second.up || !spec)
      return false;
    v.edition = {number, seat->second.state_version, encode(*spec)};
    return true;
  };
  switch (step.what) {
  case kind::enable:
    o.what = group_order::kind::features;
    o.bits = feature::versions;
    break;
  case kind::record:
    v.what = version_order::kind::record;
    v.written = !r.version.newborn;
    if (!edition(f.running))
      return;
    break;
  case kind::take: {
    std::size_t under_way = 0;
    for (auto i = replicas_.lower_bound({g.app, 0});
         i != replicas_.end() && i->first.app == g.app; ++i)
      under_way += i->second.roll.number != 0 ? 1 : 0;
    v.what = version_order::kind::take;
    v.watched = g.shard == 0 && f.watch > duration{};
    if (under_way >= takes_at_once || !edition(f.newest))
      return;
    break;
  }
  case kind::settle:
    v.what = version_order::kind::settle;
    v.refused = step.why.empty() ? 0 : f.running;
    v.why = step.why;
    break;
  default:
    v.what = version_order::kind::go_back;
    v.refused = f.running;
    v.why = step.why;
  }
  if (o.what == group_order::kind::version)
    o.version = std::move(v);
  s.number = o.number = ++next_number_;
  s.step = step;
  s.give_up = now + order_patience;
  ctx_.tell_replica(g, std::move(o));
}

bool group_supervisor::on_rolled(const group_id& g, local_replica& r,
                                 const change_done& d) {
  auto& s = r.roll;
  if (s.number == 0 || d.number != s.number)
    return false;
  s.number = 0;
  s.dirty = true;
  const auto app = apps_.find(g.app);
  if (app == apps_.end())
    return true;
  const auto& a = app->second;
  if (!d.done) {
    s.retry_at = ctx_.loop.now() + retry_pause;
    ctx_.log(log_level::info,
             shard_text(a, g) + ": its version stays for now: " + d.why);
    return true;
  }
  using kind = rollout_step::kind;
  const auto version = "version " + std::to_string(running(r));
  const auto say = [&](log_level l, event_kind e, const std::string& text) {
    ctx_.log(l, shard_text(a, g) + ": " + text);
    ctx_.group_event(e, g, text);
  };
  switch (s.step.what) {
  case kind::take:
    if (g.shard == 0)
      say(log_level::info, event_kind::rollout_began,
          version + " took over on shard 0"
              + (r.version.versions && r.version.versions->former
                     ? ", watched before the others follow"
                     : ""));
    break;
  case kind::settle:
    if (s.step.why.empty())
      say(log_level::info, event_kind::rollout_ended,
          version + " is well on shard 0: the others follow");
    else
      say(log_level::error, event_kind::rollout_paused,
          version + " failed and stays: " + s.step.why);
    break;
  case kind::go_back:
    say(log_level::error, event_kind::rolled_back,
        "went back to " + version + ": " + s.step.why);
    break;
  default:
    break;
  }
  roll_out(g, r, ctx_.loop.now());
  return true;
}

void group_supervisor::tell_word(const group_id& g, const app_record& a,
                                 local_replica& r, const rollout_step& step,
                                 time_point now) {
  auto& s = r.roll;
  version_word w;
  w.group = g;
  w.term = r.role.term;
  w.running = running(r);
  if (r.version.versions)
    w.state_version = r.version.versions->now.state_version;
  w.written = r.version.written;
  w.number = a.number;
  w.state = step.state;
  w.why = step.why;
  if (s.health)
    w.health = figures_of(s.health->recent);
  if (s.told && same_word(*s.told, w) && now - s.told_at < retell_pause)
    return;
  const bool news = !s.told || !same_word(*s.told, w);
  if (news && w.state == update_state::waiting
      && w.why != (s.told ? s.told->why : ""))
    ctx_.log(log_level::info, shard_text(a, g) + ": " + w.why);
  s.told = w;
  s.told_at = now;
  ctx_.version_words[g] = w;
  word_at_[g] = now;
  ctx_.broadcast(net::channel::group, encoded_control(w));
  if (news && g.shard == 0)
    look_at_updates(g.app);
}

} // namespace banyan::actors
