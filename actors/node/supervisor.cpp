#include "actors/node/supervisor.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/app.hpp"
#include "actors/node/names.hpp"
#include "actors/node/node.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

store::documents::change document(document_kind kind, bytes name,
                                  std::optional<bytes> content) {
  return {static_cast<std::uint8_t>(kind), std::move(name), std::move(content)};
}

std::optional<replica_id> read_replica(const store::documents& d,
                                       document_kind kind, const bytes& name) {
  const auto found = d.find(static_cast<std::uint8_t>(kind), name);
  replica_id id;
  if (!found || !replica_id::from(found->view(), id))
    return std::nullopt;
  return id;
}

} // namespace

group_supervisor::group_supervisor(caf::event_based_actor* self,
                                   node_context& ctx, supervisor_start start)
    : self_{self}, ctx_{ctx}, start_{std::move(start)} {
}

void group_supervisor::begin() {
  if (!ctx_.disk.documents->damaged())
    return load_papers();
  // A vote's replica id or an app's newer document may be missing.
  ctx_.log(log_level::error,
           "the documents file was damaged: this node gives up its replicas "
           "and comes back as a learner; the bad file is kept in DIR/aside");
  give_up_all([this] {
    static_cast<void>(ctx_.disk.documents->forget_damage());
    load_papers();
  });
}

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

// ---- documents
// ------------------------------------------------------------------

void group_supervisor::load_papers() {
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
    apps_.insert_or_assign(id, std::move(*opened));
    install(apps_.at(id));
  }
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
    const auto& old = had->second;
    const bool newer = a.number > old.number || (a.deleted && !old.deleted);
    if (!newer) {
      if (a.number == old.number && !(a.papers.version == old.papers.version)
          && a.deleted == old.deleted)
        return refuse(reply_status::conflict,
                      "version " + std::to_string(a.number)
                          + " exists with other contents: sign a higher one");
      if (done) {
        deploy_answer same;
        same.app = a.id;
        done(std::move(same));
      }
      return;
    }
    if (old.deleted)
      return refuse(reply_status::conflict, "the app was removed");
  }
  if (!a.deleted && had == apps_.end())
    if (const auto* other = ctx_.known.find_app(a.genesis.name);
        other != nullptr && other->id != a.id && done)
      return refuse(reply_status::conflict,
                    "there is another app named '" + a.genesis.name
                        + "': remove it first, or choose another name");
  bytes name = a.id.view().copy();
  const node_id source = from == nullptr ? node_id{} : *from;
  const auto record = std::make_shared<app_record>(std::move(a));
  put_documents({document(document_kind::papers, std::move(name),
                          record->papers.encode())},
                [this, record, source, done = std::move(done)] {
                  // A newer one may have been stored meanwhile.
                  if (const auto now = apps_.find(record->id);
                      now != apps_.end()
                      && (now->second.deleted
                          || (!record->deleted
                              && record->number <= now->second.number))) {
                    if (done) {
                      deploy_answer same;
                      same.app = record->id;
                      done(std::move(same));
                    }
                    return;
                  }
                  apps_.insert_or_assign(record->id, *record);
                  if (record->deleted)
                    uninstall(apps_.at(record->id));
                  else
                    install(apps_.at(record->id));
                  for (const auto& l : ctx_.links->links())
                    if (l.role == link_role::peer && l.node != source)
                      tell_papers(l.node, record->papers);
                  if (done) {
                    deploy_answer ok;
                    ok.app = record->id;
                    done(std::move(ok));
                  }
                });
}

void group_supervisor::install(const app_record& a) {
  if (a.deleted) { // an older one of its name never hides a living one
    ctx_.papers.emplace(a.genesis.name, a.papers.encode());
    return;
  }
  if (const auto* other = ctx_.known.find_app(a.genesis.name);
      other != nullptr && other->id != a.id) {
    ctx_.log(log_level::error,
             "two apps bear the name '" + a.genesis.name
                 + "': both keep their data and neither is served until its "
                   "owner removes one");
    ctx_.conflicts.insert(a.genesis.name);
  }
  ctx_.lineages[a.genesis.name] = a.genesis.lineage;
  ctx_.specs[a.genesis.name] = a.version.spec;
  ctx_.versions[a.genesis.name] = a.number;
  ctx_.papers[a.genesis.name] = a.papers.encode();
  ctx_.known.put_app(
      {a.id, a.genesis.name, a.genesis.shards(), a.genesis.voters});
  use_secret(a);
  begin_replicas(a);
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

void group_supervisor::begin_replicas(const app_record& a) {
  const auto& documents = *ctx_.disk.documents;
  for (std::uint32_t shard = 0; shard < a.genesis.shards(); ++shard) {
    const group_id g{a.id, shard};
    if (replicas_.count(g) != 0 || first_writes_.count(g) != 0)
      continue;
    const auto name = shard_name(a.id.view(), shard);
    if (const auto id = read_replica(documents, document_kind::replica, name)) {
      begin_replica(a, shard, *id, false);
      continue;
    }
    const auto reserved = read_replica(documents, document_kind::reservation,
                                       shard_name(a.genesis.nonce, shard));
    if (!reserved)
      continue;
    const replica_ref me{ctx_.self(), *reserved};
    const auto& voters = a.genesis.voters[shard];
    if (std::find(voters.begin(), voters.end(), me) != voters.end())
      begin_replica(a, shard, *reserved, true);
  }
}

// A replica exists once its log has a first write and a document names it. So a
// document without a log is a lost log: then nothing starts, the node answers
// `no such replica`, and the leader replaces it as a lost disk.
void group_supervisor::begin_replica(const app_record& a, std::uint32_t shard,
                                     const replica_id& id, bool fresh,
                                     std::function<void()> then) {
  const group_id g{a.id, shard};
  if (!fresh)
    return spawn(a, shard, id);
  store::log_write first;
  first.order = {g, id, {}, 0};
  first.reset = log_base{};
  first.hard = hard_state{};
  first_writes_[g].id = id;
  first_writes_[g].then = [this, app = a.id, shard, id,
                           then = std::move(then)] {
    const auto at = apps_.find(app);
    if (at == apps_.end())
      return;
    const auto name = shard_name(app.view(), shard);
    put_documents(
        {document(document_kind::replica, name, id.view().copy()),
         document(document_kind::reservation,
                  shard_name(at->second.genesis.nonce, shard), std::nullopt)},
        [this, app, shard, id, then] {
          const auto found = apps_.find(app);
          if (found != apps_.end() && !found->second.deleted)
            spawn(found->second, shard, id);
          if (then)
            then();
        });
  };
  ctx_.made_this_boot.insert(id);
  // Rows that a replica left here which was given up are not the new one's: it
  // begins with none, and gets all from its leader.
  const auto& states = ctx_.disk.recovered_states;
  if (std::none_of(states.begin(), states.end(),
                   [&](const auto& r) { return r.group == g; }))
    return ctx_.disk.log->submit(std::move(first));
  ctx_.disk.state->drop(
      first.order, [weak = weak_from_this(),
                    first](const result<void, store::state_error>& dropped) {
        const auto self = weak.lock();
        if (self == nullptr)
          return;
        if (!dropped.ok())
          return self->start_.fatal(1, dropped.error().message);
        self->ctx_.disk.log->submit(first);
      });
}

void group_supervisor::on_log_done(const log_done_in& m) {
  const auto at = first_writes_.find(m.done.order.group);
  if (at == first_writes_.end())
    return;
  if (m.done.order.replica != at->second.id)
    return; // of the replica that was here before
  const auto then = std::move(at->second.then);
  first_writes_.erase(at);
  if (!m.done.error)
    return then();
  if (*m.done.error == store::store_errc::io)
    start_.fatal(1, "the log can't be written");
}

void group_supervisor::spawn(const app_record& a, std::uint32_t shard,
                             const replica_id& id) {
  const group_id g{a.id, shard};
  if (halted_ || replicas_.count(g) != 0)
    return;
  replica_start s;
  s.app = a.genesis.name;
  s.voters_wanted = a.version.spec.replicas;
  auto& c = s.config;
  c.group = g;
  c.lineage = a.genesis.lineage;
  c.self = {ctx_.self(), id};
  c.incarnation = ctx_.incarnation;
  c.app_name = a.genesis.name;
  c.shards = a.genesis.shards();
  c.raft = start_.raft;
  const auto& voters = a.genesis.voters[shard];
  if (std::find(voters.begin(), voters.end(), c.self) != voters.end())
    c.genesis_voters = voters;
  bool has_log = ctx_.made_this_boot.erase(id) != 0;
  for (auto& l : ctx_.disk.recovered_logs.logs)
    if (l.group == g && l.replica == id) {
      if (l.damaged) {
        ctx_.log(log_level::error, "the log of " + a.genesis.name + "/"
                                       + std::to_string(shard) + " is damaged ("
                                       + l.damage
                                       + "): this replica is given up and will "
                                         "be replaced from the others");
        return;
      }
      has_log = true;
      s.log = std::move(l);
      // Once: what it holds is old as soon as the replica has run.
      l.group = {};
      break;
    }
  for (auto& r : ctx_.disk.recovered_states)
    if (r.group == g && r.replica == id && !r.damaged)
      s.meta = std::move(r.meta);
  if (!has_log) {
    ctx_.log(log_level::error,
             "the log of " + a.genesis.name + "/" + std::to_string(shard)
                 + " is missing: this replica is given up and will be replaced "
                   "from the others");
    return;
  }
  start_app(a);
  local_replica r;
  r.id = id;
  r.actor = self_->system().spawn(replica_actor, &ctx_, std::move(s));
  self_->monitor(r.actor);
  ctx_.replicas[g] = r.actor;
  replicas_.emplace(g, std::move(r));
  refresh_sharing();
}

void group_supervisor::start_app(const app_record& a) {
  const auto& name = a.genesis.name;
  if (ctx_.apps.count(name) != 0)
    return;
  host_options o;
  o.module = a.version.spec.module;
  o.config = a.version.spec.config;
  auto actor = self_->system().spawn(app_actor, &ctx_, name, std::move(o));
  self_->monitor(actor);
  ctx_.apps.emplace(name, std::move(actor));
}

void group_supervisor::stop_replica(const group_id& g) {
  const auto at = replicas_.find(g);
  if (at == replicas_.end())
    return;
  const auto actor = at->second.actor;
  replicas_.erase(at);
  ctx_.replicas.erase(g);
  if (const auto app = apps_.find(g.app); app != apps_.end())
    ctx_.tell_app(app->second.genesis.name, replica_joined{g, false});
  self_->demonitor(actor);
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  refresh_sharing();
}

void group_supervisor::forget_replica(const group_id& g) {
  const auto at = replicas_.find(g);
  if (at == replicas_.end())
    return;
  const auto id = at->second.id;
  stop_replica(g);
  ctx_.disk.state->drop({g, id, {}, 0},
                        [](const result<void, store::state_error>&) {});
  ctx_.disk.log->drop({g, id, {}, 0});
  put_documents({document(document_kind::replica,
                          shard_name(g.app.view(), g.shard), std::nullopt)},
                nullptr);
}

void group_supervisor::give_up_replica(const group_id& g,
                                       const std::string& why) {
  ctx_.log(log_level::error, "replica " + short_string(g.app) + "/"
                                 + std::to_string(g.shard)
                                 + " is given up: " + why
                                 + ". Its leader makes another; what is on "
                                   "this disk is kept");
  stop_replica(g);
  // The document stays: log and votes may be whole, and a start after a repair
  // brings the replica back, unless another was made here meanwhile.
}

void group_supervisor::give_up_all(std::function<void()> then) {
  std::vector<store::documents::change> changes;
  for (const auto kind : {document_kind::replica, document_kind::reservation})
    for (const auto& [name, content] :
         ctx_.disk.documents->list(static_cast<std::uint8_t>(kind)))
      changes.push_back(document(kind, name, std::nullopt));
  if (changes.empty())
    return then();
  put_documents(std::move(changes), std::move(then));
}

void group_supervisor::halt() {
  halted_ = true;
  while (!replicas_.empty())
    stop_replica(group_id{replicas_.begin()->first});
}

void group_supervisor::uninstall(const app_record& a) {
  const auto& name = a.genesis.name;
  for (std::uint32_t s = 0; s < a.genesis.shards(); ++s)
    stop_replica({a.id, s});
  if (const auto* known = ctx_.known.find_app(name);
      known != nullptr && known->id == a.id) {
    ctx_.known.remove_app(a.id);
    ctx_.lineages.erase(name);
    ctx_.specs.erase(name);
    ctx_.versions.erase(name);
    ctx_.papers[name] = a.papers.encode();
    if (const auto at = ctx_.apps.find(name); at != ctx_.apps.end()) {
      self_->demonitor(at->second);
      caf::anon_send_exit(at->second, caf::exit_reason::user_shutdown);
      ctx_.apps.erase(at);
    }
  }
  caf::anon_send(ctx_.router, app_gone_in{a.id});
  // Of two apps that bore this name the other one is served from now on.
  if (ctx_.conflicts.erase(name) != 0)
    for (const auto& [id, other] : apps_)
      if (id != a.id && !other.deleted && other.genesis.name == name)
        return install(other);
}

// ---- peers
// -----------------------------------------------------------------------

void group_supervisor::tell_papers(const node_id& to, const app_papers& p) {
  bytes b;
  writer{b}.array(2).uint(static_cast<std::uint64_t>(control_kind::document));
  append(b, p.encode());
  ctx_.send(to, net::channel::group, b);
}

void group_supervisor::on_peer_up(const node_id& node) {
  bytes b;
  writer w{b};
  w.array(2).uint(static_cast<std::uint64_t>(control_kind::documents));
  w.array(apps_.size());
  for (const auto& [id, a] : apps_)
    w.array(3).id(id).uint(a.number).boolean(a.deleted);
  ctx_.send(node, net::channel::group, b);
  for (const auto& [g, r] : replicas_)
    if (const auto* v = ctx_.known.view(g);
        v != nullptr && r.role.serving && v->leader.node == ctx_.self()) {
      bytes out;
      writer{out}.array(2).uint(static_cast<std::uint64_t>(control_kind::view));
      encode(*v, out);
      ctx_.send(node, net::channel::group, out);
    }
  refresh_sharing();
}

void group_supervisor::on_control(control_in& m) {
  switch (static_cast<control_kind>(m.kind)) {
  case control_kind::documents: {
    std::map<app_id, std::pair<std::uint64_t, bool>> theirs;
    reader r{m.body};
    const auto n = r.array(100'000);
    for (std::size_t i = 0; i < n && r.ok(); ++i) {
      app_id id;
      r.require(r.array(3) == 3);
      r.id(id);
      const auto number = r.uint();
      theirs[id] = {number, r.boolean()};
    }
    if (!r.done())
      return;
    for (const auto& [id, a] : apps_) {
      const auto at = theirs.find(id);
      if (at == theirs.end() || at->second.first < a.number
          || (a.deleted && !at->second.second))
        tell_papers(m.from, a.papers);
    }
    return;
  }
  case control_kind::document: {
    app_papers p;
    if (app_papers::decode(m.body, p))
      adopt(p, &m.from, nullptr);
    return;
  }
  case control_kind::make_replica:
    return on_make_replica(m.from, m.body);
  case control_kind::replica_made:
    return on_replica_made(m.from, m.body);
  case control_kind::failover:
    return on_failover_frame(m.body);
  case control_kind::host_state:
    return on_host_state(m.from, m.body);
  default:
    return;
  }
}

void group_supervisor::refresh_sharing() {
  if (ctx_.members == nullptr)
    return;
  std::set<node_id> sharing;
  for (const auto& [g, r] : replicas_)
    for (const auto& node : ctx_.known.candidates(g))
      sharing.insert(node);
  for (const auto& m : ctx_.members->members())
    if (m.record.node != ctx_.self())
      ctx_.members->set_shares_group(m.record.node,
                                     sharing.count(m.record.node) != 0);
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
    }
    r.role = *role;
  } else if (const auto* conf = std::get_if<configuration_changed>(&m.what)) {
    if (conf->committed) {
      r.configuration = conf->configuration;
      r.configured = true;
      const auto& voters = r.configuration.voters;
      r.watch.set_voters({voters.begin(), voters.end()});
      refresh_sharing();
    }
  } else if (const auto* f = std::get_if<failover_report>(&m.what)) {
    on_failover(m.group, *f);
  } else if (const auto* lost = std::get_if<replica_lost>(&m.what)) {
    r.watch.give_up(lost->who, ctx_.loop.now());
    r.lost_learners.insert(lost->who);
  } else if (std::get_if<replica_retired>(&m.what) != nullptr) {
    forget_replica(m.group);
  } else if (const auto* t = std::get_if<host_trouble>(&m.what)) {
    if (t->kind == host_trouble::what::newer_state) {
      group_order o;
      order(m.group, r, std::move(o)); // leadership to one that can read it
    }
  } else if (const auto* d = std::get_if<change_done>(&m.what)) {
    on_change_done(m.group, *d);
  } else if (const auto* bad = std::get_if<replica_failed>(&m.what)) {
    if (bad->at_start)
      return give_up_replica(m.group, bad->message);
    start_.fatal(1, bad->message);
  } else if (const auto* row = std::get_if<row_damaged>(&m.what)) {
    ctx_.log(log_level::error,
             "a stored row failed its checksum: " + to_hex(row->key));
    if (r.role.now == role_changed::role::leader)
      order(m.group, r, group_order{}); // another voter's row is whole
  }
}

void group_supervisor::on_host_news(const host_news& m) {
  if (m.up)
    ctx_.host_errors.erase(m.app);
  else
    ctx_.host_errors[m.app] = m.message;
  exhausted_here(m.app, m.exhausted);
}

void group_supervisor::on_down(const caf::down_msg& m) {
  for (const auto& [g, r] : replicas_)
    if (r.actor.address() == m.source)
      return start_.fatal(1, "a replica ended by a fault of its own; the peer "
                             "starts again from its disk");
  for (auto i = ctx_.apps.begin(); i != ctx_.apps.end(); ++i)
    if (i->second.address() == m.source) {
      const auto name = i->first;
      ctx_.apps.erase(i);
      for (const auto& [id, a] : apps_)
        if (!a.deleted && a.genesis.name == name) {
          start_app(a);
          for (const auto& [g, r] : replicas_)
            if (g.app == id)
              ctx_.tell_app(name, replica_joined{g});
          return;
        }
      return;
    }
}

void group_supervisor::stop(stop_in& m) {
  stopped_ = std::move(m.done);
  stop_until_ = ctx_.loop.now() + 30s;
  for (const auto& [g, r] : replicas_)
    ctx_.tell_replica(g, stop_leading_in{});
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
  if (stopped_) {
    bool leads = false;
    for (auto& [g, r] : replicas_) {
      bool other = false;
      for (const auto& v : r.configuration.voters)
        other |= v.node != ctx_.self() && ctx_.members->hears(v.node);
      if (r.role.now == role_changed::role::leader && other)
        leads = true;
    }
    if (!leads || now >= stop_until_)
      std::exchange(stopped_, nullptr)();
    return;
  }
  for (auto& [g, r] : replicas_)
    if (r.role.now == role_changed::role::leader && r.role.serving
        && r.configured) {
      repair(g, r, now);
      hand_over_if_cut_off(g, r, now);
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
  s->begin();
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
      [s](halt_replicas_in) { s->halt(); },
      [s](rolled_back_in& m) {
        s->halt();
        s->give_up_all(std::move(m.done));
      },
      [s](stop_in& m) { s->stop(m); },
  };
}

} // namespace banyan::actors
