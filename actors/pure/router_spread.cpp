// Calls that any of several nodes may answer: stateless apps, stale queries.
#include "actors/pure/router_core.hpp"

#include <algorithm>
#include <utility>

namespace banyan {
namespace {

/// A voter whose state was too old has asked its leader by now; it isn't asked
/// again before it can have an answer, and before the bound it would be over.
constexpr duration too_old_max = 1s;

} // namespace

balancer_options router_core::app_balance::options() {
  balancer_options o;
  o.retry_reserve = 100; // what is under way at one peer when it dies
  return o;
}

router_core::app_balance& router_core::balance_of(const pending& c) {
  return balances_.try_emplace(c.frame.group.app, random_).first->second;
}

std::vector<balancer::look> router_core::looks(const app_id& app,
                                               time_point now) const {
  const auto b = balances_.find(app);
  return b == balances_.end() ? std::vector<balancer::look>{}
                              : b->second.nodes.looks(now);
}

/// Who is silent is left out, not only ejected: it may have cost a call
/// already, and neither probation nor a slow start of the others makes it worth
/// one more.
std::vector<balanced_instance> router_core::voters_for(const group_id& g,
                                                       time_point now) {
  std::vector<balanced_instance> out;
  const auto* v = known_.view(g);
  if (v == nullptr)
    return out;
  auto& too_old = groups_[g].too_old;
  if (too_old.size() > group_replicas_max)
    too_old.clear(); // of who no longer is a voter
  for (const auto& r : v->voters) {
    if (r.state != static_cast<std::uint8_t>(replica_state::current)
        || !known_.heard(r.who.node))
      continue;
    if (const auto until = too_old.find(r.who.node); until != too_old.end()) {
      if (now < until->second)
        continue;
      too_old.erase(until);
    }
    const bool self = r.who.node == self_;
    out.push_back({r.who.node, known_.near(r.who.node), self,
                   self ? duration{} : duration{1ms}});
  }
  return out;
}

/// The balancer's instances are the directory's, as far as they are heard.
void router_core::take_instances(const pending& c, time_point now) {
  auto& b = balance_of(c);
  const auto nodes = known_.candidates(c.frame.group);
  std::vector<balanced_instance> next;
  next.reserve(nodes.size());
  for (const auto& n : nodes)
    next.push_back({n, known_.near(n), n == self_,
                    n == self_ ? duration{} : duration{1ms}});
  const auto same = [](const auto& x, const auto& y) {
    return x.node == y.node && x.near == y.near;
  };
  if (std::equal(next.begin(), next.end(), b.set.begin(), b.set.end(), same))
    return;
  b.nodes.set(next, now);
  b.set = std::move(next);
}

/// Nobody that this call was at before, while there is another.
std::optional<node_id> router_core::choose(pending& c, time_point now) {
  auto& b = balance_of(c);
  if (c.spread->instances) {
    take_instances(c, now);
    return b.nodes.choose(c.spread->tried, now);
  }
  return b.nodes.choose_of(voters_for(c.frame.group, now), c.spread->tried,
                           now);
}

void router_core::spread(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  const auto to = choose(c, now);
  if (!to && !c.spread->instances) {
    // No voter is known to be fit: as any other query of the group.
    attempts_over(c, now);
    c.spread.reset();
    return send_to_best(id, now, out);
  }
  if (!to) {
    c.last = reply_status::no_quorum;
    return retry_later(id, now);
  }
  spread_to(id, *to, now, out);
}

void router_core::spread_to(std::uint64_t id, const node_id& to, time_point now,
                            effects& out) {
  auto& c = calls_.at(id);
  auto& s = *c.spread;
  auto& b = balance_of(c).nodes;
  c.last = reply_status::deadline;
  s.tried.insert(to);
  s.attempt = ++attempts_;
  s.hedge_at = s.hedged ? never : now + b.patience_at(to, now);
  b.began(s.attempt, to, now);
  send(id, to, now, out);
}

/// Its pause is over. If it was at somebody before, that is one more attempt
/// and waits for the budget: under a total failure calls would else be made
/// again and again until their ends. News that make an attempt worth it (of an
/// instance, of a link) need no budget.
void router_core::spread_due(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  if (!c.at.is_none() && choose(c, now) && !balance_of(c).nodes.may_repeat(now))
    return retry_later(id, now);
  spread(id, now, out);
}

/// One more attempt, of all that the budget gives; a pause once it was at all.
/// What died with its node is moved: nobody who lives has it twice by that.
void router_core::spread_again(std::uint64_t id, bool moved, time_point now,
                               effects& out) {
  auto& c = calls_.at(id);
  const auto to = choose(c, now);
  if (!to && !c.spread->instances)
    return spread(id, now, out);
  if (!to || c.spread->tried.count(*to) != 0) {
    c.spread->tried.clear();
    return retry_later(id, now);
  }
  if (!moved && !balance_of(c).nodes.may_repeat(now))
    return retry_later(id, now);
  ++retries_;
  spread_to(id, *to, now, out);
}

/// It takes longer than calls there do: the answer may come sooner from
/// another. Which one ran it makes no difference to what is spread.
void router_core::hedge(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  BANYAN_ASSERT(c.spread && c.in_flight);
  auto& s = *c.spread;
  const auto to = choose(c, now);
  auto& b = balance_of(c).nodes;
  s.hedge_at = now + b.patience(now); // if nobody can be asked now
  if (to && s.tried.count(*to) == 0 && b.may_repeat(now)) {
    ++hedges_;
    s.hedged = true;
    s.tried.insert(*to);
    s.hedged_to = *to;
    s.hedge = ++attempts_;
    b.began(s.hedge, *to, now);
    c.frame.deadline_left = c.until - now;
    out.emplace_back(router_send{*to, c.frame});
  }
  arm(id, c);
}

/// What is left under way, if anything, is the call's first attempt.
void router_core::attempt_ended(pending& c, const node_id& at, balanced_end how,
                                time_point now, duration retry_after) {
  auto& s = *c.spread;
  auto& b = balance_of(c).nodes;
  if (s.attempt != 0 && c.at == at) {
    b.ended(std::exchange(s.attempt, 0), how, now, retry_after);
    if (s.hedge != 0) {
      c.at = s.hedged_to;
      s.attempt = std::exchange(s.hedge, 0);
    }
  } else if (s.hedge != 0 && s.hedged_to == at) {
    b.ended(std::exchange(s.hedge, 0), how, now, retry_after);
  }
  c.in_flight = s.attempt != 0;
}

/// The call is over: whoever still has it was too slow, or not given the time.
void router_core::attempts_over(pending& c, time_point now) {
  if (!c.spread)
    return;
  const auto b = balances_.find(c.frame.group.app);
  if (b == balances_.end())
    return;
  for (const auto token : {c.spread->attempt, c.spread->hedge})
    if (token != 0)
      b->second.nodes.ended(token, balanced_end::given_up, now);
  c.spread->attempt = c.spread->hedge = 0;
}

void router_core::on_spread_reply(const node_id& from, reply_frame& f,
                                  time_point now, effects& out) {
  auto& c = calls_.at(f.call);
  auto& s = *c.spread;
  const bool first = s.attempt != 0 && c.at == from;
  if (!first && (s.hedge == 0 || s.hedged_to != from))
    return;
  auto& r = f.reply;
  const auto again = [&] {
    c.submitted |= r.submitted;
    if (!c.in_flight) // else the other attempt goes on
      spread_again(f.call, false, now, out);
  };
  switch (r.status) {
  case reply_status::no_such_replica:
    attempt_ended(c, from, balanced_end::failed, now);
    return again();
  case reply_status::not_leader:
  case reply_status::no_quorum:
    if (s.instances) { // none of theirs
      attempt_ended(c, from, balanced_end::failed, now);
      return again();
    }
    // Too old, or the group is in trouble.
    attempt_ended(c, from, balanced_end::answered, now);
    groups_[c.frame.group].too_old[from] =
        now + std::min(*c.frame.max_staleness / 4, too_old_max);
    if (c.in_flight)
      return;
    ++retries_;
    if (r.leader && s.tried.count(r.leader->node) == 0) {
      if (known_.heard(r.leader->node)) // another may answer if it is late
        return spread_to(f.call, r.leader->node, now, out);
      if (const auto other = choose(c, now))
        return spread_to(f.call, *other, now, out);
    }
    c.spread.reset(); // from here as any other query of the group
    c.last = r.status == reply_status::no_quorum ? r.status : c.last;
    return send_to_best(f.call, now, out);
  case reply_status::overloaded:
    attempt_ended(c, from, balanced_end::overloaded, now,
                  r.retry_after.value_or(duration{}));
    if (c.in_flight)
      return;
    if (const auto other = choose(c, now);
        other && s.tried.count(*other) == 0
        && balance_of(c).nodes.may_repeat(now)) {
      ++retries_;
      return spread_to(f.call, *other, now, out);
    }
    if (const auto pause = r.retry_after.value_or(duration{});
        c.waited && now + pause < c.until) {
      s.tried.clear();
      c.last = reply_status::overloaded;
      return retry_later(f.call, now, pause);
    }
    break;
  default:
    attempt_ended(c, from, balanced_end::answered, now);
    if (c.in_flight && says_not_run(r.status))
      return; // the other attempt may end better
    break;
  }
  if (c.submitted
      && (says_not_run(r.status) || r.status == reply_status::overloaded)) {
    r.message = std::string{"an earlier attempt may have run; now: "}
                + to_string(r.status);
    r.status = reply_status::unknown;
  }
  finish(f.call, std::move(r), now, out, from);
}

/// The node is gone, and with it what was under way there.
void router_core::spread_lost(std::uint64_t id, const node_id& node,
                              time_point now, effects& out) {
  auto& c = calls_.at(id);
  attempt_ended(c, node, balanced_end::failed, now);
  c.submitted |= c.spread->instances;
  c.waited = true;
  if (!c.in_flight)
    spread_again(id, true, now, out);
}

void router_core::instances_changed(const app_id& app, time_point now,
                                    effects& out) {
  const auto at = groups_.find(group_id{app, 0});
  if (at == groups_.end())
    return;
  std::vector<std::uint64_t> ids;
  for (const auto id : at->second.calls)
    if (const auto& c = calls_.at(id); !c.in_flight && c.retry_at != never)
      ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const auto id : ids)
    if (calls_.count(id) != 0)
      spread(id, now, out);
}

} // namespace banyan
