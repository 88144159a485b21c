// Secrets of apps: what a host here is given, and where their key comes from:
// the spec, sealed to this node; this disk; or a fellow that has it.
#include "actors/docs/app_secrets.hpp"
#include "actors/node/names.hpp"
#include "actors/node/supervisor.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration ask_again = 1s;
/// Nodes that a stateless app is sealed to, and that don't run it.
constexpr std::size_t asked_max = 16;
constexpr auto kept_kind = static_cast<std::uint8_t>(document_kind::app_key);

} // namespace

/// The first that opens this version's box.
std::shared_ptr<const secret_bytes<32>>
group_supervisor::find_secret_key(const app_record& a, std::uint64_t number,
                                  const app_spec& spec) {
  const auto opens = [&](const secret_bytes<32>& key) {
    secret_values values;
    return open_secrets(spec, a.genesis.nonce, key, values);
  };
  if (const auto known = secret_keys_.find({a.id, number});
      known != secret_keys_.end() && opens(*known->second))
    return known->second;
  auto key = std::make_shared<secret_bytes<32>>();
  bool found =
      own_secret_key(ctx_.key, spec, a.genesis.nonce, *key) && opens(*key);
  if (!found)
    if (const auto kept = ctx_.disk.documents->find(kept_kind, a.id.view()))
      found = secret_bytes<32>::from(kept->view(), *key) && opens(*key);
  if (!found)
    return nullptr;
  secret_keys_[{a.id, number}] = key;
  return key;
}

void group_supervisor::forget_secrets(const app_id& app) {
  secret_keys_.erase(secret_keys_.lower_bound({app, 0}),
                     secret_keys_.upper_bound({app, UINT64_MAX}));
  secrets_wanted_.erase(secrets_wanted_.lower_bound({app, 0}),
                        secrets_wanted_.upper_bound({app, UINT64_MAX}));
  if (ctx_.disk.documents->find(kept_kind, app.view()))
    put_documents(
        {document(document_kind::app_key, app.view().copy(), std::nullopt)},
        nullptr);
}

// The host asks for the values each time that it starts: between two starts
// only the key is here, and they stand in clear for no longer than it takes to
// write them into the host's stream.
bool group_supervisor::give_secrets(const app_record& a, std::uint64_t number,
                                    const app_spec& spec, host_options& o,
                                    std::string& why) {
  if (spec.secrets.empty())
    return true;
  const auto key = find_secret_key(a, number, spec);
  why = why_no_secrets(spec);
  secret_values values;
  if (why.empty() && key == nullptr) {
    why = "secrets: this node lacks their key and asks the others that host "
          "the app; if none has it, deploy again with --secret NAME=FILE";
    secrets_wanted_.try_emplace({a.id, number}, ctx_.loop.now());
  } else if (why.empty() && open_secrets(spec, a.genesis.nonce, *key, values)) {
    if (const auto name = missing_secret(spec, values); !name.empty())
      why = no_value_for(name);
  }
  if (!why.empty()) {
    const auto& name = a.genesis.name;
    if (std::exchange(ctx_.host_errors[name], why) != why) {
      ctx_.log(log_level::warning, "app " + name + " is not started: " + why);
      ctx_.event(event_kind::secret_missing, name, why, std::nullopt,
                 ctx_.self());
    }
    return false;
  }
  app_spec boxed;
  boxed.secret_box = spec.secret_box;
  o.secrets = [boxed = std::move(boxed), nonce = a.genesis.nonce, key] {
    secret_values opened;
    const bool good = open_secrets(boxed, nonce, *key, opened);
    BANYAN_ASSERT(good); // it was opened before
    return opened.encode();
  };
  return true;
}

// Of each version that a group here needs: while an update spreads, a new voter
// runs the one before it as well, whose spec was sealed without it.
void group_supervisor::ask_for_secrets(time_point now) {
  for (auto i = secrets_wanted_.begin(); i != secrets_wanted_.end();) {
    const auto& [id, number] = i->first;
    const auto app = apps_.find(id);
    if (app == apps_.end() || app->second.deleted
        || seats_.count(i->first) == 0) {
      i = secrets_wanted_.erase(i);
      continue;
    }
    if (i->second <= now) {
      i->second = now + ask_again;
      const auto question = encoded_control(secret_wanted{id, number});
      if (app->second.genesis.stateless())
        for (const auto& node : may_have_secrets(app->second, number))
          ctx_.send(node, net::channel::group, question);
      for (const auto& [g, r] : replicas_)
        if (g.app == app->first)
          for (const auto& node : ctx_.known.candidates(g))
            if (node != ctx_.self()) {
              ctx_.prove(node, g);
              ctx_.send(node, net::channel::group, question);
            }
    }
    ++i;
  }
}

/// Who runs it, and some of those that could without asking.
std::set<node_id>
group_supervisor::may_have_secrets(const app_record& a,
                                   std::uint64_t number) const {
  auto out = ctx_.known.instances(a.id);
  std::size_t more = 0;
  if (const auto spec = spec_of(a, number))
    for (const auto& k : spec->secret_keys)
      if (more < asked_max && (ctx_.is_linked(k.node) || (!ctx_.full_mesh() && ctx_.reaches(k.node)))
          && out.insert(k.node).second)
        ++more;
  out.erase(ctx_.self());
  return out;
}

// Only to who proved on its link that it belongs to one of the app's groups: a
// view could be a lie, the group's secret is known to its members alone.
void group_supervisor::on_secret_wanted(const node_id& from,
                                        const secret_wanted& m) {
  const auto app = apps_.find(m.app);
  const auto* link = ctx_.links == nullptr ? nullptr : ctx_.links->find(from);
  if (app == apps_.end() || app->second.deleted || link == nullptr)
    return;
  const auto& a = app->second;
  const auto spec = spec_of(a, m.number);
  if (!spec)
    return; // nothing here runs that one, and it isn't the newest
  // A stateless app has no groups: to who should run it, as this node reads
  // the members, as a leader hands a group's secret to whom it places.
  bool member = a.genesis.stateless() && should_run(a, from);
  // It knows the group secret, and has a replica now: who had one once does
  // not get what was sealed since.
  for (std::uint32_t s = 0; s < a.genesis.shards() && !member; ++s) {
    const auto here = replicas_.find({a.id, s});
    if (here == replicas_.end() || !here->second.configured)
      continue;
    const auto& c = here->second.configuration;
    for (const auto* set : {&c.voters, &c.learners})
      for (const auto& r : *set)
        member |= r.node == from;
    member = member && ctx_.guard.may_speak(link->id, {a.id, s});
  }
  if (!member) {
    ++ctx_.counters.frames_unproven;
    return;
  }
  const auto key = find_secret_key(a, m.number, *spec);
  secret_key answer{a.id, m.number, {}};
  if (key != nullptr
      && seal_secret(from, app_secrets_context(a.genesis.nonce), *key,
                     ctx_.random, answer.key))
    ctx_.send(from, net::channel::group, encoded_control(answer));
}

void group_supervisor::on_secret_key(const secret_key& m) {
  const auto app = apps_.find(m.app);
  if (secrets_wanted_.count({m.app, m.number}) == 0 || app == apps_.end())
    return;
  const auto& a = app->second;
  const auto spec = spec_of(a, m.number);
  if (!spec)
    return; // nobody here needs it any more
  auto key = std::make_shared<secret_bytes<32>>();
  secret_values values;
  if (!open_secret(ctx_.key, app_secrets_context(a.genesis.nonce), m.key, *key)
      || !open_secrets(*spec, a.genesis.nonce, *key, values)) {
    ++ctx_.counters.frames_bad;
    return;
  }
  secrets_wanted_.erase({m.app, m.number});
  secret_keys_[{m.app, m.number}] = key;
  const auto go_on = [this, id = m.app] {
    const auto at = apps_.find(id);
    if (at == apps_.end() || at->second.deleted)
      return;
    ctx_.log(log_level::info, "app " + at->second.genesis.name
                                  + ": the key of its secrets has come");
    want_hosts(id);
  };
  // The newest one's is kept; an older one's is asked for again, should this
  // peer start anew before all groups have left that version.
  if (m.number != a.number)
    return go_on();
  put_documents({document(document_kind::app_key, m.app.view().copy(),
                          key->view().copy())},
                go_on);
}

} // namespace banyan::actors
