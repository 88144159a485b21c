// What supervision does about apps that fail and leaders that are cut off.
#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration cut_off_after = 1s;    ///< before a leader hands over
constexpr duration hand_over_pause = 60s; ///< between two such, per group
constexpr duration fsync_patience = 1s;
constexpr duration host_move_pause = 1s; ///< a transfer ends by then

/// True if that changed anything.
bool put(std::set<node_id>& where, const node_id& node, bool is) {
  return is ? where.insert(node).second : where.erase(node) != 0;
}

/// For those who only read it.
template <class Troubles>
void show(node_context& ctx, const std::string& app, const Troubles& t) {
  auto unwell = t.exhausted;
  unwell.insert(t.worn.begin(), t.worn.end());
  if (unwell.empty())
    ctx.unwell_hosts.erase(app);
  else
    ctx.unwell_hosts[app] = std::move(unwell);
}

} // namespace

void group_supervisor::stand_here(const std::string& app, bool exhausted,
                                  bool worn) {
  auto& t = troubles_[app];
  if (put(t.exhausted, ctx_.self(), exhausted))
    ctx_.broadcast(net::channel::group,
                   encoded_control(host_state{app, exhausted}));
  if (put(t.worn, ctx_.self(), worn))
    ctx_.broadcast(net::channel::group, encoded_control(host_wear{app, worn}));
  show(ctx_, app, t);
  judge_hosts(app);
}

void group_supervisor::on_host_state(const node_id& from, const host_state& m) {
  if (ctx_.known.find_app(m.app) == nullptr) {
    ++ctx_.counters.frames_bad;
    return;
  }
  auto& t = troubles_[m.app];
  put(t.exhausted, from, m.exhausted);
  show(ctx_, m.app, t);
  judge_hosts(m.app);
}

void group_supervisor::on_host_wear(const node_id& from, const host_wear& m) {
  if (ctx_.known.find_app(m.app) == nullptr) {
    ++ctx_.counters.frames_bad;
    return;
  }
  auto& t = troubles_[m.app];
  put(t.worn, from, m.worn);
  show(ctx_, m.app, t);
  judge_hosts(m.app);
}

void group_supervisor::tell_troubles(const node_id& to) {
  for (const auto& [app, t] : troubles_) {
    if (t.exhausted.count(ctx_.self()) != 0)
      ctx_.send(to, net::channel::group,
                encoded_control(host_state{app, true}));
    if (t.worn.count(ctx_.self()) != 0)
      ctx_.send(to, net::channel::group, encoded_control(host_wear{app, true}));
  }
}

void group_supervisor::forget_troubles(const node_id& of) {
  for (auto& [app, t] : troubles_) {
    t.exhausted.erase(of);
    t.worn.erase(of);
    show(ctx_, app, t);
  }
}

void group_supervisor::on_host_trouble(const group_id& g, local_replica& r,
                                       const host_trouble& t) {
  switch (t.kind) {
  case host_trouble::what::newer_state: {
    group_order o;
    order(g, r, std::move(o)); // leadership to one that can read it
    return;
  }
  case host_trouble::what::handler_threw:
    ++ctx_.counters.handlers_threw;
    return;
  case host_trouble::what::poisoned:
    ++ctx_.counters.requests_poisoned;
    ctx_.log(log_level::error,
             "a request is poisoned: " + t.message + "; it is not run again");
    ctx_.group_event(event_kind::poisoned, g, t.message);
    return;
  }
}

void group_supervisor::judge_hosts(const std::string& app) {
  const auto* known = ctx_.known.find_app(app);
  if (known == nullptr)
    return;
  const auto& where = troubles_[app].exhausted;
  bool everywhere = false;
  for (auto& [g, r] : replicas_) {
    if (g.app != known->id || !r.configured)
      continue;
    judge_host(app, g, r);
    bool all = where.count(ctx_.self()) != 0;
    for (const auto& v : r.configuration.voters)
      all = all && where.count(v.node) != 0;
    everywhere |= all;
  }
  if (!everywhere)
    return;
  for (auto s = seats_.lower_bound({known->id, 0});
       s != seats_.end() && s->first.first == known->id; ++s)
    if (s->second.exhausted)
      ctx_.tell_host(s->first, park_host{});
}

// A host that can't run turns for longer than a hand-over takes: leadership
// moves to a voter whose host is well, if there is one; a voter that is worn
// itself takes none, so that a storm ends with the last voter. More failures
// than the budget: it moves to any voter that has some of it left. The same on
// every voter: the app is parked, its data kept, and its host is tried again
// slowly by the ladder.
void group_supervisor::judge_host(const std::string& app, const group_id& g,
                                  local_replica& r) {
  if (r.role.now != role_changed::role::leader || !r.configured)
    return;
  const auto& t = troubles_[app];
  const auto& self = ctx_.self();
  const bool exhausted = t.exhausted.count(self) != 0;
  group_order o;
  if (!exhausted && std::exchange(r.parked, false)) {
    if (parked_.erase(app) != 0)
      ctx_.event(event_kind::unparked, app, "its host runs again");
    o.what = group_order::kind::unpark;
    ctx_.tell_replica(g, std::move(o));
    return;
  }
  if (!exhausted && t.worn.count(self) == 0)
    return;
  std::vector<node_id> voters;
  std::set<node_id> reached;
  for (const auto& v : r.configuration.voters) {
    voters.push_back(v.node);
    if (ctx_.hears(v.node))
      reached.insert(v.node);
  }
  auto unwell = t.exhausted;
  unwell.insert(t.worn.begin(), t.worn.end());
  auto step = after_exhaustion(self, voters, unwell, reached);
  const bool to_a_well_one = step.what == exhaustion_step::kind::move;
  if (exhausted && !to_a_well_one)
    step = after_exhaustion(self, voters, t.exhausted, reached);
  if (step.what == exhaustion_step::kind::move)
    return move_for_host(app, g, r, step.to, !exhausted);
  if (!exhausted || step.what != exhaustion_step::kind::park || r.parked)
    return;
  r.parked = true;
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

void group_supervisor::move_for_host(const std::string& app, const group_id& g,
                                     local_replica& r, const node_id& to,
                                     bool worn_only) {
  const auto now = ctx_.loop.now();
  if (now < r.host_move_at)
    return; // it is under way
  r.host_move_at = now + host_move_pause;
  group_order o;
  o.what = group_order::kind::transfer;
  for (const auto& v : r.configuration.voters)
    if (v.node == to)
      o.who = v;
  const std::string why =
      worn_only ? "its host is quicker elsewhere" : "it keeps failing here";
  ++ctx_.counters.host_moves;
  ctx_.log(log_level::warning,
           "app " + app + ": " + why + ": leadership of shard "
               + std::to_string(g.shard) + " moves to " + short_string(to));
  ctx_.group_event(event_kind::leadership_moved, g,
                   why + ": " + short_string(to) + " shall lead", to);
  ctx_.tell_replica(g, std::move(o));
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
        || members.fsync_age(v.node) >= fsync_patience
        || ctx_.is_drained(v.node))
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
