#include "actors/pure/homing.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace banyan {
namespace {

bool has(const std::vector<node_id>& list, const node_id& n) {
  return std::find(list.begin(), list.end(), n) != list.end();
}

/// What a group lives through, and how much its voters have in common.
struct worth {
  bool host = false;
  bool zone = false;
  bool region = false;
  std::size_t regions = 0;

  [[nodiscard]] bool below(const worth& o) const {
    return (o.host && !host) || (o.zone && !zone) || (o.region && !region)
           || regions < o.regions;
  }
  [[nodiscard]] int sum() const {
    return (host ? 1 : 0) + (zone ? 2 : 0) + (region ? 4 : 0);
  }
};

worth worth_of(const std::vector<node_id>& voters,
               const std::vector<candidate>& members,
               const placement_need& need) {
  const auto s = survival_of(voters, members);
  worth w{s.any_host, s.any_zone, s.any_region, 0};
  std::set<std::string> sure;
  for (const auto& c : members)
    if (!c.unverified && has(voters, c.node))
      sure.insert(c.region);
  w.regions = need.regions_min >= 2
                  ? std::min<std::size_t>(sure.size(), need.regions_min)
                  : 0;
  return w;
}

} // namespace

std::optional<homing_move> homeward(const homing_group& g,
                                    const std::vector<candidate>& members,
                                    const std::set<node_id>& may_take) {
  const auto home = place(g.hash, g.need, members).nodes;
  if (home.size() != g.need.voters || home.size() != g.voters.size())
    return std::nullopt; // too few nodes, or another change comes first
  const auto now = worth_of(g.voters, members, g.need);
  std::optional<homing_move> best;
  int most = -1;
  for (const auto& to : home) {
    if (has(g.voters, to) || may_take.count(to) == 0)
      continue;
    for (const auto& from : g.voters) {
      if (has(home, from) || g.pinned.count(from) != 0)
        continue;
      auto after = g.voters;
      std::replace(after.begin(), after.end(), from, to);
      const auto then = worth_of(after, members, g.need);
      if (then.below(now) || then.sum() <= most)
        continue;
      most = then.sum();
      best = homing_move{g.group, from, to};
    }
  }
  return best;
}

std::optional<std::vector<group_id>>
calm_groups(bool left, const std::vector<led_group>& led) {
  if (left)
    return std::nullopt;
  std::vector<group_id> calm;
  for (const auto& g : led) {
    if (!g.serving || !g.configured || g.changing
        || std::find(g.hears.begin(), g.hears.end(), false) != g.hears.end())
      return std::nullopt;
    if (g.app_lives && !g.updating && !g.wished && g.learners == 0
        && g.hears.size() == g.replicas)
      calm.push_back(g.group);
  }
  return calm;
}

std::set<node_id> occupied(const homing_scene& s) {
  auto out = s.catching_up;
  for (const auto& [node, busy] : s.busy)
    if (busy >= homing_busy_most)
      out.insert(node);
  for (const auto& [node, as] : s.standings)
    if (as != standing::normal)
      out.insert(node);
  out.insert(s.held.begin(), s.held.end());
  return out;
}

bool homing::goes_on(const homing_progress& p, time_point now) const {
  if (!running_ || !p.led || hangs(now) || p.to_drained
      || p.to_stands != standing::normal)
    return false;
  bool there = false;
  for (const auto& [node, heard] : p.voters) {
    if (!heard)
      return false;
    there |= node == running_->from;
  }
  return there;
}

void homing::see(const std::vector<seen_member>& members, time_point now) {
  look_at_ = now + options_.look_every;
  std::set<node_id> here;
  for (const auto& m : members) {
    here.insert(m.as.node);
    auto& s = nodes_[m.as.node];
    const bool known = s.since != time_point{};
    if (known && (!s.here || s.process != m.process)) {
      if (now - s.broke > options_.flaps_count)
        s.breaks = 0;
      ++s.breaks;
      s.broke = now;
    }
    if (!s.here || s.process != m.process)
      s.since = now;
    s.here = true;
    s.process = m.process;
    s.as = m.as;
  }
  for (auto i = nodes_.begin(); i != nodes_.end();) {
    auto& s = i->second;
    if (here.count(i->first) == 0 && s.here) {
      s.here = false;
      s.since = now;
    }
    const bool old = !s.here && now - s.since > options_.gone_for
                     && (s.breaks == 0 || now - s.broke > options_.flaps_count);
    i = old ? nodes_.erase(i) : std::next(i);
  }
}

duration homing::patience(const steadiness& s, time_point now) const {
  auto p = options_.well_for;
  if (s.breaks != 0 && now - s.broke <= options_.flaps_count)
    for (std::uint32_t i = 1; i < s.breaks && p < options_.well_for_max; ++i)
      p *= 2;
  return std::min(p, options_.well_for_max);
}

bool homing::well(const node_id& node, time_point now) const {
  const auto at = nodes_.find(node);
  return at != nodes_.end() && at->second.here
         && now - at->second.since >= patience(at->second, now);
}

std::optional<group_id> homing::turn(const std::vector<group_id>& led,
                                     time_point now) {
  if (running_ || now < next_at_ || led.empty())
    return std::nullopt;
  auto at =
      last_ ? std::upper_bound(led.begin(), led.end(), *last_) : led.begin();
  if (at == led.end())
    at = led.begin();
  last_ = *at;
  for (auto i = moved_.begin(); i != moved_.end();)
    i = now - i->second >= options_.unmoved ? moved_.erase(i) : std::next(i);
  if (moved_.count(*at) != 0)
    return std::nullopt;
  return *at;
}

std::optional<homing_move> homing::next(const homing_group& g,
                                        const std::vector<candidate>& members,
                                        const std::set<node_id>& occupied,
                                        time_point now) {
  BANYAN_ASSERT(!running_);
  std::set<node_id> may_take;
  auto all = members;
  std::set<node_id> present;
  for (const auto& c : members) {
    present.insert(c.node);
    if (occupied.count(c.node) == 0 && well(c.node, now))
      may_take.insert(c.node);
  }
  // Who is gone but a short while keeps its place.
  for (const auto& [node, s] : nodes_)
    if (!s.here && present.count(node) == 0
        && now - s.since <= options_.gone_for)
      all.push_back(s.as);
  auto m = homeward(g, all, may_take);
  if (!m || occupied.count(m->from) != 0)
    return std::nullopt;
  running_ = m;
  began_ = now;
  return m;
}

void homing::over(time_point now) {
  if (!running_)
    return;
  moved_[running_->group] = now;
  next_at_ = now + options_.between;
  running_.reset();
}

} // namespace banyan
