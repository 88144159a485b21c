// What an app would live through now, and why its replicas are where they are.
#include "actors/docs/app_documents.hpp"
#include "actors/node/gateway.hpp"
#include "actors/node/gateway_answers.hpp"
#include "actors/node/placing.hpp"
#include "actors/pure/risk.hpp"
#include "base/codec.hpp"

#include <algorithm>

namespace banyan::actors {
namespace {

/// Until another leader answers, as long as this app's failovers weren't
/// measured (DESIGN section 14).
constexpr duration takeover_usual = 25ms;
constexpr std::size_t failovers_looked_at = 100;
constexpr std::size_t shards_shown = 16;
/// Each shard that is explained costs a hash per member.
constexpr std::size_t hashes_max = 20'000;
constexpr std::size_t excluded_shown = 100;

bool is_up(const node_context& ctx, const node_id& n) {
  return ctx.reaches(n);
}

duration takeover_of(const node_context& ctx, const std::string& name) {
  std::vector<double> ms;
  for (auto i = ctx.failovers.rbegin();
       i != ctx.failovers.rend() && ms.size() < failovers_looked_at; ++i)
    if (i->app == name)
      ms.push_back(i->first_reply_ms.value_or(i->first_commit_ms));
  if (ms.empty())
    return takeover_usual;
  std::nth_element(ms.begin(), ms.begin() + std::ptrdiff_t(ms.size() / 2),
                   ms.end());
  return std::chrono::microseconds{
      static_cast<std::int64_t>(std::max(0.0, ms[ms.size() / 2]) * 1000)};
}

// Before its leader spoke: those that were chosen at birth.
risk_group group_facts(const node_context& ctx, const directory::app& app,
                       std::uint32_t shard) {
  const group_id g{app.id, shard};
  risk_group out;
  out.shard = shard;
  if (app.stateless) {
    for (const auto& n : ctx.known.candidates(g))
      out.voters.push_back({n, true, true});
    return out;
  }
  const auto* v = ctx.known.view(g);
  if (v == nullptr) {
    for (const auto& r : app.born[shard])
      out.voters.push_back({r.node, is_up(ctx, r.node),
                            ctx.state_of(g, r) == state_phase::whole});
    return out;
  }
  if (!v->leader.node.is_none() && is_up(ctx, v->leader.node))
    out.leader = v->leader.node;
  const auto stands = [&](const replica_view& r) {
    const auto said = static_cast<replica_state>(r.state);
    // What a leader that is gone said of the others says nothing any more.
    const bool reached = !out.leader || said != replica_state::unreachable;
    return risk_replica{r.who.node, reached && is_up(ctx, r.who.node),
                        said == replica_state::current
                            && ctx.state_of(g, r.who) == state_phase::whole};
  };
  for (const auto& r : v->voters)
    out.voters.push_back(stands(r));
  for (const auto& r : v->learners)
    out.learners.push_back(stands(r));
  return out;
}

void waiting_view(writer& w, const std::vector<waiting_shard>& list,
                  const risk_report& r) {
  w.array(list.size());
  for (const auto& s : list) {
    w.map(5).text("shard").uint(s.shard).text("missing").uint(s.missing);
    w.text("wait_for").array(s.wait_for.size());
    for (const auto& n : s.wait_for)
      w.text(to_string(n));
    w.text("copies_outside").uint(s.copies_outside);
    w.text("text").text(words_of(s, r));
  }
}

void loss_view(writer& w, const kind_risk& k, const risk_report& r) {
  w.map(9).text("of").text(to_string(k.kind)).text("places").uint(k.places);
  w.text("survives");
  if (k.known)
    w.boolean(k.survives);
  else
    w.nil();
  w.text("pause_ms").number(to_ms(k.pause));
  w.text("repair_after_s");
  if (k.repair_after)
    w.number(to_ms(*k.repair_after) / 1000.0);
  else
    w.nil();
  w.text("catching_up").uint(k.catching_up);
  w.text("breaking_count").uint(k.breaking_count);
  w.text("breaking").array(k.breaking.size());
  for (const auto& p : k.breaking) {
    w.map(4).text("name").text(p.name).text("nodes").uint(p.nodes);
    w.text("waiting_count").uint(p.waiting_count).text("waiting");
    waiting_view(w, p.waiting, r);
  }
  w.text("text").text(words_of(k, r));
}

std::vector<why_replica> replicas_of(const node_context& ctx,
                                     const directory::app& app,
                                     std::uint32_t shard) {
  std::vector<why_replica> out;
  const auto now = group_facts(ctx, app, shard);
  for (const auto& v : now.voters)
    out.push_back({v.node, app.stateless          ? why_role::instance
                           : now.leader == v.node ? why_role::leader
                                                  : why_role::voter});
  for (const auto& l : now.learners)
    out.push_back({l.node, why_role::learner});
  std::stable_partition(out.begin(), out.end(), [](const why_replica& r) {
    return r.role == why_role::leader;
  });
  return out;
}

struct place_words {
  std::string region;
  std::string zone;
};
place_words place_of(const std::vector<why_member>& members,
                     const node_id& node) {
  for (const auto& m : members)
    if (m.as.node == node)
      return {m.as.region, m.as.zone};
  return {};
}

void why_view(writer& w, const why_group& g, std::uint32_t shard,
              const std::vector<why_member>& members) {
  w.map(3).text("shard").uint(shard).text("as_placed").boolean(g.as_placed);
  w.text("rows").array(g.rows.size());
  for (const auto& r : g.rows) {
    const auto place = place_of(members, r.node);
    w.map(7).text("node").text(to_string(r.node));
    w.text("role").text(to_string(r.role));
    w.text("region").text(place.region).text("zone").text(place.zone);
    w.text("rank");
    if (r.rank > 0)
      w.uint(r.rank);
    else
      w.nil();
    w.text("score");
    if (r.score)
      w.number(*r.score);
    else
      w.nil();
    w.text("text").text(r.text);
  }
}

} // namespace

void http_gateway::outlook(const io::http_request& q, responder r) {
  const auto& app = q.path[2];
  const auto missing = [&](const std::string& what) {
    r.send(refusal(reply_status::not_found, what));
  };
  const auto no_app =
      "no app named '" + app + "'; `banyan apps` lists what there is";
  if (q.path[3] == "risk") {
    const auto view = view_risk(ctx_, app);
    return view.empty() ? missing(no_app) : void(r.send(answer(q, view)));
  }
  why_wish wish;
  std::uint64_t runners_up = wish.runners_up;
  std::uint64_t shard = shards_max;
  const bool one = q.parameter("shard") != nullptr;
  if (!number_parameter(q, "runners_up", runners_up)
      || runners_up > runners_up_max || !number_parameter(q, "shard", shard))
    return void(r.send(refusal(reply_status::invalid_argument,
                               "runners_up must be a number up to "
                                   + std::to_string(runners_up_max)
                                   + ", shard a number")));
  wish.runners_up = static_cast<std::size_t>(runners_up);
  const auto* known = ctx_.known.find_app(app);
  if (known == nullptr)
    return missing(no_app);
  if (one && shard >= known->shards)
    return missing("'" + app + "' has " + std::to_string(known->shards)
                   + " shards, numbered from 0");
  if (one)
    wish.shard = static_cast<std::uint32_t>(shard);
  const auto view = view_why(ctx_, app, wish);
  if (view.empty())
    return missing("the documents of '" + app + "' aren't here yet");
  r.send(answer(q, view));
}

bytes view_risk(const node_context& ctx, const std::string& name) {
  const auto* app = ctx.known.find_app(name);
  const auto spec = ctx.specs.find(name);
  if (app == nullptr || spec == ctx.specs.end())
    return {};
  risk_facts f;
  f.stateless = app->stateless;
  for (std::uint32_t s = 0; s < app->shards; ++s)
    f.groups.push_back(group_facts(ctx, *app, s));
  const auto need = need_for(spec->second);
  for (auto& m : members_for(ctx, &spec->second)) {
    if (may_run(m) && why_unfit(m.as, need) == unfit::none)
      f.fitting.push_back(m.as.node);
    f.members.push_back(std::move(m.as));
  }
  f.replace_after = spec->second.replace_after;
  const net::liveness_config liveness;
  f.silence = liveness.silence_floor + liveness.beat_group;
  f.takeover = takeover_of(ctx, name);
  const auto r = risk_of(f);
  bytes out;
  writer w{out};
  w.map(6).text("name").text(name).text("kind");
  w.text(app->stateless ? "stateless" : "durable");
  w.text("shards").uint(r.shards).text("waiting_count").uint(r.waiting_count);
  w.text("waiting");
  waiting_view(w, r.waiting, r);
  w.text("losses").array(r.kinds.size());
  for (const auto& k : r.kinds)
    loss_view(w, k, r);
  return out;
}

bytes view_why(const node_context& ctx, const std::string& name,
               const why_wish& wish) {
  const auto* app = ctx.known.find_app(name);
  const auto spec = ctx.specs.find(name);
  const auto papers = ctx.papers.find(name);
  app_papers documents;
  app_genesis genesis;
  if (app == nullptr || spec == ctx.specs.end() || papers == ctx.papers.end()
      || !app_papers::decode(papers->second, documents)
      || !app_genesis::decode(documents.genesis.body, genesis)
      || (wish.shard && *wish.shard >= app->shards))
    return {};
  why_facts f;
  f.need = need_for(spec->second);
  f.members = members_for(ctx, &spec->second);
  f.runners_up = std::min(wish.runners_up, runners_up_max);
  const auto excluded = excluded_of(f.need, f.members);
  const auto first = wish.shard.value_or(0);
  const auto room = std::clamp<std::size_t>(
      hashes_max / std::max<std::size_t>(1, f.members.size()), 1, shards_shown);
  const auto end =
      wish.shard ? first + 1
                 : std::min(app->shards, static_cast<std::uint32_t>(room));
  bytes out;
  writer w{out};
  w.map(8).text("name").text(name).text("kind");
  w.text(app->stateless ? "stateless" : "durable");
  w.text("shards").uint(app->shards).text("members").uint(f.members.size());
  w.text("fitting").uint(f.members.size() - excluded.size());
  w.text("excluded_count").uint(excluded.size());
  const auto shown = std::min(excluded.size(), excluded_shown);
  w.text("excluded").array(shown);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto place = place_of(f.members, excluded[i].node);
    w.map(4).text("node").text(to_string(excluded[i].node));
    w.text("region").text(place.region).text("zone").text(place.zone);
    w.text("text").text(excluded[i].text);
  }
  w.text("groups").array(end - first);
  for (auto shard = first; shard < end; ++shard) {
    f.hash = placement_hash(genesis.nonce, shard);
    f.replicas = replicas_of(ctx, *app, shard);
    why_view(w, explain(f), shard, f.members);
  }
  return out;
}

} // namespace banyan::actors
