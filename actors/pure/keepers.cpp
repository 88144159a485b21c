#include "actors/pure/keepers.hpp"

#include <algorithm>

namespace banyan {
namespace {

std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

/// The same on every machine, unlike `std::hash`.
template <class Id>
std::uint64_t first_bytes(const Id& id) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < 8; ++i)
    v = (v << 8) | id.array()[i];
  return v;
}

} // namespace

keeper_choice::keeper_choice(const group_id& g)
    : seed_{mixed(first_bytes(g.app) + 0x9E3779B97F4A7C15 * (g.shard + 1))} {
}

void keeper_choice::offer(const node_id& node) {
  const scored s{mixed(seed_ ^ mixed(first_bytes(node))), node};
  const auto better = [](const scored& a, const scored& b) {
    return a.score != b.score ? a.score > b.score : a.node < b.node;
  };
  if (best_.size() == keepers_max && !better(s, best_.back()))
    return;
  best_.insert(std::upper_bound(best_.begin(), best_.end(), s, better), s);
  if (best_.size() > keepers_max)
    best_.pop_back();
}

std::vector<node_id> keeper_choice::take() const {
  std::vector<node_id> out;
  for (const auto& s : best_)
    out.push_back(s.node);
  return out;
}

bool view_questions::want(const group_id& g, time_point now) {
  const auto at = all_.find(g);
  if (at != all_.end() && (at->second.open || now < at->second.at))
    return at->second.open;
  if (at == all_.end() && all_.size() >= groups_max)
    return false;
  all_[g] = {0, true, now};
  return true;
}

void view_questions::answered(const group_id& g, time_point now) {
  if (const auto at = all_.find(g); at != all_.end() && at->second.open)
    at->second = {0, false, now + rest};
}

bool view_questions::asks(const group_id& g) const {
  const auto at = all_.find(g);
  return at != all_.end() && at->second.open;
}

std::vector<view_questions::ask> view_questions::due(time_point now) {
  std::vector<ask> out;
  for (auto i = all_.begin(); i != all_.end();) {
    auto& q = i->second;
    if (now < q.at) {
      ++i;
      continue;
    }
    if (!q.open) {
      i = all_.erase(i);
      continue;
    }
    if (q.next >= keepers_max) { // nobody knows: soon it may be otherwise
      q = {0, false, now + rest};
    } else {
      out.push_back({i->first, q.next});
      q.next += at_once;
      q.at = now + patience;
    }
    ++i;
  }
  return out;
}

time_point view_questions::deadline() const {
  auto at = never;
  for (const auto& [g, q] : all_)
    at = std::min(at, q.at);
  return at;
}

bool view_checks::due(const group_id& g, time_point now) {
  if (at_.size() >= groups_max && at_.count(g) == 0)
    for (auto i = at_.begin(); i != at_.end();)
      i = now - i->second >= every ? at_.erase(i) : std::next(i);
  if (at_.size() >= groups_max && at_.count(g) == 0)
    return false;
  const auto [at, first] = at_.try_emplace(g, now);
  if (first || now - at->second < every)
    return false;
  at->second = now;
  return true;
}

void group_turns::offer(const group_id& g) {
  if (!(behind_ < g) || (next_.size() == most_ && !(g < next_.back())))
    return;
  const auto at = std::lower_bound(next_.begin(), next_.end(), g);
  if (at != next_.end() && *at == g)
    return;
  next_.insert(at, g);
  if (next_.size() > most_)
    next_.pop_back();
}

} // namespace banyan
