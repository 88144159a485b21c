#include "actors/pure/placement.hpp"

#include "base/codec.hpp"
#include "crypto/hash.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace banyan {
namespace {

// Weighted rendezvous (Schindelhauer, Schomaker): -weight / ln(u) with u the
// hash of (group, node) in (0, 1); the largest score wins.
double score(const digest& group, const candidate& c) {
  const auto h = hash_of({as_bytes("placement"), group.view(), c.node.view()});
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < 8; ++i)
    v = (v << 8) | h.array()[i];
  const double u = (static_cast<double>(v >> 11) + 0.5) * 0x1p-53;
  return -static_cast<double>(c.weight) / std::log(u);
}

bool contains(const std::vector<std::string>& list, const std::string& s) {
  return std::find(list.begin(), list.end(), s) != list.end();
}

std::vector<const candidate*> ranked(const digest& group,
                                     const placement_need& need,
                                     const std::vector<candidate>& members) {
  std::vector<std::pair<double, const candidate*>> scored;
  for (const auto& c : members)
    if (why_unfit(c, need) == unfit::none)
      scored.emplace_back(score(group, c), &c);
  std::sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first
                              : a.second->node < b.second->node;
  });
  std::vector<const candidate*> out;
  out.reserve(scored.size());
  for (const auto& s : scored)
    out.push_back(s.second);
  return out;
}

bool same_place(const std::string& a, const std::string& b) {
  return !a.empty() && a == b;
}

// What `c` has in common with those chosen: fewer is better. A shared host
// weighs more than a zone; a missing second region more than both.
int crowding(const candidate& c, const std::vector<const candidate*>& chosen,
             bool two_regions) {
  int zone = 0;
  int host = 0;
  bool other_region = chosen.empty();
  for (const auto* o : chosen) {
    if (same_place(c.zone, o->zone) && c.region == o->region)
      ++zone;
    if (same_place(c.host, o->host))
      ++host;
    other_region |= o->region != c.region;
  }
  bool spread_already = false;
  for (const auto* o : chosen)
    spread_already |= o->region != chosen.front()->region;
  const int region =
      two_regions && !spread_already && !chosen.empty() && !other_region;
  return region * 10000 + host * 100 + zone;
}

const candidate* best(const std::vector<const candidate*>& order,
                      const std::vector<const candidate*>& chosen,
                      const std::vector<node_id>& excluded, bool two_regions) {
  const candidate* found = nullptr;
  int crowd = 0;
  for (const auto* c : order) {
    const auto is_it = [&](const candidate* o) { return o->node == c->node; };
    if (std::any_of(chosen.begin(), chosen.end(), is_it)
        || std::find(excluded.begin(), excluded.end(), c->node)
               != excluded.end())
      continue;
    const int now = crowding(*c, chosen, two_regions);
    if (found == nullptr || now < crowd) {
      found = c;
      crowd = now;
    }
  }
  return found;
}

// "2 tier, 1 region": why the members that are there don't fit.
std::string why_not(const placement_need& need,
                    const std::vector<candidate>& members) {
  std::map<unfit, std::size_t> counts;
  for (const auto& c : members)
    if (const auto why = why_unfit(c, need); why != unfit::none)
      ++counts[why];
  std::string out;
  for (const auto& [why, n] : counts)
    out += (out.empty() ? "" : ", ") + std::to_string(n) + " for its "
           + to_string(why);
  return out;
}

// The most voters that share what `key` gives; an empty key is shared with
// nobody.
template <class Key>
std::size_t largest_share(const std::vector<const candidate*>& voters,
                          Key key) {
  std::map<std::string, std::size_t> shares;
  std::size_t most = 0;
  for (const auto* v : voters) {
    const auto k = key(*v);
    most = std::max(most, k.empty() ? std::size_t{1} : ++shares[k]);
  }
  return most;
}

} // namespace

const char* to_string(unfit why) noexcept {
  switch (why) {
  case unfit::none:
    return "nothing";
  case unfit::region:
    return "region";
  case unfit::tier:
    return "tier";
  case unfit::memory:
    return "memory";
  case unfit::disk:
    return "disk";
  case unfit::module:
    return "module";
  case unfit::weight:
    return "weight";
  }
  return "?";
}

unfit why_unfit(const candidate& c, const placement_need& need) {
  if ((!need.regions.empty() && !contains(need.regions, c.region))
      || contains(need.denied, c.region))
    return unfit::region;
  if (c.tier < need.min_tier)
    return unfit::tier;
  if (c.memory_mib < need.memory_mib)
    return unfit::memory;
  if (c.disk_mib < need.disk_mib)
    return unfit::disk;
  if (!c.has_module)
    return unfit::module;
  return c.weight == 0 ? unfit::weight : unfit::none;
}

survival survival_of(const std::vector<node_id>& voters,
                     const std::vector<candidate>& members) {
  std::vector<const candidate*> at;
  for (const auto& c : members)
    if (std::find(voters.begin(), voters.end(), c.node) != voters.end())
      at.push_back(&c);
  survival s;
  s.nodes = survives(static_cast<std::uint32_t>(voters.size()));
  const auto lives = [&](std::size_t lost) {
    return (voters.size() - lost) * 2 > voters.size();
  };
  s.any_host =
      lives(largest_share(at, [](const candidate& c) { return c.host; }));
  s.any_zone = lives(largest_share(at, [](const candidate& c) {
    return c.zone.empty() ? std::string{} : c.region + '/' + c.zone;
  }));
  s.any_region =
      lives(largest_share(at, [](const candidate& c) { return c.region; }));
  if (s.nodes == 0)
    s.warnings.emplace_back("does not survive the loss of a node");
  else if (!s.any_host)
    s.warnings.emplace_back("does not survive the loss of a machine: too many "
                            "voters have one host address");
  if (s.nodes > 0 && !s.any_zone)
    s.warnings.emplace_back("does not survive the loss of a zone");
  if (s.nodes > 0 && !s.any_region)
    s.warnings.emplace_back("does not survive the loss of a region");
  return s;
}

std::string strict_refusal(const placed& p) {
  return p.warnings.empty() ? std::string{} : p.warnings.front();
}

placed place(const digest& group_hash, const placement_need& need,
             const std::vector<candidate>& members) {
  placed out;
  const auto order = ranked(group_hash, need, members);
  std::vector<const candidate*> chosen;
  while (chosen.size() < need.voters) {
    const auto* c = best(order, chosen, {}, need.two_regions);
    if (c == nullptr)
      break;
    chosen.push_back(c);
  }
  bool one_region = true;
  for (const auto* c : chosen) {
    out.nodes.push_back(c->node);
    one_region &= c->region == chosen.front()->region;
  }
  out.missing = need.voters - static_cast<std::uint32_t>(chosen.size());
  if (out.missing > 0)
    out.warnings.push_back(
        "degraded: " + std::to_string(chosen.size()) + " of "
        + std::to_string(need.voters) + " voters, survives "
        + std::to_string(survives(static_cast<std::uint32_t>(chosen.size())))
        + " failures");
  if (const auto why = why_not(need, members); out.missing > 0 && !why.empty())
    out.warnings.push_back("members that don't fit: " + why);
  if (need.two_regions && one_region)
    out.warnings.emplace_back("all voters are in one region: the spec asks for "
                              "two, but no other has a fitting node");
  return out;
}

std::optional<node_id>
next_candidate(const digest& group_hash, const placement_need& need,
               const std::vector<candidate>& members,
               const std::vector<node_id>& kept,
               const std::vector<node_id>& excluded,
               const std::optional<std::string>& same_region) {
  std::vector<const candidate*> chosen;
  for (const auto& c : members)
    if (std::find(kept.begin(), kept.end(), c.node) != kept.end())
      chosen.push_back(&c);
  auto order = ranked(group_hash, need, members);
  if (same_region)
    order.erase(std::remove_if(order.begin(), order.end(),
                               [&](const candidate* c) {
                                 return c->region != *same_region;
                               }),
                order.end());
  const auto* c = best(order, chosen, excluded, need.two_regions);
  if (c == nullptr)
    return std::nullopt;
  return c->node;
}

digest placement_hash(const_bytes app_nonce, std::uint32_t shard) {
  bytes b;
  writer{b}.uint(shard);
  return hash_of({as_bytes("group"), app_nonce, b});
}

} // namespace banyan
