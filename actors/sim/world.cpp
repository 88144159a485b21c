#include "actors/sim/world.hpp"

#include <cmath>

namespace banyan::sim {

namespace {

struct city {
  const char* name;
  double north, east; // degrees
};

constexpr city all_cities[] = {
    {"frankfurt", 50.1, 8.7},   {"virginia", 38.9, -77.4},
    {"singapore", 1.4, 103.8},  {"saopaulo", -23.6, -46.6},
    {"tokyo", 35.7, 139.7},     {"oregon", 45.8, -119.7},
    {"mumbai", 19.1, 72.9},     {"london", 51.5, -0.1},
    {"sydney", -33.9, 151.2},   {"johannesburg", -26.2, 28.0},
    {"montreal", 45.5, -73.6},  {"dubai", 25.2, 55.3},
    {"stockholm", 59.3, 18.1},  {"paris", 48.9, 2.4},
    {"seoul", 37.6, 127.0},     {"texas", 32.8, -96.8},
    {"santiago", -33.4, -70.7}, {"lagos", 6.5, 3.4},
    {"madrid", 40.4, -3.7},     {"jakarta", -6.2, 106.8},
    {"warsaw", 52.2, 21.0},     {"california", 37.4, -122.1},
    {"nairobi", -1.3, 36.8},    {"auckland", -36.8, 174.8},
};

constexpr double earth_km = 6371;
constexpr double detour = 1.4;    ///< of cables against the great circle
constexpr double km_per_ms = 100; ///< of round trip: 200 km/ms in glass
constexpr double least_ms = 2;

double km_between(const city& a, const city& b) {
  const double rad = std::acos(-1.0) / 180;
  const double north = (b.north - a.north) * rad;
  const double east = (b.east - a.east) * rad;
  const double h = std::pow(std::sin(north / 2), 2)
                   + std::cos(a.north * rad) * std::cos(b.north * rad)
                         * std::pow(std::sin(east / 2), 2);
  return 2 * earth_km * std::asin(std::sqrt(h));
}

} // namespace

const std::vector<std::string>& world::cities() {
  static const auto names = [] {
    std::vector<std::string> out;
    for (const auto& c : all_cities)
      out.emplace_back(c.name);
    return out;
  }();
  return names;
}

world world::planet(std::size_t regions) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < regions && i < cities().size(); ++i)
    names.push_back(cities()[i]);
  auto w = *planet(names);
  if (regions <= names.size())
    return w;
  // More than there are cities: a second region in some of them.
  std::vector<std::vector<double>> ms(regions, std::vector<double>(regions));
  for (std::size_t i = 0; i < regions; ++i)
    for (std::size_t j = 0; j < regions; ++j)
      ms[i][j] = 2 * to_ms(w.one_way(i % cities().size(), j % cities().size()));
  for (std::size_t i = names.size(); i < regions; ++i)
    names.push_back(cities()[i % cities().size()] + "-"
                    + std::to_string(i / cities().size() + 1));
  return *of(std::move(names), ms);
}

std::optional<world> world::planet(const std::vector<std::string>& names) {
  std::vector<const city*> chosen;
  for (const auto& name : names) {
    const city* found = nullptr;
    for (const auto& c : all_cities)
      if (c.name == name)
        found = &c;
    if (found == nullptr)
      return std::nullopt;
    chosen.push_back(found);
  }
  std::vector<std::vector<double>> ms(names.size(),
                                      std::vector<double>(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t j = 0; j < names.size(); ++j)
      ms[i][j] =
          least_ms + detour * km_between(*chosen[i], *chosen[j]) / km_per_ms;
  return of(names, ms);
}

world world::lan(std::size_t regions) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < regions; ++i)
    names.push_back("r" + std::to_string(i + 1));
  return *of(std::move(names), {regions, std::vector<double>(regions, 1.0)});
}

std::optional<world>
world::of(std::vector<std::string> names,
          const std::vector<std::vector<double>>& round_trips) {
  if (names.empty() || names.size() > regions_max
      || round_trips.size() != names.size())
    return std::nullopt;
  world w;
  for (const auto& row : round_trips) {
    if (row.size() != names.size())
      return std::nullopt;
    for (const auto ms : row) {
      if (!(ms >= 0 && ms <= 10'000))
        return std::nullopt;
      w.one_way_.push_back(duration{std::int64_t(ms * 0.5e6)});
    }
  }
  w.names_ = std::move(names);
  return w;
}

std::optional<std::size_t> world::find(std::string_view name) const {
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (names_[i] == name)
      return i;
  return std::nullopt;
}

} // namespace banyan::sim
