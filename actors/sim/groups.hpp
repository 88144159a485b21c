#pragma once
#include "actors/pure/placement.hpp"
#include "actors/sim/swarm.hpp"

#include <vector>

namespace banyan::sim {

/// Groups on a swarm, where the real placement core puts them; their voters'
/// membership cores know that they share one. The first voter leads.
///
/// They hold no log: what is asked of them is whether a majority of their
/// voters runs and reaches each other, for then they serve.
class group_set {
public:
  /// `swarm` outlives this.
  explicit group_set(swarm& s) : swarm_{s} {}

  /// Places groups on the nodes that run now.
  void place(std::size_t groups, const placement_need& need);
  [[nodiscard]] std::size_t size() const noexcept { return voters_.size(); }
  [[nodiscard]] const std::vector<index>& voters(std::size_t g) const {
    return voters_[g];
  }
  [[nodiscard]] bool has_quorum(std::size_t g) const;
  [[nodiscard]] std::size_t with_quorum() const;
  /// Whose voters stand in fewer regions than was asked for.
  [[nodiscard]] std::size_t crowded() const noexcept { return crowded_; }
  /// Those that `i` leads.
  [[nodiscard]] const std::vector<std::size_t>& led_by(index i) const;
  [[nodiscard]] bool votes(std::size_t g, index i) const;

private:
  swarm& swarm_;
  std::vector<std::vector<index>> voters_;
  std::vector<std::vector<std::size_t>> led_;
  std::size_t crowded_ = 0;
};

} // namespace banyan::sim
