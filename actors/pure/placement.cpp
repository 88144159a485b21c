#include "actors/pure/placement.hpp"

#include "base/codec.hpp"
#include "crypto/hash.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string_view>

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

/// A candidate that fits, and its score.
struct scored {
  const candidate* who = nullptr;
  double score = 0;
};
using placement_order = std::vector<scored>;

using chosen_list = std::vector<const candidate*>;

chosen_list fitting(const placement_need& need,
                    const std::vector<candidate>& members) {
  chosen_list out;
  for (const auto& c : members)
    if (why_unfit(c, need) == unfit::none)
      out.push_back(&c);
  return out;
}

/// How many places of one kind there are; who says nothing of its own is in one
/// of its own.
struct places {
  std::set<std::string> hosts, zones, regions;
  std::size_t unnamed_hosts = 0, unnamed_zones = 0;

  void add(const candidate& c) {
    if (c.host.empty())
      ++unnamed_hosts;
    else
      hosts.insert(c.host);
    if (c.zone.empty())
      ++unnamed_zones;
    else
      zones.insert(c.region + '/' + c.zone);
    if (!c.unverified)
      regions.insert(c.region);
  }
  /// As much choice as there is among `all`, as far as the need goes; without
  /// `all`: as much as there ever needs to be.
  [[nodiscard]] bool enough(const places* all,
                            const placement_need& need) const {
    const auto as_much = [&](std::size_t here, std::size_t there,
                             std::size_t wanted) {
      return here >= (all == nullptr ? wanted : std::min(there, wanted));
    };
    return as_much(count(hosts, unnamed_hosts),
                   all ? count(all->hosts, all->unnamed_hosts) : 0, need.voters)
           && as_much(count(zones, unnamed_zones),
                      all ? count(all->zones, all->unnamed_zones) : 0,
                      need.voters)
           && (need.regions_min < 2
               || as_much(regions.size(), all ? all->regions.size() : 0,
                          std::max(need.regions_min, 3U)));
  }
  static std::size_t count(const std::set<std::string>& named,
                           std::size_t unnamed) {
    return named.size() + unnamed;
  }
};

/// Of many, those that a group is placed among: the first `width` behind the
/// group's own place in the order of node ids, and further ones while they
/// offer less choice than all do.
chosen_list neighbourhood(const digest& group, const placement_need& need,
                          chosen_list fit, std::size_t width) {
  if (fit.size() <= small_mesh_max || width >= fit.size())
    return fit;
  const node_id place{group.array()};
  const auto before = [&](const candidate* a, const candidate* b) {
    const bool wraps_a = a->node < place;
    const bool wraps_b = b->node < place;
    return wraps_a != wraps_b ? wraps_b : a->node < b->node;
  };
  const auto at = [&](std::size_t n) {
    return fit.begin() + static_cast<std::ptrdiff_t>(n);
  };
  std::optional<places> all;
  places here;
  std::size_t n = 0;
  for (auto sorted = width;; sorted = std::min(sorted * 2, fit.size())) {
    std::partial_sort(at(n), at(sorted), fit.end(), before);
    while (n < sorted
           && (n < width || !here.enough(all ? &*all : nullptr, need)))
      here.add(*fit[n++]);
    if (n < sorted || n == fit.size())
      break;
    if (here.enough(nullptr, need))
      break;
    if (!all) {
      all.emplace();
      for (const auto* c : fit)
        all->add(*c);
      if (here.enough(&*all, need))
        break;
    }
  }
  fit.resize(n);
  return fit;
}

std::size_t usual_width(const placement_need& need) {
  return std::max<std::size_t>(neighbourhood_nodes, need.voters);
}

placement_order ranked(const digest& group, const chosen_list& among) {
  placement_order out;
  for (const auto* c : among)
    out.push_back({c, score(group, *c)});
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.score != b.score ? a.score > b.score : a.who->node < b.who->node;
  });
  return out;
}

placement_order ranked(const digest& group, const placement_need& need,
                       const std::vector<candidate>& members) {
  return ranked(group, neighbourhood(group, need, fitting(need, members),
                                     usual_width(need)));
}

bool same_place(const std::string& a, const std::string& b) {
  return !a.empty() && a == b;
}
bool same_zone(const candidate& a, const candidate& b) {
  return same_place(a.zone, b.zone) && a.region == b.region;
}

/// Those that are sure.
std::size_t regions_of(const chosen_list& chosen) {
  std::set<std::string_view> seen;
  for (const auto* c : chosen)
    if (!c->unverified)
      seen.insert(c->region);
  return seen.size();
}

// What the regions lack if `c` comes to those chosen: another region while
// there are too few, then one that holds no majority. One that may be anywhere
// is in each of them.
int region_crowding(const candidate& c, const chosen_list& chosen,
                    std::size_t regions, const placement_need& need) {
  if (need.regions_min < 2)
    return 0;
  if (chosen.empty())
    return c.unverified ? 1 : 0;
  std::size_t same = 0;
  std::size_t doubtful = 0;
  for (const auto* o : chosen) {
    same += !o->unverified && o->region == c.region ? 1 : 0;
    doubtful += o->unverified ? 1 : 0;
  }
  const auto minority = std::max<std::size_t>(1, survives(need.voters));
  const bool fresh = !c.unverified && same == 0;
  const auto there = c.unverified ? chosen.size() : same + doubtful;
  return (!fresh && regions < need.regions_min ? 2 : 0)
         + (there + 1 > minority ? 1 : 0);
}

// What `c` has in common with those chosen: fewer is better. A shared host
// weighs more than a zone; what regions lack more than both.
int crowding(const candidate& c, const chosen_list& chosen, std::size_t regions,
             const placement_need& need) {
  int zone = 0;
  int host = 0;
  for (const auto* o : chosen) {
    zone += same_zone(c, *o) ? 1 : 0;
    host += same_place(c.host, o->host) ? 1 : 0;
  }
  return region_crowding(c, chosen, regions, need) * 10000 + host * 100 + zone;
}

const scored* best(const placement_order& order, const chosen_list& chosen,
                   const std::vector<node_id>& excluded,
                   const placement_need& need) {
  const scored* found = nullptr;
  int crowd = 0;
  const auto regions = regions_of(chosen);
  for (const auto& s : order) {
    const auto is_it = [&](const candidate* o) {
      return o->node == s.who->node;
    };
    if (std::any_of(chosen.begin(), chosen.end(), is_it)
        || std::find(excluded.begin(), excluded.end(), s.who->node)
               != excluded.end())
      continue;
    const int now = crowding(*s.who, chosen, regions, need);
    if (found == nullptr || now < crowd) {
      found = &s;
      crowd = now;
    }
  }
  return found;
}

/// In the order in which they are chosen.
std::vector<const scored*> choose(const placement_order& order,
                                  const placement_need& need) {
  std::vector<const scored*> out;
  chosen_list chosen;
  while (out.size() < need.voters) {
    const auto* s = best(order, chosen, {}, need);
    if (s == nullptr)
      break;
    out.push_back(s);
    chosen.push_back(s->who);
  }
  return out;
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

const char* to_string(shared_place what) noexcept {
  switch (what) {
  case shared_place::host:
    return "machine";
  case shared_place::zone:
    return "zone";
  case shared_place::region:
    return "region";
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
  chosen_list chosen;
  for (const auto* s : choose(order, need)) {
    out.nodes.push_back(s->who->node);
    chosen.push_back(s->who);
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
  if (const auto n = regions_of(chosen);
      need.regions_min >= 2 && n < need.regions_min)
    out.warnings.push_back(
        "all voters are in "
        + (n == 1 ? "one region" : std::to_string(n) + " regions")
        + ": the spec asks for "
        + (need.regions_min == 2 ? "two" : std::to_string(need.regions_min))
        + ", but no other has a fitting node");
  return out;
}

std::vector<placement_step> explain_place(const digest& group_hash,
                                          const placement_need& need,
                                          const std::vector<candidate>& members,
                                          std::size_t runners_up) {
  const auto order = ranked(group_hash, need, members);
  const auto picks = choose(order, need);
  std::vector<placement_step> out;
  chosen_list before;
  const auto step = [&](const scored& s) -> placement_step& {
    auto& p = out.emplace_back();
    p.node = s.who->node;
    p.score = s.score;
    p.rank = static_cast<std::uint32_t>(&s - order.data()) + 1;
    for (const auto* o : before) {
      if (same_place(s.who->host, o->host))
        p.shares.emplace_back(shared_place::host, o->node);
      else if (same_zone(*s.who, *o))
        p.shares.emplace_back(shared_place::zone, o->node);
      else if (need.regions_min >= 2 && s.who->region == o->region)
        p.shares.emplace_back(shared_place::region, o->node);
    }
    return p;
  };
  std::set<const scored*> taken;
  for (const auto* s : picks) {
    auto& p = step(*s);
    p.chosen = true;
    for (const auto* o = order.data(); o != s; ++o)
      p.passed_over += taken.count(o) == 0 ? 1 : 0;
    taken.insert(s);
    before.push_back(s->who);
  }
  const auto all = before;
  if (!before.empty())
    before.pop_back();
  const auto last =
      picks.empty() ? 0
                    : crowding(*all.back(), before, regions_of(before), need);
  std::vector<node_id> asked;
  while (asked.size() < runners_up) {
    const auto* s = best(order, all, asked, need);
    if (s == nullptr)
      break;
    asked.push_back(s->who->node);
    auto& p = step(*s);
    p.crowded = !picks.empty() && s->score > picks.back()->score
                && crowding(*s->who, before, regions_of(before), need) > last;
  }
  return out;
}

std::optional<node_id>
next_candidate(const digest& group_hash, const placement_need& need,
               const std::vector<candidate>& members,
               const std::vector<node_id>& kept,
               const std::vector<node_id>& excluded,
               const std::optional<std::string>& same_region) {
  chosen_list chosen;
  for (const auto& c : members)
    if (std::find(kept.begin(), kept.end(), c.node) != kept.end())
      chosen.push_back(&c);
  auto fit = fitting(need, members);
  if (same_region)
    fit.erase(std::remove_if(fit.begin(), fit.end(),
                             [&](const candidate* c) {
                               return c->unverified
                                      || c->region != *same_region;
                             }),
              fit.end());
  // Further away only for what the neighbourhood doesn't have.
  std::optional<node_id> found;
  int crowd = 0;
  const auto usual = usual_width(need);
  for (auto width = usual;; width += width < 4 * usual ? 1 : width) {
    const auto among = neighbourhood(group_hash, need, fit, width);
    const auto order = ranked(group_hash, among);
    if (const auto* s = best(order, chosen, excluded, need)) {
      const int now = crowding(*s->who, chosen, regions_of(chosen), need);
      if (!found || now < crowd) {
        found = s->who->node;
        crowd = now;
      }
    }
    if ((found && crowd == 0) || among.size() == fit.size())
      return found;
  }
}

digest placement_hash(const_bytes app_nonce, std::uint32_t shard) {
  bytes b;
  writer{b}.uint(shard);
  return hash_of({as_bytes("group"), app_nonce, b});
}

} // namespace banyan
