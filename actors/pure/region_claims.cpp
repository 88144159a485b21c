#include "actors/pure/region_claims.hpp"

#include <algorithm>
#include <optional>

namespace banyan {
namespace {

constexpr duration clearly = std::chrono::milliseconds{2};

/// The lower one of two in the middle.
duration median(std::vector<duration>& v) {
  const auto middle =
      v.begin() + static_cast<std::ptrdiff_t>((v.size() - 1) / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

/// All that is needed of the claims and the measurements, by region.
class map_of_regions {
public:
  map_of_regions(const std::vector<region_claim>& claims,
                 const std::vector<distances_seen>& seen) {
    std::map<node_id, std::string> region;
    for (const auto& c : claims)
      if (!c.region.empty()) {
        region[c.node] = c.region;
        members_[c.region].push_back(c.node);
      }
    std::map<std::pair<std::string, node_id>, std::vector<duration>> all;
    std::map<std::string, std::vector<duration>> inside;
    for (const auto& s : seen) {
      const auto from = region.find(s.observer);
      if (from == region.end())
        continue;
      for (const auto& [to, rtt] : s.to)
        if (to != s.observer) {
          all[{from->second, to}].push_back(rtt);
          if (const auto at = region.find(to);
              at != region.end() && at->second == from->second)
            inside[from->second].push_back(rtt);
        }
    }
    for (auto& [name, v] : inside)
      width_.emplace(name, median(v));
    for (auto& [key, v] : all) {
      std::sort(v.begin(), v.end());
      if (v.size() >= 2)
        near_.emplace(key, v[1]);
      far_.emplace(key, v.size() >= 3 ? v[1] : v[0]);
    }
  }

  [[nodiscard]] const std::map<std::string, std::vector<node_id>>&
  members() const {
    return members_;
  }
  /// How far that node is from a region, as two of its members say at least.
  [[nodiscard]] std::optional<duration> distance(const std::string& region,
                                                 const node_id& node) const {
    const auto at = near_.find({region, node});
    return at == near_.end() ? std::nullopt : std::optional{at->second};
  }
  /// How far the members of another region are at least, without `but`: of two
  /// words the shorter, so that one who tells long ways makes nobody far.
  [[nodiscard]] std::optional<duration> between(const std::string& region,
                                                const std::string& other,
                                                const node_id& but) const {
    std::vector<duration> all;
    for (const auto& n : members_.at(other))
      if (const auto d = far_.find({region, n}); n != but && d != far_.end())
        all.push_back(d->second);
    if (all.empty())
      return std::nullopt;
    return median(all);
  }
  /// That far apart are the members of a region.
  [[nodiscard]] std::optional<duration> width(const std::string& region) const {
    const auto at = width_.find(region);
    return at == width_.end() ? std::nullopt : std::optional{at->second};
  }

private:
  std::map<std::string, std::vector<node_id>> members_;
  std::map<std::pair<std::string, node_id>, duration> near_;
  std::map<std::pair<std::string, node_id>, duration> far_;
  std::map<std::string, duration> width_;
};

bool clearly_nearer(duration a, duration b) {
  return a * 2 + clearly < b;
}

/// `node` of `region` is where `other` is.
bool is_there(const map_of_regions& m, const std::string& region,
              const node_id& node, const std::string& other) {
  const auto near = m.distance(other, node);
  const auto width = m.width(other);
  if (!near || !width || *near > *width * 2 + clearly)
    return false;
  if (m.members().at(region).size() > 1) {
    const auto fellows = m.between(other, region, node);
    return fellows && clearly_nearer(*near, *fellows);
  }
  bool some = false;
  for (const auto& [third, members] : m.members()) {
    if (third == region || third == other)
      continue;
    const auto far = m.between(other, third, node);
    if (far && !clearly_nearer(*near, *far))
      return false;
    some |= far.has_value();
  }
  return some;
}

} // namespace

std::set<node_id> contradicted(const std::vector<region_claim>& claims,
                               const std::vector<distances_seen>& seen) {
  const map_of_regions m{claims, seen};
  std::set<node_id> out;
  for (const auto& [region, nodes] : m.members())
    for (const auto& node : nodes)
      for (const auto& [other, ignored] : m.members())
        if (other != region && is_there(m, region, node, other)) {
          out.insert(node);
          break;
        }
  return out;
}

bool region_verdicts::on_tick(const std::set<node_id>& contradicted,
                              time_point now) {
  for (const auto& n : contradicted)
    if (!unverified(n))
      since_.try_emplace(n, now);
  for (const auto& n : unverified_)
    if (contradicted.count(n) == 0)
      since_.try_emplace(n, now);
  bool changed = false;
  for (auto i = since_.begin(); i != since_.end();) {
    const auto& [node, since] = *i;
    const bool is = contradicted.count(node) != 0;
    if (is == unverified(node)) { // as it was
      i = since_.erase(i);
      continue;
    }
    if (now - since < (is ? unverified_after : verified_after)) {
      ++i;
      continue;
    }
    changed = true;
    if (is)
      unverified_.insert(node);
    else
      unverified_.erase(node);
    i = since_.erase(i);
  }
  return changed;
}

void region_watch::on_told(const node_id& observer,
                           std::map<node_id, duration> to, time_point now) {
  words_[observer] = {std::move(to), now};
}

bool region_watch::on_look(const node_id& self,
                           const std::map<node_id, duration>& to,
                           const std::vector<region_claim>& claims,
                           time_point now) {
  for (auto i = samples_.begin(); i != samples_.end();)
    i = to.count(i->first) == 0 ? samples_.erase(i) : std::next(i);
  for (const auto& [node, rtt] : to) {
    auto& kept = samples_[node];
    kept.push_back(rtt);
    if (kept.size() > samples_kept)
      kept.pop_front();
  }
  std::vector<distances_seen> seen{{self, mine()}};
  for (auto i = words_.begin(); i != words_.end();) {
    if (now - i->second.at >= words_last) {
      i = words_.erase(i);
      continue;
    }
    if (i->first != self)
      seen.push_back({i->first, i->second.to});
    ++i;
  }
  return verdicts_.on_tick(contradicted(claims, seen), now);
}

std::map<node_id, duration> region_watch::mine() const {
  std::map<node_id, duration> out;
  for (const auto& [node, kept] : samples_)
    if (out.size() < told_max)
      out.emplace(node, *std::min_element(kept.begin(), kept.end()));
  return out;
}

bool region_watch::worth_telling(const std::map<node_id, duration>& was,
                                 const std::map<node_id, duration>& is) {
  const auto same = [](const auto& a, const auto& b) {
    const auto low = std::min(a.second, b.second);
    const auto high = std::max(a.second, b.second);
    return a.first == b.first && (high - low <= 1ms || high * 4 <= low * 5);
  };
  return !std::equal(was.begin(), was.end(), is.begin(), is.end(), same);
}

} // namespace banyan
