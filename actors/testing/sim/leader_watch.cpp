#include "actors/testing/sim/leader_watch.hpp"

#include "actors/testing/sim/world.hpp"

#include <algorithm>

namespace banyan::sim {
namespace {

std::string name_of(const group_id& g) {
  return short_string(g.app) + "/" + std::to_string(g.shard);
}

/// The machines among `set` that are well.
std::vector<std::size_t> well_ones(const world& w,
                                   const raft::replica_set& set) {
  std::vector<std::size_t> out;
  for (const auto& r : set)
    for (std::size_t n = 0; n < w.machines.size(); ++n)
      if (w.at(n).id() == r.node && w.well(n))
        out.push_back(n);
  return out;
}

/// A majority of `set` that is well and where all hear each other: all the
/// well ones do, but for as many as can be spared.
bool majority_meets(const world& w, const raft::replica_set& set) {
  const auto need = set.size() / 2 + 1;
  const auto all = well_ones(w, set);
  if (all.size() < need)
    return false;
  for (unsigned pick = 0; pick < 1U << all.size(); ++pick) {
    std::vector<std::size_t> some;
    for (std::size_t i = 0; i < all.size(); ++i)
      if ((pick >> i & 1U) != 0)
        some.push_back(all[i]);
    if (some.size() < need)
      continue;
    bool meet = true;
    for (const auto a : some)
      for (const auto b : some)
        meet = meet && (a == b || w.well(a, b));
    if (meet)
      return true;
  }
  return false;
}

/// Machine `n` runs and nothing is wrong between it and a majority of `set`.
bool reaches_majority(const world& w, std::size_t n,
                      const raft::replica_set& set) {
  const auto runs = [&](std::size_t m) {
    return w.at(m).up() && !w.at(m).paused();
  };
  std::size_t reached = 0;
  for (const auto& r : set)
    for (std::size_t m = 0; m < w.machines.size(); ++m)
      if (w.at(m).id() == r.node && runs(m) && (m == n || w.well(n, m)))
        ++reached;
  return runs(n) && reached > set.size() / 2;
}

} // namespace

void leader_watch::on_role(std::size_t machine, const node_id& node,
                           const group_id& g, const role_changed& r) {
  auto& group = groups_[g];
  group.roles[machine] = r;
  if (r.now != role_changed::role::leader || abandoned_.count(g) != 0)
    return;
  leaderships_ += r.serving ? 1 : 0;
  const auto [at, fresh] = group.leaders.emplace(r.term.value(), node);
  if (!fresh && at->second != node)
    problem_("two leaders of " + name_of(g) + " in term "
             + std::to_string(r.term.value()));
}

void leader_watch::on_result(std::size_t machine, const group_id& g,
                             banyan::term ordered) {
  const auto at = groups_.find(g);
  if (at == groups_.end())
    return;
  const auto role = at->second.roles.find(machine);
  if (role != at->second.roles.end() && role->second.term != ordered)
    ++late_results_;
}

void leader_watch::on_down(std::size_t machine) {
  for (auto& [g, group] : groups_)
    group.roles.erase(machine);
}

std::optional<std::size_t> leader_watch::serving(const group_id& g) const {
  const auto at = groups_.find(g);
  std::optional<std::size_t> found;
  banyan::term newest;
  if (at == groups_.end())
    return found;
  for (const auto& [machine, r] : at->second.roles)
    if (r.now == role_changed::role::leader && r.serving
        && (!found || newest < r.term)) {
      found = machine;
      newest = r.term;
    }
  return found;
}

void leader_watch::look(world& w) {
  for (auto& [g, group] : groups_) {
    const auto* conf = w.logs.configuration(g);
    if (conf == nullptr || abandoned_.count(g) != 0)
      continue;
    const auto leader = serving(g);
    const bool could = majority_meets(w, conf->voters)
                       && (!conf->joint() || majority_meets(w, conf->outgoing));
    if ((leader && reaches_majority(w, *leader, conf->voters)) || !could) {
      group.fine_since = w.now();
      group.reported = false;
    } else if (w.now() - group.fine_since > (w.words_late() ? 2 * bound : bound)
               && !group.reported) {
      group.reported = true;
      problem_(name_of(g)
               + " has had no leader for 5 s though a majority "
                 "of its voters runs and hears each other");
    }
  }
}

} // namespace banyan::sim
