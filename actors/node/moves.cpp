// Operators' orders at a group's leader: stop and start as entries, and a
// replica that goes to another node.
#include "actors/node/operator_desk.hpp"
#include "actors/node/placing.hpp"
#include "actors/pure/uptime/policy.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration wish_lasts = 10s; ///< unless it is asked for again
constexpr duration hand_over_again = 2s;

operator_answer said(operator_progress p, std::string why = {}) {
  operator_answer a;
  a.progress = p;
  a.message = std::move(why);
  return a;
}
operator_answer refused(reply_status s, std::string why) {
  auto a = said(operator_progress::refused, std::move(why));
  a.status = s;
  return a;
}

} // namespace

void operator_desk::answer(const node_id& to, operator_answer a) {
  if (to == s_.ctx_.self())
    on_answer(to, a);
  else
    s_.ctx_.send(to, net::channel::group, encoded_control(a));
}

void operator_desk::on_order(const node_id& from, const operator_order& o) {
  carry_out(from, o);
}

void operator_desk::carry_out(const node_id& from, const operator_order& o) {
  operator_answer a;
  switch (static_cast<operator_wish>(o.what)) {
  case operator_wish::stop:
  case operator_wish::start:
    return set_stopped(from, o);
  case operator_wish::move:
    // A node gives up its own replica, nobody else's; an operator names to
    // whom.
    a = o.to.is_none() && o.from != from ? refused(
            reply_status::forbidden, "only a node itself gives up its replica")
                                         : wish_for(o);
    break;
  case operator_wish::drain:
    a = begin_drain(o);
    break;
  case operator_wish::keep:
    cancel_drain();
    a = said(operator_progress::done, "it takes replicas again");
    break;
  default:
    a = refused(reply_status::invalid_argument,
                "this peer is of an older version and doesn't know that order");
  }
  a.token = o.token;
  answer(from, std::move(a));
}

void operator_desk::set_stopped(const node_id& from, const operator_order& o) {
  const bool stop = static_cast<operator_wish>(o.what) == operator_wish::stop;
  for (const auto& [number, s] : stopping_)
    if (s.from == from && s.group == o.group) {
      if (s.token == o.token)
        return; // its entry is on its way
      auto a = said(operator_progress::later, "another order is on its way");
      a.token = o.token;
      return answer(from, std::move(a));
    }
  const auto at = s_.replicas_.find(o.group);
  if (at == s_.replicas_.end() || !at->second.role.serving) {
    auto a = said(operator_progress::later, "its leader is elsewhere now");
    a.token = o.token;
    return answer(from, std::move(a));
  }
  if (const auto app = s_.apps_.find(o.group.app);
      !stop && app != s_.apps_.end()) {
    const auto& name = app->second.genesis.name;
    const auto failing = s_.troubles_.find(name);
    if (failing != s_.troubles_.end()
        && failing->second.exhausted.count(s_.ctx_.self()) != 0)
      s_.ctx_.tell_hosts(app->first, restart_host{});
  }
  group_order order;
  order.what = stop ? group_order::kind::stop : group_order::kind::start;
  order.number = ++s_.next_number_;
  stopping_[order.number] = {from, o.token, o.group, stop};
  s_.ctx_.tell_replica(o.group, std::move(order));
}

bool operator_desk::on_change_done(const change_done& d) {
  const auto at = stopping_.find(d.number);
  if (at == stopping_.end())
    return false;
  const auto s = at->second;
  stopping_.erase(at);
  if (d.done)
    s_.ctx_.group_event(s.stop ? event_kind::stopped : event_kind::started,
                        s.group,
                        std::string{"by an operator at "} + short_string(s.from)
                            + (s.stop ? ", until it is started" : ""));
  auto a = d.done ? said(operator_progress::done)
                  : said(operator_progress::later, d.why);
  a.token = s.token;
  answer(s.from, std::move(a));
  return true;
}

// ---- moves

group_standing operator_desk::standing_of(const group_id& g,
                                          const node_id& from) const {
  auto& ctx = s_.ctx_;
  group_standing out;
  const auto app = s_.apps_.find(g.app);
  out.name =
      (app == s_.apps_.end() ? short_string(g.app) : app->second.genesis.name)
      + "/" + std::to_string(g.shard);
  const auto* v = ctx.known.view(g);
  const auto reached = [&](const node_id& n) { return ctx.reaches(n); };
  out.led =
      v != nullptr && !v->leader.node.is_none() && reached(v->leader.node);
  std::vector<node_id> all;
  const auto add = [&](const replica_ref& who, bool current,
                       std::vector<replica_standing>& to) {
    replica_standing r;
    r.who = who;
    r.reached = reached(who.node);
    r.current = current && ctx.state_of(g, who) == state_phase::whole;
    r.stays = who.node != from && !ctx.is_drained(who.node);
    to.push_back(r);
    all.push_back(who.node);
  };
  // The leader's own list is newer than what it has announced.
  const auto mine = s_.replicas_.find(g);
  if (mine != s_.replicas_.end() && mine->second.role.serving
      && mine->second.configured) {
    const auto current = [&](const replica_ref& who) {
      if (v == nullptr)
        return false;
      for (const auto* list : {&v->voters, &v->learners})
        for (const auto& r : *list)
          if (r.who == who)
            return r.state == static_cast<std::uint8_t>(replica_state::current);
      return false;
    };
    const auto& c = mine->second.configuration;
    for (const auto& who : c.voters)
      add(who, who.node == ctx.self() || current(who), out.voters);
    for (const auto& who : c.learners)
      add(who, current(who), out.learners);
  } else if (v != nullptr) {
    const auto current = static_cast<std::uint8_t>(replica_state::current);
    for (const auto& r : v->voters)
      add(r.who, r.state == current, out.voters);
    for (const auto& r : v->learners)
      add(r.who, r.state == current, out.learners);
  }
  if (app != s_.apps_.end())
    out.candidate =
        next_candidate(placement_hash(app->second.genesis.nonce, g.shard),
                       s_.need_of(app->second.version.spec),
                       s_.candidates(&app->second.version.spec), all, all,
                       std::nullopt)
            .has_value();
  return out;
}

std::string operator_desk::why_not_on(const group_id& g,
                                      const node_id& to) const {
  const auto name = "node " + short_string(to);
  if (const auto m = s_.ctx_.members->find(to))
    if (const auto by = policy_of(s_.ctx_, m->record); by != away::none)
      return name + " takes nothing new: " + words_of(by);
  if (s_.ctx_.is_drained(to))
    return name + " is drained: `banyan drain " + short_string(to)
           + " --cancel` has it take replicas again";
  const auto app = s_.apps_.find(g.app);
  if (app == s_.apps_.end())
    return "the app is gone";
  const auto all = s_.candidates(&app->second.version.spec);
  const auto at = std::find_if(
      all.begin(), all.end(), [&](const candidate& c) { return c.node == to; });
  if (at == all.end())
    return name + " can't be reached";
  const auto mine = s_.replicas_.find(g);
  if (mine != s_.replicas_.end()
      && !knows(s_.ctx_.features_of(to), mine->second.version.features))
    return name
           + " runs a banyan-peer that is older than what the group's log "
             "needs; update it";
  const auto why = why_unfit(*at, s_.need_of(app->second.version.spec));
  return why == unfit::none
             ? std::string{}
             : name + " doesn't fit the app's spec: its " + to_string(why);
}

operator_answer operator_desk::wish_for(const operator_order& o) {
  const auto at = s_.replicas_.find(o.group);
  if (at == s_.replicas_.end() || !at->second.role.serving
      || !at->second.configured)
    return said(operator_progress::later, "its leader is elsewhere now");
  const auto now = s_.ctx_.loop.now();
  const auto& r = at->second;
  const bool named = !o.to.is_none();
  end_own(o.group);
  const bool known = wishes_.count(o.group) != 0;
  auto standing = standing_of(o.group, o.from);
  const auto on = [](const std::vector<replica_standing>& list,
                     const node_id& n) {
    return std::any_of(list.begin(), list.end(),
                       [&](const auto& x) { return x.who.node == n; });
  };
  if (named) {
    // Said to the node each time the order comes, so that it isn't lost.
    for (const auto* list : {&standing.voters, &standing.learners})
      for (const auto& x : *list)
        if (x.who.node == o.to)
          pin(o.group, x.who);
    if (on(standing.voters, o.to)) {
      wishes_.erase(o.group);
      return on(standing.voters, o.from) ? refused(
                 reply_status::conflict, standing.name + " has a voter on node "
                                             + short_string(o.to) + " already")
                                         : said(operator_progress::done);
    }
    if (!on(standing.voters, o.from))
      return refused(reply_status::conflict,
                     standing.name + " has no voter on node "
                         + short_string(o.from)
                         + "; `banyan apps` shows where they are");
    if (auto why = why_not_on(o.group, o.to); !why.empty()) {
      wishes_.erase(o.group);
      return refused(reply_status::conflict, std::move(why));
    }
    standing.candidate = true;
    if (!known && (r.adding || r.configuration.joint()))
      return o.force
                 ? said(operator_progress::later, "another change ends first")
                 : refused(reply_status::conflict,
                           "a change of " + standing.name
                               + "'s replicas is under way; try again later");
  }
  const auto d = judge_departure(standing, o.from, o.force);
  switch (d.what) {
  case departure::kind::gone:
    wishes_.erase(o.group);
    return said(operator_progress::done);
  case departure::kind::wait:
    if (named && !known && !o.force)
      return refused(reply_status::conflict, d.why);
    if (!known) // the one that it waits for may need its only change
      return said(operator_progress::later, d.why);
    break;
  case departure::kind::refuse:
  case departure::kind::last:
    wishes_.erase(o.group);
    return refused(reply_status::conflict, d.why);
  default:
    break;
  }
  wish w;
  w.from = o.from;
  if (named)
    w.to = o.to;
  w.force = o.force;
  w.until = now + wish_lasts;
  wishes_[o.group] = w;
  auto a = said(operator_progress::under_way, d.why);
  if (const auto* v = s_.ctx_.known.view(o.group); v != nullptr)
    for (const auto& l : v->learners)
      if (!named || l.who.node == o.to)
        a.permille = std::max(a.permille, l.permille);
  if (named && !known) {
    std::vector<node_id> before;
    std::vector<node_id> after;
    for (const auto& v : standing.voters) {
      before.push_back(v.who.node);
      after.push_back(v.who.node == o.from ? o.to : v.who.node);
    }
    const auto all = s_.candidates();
    const auto was = survival_of(before, all);
    const auto is = survival_of(after, all);
    if ((was.any_host && !is.any_host) || (was.any_zone && !is.any_zone)
        || (was.any_region && !is.any_region))
      a.message = "warning: " + standing.name + " there " + is.warnings.front();
  }
  return a;
}

const operator_desk::wish* operator_desk::wish_of(const group_id& g,
                                                  time_point now) {
  const auto at = wishes_.find(g);
  if (at == wishes_.end())
    return nullptr;
  if (at->second.until > now)
    return &at->second;
  wishes_.erase(at);
  return nullptr;
}

// A node that serves well and leads least: the lead shall not pile up.
std::optional<replica_ref> operator_desk::heir_of(const group_id& g) const {
  auto& ctx = s_.ctx_;
  const auto at = s_.replicas_.find(g);
  const auto* v = ctx.known.view(g);
  if (at == s_.replicas_.end() || v == nullptr)
    return std::nullopt;
  const auto app = s_.apps_.find(g.app);
  std::map<node_id, std::size_t> led;
  ctx.known.each_view([&](const group_view& x) { ++led[x.leader.node]; });
  std::optional<replica_ref> best;
  for (const auto& r : v->voters) {
    const auto& who = r.who;
    if (who.node == ctx.self() || !ctx.members->hears(who.node)
        || ctx.is_drained(who.node)
        || ctx.state_of(g, who) != state_phase::whole
        || r.state != static_cast<std::uint8_t>(replica_state::current)
        || !at->second.configuration.voters.contains(who))
      continue;
    if (app != s_.apps_.end())
      if (const auto bad = s_.troubles_.find(app->second.genesis.name);
          bad != s_.troubles_.end() && bad->second.worn.count(who.node) != 0)
        continue;
    if (!best || led[who.node] < led[best->node])
      best = who;
  }
  return best;
}

void operator_desk::pursue(const group_id& g, const wish& w, time_point now) {
  auto& r = s_.replicas_.at(g);
  auto standing = standing_of(g, w.from);
  if (w.to)
    standing.candidate = true;
  const auto d = judge_departure(standing, w.from, w.force);
  replica_ref leaving;
  for (const auto* list : {&standing.voters, &standing.learners})
    for (const auto& x : *list)
      if (x.who.node == w.from)
        leaving = x.who;
  group_order o;
  switch (d.what) {
  case departure::kind::gone: // done: it takes nobody's turn any more
    wishes_.erase(g);
    return;
  case departure::kind::remove:
    o.what = group_order::kind::remove_learner;
    o.who = leaving;
    return s_.change(g, r, std::move(o), now);
  case departure::kind::shrink:
  case departure::kind::replace:
    break;
  default:
    return;
  }
  if (w.from == s_.ctx_.self())
    if (const auto heir = heir_of(g)) {
      auto& next = handed_[g];
      if (next > now)
        return;
      next = now + hand_over_again;
      o.who = heir;
      s_.ctx_.tell_replica(g, std::move(o));
      return;
    }
  o.out = {leaving};
  if (d.what == departure::kind::shrink) {
    o.what = group_order::kind::shrink_voters;
    o.demoted = d.demote;
    return s_.change(g, r, std::move(o), now);
  }
  o.what = group_order::kind::change_voters;
  for (const auto& l : standing.learners)
    if (l.reached && (w.to ? l.who.node == *w.to : l.stays)) {
      o.in = {l.who};
      return s_.change(g, r, std::move(o), now);
    }
  s_.add_newcomer(g, r, voter_watch::due{leaving, true}, now, w.to);
}

} // namespace banyan::actors
