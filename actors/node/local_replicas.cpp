// This node's replicas: made, started from what the disk holds, stopped,
// forgotten, given up.
#include "actors/node/amnesia.hpp"
#include "actors/node/app.hpp"
#include "actors/node/names.hpp"
#include "actors/node/supervisor.hpp"
#include "base/planted.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

/// A newcomer is named as soon as its group has taken it in.
constexpr duration left_out_patience = 5s;
constexpr duration drop_retry_min = 200ms;
/// So long a new group has to write down its version; later it counts as one
/// that an older build may have made.
constexpr duration newborn_for = 30s;
constexpr duration drop_retry_max = 10s;

/// What the trails of the app say about one group of it. One that was between
/// turns clears nobody: the peer may have died of what a turn had left.
std::optional<left_turns> left_in(const std::vector<left_trail>& trails,
                                  const std::string& app, const group_id& g,
                                  incarnation until) {
  for (const auto& t : trails) {
    if (t.app != app || !t.readable || !t.running)
      continue;
    left_turns left;
    left.since = t.since;
    left.until = until;
    for (const auto& named : t.requests)
      if (bytes request; read_trail_request(named, g, request))
        left.requests.push_back(std::move(request));
    return left;
  }
  return std::nullopt;
}

} // namespace

void group_supervisor::begin_replicas(const app_record& a) {
  const auto& documents = *ctx_.disk.documents;
  for (std::uint32_t shard = 0; shard < a.genesis.shards(); ++shard) {
    const group_id g{a.id, shard};
    if (replicas_.count(g) != 0 || first_writes_.count(g) != 0)
      continue;
    const auto name = shard_name(a.id.view(), shard);
    if (const auto id = read_replica(documents, document_kind::replica, name)) {
      spawn(a, shard, *id);
      continue;
    }
    const auto reserved = read_replica(documents, document_kind::reservation,
                                       shard_name(a.genesis.nonce, shard));
    if (!reserved)
      continue;
    const replica_ref me{ctx_.self(), *reserved};
    const auto& voters = a.genesis.voters[shard];
    if (std::find(voters.begin(), voters.end(), me) != voters.end())
      begin_replica(a, shard, *reserved, false);
  }
}

// A replica exists once its log has a first write and a document names it. So a
// document without a log is a lost log: then nothing starts, the node answers
// `no such replica`, and the leader replaces it as a lost disk.
void group_supervisor::begin_replica(const app_record& a, std::uint32_t shard,
                                     const replica_id& id,
                                     bool rows_may_be_left,
                                     std::function<void()> then) {
  const group_id g{a.id, shard};
  store::log_write first;
  first.order = {g, id, {}, 0};
  first.reset = log_base{};
  first.hard = hard_state{};
  first_writes_[g].id = id;
  first_writes_[g].then = [this, app = a.id, shard, id,
                           then = std::move(then)] {
    const auto at = apps_.find(app);
    if (at == apps_.end()) {
      first_writes_.erase({app, shard});
      return;
    }
    const auto name = shard_name(app.view(), shard);
    put_documents(
        {document(document_kind::replica, name, id.view().copy()),
         document(document_kind::recovered, name,
                  lineage_of({app, shard}).lineage.view().copy()),
         document(document_kind::reservation,
                  shard_name(at->second.genesis.nonce, shard), std::nullopt)},
        [this, app, shard, id, then] {
          first_writes_.erase({app, shard});
          const auto found = apps_.find(app);
          if (found != apps_.end())
            spawn(found->second, shard, id);
          if (then)
            then();
        });
  };
  ctx_.made_this_boot.insert(id);
  // Rows that a replica left here which was given up are not the new one's: it
  // begins with none, and gets all from its leader. The order comes before all
  // of the new one's; should it be lost in a crash, `give_state` repeats it.
  if (rows_may_be_left)
    drop_rows(first.order);
  ctx_.disk.log->submit(std::move(first));
}

void group_supervisor::drop_rows(const store::order_id& order) {
  ctx_.disk.state->drop(
      order, [weak = weak_from_this()](
                 const result<void, store::state_error>& dropped) {
        if (const auto self = weak.lock(); self != nullptr && !dropped.ok())
          self->start_.fatal(1, dropped.error().message);
      });
}

void group_supervisor::on_log_done(const log_done_in& m) {
  const auto& g = m.done.order.group;
  if (const auto drop = drops_.find(g);
      drop != drops_.end()
      && m.done.order == store::order_id{g, drop->second.id, {}, 0})
    return on_log_dropped(g, m.done.error);
  const auto at = first_writes_.find(g);
  if (at == first_writes_.end())
    return;
  if (m.done.order.replica != at->second.id)
    return; // of the replica that was here before
  const auto then = std::exchange(at->second.then, nullptr);
  if (!then)
    return;
  if (!m.done.error)
    return then();
  first_writes_.erase(at);
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
  std::optional<lineage_id> noted;
  if (const auto kept = ctx_.disk.documents->find(
          static_cast<std::uint8_t>(document_kind::recovered),
          shard_name(g.app.view(), shard));
      kept && !lineage_id::from(kept->view(), noted.emplace()))
    noted.reset();
  const auto begun =
      start_in(lineage_of(g), {ctx_.self(), id}, noted, a.genesis.lineage);
  if (begun.step == lineage_step::end)
    return say_given_up(a, shard);
  c.lineage = begun.lineage;
  c.stream_lineage = a.genesis.lineage;
  c.closed = closed(g);
  c.self = {ctx_.self(), id};
  c.incarnation = ctx_.incarnation;
  c.app_name = a.genesis.name;
  c.left = left_in(ctx_.settings.left_trails, a.genesis.name, g, ctx_.booted);
  c.shards = a.genesis.shards();
  c.raft = start_.raft;
  c.features = ctx_.settings.features;
  c.base_version = base_of(a).number;
  const auto& voters = a.genesis.voters[shard];
  if (std::find(voters.begin(), voters.end(), c.self) != voters.end())
    c.genesis_voters = voters;
  s.fresh = ctx_.made_this_boot.erase(id) != 0;
  bool has_log = s.fresh;
  for (auto& l : ctx_.disk.recovered_logs.logs)
    if (l.group == g && l.replica == id) {
      if (l.damaged && !planted(planted_bug::damaged_log_is_taken_as_it_is)) {
        ctx_.log(log_level::error, "the log of " + a.genesis.name + "/"
                                       + std::to_string(shard) + " is damaged ("
                                       + l.damage
                                       + "): this replica is given up and will "
                                         "be replaced from the others");
        ++ctx_.counters.logs_given_up;
        ctx_.group_event(
            event_kind::log_damaged, g,
            "its log is damaged on this disk: the replica is given up",
            ctx_.self());
        states_changed_ = true;
        return;
      }
      has_log = true;
      s.log = std::move(l);
      // Once: what it holds is old as soon as the replica has run.
      l.group = {};
      break;
    }
  if (!has_log && !planted(planted_bug::wiped_replica_keeps_its_id)) {
    ctx_.log(log_level::error,
             "the log of " + a.genesis.name + "/" + std::to_string(shard)
                 + " is missing: this replica is given up and will be replaced "
                   "from the others");
    ctx_.group_event(event_kind::log_damaged, g,
                     "its log is missing on this disk: the replica is given up",
                     ctx_.self());
    states_changed_ = true;
    return;
  }
  local_replica r;
  r.id = id;
  r.lineage = s.config.lineage;
  r.base = s.config.base_version;
  if (s.fresh && !s.config.genesis_voters.empty())
    r.newborn_until = ctx_.loop.now() + newborn_for;
  r.phase = s.fresh ? state_phase::whole : state_phase::pending;
  r.state_told = s.fresh;
  r.going = parting{{ctx_.self(), id}};
  r.actor = self_->system().spawn(replica_actor, &ctx_, std::move(s));
  self_->monitor(r.actor);
  ctx_.replicas[g] = r.actor;
  auto& mine = replicas_.emplace(g, std::move(r)).first->second;
  if (states_)
    give_state(g, mine);
  if (begun.step == lineage_step::take_up)
    ctx_.tell_replica(g, recovery_in{begun.lineage});
  states_changed_ = true;
  if (ctx_.apps.count({a.id, mine.base}) == 0)
    want_hosts(a.id);
  refresh_sharing();
}

void group_supervisor::start_host(const app_record& a, std::uint64_t number,
                                  const app_spec& spec) {
  const app_host_id host{a.id, number};
  if (ctx_.apps.count(host) != 0)
    return;
  auto o = options_of(spec, ctx_.settings.target);
  o.app = a.genesis.name;
  o.life = ctx_.incarnation;
  auto& seat = seats_[host] = {};
  if (!give_secrets(a, number, spec, o, seat.why)) {
    seat.worn = true; // who can run it shall lead
    return;
  }
  auto actor = self_->system().spawn(app_actor, &ctx_, host, a.genesis.name,
                                     std::move(o));
  self_->monitor(actor);
  ctx_.apps.emplace(host, std::move(actor));
  for (auto r = replicas_.lower_bound({a.id, 0});
       r != replicas_.end() && r->first.app == a.id; ++r)
    caf::anon_send(ctx_.apps.at(host), replica_joined{r->first});
}

void group_supervisor::stop_replica(const group_id& g) {
  const auto at = replicas_.find(g);
  if (at == replicas_.end())
    return;
  const auto actor = at->second.actor;
  ctx_.counters.rows_mended += at->second.rows_open; // gone with it
  replicas_.erase(at);
  ctx_.replicas.erase(g);
  states_changed_ = true;
  ctx_.tell_hosts(g.app, replica_joined{g, false});
  if (ctx_.sent_calls)
    caf::anon_send(ctx_.sent_calls, sender_changed{g});
  self_->demonitor(actor);
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  hosts_changed_.insert(g.app);
  refresh_sharing();
}

void group_supervisor::forget_replica(const group_id& g) {
  const auto at = replicas_.find(g);
  if (at == replicas_.end())
    return;
  const auto id = at->second.id;
  ctx_.group_event(event_kind::replica_removed, g,
                   "this node has no part in it any more", ctx_.self());
  stop_replica(g);
  ctx_.disk.state->drop({g, id, {}, 0},
                        [](const result<void, store::state_error>&) {});
  drops_[g] = {id, drop_retry_min};
  drop_log(g, id);
  put_documents({document(document_kind::replica,
                          shard_name(g.app.view(), g.shard), std::nullopt)},
                nullptr);
}

void group_supervisor::drop_log(const group_id& g, const replica_id& id) {
  const auto at = drops_.find(g);
  if (at == drops_.end() || at->second.id != id)
    return;
  if (replicas_.count(g) != 0)
    drops_.erase(at); // the log of a new one has taken its place
  else
    ctx_.disk.log->drop({g, id, {}, 0});
}

void group_supervisor::on_log_dropped(const group_id& g,
                                      std::optional<store::store_errc> e) {
  const auto at = drops_.find(g);
  if (e != store::store_errc::full) {
    drops_.erase(at);
    return;
  }
  auto& d = at->second;
  ctx_.loop.after(
      std::exchange(d.wait, std::min(2 * d.wait, drop_retry_max)),
      [weak = weak_from_this(), g, id = d.id] {
        if (const auto self = weak.lock())
          self->drop_log(g, id);
      },
      "log drop");
}

void group_supervisor::ask_if_left_out(const group_id& g, local_replica& r,
                                       time_point now) {
  const replica_ref me{ctx_.self(), r.id};
  const auto* v = ctx_.known.view(g);
  const auto names_me = [&](const std::vector<replica_view>& list) {
    return std::any_of(list.begin(), list.end(),
                       [&](const replica_view& x) { return x.who == me; });
  };
  const auto app = apps_.find(g.app);
  if (app == apps_.end() || v == nullptr || v->leader.node.is_none()
      || v->leader.node == ctx_.self() || names_me(v->voters)
      || names_me(v->learners) || planted(planted_bug::left_out_and_silent)) {
    r.left_out_at = never;
    return;
  }
  if (r.left_out_at > now) {
    r.left_out_at = std::min(r.left_out_at, now + left_out_patience);
    return;
  }
  r.left_out_at = now + left_out_patience;
  group_frame f;
  f.group = g;
  f.lineage = lineage_of(g).lineage;
  f.from = r.id;
  f.to = v->leader.replica;
  f.kind = group_frame_kind::left_out;
  bytes b;
  encode(f, b);
  ctx_.send_group(v->leader.node, g, false, b);
}

void group_supervisor::give_up_replica(const group_id& g,
                                       const std::string& why) {
  ctx_.log(log_level::error, "replica " + short_string(g.app) + "/"
                                 + std::to_string(g.shard)
                                 + " is given up: " + why
                                 + ". Its leader makes another; what is on "
                                   "this disk is kept");
  ++ctx_.counters.logs_given_up;
  ctx_.group_event(event_kind::replica_given_up, g, why, ctx_.self());
  stop_replica(g);
  // The document stays: log and votes may be whole, and a start after a repair
  // brings the replica back, unless another was made here meanwhile.
}

void group_supervisor::give_up_all(incarnation seen,
                                   std::function<void()> then) {
  put_documents(give_up_changes(*ctx_.disk.documents,
                                "this directory was restored from an image "
                                "that is older than what the mesh has seen",
                                seen),
                std::move(then));
}

void group_supervisor::halt() {
  halted_ = true;
  while (!replicas_.empty())
    stop_replica(group_id{replicas_.begin()->first});
}

} // namespace banyan::actors
