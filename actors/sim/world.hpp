#pragma once
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Where simulated nodes are, and how far that is from each other.
namespace banyan::sim {

/// Regions and the round trips between them. A plain value.
class world {
public:
  static constexpr std::size_t regions_max = 64;

  /// Cities of all continents, in the order in which `planet` takes them.
  [[nodiscard]] static const std::vector<std::string>& cities();
  /// The first `regions` cities. A round trip follows the great circle, 1.4
  /// times its length at two thirds of the speed of light, plus 2 ms: within
  /// 15 % of what clouds measure between such places.
  static world planet(std::size_t regions);
  /// Those cities; empty when one of them isn't known.
  static std::optional<world> planet(const std::vector<std::string>& names);
  /// So many regions side by side: every round trip takes 1 ms.
  static world lan(std::size_t regions);
  /// Round trips in milliseconds, by row and column. Empty unless it is a
  /// square of 0 to 10,000 ms with as many rows as there are names.
  static std::optional<world>
  of(std::vector<std::string> names,
     const std::vector<std::vector<double>>& round_trips);

  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] const std::string& name(std::size_t region) const {
    return names_[region];
  }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;
  /// Half of the round trip.
  [[nodiscard]] duration one_way(std::size_t from, std::size_t to) const {
    return one_way_[from * names_.size() + to];
  }

private:
  std::vector<std::string> names_;
  std::vector<duration> one_way_;
};

} // namespace banyan::sim
