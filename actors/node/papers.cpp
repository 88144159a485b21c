// The apps' documents: what was stored, what owners and peers bring, and what
// that means for replicas and apps here.
#include "actors/pure/papers.hpp"

#include "actors/docs/app_secrets.hpp"
#include "actors/node/names.hpp"
#include "actors/node/operator_desk.hpp"
#include "actors/node/supervisor.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

/// `asked`: its owner came to this peer with it.
event_kind papers_event(const app_record& old, const app_record& now,
                        bool asked) {
  if (now.deleted)
    return old.deleted ? event_kind::updated : event_kind::removed;
  if (old.deleted)
    return event_kind::undeleted;
  return asked && !old.version.spec.restoring.empty()
                 && now.version.spec.restoring.empty()
             ? event_kind::restored
             : event_kind::updated;
}

} // namespace

void group_supervisor::load_papers() {
  desk_->load();
  load_recoveries();
  for (const auto& [name, content] : ctx_.disk.documents->list(
           static_cast<std::uint8_t>(document_kind::papers))) {
    app_papers p;
    if (!app_papers::decode(content.view(), p))
      continue;
    auto opened = open_papers(p, ctx_.settings.mesh, start_.trusted);
    if (!opened.ok()) {
      ctx_.log(log_level::warning,
               "an app's documents in this directory are signed by an owner "
               "that the mesh file doesn't name: ignored");
      continue;
    }
    const auto id = opened->id;
    load_base(*opened);
    apps_.insert_or_assign(id, std::move(*opened));
    install(apps_.at(id));
  }
  name_modules();
}

void group_supervisor::adopt(const app_papers& p, const node_id* from,
                             deploy_function done) {
  const auto refuse = [&](reply_status s, std::string why) {
    if (!done)
      return;
    deploy_answer a;
    a.status = s;
    a.message = std::move(why);
    done(std::move(a));
  };
  auto opened = open_papers(p, ctx_.settings.mesh, start_.trusted);
  if (!opened.ok())
    switch (opened.error()) {
    case papers_errc::malformed:
      return refuse(reply_status::invalid_argument,
                    "these are not the signed documents of one app");
    case papers_errc::bad_signature:
      return refuse(reply_status::forbidden, "a signature is wrong");
    case papers_errc::untrusted:
      return refuse(reply_status::forbidden,
                    "the owner that signed this is not named in this peer's "
                    "mesh file");
    }
  auto& a = *opened;
  const auto had = apps_.find(a.id);
  if (had != apps_.end()) {
    auto met = meet(had->second, a);
    if (met.is == papers_meeting::outcome::refused)
      return refuse(met.status, std::move(met.why));
    if (met.is == papers_meeting::outcome::same) {
      if (done) {
        deploy_answer same;
        same.app = a.id;
        done(std::move(same));
      }
      return;
    }
    auto again = open_papers(met.merged, ctx_.settings.mesh, start_.trusted);
    if (!again.ok())
      return refuse(reply_status::invalid_argument,
                    "these documents don't go with those that are here");
    a = std::move(*again);
  }
  // A deploy is told; what peers pass on is kept as it is, and its host says
  // what it lacks.
  if (auto why = why_no_secrets(a.version.spec);
      done && !a.deleted && !why.empty())
    return refuse(reply_status::invalid_argument, std::move(why));
  const bool back = had != apps_.end() && had->second.deleted && !a.deleted;
  if (back && done && is_over(a.id))
    return refuse(reply_status::expired,
                  "its data was kept for 7 days of this peer's running time "
                  "and is gone; restore a backup");
  if (had != apps_.end() && had->second.deleted && a.deleted && done
      && a.papers.deletion == had->second.papers.deletion)
    return refuse(reply_status::conflict,
                  "the app was removed; `banyan undelete " + a.genesis.name
                      + "` takes that back");
  if (const auto& spec = a.version.spec;
      done && !a.deleted
      && (back || (had == apps_.end() && !spec.restoring.empty())))
    if (auto who = older_peers(feature::backups); !who.empty())
      return refuse(reply_status::conflict,
                    who
                        + (back ? " not know how to take a removal back"
                                : " not know of restores, and would serve it "
                                  "half restored")
                        + ": update banyan-peer there first");
  if (!a.deleted && (had == apps_.end() || back))
    if (const auto* other = ctx_.known.find_app(a.genesis.name);
        other != nullptr && other->id != a.id && done)
      return refuse(reply_status::conflict,
                    "there is another app named '" + a.genesis.name
                        + "': remove it first, or choose another name");
  bytes name = a.id.view().copy();
  const node_id source = from == nullptr ? node_id{} : *from;
  const auto record = std::make_shared<app_record>(std::move(a));
  std::vector<store::documents::change> changes{document(
      document_kind::papers, std::move(name), record->papers.encode())};
  keep_base(*record, changes);
  const auto basis = had == apps_.end() ? bytes{} : had->second.papers.encode();
  put_documents(std::move(changes), [this, record, source, basis,
                                     done = std::move(done)] {
    // Another one was stored meanwhile: they are put together anew, so that a
    // deletion and an update that met on their way are both kept.
    if (const auto now = apps_.find(record->id);
        now != apps_.end() && now->second.papers.encode() != basis) {
      put_documents({document(document_kind::papers, record->id.view().copy(),
                              now->second.papers.encode())},
                    nullptr);
      return adopt(record->papers, nullptr, done);
    }
    const auto old = apps_.find(record->id);
    const auto kind = old == apps_.end()
                          ? event_kind::deployed
                          : papers_event(old->second, *record, done != nullptr);
    apps_.insert_or_assign(record->id, *record);
    ctx_.event(kind, record->genesis.name,
               "version " + std::to_string(record->number));
    if (record->deleted)
      uninstall(apps_.at(record->id));
    else
      install(apps_.at(record->id));
    for (std::uint32_t s = 0; s < record->genesis.shards(); ++s)
      if (recoveries_.count({record->id, s}) != 0)
        apply_lineage({record->id, s});
    name_modules();
    for (const auto& l : ctx_.links->links())
      if (l.role == link_role::peer && l.node != source)
        tell_papers(l.node, record->papers); // who has them passes them no more
    if (done) {
      offer_modules(*record, ctx_.loop.now());
      deploy_answer ok;
      ok.app = record->id;
      done(std::move(ok));
    }
  });
}

void group_supervisor::install(const app_record& a) {
  if (a.genesis.stateless())
    ctx_.stateless.insert(a.id);
  if (a.deleted) { // an older one of its name never hides a living one
    if (!is_over(a.id)) {
      ctx_.removed[a.genesis.name] = {
          a.id, ctx_.settings.removed.left(kept_for(a.id))};
      use_secret(a);
      begin_replicas(a); // closed: its data is looked after as any other
    }
    ctx_.papers.emplace(a.genesis.name, a.papers.encode());
    return;
  }
  if (a.read_as_groups)
    ctx_.log(log_level::warning,
             "app " + a.genesis.name
                 + " was deployed as stateless by an older banyan-peer, which "
                   "made groups of it: it is served as durable. For instances, "
                   "remove it and deploy it anew");
  ctx_.known.put_app({a.id, a.genesis.name, a.genesis.shards(),
                      a.genesis.voters, a.genesis.stateless()});
  show_name(a.genesis.name);
  use_secret(a);
  for (std::uint32_t s = 0; s < a.genesis.shards(); ++s)
    if (recoveries_.count({a.id, s}) != 0
        && !lineage_of({a.id, s}).conflicting.empty())
      ctx_.lineage_conflicts.insert({a.id, s});
  begin_replicas(a);
  want_hosts(a.id);
  look_at_updates(a.id);
  reopen(a);
}

// What is kept by name is that of the one whose id is the smallest, on every
// node the same.
void group_supervisor::show_name(const std::string& name) {
  const auto* shown = ctx_.known.find_app(name);
  if (shown == nullptr) {
    ctx_.lineages.erase(name);
    ctx_.specs.erase(name);
    ctx_.versions.erase(name);
    ctx_.conflicts.erase(name);
    return;
  }
  const auto& a = apps_.at(shown->id);
  ctx_.lineages[name] = a.genesis.lineage;
  ctx_.specs[name] = a.version.spec;
  ctx_.versions[name] = a.number;
  ctx_.papers[name] = a.papers.encode();
  if (!shown->contested) {
    ctx_.conflicts.erase(name);
    return;
  }
  std::vector<contested_app> all;
  for (const auto& [id, other] : apps_)
    if (other.genesis.name == name && ctx_.known.find_app(id) != nullptr)
      all.push_back({id, other.genesis.owner, other.papers.encode()});
  auto& told = ctx_.conflicts[name];
  const bool news = told.size() != all.size();
  told = std::move(all);
  if (!news)
    return;
  ctx_.log(log_level::error, contested_words(name, told));
  ctx_.event(event_kind::conflict, name, contested_words(name, told));
}

void group_supervisor::use_secret(const app_record& a) {
  if (ctx_.guard.knows(a.id))
    return;
  const auto use = [&](const secret_bytes<32>& s) {
    if (group_secret_hash(s) != a.genesis.secret_hash)
      return false;
    ctx_.guard.put_secret(a.id, s);
    return true;
  };
  for (const auto& sealed : a.version.secrets) {
    secret_bytes<32> s;
    if (sealed.node == ctx_.self()
        && open_secret(ctx_.key, group_secret_context(a.genesis.nonce),
                       sealed.secret, s)
        && use(s))
      return;
  }
  const auto kept = ctx_.disk.documents->find(
      static_cast<std::uint8_t>(document_kind::secret), a.id.view());
  secret_bytes<32> s;
  if (kept && secret_bytes<32>::from(kept->view(), s))
    use(s);
}

void group_supervisor::uninstall(const app_record& a) {
  const auto& name = a.genesis.name;
  if (a.genesis.stateless())
    ctx_.stateless.insert(a.id);
  // Replicas stay, closed, for as long as the data is kept.
  refresh_closed(a);
  if (!is_over(a.id))
    ctx_.removed[name] = {a.id, ctx_.settings.removed.left(kept_for(a.id))};
  forget_secrets(a.id);
  const bool was_contested = ctx_.conflicts.count(name) != 0;
  if (ctx_.known.find_app(a.id) != nullptr) {
    ctx_.known.remove_app(a.id);
    show_name(name);
    troubles_.erase(name);
    ctx_.unwell_hosts.erase(name);
  }
  // What an undelete goes on from, also when an update comes late.
  if (ctx_.known.find_app(name) == nullptr)
    ctx_.papers[name] = a.papers.encode();
  ctx_.app_lines.erase(name);
  while (true) {
    const auto host = ctx_.apps.lower_bound({a.id, 0});
    if (host == ctx_.apps.end() || host->first.first != a.id)
      break;
    stop_host(app_host_id{host->first});
  }
  drop_instance(a.id);
  seats_.erase(seats_.lower_bound({a.id, 0}),
               seats_.upper_bound({a.id, UINT64_MAX}));
  ready_.erase(a.id);
  for (std::uint32_t s = 0; s < a.genesis.shards(); ++s) {
    ctx_.version_words.erase({a.id, s});
    word_at_.erase({a.id, s});
  }
  caf::anon_send(ctx_.router, app_gone_in{a.id});
  // Of two apps that bore this name the other one is served from now on.
  if (const auto* other = ctx_.known.find_app(name);
      was_contested && other != nullptr && !other->contested)
    install(apps_.at(other->id));
}

// ---- peers
// -----------------------------------------------------------------------

void group_supervisor::tell_papers(const node_id& to, const app_papers& p) {
  ctx_.tell(to, net::channel::group, encoded_control(p));
}

} // namespace banyan::actors
