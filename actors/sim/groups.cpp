#include "actors/sim/groups.hpp"

#include "crypto/hash.hpp"

#include <algorithm>
#include <set>

namespace banyan::sim {

void group_set::place(std::size_t groups, const placement_need& need) {
  std::vector<candidate> all;
  for (index i = 0; i < swarm_.size(); ++i) {
    if (!swarm_.running(i))
      continue;
    const auto& own = swarm_.core(i).own();
    candidate c;
    c.node = own.node;
    c.region = own.region;
    c.zone = own.zone;
    c.host = own.address.host;
    all.push_back(std::move(c));
  }
  for (std::size_t g = 0; g < groups; ++g) {
    const auto name = "swarm group " + std::to_string(voters_.size());
    const auto chosen = banyan::place(
        placement_hash(as_bytes(name), std::uint32_t(g)), need, all);
    auto& voters = voters_.emplace_back();
    std::set<std::size_t> regions;
    for (const auto& node : chosen.nodes) {
      voters.push_back(*swarm_.find(node));
      regions.insert(swarm_.region(voters.back()));
    }
    crowded_ += regions.size() < need.regions_min ? 1U : 0U;
    for (const auto a : voters)
      for (const auto b : voters)
        if (a < b)
          swarm_.share_group(a, b);
    if (voters.empty())
      continue;
    if (led_.size() <= voters[0])
      led_.resize(swarm_.size());
    led_[voters[0]].push_back(voters_.size() - 1);
  }
}

bool group_set::has_quorum(std::size_t g) const {
  const auto& all = voters_[g];
  const auto serves = [this](index i) {
    return swarm_.running(i) && !swarm_.frozen(i);
  };
  for (const auto from : all) {
    if (!serves(from))
      continue;
    const auto near = std::count_if(all.begin(), all.end(), [&](index to) {
      return to == from
             || (serves(to) && swarm_.reaches(from, to)
                 && swarm_.reaches(to, from));
    });
    if (2 * std::size_t(near) > all.size())
      return true;
  }
  return false;
}

std::size_t group_set::with_quorum() const {
  std::size_t n = 0;
  for (std::size_t g = 0; g < voters_.size(); ++g)
    n += has_quorum(g) ? 1U : 0U;
  return n;
}

const std::vector<std::size_t>& group_set::led_by(index i) const {
  static const std::vector<std::size_t> none;
  return i < led_.size() ? led_[i] : none;
}

bool group_set::votes(std::size_t g, index i) const {
  return std::find(voters_[g].begin(), voters_[g].end(), i) != voters_[g].end();
}

} // namespace banyan::sim
