// Which versions' hosts this node's groups need, and which of them may go.
#include "actors/node/app.hpp"
#include "actors/node/instance.hpp"
#include "actors/node/names.hpp"
#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

/// A host that nobody needs ends after this: what it still runs ends first.
constexpr duration host_linger = 15s;

bytes name_of(const app_id& app) {
  return app.view().copy();
}

} // namespace

// ---- the version that logs don't name ---------------------------------------

// A group that an older build has made says nothing of its version before its
// first update. Until then it goes on with the one that it ran, however new the
// papers are: those of that version are kept.

group_supervisor::app_base
group_supervisor::base_of(const app_record& a) const {
  const auto kept = bases_.find(a.id);
  if (kept != bases_.end())
    return kept->second;
  return {a.number, a.version.spec};
}

void group_supervisor::load_base(const app_record& a) {
  const auto kept = ctx_.disk.documents->find(
      static_cast<std::uint8_t>(document_kind::base), a.id.view());
  app_papers p;
  if (!kept || !app_papers::decode(kept->view(), p))
    return;
  const auto opened = open_papers(p, ctx_.settings.mesh, start_.trusted);
  if (opened.ok() && opened->id == a.id && opened->number < a.number)
    bases_[a.id] = {opened->number, opened->version.spec};
}

bool group_supervisor::runs_unnamed(const app_id& app) const {
  for (auto i = replicas_.lower_bound({app, 0});
       i != replicas_.end() && i->first.app == app; ++i)
    if (!i->second.version_known || !i->second.version.versions
        || !i->second.version.committed)
      return true;
  return false;
}

void group_supervisor::keep_base(
    const app_record& newer, std::vector<store::documents::change>& changes) {
  const auto had = apps_.find(newer.id);
  if (had == apps_.end() || newer.deleted || bases_.count(newer.id) != 0
      || !runs_unnamed(newer.id))
    return;
  const auto& old = had->second;
  bases_[newer.id] = {old.number, old.version.spec};
  changes.push_back(
      document(document_kind::base, name_of(newer.id), old.papers.encode()));
}

void group_supervisor::forget_base(const app_id& app) {
  if (bases_.erase(app) != 0)
    put_documents({document(document_kind::base, name_of(app), std::nullopt)},
                  nullptr);
}

// ---- hosts ------------------------------------------------------------------

std::uint64_t group_supervisor::running(const local_replica& r) {
  return r.version.versions ? r.version.versions->now.number : r.base;
}

std::optional<app_spec> group_supervisor::spec_of(const app_record& a,
                                                  std::uint64_t number) const {
  if (number == a.number)
    return a.version.spec;
  if (const auto base = base_of(a); base.number == number)
    return base.spec;
  if (const auto seat = instances_.find(a.id); seat != instances_.end())
    if (const auto s = seat->second.specs.find(number);
        s != seat->second.specs.end())
      return s->second;
  app_spec out;
  const auto read = [&out](const_bytes spec) {
    if (!decode(spec, out))
      return false;
    if (out.kind == app_kind::stateless) // a group's log says so
      read_as_groups(out);
    return true;
  };
  for (auto i = replicas_.lower_bound({a.id, 0});
       i != replicas_.end() && i->first.app == a.id; ++i) {
    const auto& v = i->second.version.versions;
    if (v && v->now.number == number && read(v->now.spec))
      return out;
    if (v && v->former && v->former->number == number && read(v->former->spec))
      return out;
  }
  return std::nullopt;
}

void group_supervisor::want_hosts(const app_id& app) {
  const auto at = apps_.find(app);
  if (at == apps_.end() || at->second.deleted || halted_)
    return;
  const auto& a = at->second;
  if (a.genesis.stateless()) {
    instances_at_ = {};
    return;
  }
  std::set<std::uint64_t> wanted;
  bool takes_newest = false;
  for (auto i = replicas_.lower_bound({app, 0});
       i != replicas_.end() && i->first.app == app; ++i) {
    const auto& r = i->second;
    wanted.insert(running(r));
    const auto& v = r.version.versions;
    if (v && v->former)
      wanted.insert(v->former->number);
    takes_newest |= !v || v->refused != a.number;
  }
  // What shard 0 gave up nobody will take.
  const auto canary = ctx_.version_words.find({app, 0});
  if (canary != ctx_.version_words.end() && canary->second.number == a.number
      && (canary->second.state == update_state::rolled_back
          || canary->second.state == update_state::refused))
    takes_newest = false;
  if (takes_newest)
    wanted.insert(a.number);
  for (const auto number : wanted) {
    if (const auto spec = spec_of(a, number))
      start_host(a, number, *spec);
    else
      ctx_.log(log_level::error,
               "app " + a.genesis.name + ": a group here runs version "
                   + std::to_string(number) + ", whose spec can't be read");
  }
  const auto now = ctx_.loop.now();
  for (auto s = seats_.lower_bound({app, 0});
       s != seats_.end() && s->first.first == app; ++s)
    if (wanted.count(s->first.second) != 0)
      s->second.stop_at = never;
    else if (s->second.stop_at == never)
      s->second.stop_at = now + host_linger;
  sum_up_hosts(app);
}

void group_supervisor::stop_host(const app_host_id& id) {
  seats_.erase(id);
  const auto at = ctx_.apps.find(id);
  if (at == ctx_.apps.end()) { // it never began
    if (const auto seat = instances_.find(id.first); seat != instances_.end())
      seat->second.specs.erase(id.second);
    return;
  }
  for (auto i = replicas_.lower_bound({id.first, 0});
       i != replicas_.end() && i->first.app == id.first; ++i)
    ctx_.tell_replica(i->first, host_down_in{{true, std::nullopt}, id.second});
  if (const auto seat = instances_.find(id.first); seat != instances_.end()) {
    ctx_.tell_replica({id.first, 0},
                      host_down_in{{true, std::nullopt}, id.second});
    seat->second.specs.erase(id.second);
    seat->second.load->outstanding.erase(id.second);
  }
  self_->demonitor(at->second);
  caf::anon_send_exit(at->second, caf::exit_reason::user_shutdown);
  ctx_.apps.erase(at);
  if (const auto app = apps_.find(id.first); app != apps_.end()) {
    const auto& name = app->second.genesis.name;
    if (const auto h = ctx_.handlers.find(name); h != ctx_.handlers.end()) {
      h->second.erase(id.second);
      if (h->second.empty())
        ctx_.handlers.erase(h);
    }
  }
}

void group_supervisor::tick_hosts(time_point now) {
  for (const auto& app : std::exchange(hosts_changed_, {}))
    want_hosts(app);
  std::vector<app_host_id> ended;
  for (const auto& [id, s] : seats_)
    if (s.stop_at <= now)
      ended.push_back(id);
  for (const auto& id : ended)
    stop_host(id);
  if (now < ready_again_)
    return;
  ready_again_ = now + 2s;
  for (const auto& [id, a] : apps_)
    tell_ready(id, nullptr);
}

void group_supervisor::on_host_news(const host_news& m) {
  const auto seat = seats_.find({m.app, m.version});
  const auto app = apps_.find(m.app);
  if (seat == seats_.end() || app == apps_.end())
    return; // stopped meanwhile
  auto& s = seat->second;
  s.up = m.up;
  s.exhausted = m.exhausted;
  s.worn = m.worn;
  if (!m.message.empty())
    s.why = m.message;
  if (m.up)
    s.state_version = m.state_version;
  const auto& name = app->second.genesis.name;
  if (m.message.empty())
    ctx_.host_errors.erase(name);
  else
    ctx_.host_errors[name] = m.message;
  sum_up_hosts(m.app);
  keep_instance(m.app, ctx_.loop.now());
  tell_ready(m.app, nullptr);
  look_at_updates(m.app);
}

/// An app's hosts here are those of the versions that some group runs.
void group_supervisor::sum_up_hosts(const app_id& app) {
  const auto a = apps_.find(app);
  if (a == apps_.end())
    return;
  bool exhausted = false;
  bool worn = false;
  for (auto i = replicas_.lower_bound({app, 0});
       i != replicas_.end() && i->first.app == app && !exhausted; ++i)
    if (const auto seat = seats_.find({app, running(i->second)});
        seat != seats_.end()) {
      exhausted |= seat->second.exhausted;
      worn |= seat->second.worn;
    }
  const auto& name = a->second.genesis.name;
  const auto known = troubles_.find(name);
  const bool was = known != troubles_.end()
                   && (known->second.exhausted.count(ctx_.self()) != 0
                       || known->second.worn.count(ctx_.self()) != 0);
  if (was || exhausted || worn)
    stand_here(name, exhausted, worn || exhausted);
}

} // namespace banyan::actors
