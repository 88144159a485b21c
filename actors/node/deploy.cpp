#include "actors/docs/app_secrets.hpp"
#include "actors/docs/sign_app.hpp"
#include "actors/node/app.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/names.hpp"
#include "actors/node/node.hpp"
#include "actors/node/placing.hpp"
#include "actors/node/supervisor.hpp"
#include "actors/pure/uptime/policy.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

/// Replica ids made for deploys that no genesis has used.
constexpr std::size_t reservations_max = 16'384;

} // namespace
namespace {

deploy_answer refused(reply_status s, std::string why) {
  deploy_answer a;
  a.status = s;
  a.message = std::move(why);
  return a;
}

} // namespace

std::vector<candidate> group_supervisor::candidates(const app_spec* s) const {
  std::vector<candidate> out;
  for (auto& m : members_for(ctx_, s))
    if (may_run(m))
      out.push_back(std::move(m.as));
  return out;
}

placement_need group_supervisor::need_of(const app_spec& s) const {
  return need_for(s);
}

deploy_answer
group_supervisor::place_all(const app_spec& s,
                            const std::array<std::uint8_t, 16>& nonce) const {
  if (s.kind == app_kind::stateless)
    return plan_instances(s, nonce);
  deploy_answer a;
  a.nonce = nonce;
  const auto all = candidates(&s);
  const auto need = need_of(s);
  std::uint32_t least = s.replicas;
  for (std::uint32_t shard = 0; shard < s.shards; ++shard) {
    auto p = place(placement_hash(nonce, shard), need, all);
    // An even number of voters survives no more than one fewer does.
    if (p.nodes.size() % 2 == 0 && !p.nodes.empty())
      p.nodes.pop_back();
    if (p.nodes.empty())
      return refused(reply_status::invalid_argument,
                     "no alive member satisfies the spec (regions, min_tier, "
                     "[module]); `banyan nodes` shows what there is");
    least = std::min(least, static_cast<std::uint32_t>(p.nodes.size()));
    auto& voters = a.voters.emplace_back();
    for (const auto& n : p.nodes)
      voters.push_back({n, {}});
    if (shard == 0)
      a.warnings = std::move(p.warnings);
  }
  a.survives = survives(least);
  if (least < s.replicas)
    a.warnings = {"degraded: " + std::to_string(least) + " of "
                  + std::to_string(s.replicas) + " voters, survives "
                  + std::to_string(a.survives) + " failures"};
  return a;
}

/// Of an app with secrets all that may ever run it are named: the secrets are
/// sealed to them.
deploy_answer group_supervisor::plan_instances(
    const app_spec& s, const std::array<std::uint8_t, 16>& nonce) const {
  deploy_answer a;
  a.nonce = nonce;
  const auto chosen = instances_of(s, nonce, s.replicas);
  if (chosen.nodes.empty())
    return refused(reply_status::invalid_argument,
                   "no alive member satisfies the spec (regions, min_tier, "
                   "[module]) and knows stateless apps; `banyan nodes` shows "
                   "what there is");
  const auto here = static_cast<std::uint32_t>(chosen.nodes.size());
  auto& nodes = a.voters.emplace_back();
  for (const auto& n : chosen.nodes)
    nodes.push_back({n, {}});
  if (!s.secrets.empty())
    for (const auto& n :
         instances_of(s, nonce,
                      static_cast<std::uint32_t>(candidates(&s).size()))
             .nodes)
      if (std::find(chosen.nodes.begin(), chosen.nodes.end(), n)
          == chosen.nodes.end())
        nodes.push_back({n, {}});
  a.survives = here - 1;
  if (here < s.replicas)
    a.warnings.push_back("degraded: " + std::to_string(here) + " of "
                         + std::to_string(s.replicas) + " instances");
  if (auto who = older_peers(feature::stateless); !who.empty())
    a.warnings.push_back(who
                         + " not know of stateless apps: calls that arrive "
                           "there are not_found");
  return a;
}

void group_supervisor::plan(plan_in& m) {
  if (auto why = why_invalid(m.spec); !why.empty())
    return m.done(refused(reply_status::invalid_argument, std::move(why)));
  auto planned = place_all(m.spec, ctx_.random.array<16>());
  if (planned.status != reply_status::ok || !m.prepare
      || m.spec.kind == app_kind::stateless) // there are no replicas to make
    return m.done(std::move(planned));
  prepare(m.spec, std::move(planned), std::move(m.done));
}

void group_supervisor::deploy(deploy_in& m) {
  if (!start_.local_owner)
    return m.done(refused(reply_status::forbidden,
                          "this mesh has owners: deploy with `banyan deploy "
                          "SPEC.toml --owner NAME.owner`"));
  if (auto why = why_invalid(m.spec); !why.empty())
    return m.done(refused(reply_status::invalid_argument, std::move(why)));
  if (!m.spec.modules.empty())
    return m.done(refused(reply_status::forbidden,
                          "in the mesh `local` modules come only from --apps: "
                          "write module = \"NAME\", or make a mesh with "
                          "`banyan init NAME`"));
  if (const auto* known = ctx_.known.find_app(m.spec.name);
      known != nullptr && m.spec.secret_box.empty()) {
    // Those of the version before, if it has all that the new one names.
    const auto& old = apps_.at(known->id).version.spec;
    bool all = true;
    for (const auto& name : m.spec.secrets)
      all &= std::find(old.secrets.begin(), old.secrets.end(), name)
             != old.secrets.end();
    if (all && !m.spec.secrets.empty()) {
      m.spec.secret_box = old.secret_box;
      m.spec.secret_keys = old.secret_keys;
    }
  }
  if (auto why = why_no_secrets(m.spec); !why.empty())
    return m.done(refused(reply_status::invalid_argument, std::move(why)));
  if (!ctx_.hosts.has(m.spec.module))
    return m.done(refused(reply_status::invalid_argument,
                          "this peer has no module '" + m.spec.module
                              + "': put " + m.spec.module
                              + ".so into a directory given by --apps"));
  try_module(m.spec, [this, m](std::string why, std::uint32_t version) mutable {
    if (!why.empty())
      return m.done(refused(reply_status::invalid_argument, std::move(why)));
    deploy_tried(m, version);
  });
}

void group_supervisor::try_module(
    const app_spec& s, std::function<void(std::string, std::uint32_t)> done) {
  auto& trial = trials_.emplace_back();
  trial.until = ctx_.loop.now() + start_.request_timeout;
  trial.done = std::move(done);
  const auto end = [&trial](std::string why, std::uint32_t version = 0) {
    if (const auto f = std::exchange(trial.done, nullptr))
      f(std::move(why), version);
  };
  host_handlers handlers;
  handlers.on_ready = [end](const module_info& i) { end({}, i.state_version); };
  handlers.on_results = [](std::vector<turn_result>) {};
  handlers.on_failed = [end](const host_failed& f) { end(f.message); };
  std::string error;
  trial.on = make_host(ctx_, options_of(s, ctx_.settings.target),
                       std::move(handlers), error);
  if (trial.on == nullptr)
    return end(std::move(error));
  trial.on->start();
}

void group_supervisor::end_trials(time_point now) {
  for (auto& t : trials_)
    if (t.done && t.until <= now)
      std::exchange(t.done, nullptr)("the module does not open in time: what "
                                     "does it do before its first turn?",
                                     0);
  trials_.remove_if([](const auto& t) { return !t.done; });
}

void group_supervisor::deploy_tried(deploy_in& m, std::uint32_t state_version) {
  if (const auto among = ctx_.conflicts.find(m.spec.name);
      among != ctx_.conflicts.end())
    return m.done(refused(reply_status::conflict,
                          contested_words(m.spec.name, among->second)));
  if (const auto* known = ctx_.known.find_app(m.spec.name)) { // an update
    const auto& old = apps_.at(known->id);
    if ((m.spec.kind == app_kind::stateless) != old.genesis.stateless())
      return m.done(refused(reply_status::conflict,
                            "kind is fixed at birth: remove the app, then "
                            "deploy it anew"));
    if (m.spec.shards != old.genesis.shards())
      return m.done(refused(reply_status::conflict,
                            "shards is fixed at birth: "
                                + std::to_string(old.genesis.shards())));
    if (auto why = why_too_low(old, state_version); !why.empty())
      return m.done(refused(reply_status::conflict, std::move(why)));
    const auto p = sign_update(*start_.local_owner, ctx_.settings.mesh, old,
                               m.spec, old.number + 1);
    return adopt(p, nullptr, std::move(m.done));
  }
  auto planned = place_all(m.spec, ctx_.random.array<16>());
  if (planned.status != reply_status::ok)
    return m.done(std::move(planned));
  if (m.strict && !planned.warnings.empty())
    return m.done(
        refused(reply_status::conflict,
                "--strict: " + planned.warnings.front()
                    + "; start more peers, or deploy without --strict"));
  if (m.spec.kind == app_kind::stateless)
    return sign_and_adopt(m.spec, planned, std::move(m.done));
  prepare(m.spec, std::move(planned),
          [this, spec = m.spec, done = std::move(m.done)](deploy_answer p) {
            if (p.status != reply_status::ok)
              return done(std::move(p));
            sign_and_adopt(spec, p, done);
          });
}

void group_supervisor::sign_and_adopt(const app_spec& s,
                                      const deploy_answer& prepared,
                                      deploy_function done) {
  const auto p = sign_birth(*start_.local_owner, ctx_.settings.mesh, s,
                            {prepared.nonce, prepared.voters}, ctx_.random);
  if (!p.ok())
    return done(
        refused(reply_status::invalid_argument,
                "node " + to_string(p.error())
                    + " is no public key: nothing can be sealed to it"));
  adopt(*p, nullptr, [prepared, done = std::move(done)](deploy_answer a) {
    a.voters = prepared.voters;
    a.survives = prepared.survives;
    a.warnings = prepared.warnings;
    done(std::move(a));
  });
}

void group_supervisor::remove(remove_in& m) {
  std::string why;
  const auto* known = ctx_.app_named(m.app, m.id, why);
  if (known == nullptr)
    return m.done(refused(ctx_.conflicts.count(m.app) != 0
                              ? reply_status::conflict
                              : reply_status::not_found,
                          std::move(why)));
  if (!start_.local_owner)
    return m.done(refused(reply_status::forbidden,
                          "only the app's owner removes it: `banyan remove "
                              + m.app + " --owner NAME.owner`"));
  const auto p = sign_removal(*start_.local_owner, ctx_.settings.mesh,
                              apps_.at(known->id));
  adopt(p, nullptr, std::move(m.done));
}

// ---- making replicas
// ---------------------------------------------------------------

void group_supervisor::prepare(const app_spec&, deploy_answer planned,
                               deploy_function done) {
  struct progress {
    deploy_answer answer;
    deploy_function done;
    std::size_t open = 0;
    std::string error;
  };
  auto p = std::make_shared<progress>();
  p->answer = std::move(planned);
  p->done = std::move(done);
  std::map<node_id, std::vector<std::uint32_t>> by_node;
  for (std::uint32_t s = 0; s < p->answer.voters.size(); ++s)
    for (const auto& r : p->answer.voters[s])
      by_node[r.node].push_back(s);
  p->open = by_node.size();
  for (const auto& [node, shards] : by_node)
    ask_to_make(node, nullptr, p->answer.nonce, shards,
                [p, who = node](const std::map<std::uint32_t, replica_id>& made,
                                const std::string& error) {
                  if (!error.empty())
                    p->error = error;
                  for (const auto& [shard, id] : made)
                    if (shard < p->answer.voters.size())
                      for (auto& v : p->answer.voters[shard])
                        if (v.node == who)
                          v.replica = id;
                  if (--p->open > 0)
                    return;
                  for (const auto& shard : p->answer.voters)
                    for (const auto& v : shard)
                      if (v.replica.is_none() && p->error.empty())
                        p->error = "a node made fewer replicas than asked for";
                  if (!p->error.empty())
                    return p->done(
                        refused(reply_status::unknown,
                                "the chosen nodes could not all prepare: "
                                    + p->error + "; try again"));
                  p->done(std::move(p->answer));
                });
}

void group_supervisor::ask_to_make(const node_id& node, const app_record* app,
                                   const std::array<std::uint8_t, 16>& nonce,
                                   std::vector<std::uint32_t> shards,
                                   made_function done) {
  make_replicas m;
  m.nonce = nonce;
  m.shards = std::move(shards);
  if (app != nullptr) {
    m.app = app->id;
    const auto* secret = ctx_.guard.secret(app->id);
    if (secret == nullptr
        || !seal_secret(node, group_secret_context(app->genesis.nonce), *secret,
                        ctx_.random, m.secret.emplace()))
      return done({}, "the group secret can't be sealed");
  }
  if (node == ctx_.self())
    return make_here(m, std::move(done));
  m.token = ++next_number_;
  if (!ctx_.send(node, net::channel::group, encoded_control(m)))
    return done({}, "no link to " + short_string(node));
  makings_[m.token] = {node, std::move(done),
                       ctx_.loop.now() + start_.request_timeout};
}

void group_supervisor::make_here(const make_replicas& m, made_function done) {
  const auto& app = m.app;
  if (halted_)
    return done({}, "this node's disk is being given up");
  // In a large mesh not everybody has heard of it.
  if (!ctx_.full_mesh() && ctx_.is_drained(ctx_.self()))
    return done({}, "this node is drained");
  if (ctx_.members != nullptr)
    if (const auto by = policy_of(ctx_, ctx_.members->own()); by != away::none)
      return done({}, "this node takes nothing new: " + words_of(by));
  const auto* a = apps_.count(app) != 0 ? &apps_.at(app) : nullptr;
  std::vector<store::documents::change> changes;
  std::map<std::uint32_t, replica_id> made;
  std::map<std::uint32_t, replica_id> waiting;
  if (!app.is_none()) {
    if (a == nullptr || (a->deleted && is_over(app)))
      return done({}, "the app isn't known here yet");
    secret_bytes<32> secret;
    if (!m.secret
        || !open_secret(ctx_.key, group_secret_context(a->genesis.nonce),
                        *m.secret, secret)
        || group_secret_hash(secret) != a->genesis.secret_hash)
      return done({}, "that is not the app's group secret");
    if (!has_code(ctx_, a->version.spec))
      return await_code(
          *a, [this, m, done] { make_here(m, done); },
          [done](std::string why) { done({}, std::move(why)); });
    ctx_.guard.put_secret(app, secret);
    changes.push_back({static_cast<std::uint8_t>(document_kind::secret),
                       app.view().copy(), secret.view().copy()});
  }
  if (app.is_none()
      && ctx_.disk.documents
                     ->list(
                         static_cast<std::uint8_t>(document_kind::reservation))
                     .size()
                 + m.shards.size()
             > reservations_max)
    return done({}, "too many replicas are reserved here already");
  for (const auto shard : m.shards) {
    if (a != nullptr && shard >= a->genesis.shards())
      return done({}, "the app has no such shard");
    if (first_writes_.count({app, shard}) != 0)
      return done({}, "that replica is being made");
    if (const auto here = replicas_.find({app, shard});
        here != replicas_.end()) {
      // A leader that asked before may have died before its group took the
      // replica in, or before it could retire it: it is the one to name. Its
      // log and votes are whole, so that it may come back under its id.
      waiting[shard] = here->second.id;
      continue;
    }
    const replica_id id{ctx_.random.array<16>()};
    if (!app.is_none() && !takes_in(ctx_.loop.now()))
      return done({}, std::string{replicas_made_later});
    made[shard] = id;
    if (app.is_none())
      changes.push_back({static_cast<std::uint8_t>(document_kind::reservation),
                         shard_name(m.nonce, shard), id.view().copy()});
  }
  // Being made from now on, until it runs: nobody makes the same one meanwhile.
  if (!app.is_none())
    for (const auto& [shard, id] : made) {
      first_writes_[{app, shard}].id = id;
      taken_in_[{app, shard}] = ctx_.loop.now();
    }
  put_documents(std::move(changes), [this, app, made, waiting, done] {
    if (app.is_none() || apps_.count(app) == 0) {
      for (const auto& [shard, id] : made)
        first_writes_.erase({app, shard});
      return done(made, {});
    }
    if (made.empty())
      return done(waiting, {});
    // For a group that lives: the replica exists at once, empty, and waits for
    // its leader. It runs before the answer, or its leader would hear that
    // there is no such replica.
    const auto open = std::make_shared<std::size_t>(made.size());
    auto all = made;
    all.insert(waiting.begin(), waiting.end());
    for (const auto& [shard, id] : made)
      begin_replica(apps_.at(app), shard, id, true, [open, all, done] {
        if (--*open == 0)
          done(all, {});
      });
  });
}

bool group_supervisor::takes_in(time_point now) {
  for (auto i = taken_in_.begin(); i != taken_in_.end();)
    i = now - i->second >= arrival_patience
                || (replicas_.count(i->first) == 0
                    && first_writes_.count(i->first) == 0)
            ? taken_in_.erase(i)
            : std::next(i);
  std::vector<replica_here> here;
  for (const auto& [g, since] : taken_in_)
    if (replicas_.count(g) == 0)
      here.push_back({now - since});
  for (const auto& [g, r] : replicas_) {
    replica_here x;
    if (const auto since = taken_in_.find(g); since != taken_in_.end())
      x.age = now - since->second;
    const replica_ref self{ctx_.self(), r.id};
    // Where nobody leads, nothing is on its way.
    if (const auto* v = ctx_.known.view(g);
        v != nullptr && ctx_.reaches(v->leader.node)
        && ctx_.known.majority_alive(g)) { // a view outlives its quorum
      for (const auto& l : v->learners)
        if (l.who == self)
          x.as = l.state == static_cast<std::uint8_t>(replica_state::current)
                     ? replica_here::told::follows
                     : replica_here::told::catching;
      for (const auto& o : v->voters)
        if (o.who == self)
          x.as = replica_here::told::votes;
    }
    here.push_back(x);
  }
  return may_take_in(here);
}

void group_supervisor::on_make_replica(const node_id& from,
                                       const make_replicas& m) {
  make_here(m, [this, from,
                token = m.token](std::map<std::uint32_t, replica_id> made,
                                 const std::string& error) {
    ctx_.send(from, net::channel::group,
              encoded_control(replicas_made{token, std::move(made), error}));
  });
}

void group_supervisor::on_replica_made(const node_id& from, replicas_made& m) {
  const auto at = makings_.find(m.token);
  if (at == makings_.end() || at->second.node != from)
    return;
  const auto done = std::move(at->second.done);
  makings_.erase(at);
  done(std::move(m.made), std::move(m.error));
}

} // namespace banyan::actors
