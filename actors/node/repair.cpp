#include "actors/node/operator_desk.hpp"

#include <caf/all.hpp>

#include <cmath>

namespace banyan::actors {
namespace {

constexpr duration step_timeout = 60s; ///< for a change to come about
constexpr duration retry_pause = 1s;   ///< after a candidate refused
constexpr duration busy_pause = 300ms; ///< after one that takes in others
constexpr duration other_region_after = 10s;
/// A learner that nobody needs, of a move that was taken back, say.
constexpr duration surplus_patience = 60s;

} // namespace

void group_supervisor::order(const group_id& g, local_replica& r,
                             group_order o) {
  r.number = o.number = ++next_number_;
  ctx_.tell_replica(g, std::move(o));
}

// Replaces a voter that this node, its leader, hasn't reached for the spec's
// `replace_after`: a learner on the next node in placement order, then one
// joint change that takes it in and the lost one out. With fewer voters than
// the spec asks for, grows by two (or keeps one as a learner).
void group_supervisor::repair(const group_id& g, local_replica& r,
                              time_point now) {
  const auto app = apps_.find(g.app);
  if (app == apps_.end() || (app->second.deleted && is_over(g.app)))
    return;
  const auto& spec = app->second.version.spec;
  const auto& conf = r.configuration;
  r.watch.set_config({spec.replace_after, other_region_after});
  for (const auto& v : conf.voters)
    if (ctx_.hears(v.node))
      r.watch.reached(v);
    else if (ctx_.is_drained(v.node))
      r.watch.drained(v, now); // it comes back for its data at most
    else
      r.watch.unreached(v, now);
  if (r.adding) {
    // A newcomer that is gone ends no change: not a minute is lost on it.
    if (now < r.give_up && !(r.newcomer && is_lost(r, *r.newcomer)))
      return;
    r.adding = false;
    if (r.newcomer)
      r.refused.push_back(r.newcomer->node);
    r.newcomer.reset();
    r.retry_at = now + retry_pause;
  }
  if (now < r.retry_at || conf.joint() || drop_lost_learner(g, r, now))
    return;
  const auto change_voters = [&](std::vector<replica_ref> in,
                                 std::vector<replica_ref> out) {
    group_order o;
    o.what = group_order::kind::change_voters;
    o.in = std::move(in);
    o.out = std::move(out);
    change(g, r, std::move(o), now);
  };
  std::vector<replica_ref> learners;
  for (const auto& l : conf.learners)
    if (ctx_.members->hears(l.node) && !ctx_.is_drained(l.node))
      learners.push_back(l);
  if (const auto due = r.watch.next(now)) {
    if (learners.empty())
      return add_newcomer(g, r, due, now);
    ctx_.log(log_level::info, spec.name + "/" + std::to_string(g.shard)
                                  + ": replacing voter "
                                  + short_string(due->voter.node) + " by "
                                  + short_string(learners.front().node));
    ctx_.group_event(event_kind::replica_replaced, g,
                     short_string(learners.front().node)
                         + " becomes a voter instead of "
                         + short_string(due->voter.node),
                     due->voter.node);
    return change_voters({learners.front()}, {due->voter});
  }
  if (const auto* wish = desk_->wish_of(g, now)) {
    r.surplus_at = never;
    return desk_->pursue(g, *wish, now);
  }
  if (conf.voters.size() >= spec.replicas) {
    if (learners.empty())
      r.surplus_at = never;
    else if (r.surplus_at == never)
      r.surplus_at = now + surplus_patience;
    else if (r.surplus_at <= now) {
      group_order o;
      o.what = group_order::kind::remove_learner;
      o.who = learners.front();
      r.surplus_at = never;
      change(g, r, std::move(o), now);
    }
    return;
  }
  // A change whose newcomer was lost on the way may have left two.
  if (conf.voters.size() % 2 == 0 && !learners.empty())
    return change_voters({learners[0]}, {});
  if (learners.size() >= 2)
    return change_voters({learners[0], learners[1]}, {});
  if (conf.voters.size() + learners.size() < spec.replicas)
    add_newcomer(g, r, std::nullopt, now);
}

void group_supervisor::change(const group_id& g, local_replica& r,
                              group_order o, time_point now) {
  r.adding = true;
  r.newcomer.reset();
  if (!o.in.empty())
    r.newcomer = o.in.front();
  r.give_up = now + step_timeout;
  order(g, r, std::move(o));
}

/// Its node is gone, or lives and has no such replica.
bool group_supervisor::is_lost(const local_replica& r,
                               const replica_ref& who) const {
  return r.lost_learners.count(who) != 0
         || (!ctx_.members->hears(who.node)
             && ctx_.members->state_of(who.node) != net::member_state::alive);
}

bool group_supervisor::drop_lost_learner(const group_id& g, local_replica& r,
                                         time_point now) {
  for (const auto& l : r.configuration.learners) {
    if (!is_lost(r, l))
      continue;
    group_order o;
    o.what = group_order::kind::remove_learner;
    o.who = l;
    r.adding = true;
    r.give_up = now + step_timeout;
    r.lost_learners.erase(l);
    r.refused.push_back(l.node);
    ctx_.group_event(event_kind::replica_removed, g,
                     "the learner on " + short_string(l.node) + " is gone",
                     l.node);
    order(g, r, std::move(o));
    return true;
  }
  return false;
}

// At most two transfers out of this node at once, least redundancy first.
bool group_supervisor::may_begin(const group_id& g, time_point now) const {
  std::vector<transfer> wanted;
  std::vector<transfer> running;
  for (const auto& [other, r] : replicas_) {
    if (r.role.now != role_changed::role::leader || !r.configured)
      continue;
    const auto voters = r.configuration.voters.size();
    std::int32_t reached = 0;
    for (const auto& v : r.configuration.voters)
      reached += ctx_.hears(v.node) ? 1 : 0;
    transfer t;
    t.group = other;
    t.from = ctx_.self();
    t.redundancy = reached - static_cast<std::int32_t>(voters / 2 + 1);
    if (r.adding)
      running.push_back(t);
    else if (r.retry_at <= now
             && (other == g || r.watch.next(now) || desk_->wish_of(other, now)))
      wanted.push_back(t); // whoever waits for another node is in nobody's way
  }
  for (const auto i : transfers_to_begin(wanted, running))
    if (wanted[i].group == g)
      return true;
  return false;
}

void group_supervisor::add_newcomer(
    const group_id& g, local_replica& r,
    const std::optional<voter_watch::due>& instead, time_point now,
    const std::optional<node_id>& to) {
  if (!may_begin(g, now))
    return;
  const auto& app = apps_.at(g.app);
  const auto& spec = app.version.spec;
  std::vector<node_id> kept;
  std::vector<node_id> excluded = r.refused;
  // The lost one's own node may have a new replica, under a new id: it lives
  // and lost a log, say. One that is gone is no candidate anyway.
  const auto note = [&](const replica_ref& w) {
    if (instead && w == instead->voter)
      return;
    excluded.push_back(w.node);
    kept.push_back(w.node);
  };
  for (const auto& w : r.configuration.voters)
    note(w);
  for (const auto& w : r.configuration.learners)
    note(w);
  const auto hash = placement_hash(app.genesis.nonce, g.shard);
  const auto need = need_of(spec);
  const auto all = with_code(able_candidates(r, spec), spec);
  std::optional<node_id> next = to;
  if (instead && !next) {
    const auto region = ctx_.regions.find(instead->voter.node);
    if (region != ctx_.regions.end())
      next = next_candidate(hash, need, all, kept, excluded, region->second);
    if (!next && !instead->any_region)
      return;
  }
  if (!next)
    next = next_candidate(hash, need, all, kept, excluded, std::nullopt);
  if (!next) {
    r.retry_at = now + retry_pause;
    r.refused.clear();
    return;
  }
  r.adding = true;
  r.give_up = now + step_timeout;
  r.newcomer = replica_ref{*next, {}};
  ask_to_make(*next, &app, app.genesis.nonce, {g.shard},
              [this, g, node = *next, named = to.has_value(), name = spec.name](
                  const std::map<std::uint32_t, replica_id>& made,
                  const std::string& error) {
                const auto at = replicas_.find(g);
                if (at == replicas_.end() || !at->second.adding
                    || at->second.newcomer != replica_ref{node, {}})
                  return; // another one is wanted by now
                auto& mine = at->second;
                if (error == replicas_made_later) {
                  const auto heard = ctx_.loop.now();
                  mine.adding = false;
                  mine.newcomer.reset();
                  mine.retry_at = heard + busy_pause;
                  if (intakes_.goes_on(node, heard) || named)
                    return; // it is the right one still
                  ctx_.log(log_level::info,
                           name + "/" + std::to_string(g.shard) + ": node "
                               + short_string(node)
                               + " still takes in others; the next one is "
                                 "asked");
                  mine.refused.push_back(node);
                  return;
                }
                intakes_.over(node);
                const auto id = made.find(g.shard);
                // It may name the very one that is to be replaced, and not know
                // yet.
                const bool known = id != made.end()
                                   && mine.configuration.contains(
                                       replica_ref{node, id->second});
                if (!error.empty() || id == made.end() || known) {
                  ctx_.log(log_level::warning,
                           "node " + short_string(node) + " made no replica: "
                               + (known ? "it has one" : error));
                  mine.adding = false;
                  mine.newcomer.reset();
                  mine.refused.push_back(node);
                  mine.retry_at = ctx_.loop.now() + retry_pause;
                  return;
                }
                const auto what = "a new replica goes to " + short_string(node);
                ctx_.log(log_level::info,
                         name + "/" + std::to_string(g.shard) + ": " + what);
                ctx_.group_event(event_kind::replica_added, g, what, node);
                group_order o;
                o.what = group_order::kind::add_learner;
                o.who = replica_ref{node, id->second};
                mine.newcomer = o.who;
                order(g, mine, std::move(o));
              });
}

/// Of nodes whose build can't read the group's log there is no use.
std::vector<candidate>
group_supervisor::able_candidates(const local_replica& r,
                                  const app_spec& s) const {
  auto all = candidates(&s);
  for (auto i = all.begin(); i != all.end();) {
    if (knows(ctx_.features_of(i->node), r.version.features)) {
      ++i;
      continue;
    }
    ctx_.log(log_level::info,
             "node " + short_string(i->node)
                 + " is passed over for a new replica: its banyan-peer is "
                   "older than what this group's log needs; update it");
    i = all.erase(i);
  }
  return all;
}

void group_supervisor::on_change_done(const group_id& g, const change_done& d) {
  const auto at = replicas_.find(g);
  if (at == replicas_.end() || at->second.number != d.number)
    return;
  auto& r = at->second;
  r.adding = false;
  r.newcomer.reset();
  ctx_.log(log_level::debug, "change " + std::to_string(d.number) + " done="
                                 + std::to_string(d.done) + " " + d.why);
  if (!d.done) {
    ctx_.log(log_level::warning, "a change of the group's replicas did not "
                                 "come about: "
                                     + d.why);
    r.retry_at = ctx_.loop.now() + retry_pause;
    return;
  }
  r.refused.clear();
  r.retry_at = {};
}

// ---- failovers
// -----------------------------------------------------------------------

void group_supervisor::on_failover(const group_id& g,
                                   const failover_report& f) {
  const auto app = apps_.find(g.app);
  if (app == apps_.end())
    return;
  failover_record rec;
  rec.app = app->second.genesis.name;
  rec.group = g;
  rec.term = f.term;
  rec.leader = ctx_.self();
  if (f.old_leader)
    rec.old_leader = f.old_leader->node;
  rec.elected_ms = to_ms(f.elected - f.detected);
  rec.first_commit_ms = to_ms(f.first_commit - f.detected);
  if (f.first_reply)
    rec.first_reply_ms = std::max(0.0, to_ms(*f.first_reply - f.detected));
  rec.at_unix_ms = ctx_.unix_ms();
  ctx_.broadcast(net::channel::group, encoded_control(rec));
  keep(std::move(rec));
}

// Everybody speaks of its own only.
void group_supervisor::on_failover_frame(const node_id& from,
                                         failover_record& rec) {
  if (rec.leader == from)
    keep(std::move(rec));
  else
    ++ctx_.counters.frames_bad;
}

void group_supervisor::keep(failover_record r) {
  ctx_.event(event_kind::failover, r.app,
             short_string(r.leader) + " leads"
                 + (r.old_leader ? " after " + short_string(*r.old_leader)
                                 : std::string{})
                 + ", term " + std::to_string(r.term.value())
                 + ": first commit after "
                 + std::to_string(std::llround(r.first_commit_ms)) + " ms",
             r.group.shard, r.leader);
  ++ctx_.counters.failovers;
  ctx_.failovers.push_back(std::move(r));
  if (ctx_.failovers.size() > node_context::failovers_max)
    ctx_.failovers.pop_front();
}

} // namespace banyan::actors
