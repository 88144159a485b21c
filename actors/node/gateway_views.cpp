#include "actors/node/gateway_views.hpp"

#include "actors/node/gateway.hpp"
#include "actors/node/hardware.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/placing.hpp"
#include "actors/node/unlisted.hpp"
#include "actors/node/uptime.hpp"
#include "actors/pure/admission.hpp"
#include "base/codec.hpp"

namespace banyan::actors {

roles roles_of(const node_context& ctx, const node_id& node) {
  roles out;
  for (const auto& [name, app] : ctx.known.apps())
    for (std::uint32_t s = 0; s < app.shards; ++s) {
      const auto* v = ctx.known.view({app.id, s});
      if (v == nullptr)
        continue;
      if (v->leader.node == node) {
        ++out.leading;
        continue;
      }
      for (const auto& r : v->voters)
        out.following += r.who.node == node ? 1 : 0;
      for (const auto& r : v->learners)
        out.learning += r.who.node == node ? 1 : 0;
    }
  return out;
}

namespace {

/// Of all groups that this node knows of, a leader's replica once.
std::unordered_map<node_id, std::uint64_t>
replicas_by_node(const node_context& ctx) {
  std::unordered_map<node_id, std::uint64_t> out;
  for (const auto& [name, app] : ctx.known.apps())
    for (std::uint32_t s = 0; s < app.shards; ++s)
      if (const auto* v = ctx.known.view({app.id, s})) {
        std::set<node_id> on;
        if (!v->leader.node.is_none())
          on.insert(v->leader.node);
        for (const auto* list : {&v->voters, &v->learners})
          for (const auto& r : *list)
            on.insert(r.who.node);
        for (const auto& n : on)
          ++out[n];
      }
  return out;
}

const char* member_word(net::member_state s) {
  return net::to_string(s);
}

void optional_ms(writer& w, const std::optional<double>& v) {
  if (v)
    w.number(*v);
  else
    w.nil();
}

/// What its hardware is worth: the lower of claim and proof, and the claim.
constexpr std::size_t tier_fields = 2;
/// Of so many drained nodes links are made.
constexpr std::size_t drains_looked_at = 16;
void tier_view(writer& w, const node_context& ctx,
               const net::member_record& m) {
  w.text("tier").text(std::to_string(tier_of(ctx, m)));
  w.text("tier_claimed").text(std::to_string(m.tier));
}

/// Those that forward to it: it can hardly be dialled.
void relays_view(writer& w, const net::member_record& m) {
  w.text("relays").array(m.relays.size());
  for (const auto& relay : m.relays)
    w.text(to_string(relay));
}

std::uint64_t seconds(duration d) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(d).count());
}

// A leader that is gone leaves its last view behind: then the group has no
// leader, and without a majority of living voters no quorum either.
group_health health_of(const node_context& ctx, const group_id& g) {
  if (ctx.lineage_conflicts.count(g) != 0)
    return group_health::conflict;
  const auto* v = ctx.known.view(g);
  const auto well = [&](const replica_view& r) {
    return ctx.state_of(g, r.who) == state_phase::whole;
  };
  const auto alive = [&](const node_id& n) { return ctx.reaches(n); };
  std::size_t living = 0;
  std::size_t all = 0;
  if (v != nullptr) {
    for (const auto& r : v->voters)
      living += alive(r.who.node) ? 1 : 0;
    all = v->voters.size();
  } else {
    const auto nodes = ctx.known.candidates(g);
    for (const auto& n : nodes)
      living += alive(n) ? 1 : 0;
    all = nodes.size();
  }
  if (living * 2 <= all)
    return group_health::no_quorum;
  if (v == nullptr || v->leader.node.is_none() || !alive(v->leader.node))
    return group_health::degraded;
  if (v->health == group_health::healthy
      && (living < all
          || !std::all_of(v->voters.begin(), v->voters.end(), well)))
    return group_health::degraded;
  return v->health;
}

// As its leader sees its log, and as its own node sees its state.
const char* replica_word(const node_context& ctx, const group_id& g,
                         const replica_view& r) {
  if (!ctx.reaches(r.who.node))
    return "unreachable";
  switch (ctx.state_of(g, r.who)) {
  case state_phase::pending:
    return "verifying";
  case state_phase::lost:
    return "rebuilding";
  case state_phase::whole:
    break;
  }
  return to_string(static_cast<replica_state>(r.state));
}

void replicas(const node_context& ctx, const group_id& g, writer& w,
              const std::vector<replica_view>& list) {
  w.array(list.size());
  for (const auto& r : list) {
    w.map(4).text("node").text(to_string(r.who.node));
    w.text("state").text(replica_word(ctx, g, r));
    w.text("progress").number(r.permille / 1000.0);
    w.text("eta_s").nil();
  }
}

/// Of this peer's host of the app; empty: it has none.
std::string host_words(const node_context& ctx, const app_spec& spec) {
  const auto* app = ctx.known.find_app(spec.name);
  const auto some =
      app == nullptr ? ctx.apps.end() : ctx.apps.lower_bound({app->id, 0});
  if (some == ctx.apps.end() || some->first.first != app->id)
    return {};
  if (const auto why = why_no_code(ctx, spec); !why.empty())
    return why;
  const auto error = ctx.host_errors.find(spec.name);
  if (error != ctx.host_errors.end())
    return error->second;
  return ctx.handlers.count(spec.name) == 0 ? "starting" : "up";
}

void modules_view(const node_context& ctx, writer& w, const app_spec& spec) {
  w.array(spec.modules.size());
  for (const auto& m : spec.modules) {
    std::vector<std::pair<node_id, std::uint16_t>> nodes;
    ctx.members->each([&](const net::member_record& member, net::member_state) {
      if (const auto n = ctx.modules->permille_at(member.node, m.hash);
          n > 0 || (ctx.full_mesh() && member.target == m.target))
        nodes.emplace_back(member.node, n);
    });
    w.map(4).text("target").text(m.target);
    w.text("hash").text(to_hex(m.hash.view())).text("size").uint(m.size);
    w.text("nodes").array(nodes.size());
    for (const auto& [node, permille] : nodes) {
      w.map(2).text("node").text(to_string(node));
      w.text("progress").number(permille / 1000.0);
    }
  }
}

// The furthest from done that any group says of the newest version.
void update_view(const node_context& ctx, writer& w, const directory::app& app,
                 std::uint64_t newest) {
  auto state = update_state::done;
  std::string why;
  bool begun = false;
  const auto weight = [](update_state s) {
    switch (s) {
    case update_state::refused:
      return 5;
    case update_state::rolled_back:
      return 4;
    case update_state::canary:
      return 3;
    case update_state::rolling:
      return 2;
    case update_state::waiting:
      return 1;
    case update_state::done:
      break;
    }
    return 0;
  };
  for (std::uint32_t s = 0; s < app.shards; ++s) {
    const auto word = ctx.version_words.find({app.id, s});
    if (word == ctx.version_words.end())
      continue; // no leader spoke yet: as when it was deployed
    const auto& v = word->second;
    begun |= v.running == newest;
    const auto here = v.number == newest ? v.state : update_state::waiting;
    if (weight(here) > weight(state)) {
      state = here;
      why = v.number == newest ? v.why : "its leader doesn't know of it yet";
    }
  }
  if (state == update_state::waiting && begun)
    state = update_state::rolling;
  w.map(3).text("number").uint(newest);
  w.text("state").text(to_string(state)).text("why").text(why);
}

/// All instances up: healthy; some: degraded; none: nothing is served.
group_health instances_health(const node_context& ctx,
                              const directory::app& app) {
  const auto up = ctx.known.candidates({app.id, 0}).size();
  return up >= ctx.specs.at(app.name).replicas ? group_health::healthy
         : up > 0                              ? group_health::degraded
                                               : group_health::no_quorum;
}

/// Those that are up and heard.
void instances_view(const node_context& ctx, writer& w,
                    const directory::app& app) {
  const auto nodes = app.stateless ? ctx.known.candidates({app.id, 0})
                                   : std::vector<node_id>{};
  w.array(nodes.size());
  for (const auto& n : nodes) {
    w.map(2).text("node").text(to_string(n));
    w.text("version").uint(ctx.known.instance_number(app.id, n));
  }
}

/// Done when every instance runs the newest.
void instances_update(const node_context& ctx, writer& w,
                      const directory::app& app, std::uint64_t newest) {
  std::size_t older = 0;
  for (const auto& n : ctx.known.candidates({app.id, 0}))
    older += ctx.known.instance_number(app.id, n) < newest ? 1 : 0;
  w.map(3).text("number").uint(newest);
  w.text("state").text(
      to_string(older > 0 ? update_state::rolling : update_state::done));
  w.text("why").text(older == 0
                         ? ""
                         : std::to_string(older)
                               + " instances still run an older version");
}

void app_view(const node_context& ctx, writer& w, const directory::app& app) {
  const auto& spec = ctx.specs.at(app.name);
  auto worst =
      app.stateless ? instances_health(ctx, app) : group_health::healthy;
  const auto groups = app.stateless ? 0 : app.shards;
  for (std::uint32_t s = 0; s < groups; ++s)
    worst = std::max(worst, health_of(ctx, {app.id, s}));
  if (ctx.conflicts.count(app.name) != 0)
    worst = group_health::conflict;
  w.map(14).text("name").text(app.name).text("id").text(to_string(app.id));
  const auto among = ctx.conflicts.find(app.name);
  w.text("contested");
  w.array(among == ctx.conflicts.end() ? 0 : among->second.size());
  if (among != ctx.conflicts.end())
    for (const auto& b : among->second) {
      w.map(2).text("id").text(to_string(b.id));
      w.text("owner").text(to_string(b.owner));
    }
  w.text("kind").text(spec.kind == app_kind::durable ? "durable" : "stateless");
  const auto newest = ctx.versions.at(app.name);
  w.text("version").uint(newest);
  if (app.stateless)
    instances_update(ctx, w.text("update"), app, newest);
  else
    update_view(ctx, w.text("update"), app, newest);
  w.text("shards").uint(app.shards).text("replicas").uint(spec.replicas);
  w.text("health").text(to_string(worst));
  w.text("host_error");
  if (const auto e = ctx.host_errors.find(app.name); e != ctx.host_errors.end())
    w.text(e->second);
  else
    w.nil();
  w.text("host");
  if (const auto words = host_words(ctx, spec); words.empty())
    w.nil();
  else
    w.text(words);
  modules_view(ctx, w.text("modules"), spec);
  instances_view(ctx, w.text("instances"), app);
  w.text("groups").array(groups);
  for (std::uint32_t s = 0; s < groups; ++s) {
    const group_id g{app.id, s};
    const auto* v = ctx.known.view(g);
    const auto word = ctx.version_words.find(g);
    w.map(8).text("shard").uint(s).text("version");
    w.uint(word == ctx.version_words.end() ? newest : word->second.running);
    w.text("term").uint(v == nullptr ? 0 : v->term.value());
    w.text("leader");
    if (v == nullptr || v->leader.node.is_none())
      w.nil();
    else
      w.text(to_string(v->leader.node));
    w.text("voters");
    replicas(ctx, g, w, v == nullptr ? std::vector<replica_view>{} : v->voters);
    w.text("learners");
    replicas(ctx, g, w,
             v == nullptr ? std::vector<replica_view>{} : v->learners);
    w.text("committed").uint(v == nullptr ? 0 : v->committed.value());
    w.text("health").text(to_string(health_of(ctx, g)));
  }
}

/// Of the calls of apps; nil while this peer begins.
void door_view(const node_context& ctx, writer& w) {
  if (ctx.door == nullptr) {
    w.nil();
    return;
  }
  const auto& d = *ctx.door;
  w.map(6).text("limit").uint(d.limit());
  w.text("under_way").uint(d.under_way()).text("waiting").uint(d.waiting());
  w.text("bytes").uint(d.bytes());
  w.text("refused").uint(d.refused()).text("late").uint(d.late());
}

/// Nil unless that node is drained.
void drain_view(writer& w, const node_context& ctx, const node_id& node) {
  const auto at = ctx.draining.find(node);
  if (at == ctx.draining.end()) {
    w.nil();
    return;
  }
  const auto& d = at->second;
  w.map(5).text("done").boolean(d.done).text("leaderships").uint(d.leaderships);
  w.text("replicas").uint(d.replicas).text("eta_s");
  if (d.eta_s)
    w.uint(*d.eta_s);
  else
    w.nil();
  w.text("blocked_by").array(d.blocked.size());
  for (const auto& why : d.blocked)
    w.text(why);
}

} // namespace

bytes view_moves(const node_context& ctx) {
  bytes out;
  writer w{out};
  w.array(ctx.moves.size());
  for (const auto& m : ctx.moves) {
    w.map(8).text("number").uint(m.number).text("app").text(m.app);
    w.text("shard").uint(m.group.shard);
    w.text("from").text(to_string(m.from)).text("to").text(to_string(m.to));
    w.text("state").text(!m.over                                 ? "moving"
                         : m.progress == operator_progress::done ? "done"
                                                                 : "refused");
    w.text("progress").number(m.permille / 1000.0);
    w.text("message").text(m.message);
  }
  return out;
}

bytes view_status(const node_context& ctx, duration uptime) {
  std::map<net::member_state, std::uint64_t> count;
  ctx.members->each(
      [&](const net::member_record&, net::member_state s) { ++count[s]; });
  const auto r = roles_of(ctx, ctx.self());
  bytes out;
  writer w{out};
  w.map(13 + tier_fields).text("node").text(to_string(ctx.self()));
  relays_view(w, ctx.members->own());
  w.text("join");
  if (const auto join = ctx.members->joining()) {
    w.map(3).text("from");
    if (join->giver.is_none())
      w.nil();
    else
      w.text(to_string(join->giver));
    w.text("have").uint(join->have).text("total").uint(join->total);
  } else {
    w.nil();
  }
  w.text("mesh").text(ctx.settings.mesh_name);
  w.text("version").text(ctx.settings.version);
  w.text("region").text(ctx.settings.region);
  w.text("zone").text(ctx.settings.zone);
  tier_view(w, ctx, ctx.members->own());
  w.text("held_for");
  w.text(ctx.hardware == nullptr ? "" : ctx.hardware->why_held());
  w.text("uptime_s").uint(seconds(uptime));
  w.text("members").map(4);
  for (const auto s : {net::member_state::alive, net::member_state::suspect,
                       net::member_state::dead, net::member_state::left})
    w.text(member_word(s)).uint(count[s]);
  w.text("groups").map(3).text("leading").uint(r.leading);
  w.text("following").uint(r.following).text("learning").uint(r.learning);
  state_check_status::view check;
  if (ctx.settings.state_check)
    check = ctx.settings.state_check->look();
  w.text("state").map(5).text("check").text(to_string(check.now));
  w.text("bytes_done").uint(check.bytes_done);
  w.text("bytes").uint(check.bytes_all);
  w.text("took_ms").number(
      std::chrono::duration<double, std::milli>(check.took).count());
  w.text("damage").text(check.damage);
  door_view(ctx, w.text("door"));
  return out;
}

void look_for_drains(node_context& ctx) {
  std::vector<node_id> drained;
  ctx.members->each([&](const net::member_record& m, net::member_state state) {
    if (m.capacity.weight == 0 && state == net::member_state::alive
        && drained.size() < drains_looked_at)
      drained.push_back(m.node);
  });
  for (const auto& node : drained)
    ctx.use_link(node);
}

bytes view_nodes(const node_context& ctx) {
  const auto groups = replicas_by_node(ctx);
  std::size_t count = 0;
  ctx.members->each(
      [&](const net::member_record&, net::member_state) { ++count; });
  bytes out;
  writer w{out};
  w.array(count);
  ctx.members->each([&](const net::member_record& m, net::member_state state) {
    const auto held = groups.find(m.node);
    const auto stands =
        ctx.uptime == nullptr ? verdict{} : ctx.uptime->of(m.node);
    const auto* link = ctx.links == nullptr ? nullptr : ctx.links->find(m.node);
    w.map(15 + tier_fields).text("node").text(to_string(m.node));
    relays_view(w, m);
    w.text("via");
    if (link != nullptr && link->relayed())
      w.text(to_string(link->via));
    else
      w.nil();
    w.text("allowed").boolean(is_allowed(ctx, m.node));
    w.text("region_unverified");
    w.boolean(ctx.region_claims.unverified().count(m.node) != 0);
    w.text("address").text(to_string(m.address));
    w.text("region").text(m.region).text("zone").text(m.zone);
    tier_view(w, ctx, m);
    w.text("tier_doubted_by");
    w.uint(ctx.hardware == nullptr ? 0 : ctx.hardware->doubted_by(m.node));
    w.text("state").text(member_word(state));
    w.text("incarnation").id(m.incarnation);
    w.text("uptime");
    if (stands.week)
      w.number(*stands.week / 100.0);
    else
      w.nil();
    w.text("standing").text(to_string(stands.is));
    w.text("groups").uint(held == groups.end() ? 0 : held->second);
    w.text("draining");
    drain_view(w, ctx, m.node);
  });
  return out;
}

bytes view_apps(const node_context& ctx) {
  bytes out;
  writer w{out};
  w.array(ctx.known.apps().size());
  for (const auto& [name, app] : ctx.known.apps())
    app_view(ctx, w, app);
  return out;
}

bytes view_app(const node_context& ctx, const std::string& name) {
  const auto* app = ctx.known.find_app(name);
  if (app == nullptr)
    return {};
  bytes out;
  writer w{out};
  app_view(ctx, w, *app);
  return out;
}

bytes view_removed(const node_context& ctx) {
  bytes out;
  writer w{out};
  w.array(ctx.removed.size());
  for (const auto& [name, a] : ctx.removed) {
    w.map(3).text("name").text(name).text("id").text(to_string(a.id));
    w.text("left_s").uint(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(a.left).count()));
  }
  return out;
}

bytes view_failovers(const node_context& ctx) {
  bytes out;
  writer w{out};
  w.array(ctx.failovers.size());
  for (const auto& f : ctx.failovers) {
    w.map(10).text("app").text(f.app).text("shard").uint(f.group.shard);
    w.text("term").id(f.term).text("leader").text(to_string(f.leader));
    w.text("old_leader");
    if (f.old_leader)
      w.text(to_string(*f.old_leader));
    else
      w.nil();
    w.text("at_unix_ms").sint(f.at_unix_ms);
    w.text("detected").number(0.0).text("elected").number(f.elected_ms);
    w.text("first_commit").number(f.first_commit_ms);
    w.text("first_reply");
    optional_ms(w, f.first_reply_ms);
  }
  return out;
}

bytes view_verify(const scrub_report& r, time_point now) {
  const auto word = [&] {
    switch (r.now) {
    case scrub_report::phase::idle:
      return "idle";
    case scrub_report::phase::reading:
      return "reading";
    case scrub_report::phase::mending:
      return "mending";
    case scrub_report::phase::done:
      return "done";
    }
    return "idle";
  };
  const auto end = r.now == scrub_report::phase::done ? r.ended : now;
  const auto took = r.pass == 0 ? duration{} : end - r.began;
  bytes out;
  writer w{out};
  w.map(18).text("state").text(word()).text("pass").uint(r.pass);
  w.text("took_ms").number(
      std::chrono::duration<double, std::milli>(took).count());
  w.text("groups").uint(r.groups).text("groups_read").uint(r.groups_read);
  w.text("rows").uint(r.rows).text("state_bytes").uint(r.state_bytes);
  w.text("log_bytes").uint(r.log_bytes);
  w.text("rows_damaged").uint(r.rows_damaged);
  w.text("rows_mended").uint(r.rows_mended);
  w.text("states_wrong").uint(r.states_wrong);
  w.text("states_rebuilt").uint(r.states_rebuilt);
  w.text("logs_damaged").uint(r.logs_damaged);
  w.text("logs_replaced").uint(r.logs_replaced);
  w.text("digests_compared").uint(r.digests_compared);
  w.text("found").uint(r.rows_damaged + r.states_wrong + r.logs_damaged);
  w.text("open").uint(r.open());
  w.text("findings").array(r.findings.size());
  for (const auto& line : r.findings)
    w.text(line);
  return out;
}

bytes view_deploy(const node_context& ctx, const deploy_answer& a) {
  bytes out;
  writer w{out};
  w.map(5).text("app").text(a.app.is_none() ? "" : to_string(a.app));
  w.text("nonce").text(to_hex(a.nonce));
  w.text("survives").uint(a.survives);
  w.text("warnings").array(a.warnings.size());
  for (const auto& line : a.warnings)
    w.text(line);
  w.text("voters").array(a.voters.size());
  for (const auto& shard : a.voters) {
    w.array(shard.size());
    for (const auto& v : shard) {
      const auto region = ctx.regions.find(v.node);
      w.map(3).text("node").text(to_string(v.node));
      w.text("replica").text(to_hex(v.replica.view()));
      w.text("region").text(region == ctx.regions.end() ? "" : region->second);
    }
  }
  return out;
}

} // namespace banyan::actors
