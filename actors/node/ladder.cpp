// What supervision does about apps that fail and leaders that are cut off.
#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration cut_off_after = 1s;    ///< before a leader hands over
constexpr duration hand_over_pause = 60s; ///< between two such, per group
constexpr duration fsync_patience = 1s;

} // namespace

void group_supervisor::exhausted_here(const std::string& app, bool is) {
  auto& where = exhausted_[app];
  const bool was = where.count(ctx_.self()) != 0;
  if (is)
    where.insert(ctx_.self());
  else
    where.erase(ctx_.self());
  if (was != is)
    ctx_.broadcast(net::channel::group, encoded_control(host_state{app, is}));
  judge_exhaustion(app);
}

void group_supervisor::on_host_state(const node_id& from, const host_state& m) {
  if (ctx_.known.find_app(m.app) == nullptr) {
    ++ctx_.counters.frames_bad;
    return;
  }
  if (m.exhausted)
    exhausted_[m.app].insert(from);
  else
    exhausted_[m.app].erase(from);
  judge_exhaustion(m.app);
}

// More failures than the budget: leadership moves to a voter whose host is
// well; the same on every voter: the app is parked, its data kept, and its host
// is tried again slowly by the ladder.
void group_supervisor::judge_exhaustion(const std::string& app) {
  const auto* known = ctx_.known.find_app(app);
  if (known == nullptr)
    return;
  const auto& where = exhausted_[app];
  for (auto& [g, r] : replicas_) {
    if (g.app != known->id || r.role.now != role_changed::role::leader
        || !r.configured)
      continue;
    std::vector<node_id> voters;
    std::set<node_id> reached;
    for (const auto& v : r.configuration.voters) {
      voters.push_back(v.node);
      if (v.node == ctx_.self() || ctx_.members->hears(v.node))
        reached.insert(v.node);
    }
    group_order o;
    if (where.count(ctx_.self()) == 0) {
      if (parked_.erase(app) == 0)
        continue;
      ctx_.event(event_kind::unparked, app, "its host runs again");
      o.what = group_order::kind::unpark;
      ctx_.tell_replica(g, std::move(o));
      continue;
    }
    const auto step = after_exhaustion(ctx_.self(), voters, where, reached);
    if (step.what == exhaustion_step::kind::move) {
      o.what = group_order::kind::transfer;
      for (const auto& v : r.configuration.voters)
        if (v.node == step.to)
          o.who = v;
      ctx_.log(log_level::warning,
               "app " + app
                   + " keeps failing here: leadership moves "
                     "to "
                   + short_string(step.to));
      ctx_.group_event(event_kind::leadership_moved, g,
                       "the app keeps failing on this leader: "
                           + short_string(step.to) + " shall lead",
                       step.to);
      ctx_.tell_replica(g, std::move(o));
    } else if (step.what == exhaustion_step::kind::park) {
      if (parked_.insert(app).second) {
        ctx_.log(log_level::error,
                 "app " + app
                     + " fails on every voter: parked. Its data is "
                       "kept; `banyan apps` and the log say why");
        ctx_.event(event_kind::parked, app, "it fails on every voter");
      }
      o.what = group_order::kind::park;
      ctx_.tell_replica(g, std::move(o));
    }
  }
}

// A leader that for a second can't reach a voter which another voter hears, or
// whose oldest fsync is older than that, hands over to the voter that hears
// most voters, at most once a minute per group.
void group_supervisor::hand_over_if_cut_off(const group_id& g, local_replica& r,
                                            time_point now) {
  const auto& voters = r.configuration.voters;
  const auto& members = *ctx_.members;
  bool bad = false;
  for (const auto& v : voters) {
    if (v.node == ctx_.self())
      continue;
    bool heard_by_other = false;
    for (const auto& o : voters)
      heard_by_other |= o.node != ctx_.self() && o.node != v.node
                        && members.hears(o.node)
                        && members.hears(o.node, v.node);
    if (members.hears(v.node) || !heard_by_other) {
      r.cut_off.erase(v.node);
      continue;
    }
    const auto since = r.cut_off.try_emplace(v.node, now).first->second;
    bad |= now - since >= cut_off_after;
  }
  const auto pending = ctx_.disk.log->oldest_pending();
  bad |= pending != never && now - pending >= fsync_patience;
  if (!bad
      || (r.handed_over != time_point{}
          && now - r.handed_over < hand_over_pause))
    return;
  std::optional<replica_ref> best;
  std::size_t most = 0;
  for (const auto& v : voters) {
    if (v.node == ctx_.self() || !members.hears(v.node)
        || members.fsync_age(v.node) >= fsync_patience)
      continue;
    std::size_t heard = 1;
    for (const auto& o : voters)
      heard += o.node != v.node && members.hears(v.node, o.node) ? 1 : 0;
    if (heard > most) {
      most = heard;
      best = v;
    }
  }
  if (!best)
    return;
  r.handed_over = now;
  ctx_.log(log_level::warning,
           "this leader is cut off or its disk is slow: leadership moves to "
               + short_string(best->node));
  ctx_.group_event(event_kind::leadership_moved, g,
                   "this leader is cut off or its disk is slow: "
                       + short_string(best->node) + " shall lead",
                   best->node);
  group_order o;
  o.what = group_order::kind::transfer;
  o.who = best;
  ctx_.tell_replica(g, std::move(o));
}

} // namespace banyan::actors
