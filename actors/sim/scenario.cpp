#include "actors/sim/scenario.hpp"

#include <algorithm>

namespace banyan::sim {

const char* to_string(action a) noexcept {
  switch (a) {
  case action::kill:
    return "kill";
  case action::freeze:
    return "freeze";
  case action::thaw:
    return "thaw";
  case action::partition:
    return "partition";
  case action::heal:
    return "heal";
  case action::region_loss:
    return "region_loss";
  case action::loss:
    return "loss";
  case action::slow:
    return "slow";
  case action::churn:
    return "churn";
  case action::join:
    return "join";
  case action::leave:
    return "leave";
  }
  return "?";
}

namespace {

std::string listed(const world& w) {
  std::string out;
  for (std::size_t i = 0; i < w.size(); ++i)
    out += (i == 0 ? "" : ", ") + w.name(i);
  return out;
}

result<void, scenario_error> no(const std::string& why) {
  return failure{scenario_error{why}};
}

std::optional<world> made(const scenario& s) {
  if (!s.round_trips.empty()) {
    auto names = s.names;
    for (auto i = names.size(); names.empty() || i < s.round_trips.size(); ++i)
      if (s.names.empty())
        names.push_back("r" + std::to_string(i + 1));
      else
        break;
    return world::of(std::move(names), s.round_trips);
  }
  if (s.latency == "lan" && !s.names.empty())
    return world::of(s.names,
                     {s.names.size(), std::vector<double>(s.names.size(), 1)});
  if (s.latency == "lan")
    return world::lan(s.regions);
  return s.names.empty() ? world::planet(s.regions) : world::planet(s.names);
}

} // namespace

world places_of(const scenario& s) {
  return *made(s);
}

std::vector<std::size_t> sizes_of(const scenario& s, const world& places) {
  std::vector<std::size_t> out(places.size());
  std::size_t said = 0, open = 0;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto at = s.sizes.find(places.name(i));
    if (at != s.sizes.end())
      said += out[i] = at->second;
    else
      ++open;
  }
  auto rest = s.nodes - std::min(said, s.nodes);
  for (std::size_t i = 0; i < places.size(); ++i)
    if (s.sizes.count(places.name(i)) == 0) {
      out[i] = rest / open;
      rest -= out[i];
      --open;
    }
  return out;
}

result<void, scenario_error> check(scenario& s) {
  if (s.nodes < 1 || s.nodes > scenario::nodes_max)
    return no("nodes: must be 1 to " + std::to_string(scenario::nodes_max));
  if (s.latency != "planet" && s.latency != "lan")
    return no("latency: must be \"planet\", \"lan\" or a square of round trips "
              "in ms");
  if (s.regions < 1 || s.regions > world::regions_max
      || s.names.size() > world::regions_max)
    return no("regions: must be 1 to " + std::to_string(world::regions_max));
  const auto w = made(s);
  if (!w && !s.round_trips.empty())
    return no("latency: must be a square of round trips from 0 to 10000 ms, "
              "with a row for each region");
  if (!w)
    return no("regions: with latency \"planet\" they are cities: "
              + listed(world::planet(world::cities().size())));
  std::size_t said = 0;
  for (const auto& [name, size] : s.sizes) {
    if (!w->find(name))
      return no("sizes: there is no region '" + name + "'; there are "
                + listed(*w));
    said += size;
  }
  if (said > s.nodes || (said < s.nodes && s.sizes.size() == w->size()))
    return no("sizes: " + std::to_string(said) + " nodes in regions, of "
              + std::to_string(s.nodes));
  if (s.voters % 2 == 0 || s.voters > 7)
    return no("voters: must be 1, 3, 5 or 7");
  for (const auto& e : s.events) {
    const auto where = (e.place.empty() ? "" : e.place + ": ")
                       + std::string{to_string(e.what)} + ": ";
    if (e.at > s.length)
      return no(where + "at: is after the end, at "
                + std::to_string(s.length / 1s) + "s");
    if (!e.region.empty() && !w->find(e.region))
      return no(where + "region: there is no '" + e.region + "'; there are "
                + listed(*w));
    std::size_t joined = 0;
    for (const auto& other : s.events)
      if (other.what == action::join && other.at <= e.at)
        joined += other.count;
    for (const auto n : e.nodes)
      if (n >= s.nodes + joined)
        return no(where + "nodes: there is no " + std::to_string(n)
                  + "; they are numbered from 0 to "
                  + std::to_string(s.nodes + joined - 1));
  }
  std::stable_sort(s.events.begin(), s.events.end(),
                   [](const auto& a, const auto& b) { return a.at < b.at; });
  return {};
}

void add_standard_events(scenario& s) {
  const auto add = [&s](duration at, action what, std::uint32_t count) {
    happening h;
    h.at = at;
    h.what = what;
    h.count = count;
    s.events.push_back(h);
  };
  for (int i = 0; i < 10; ++i)
    add(10s + i * 500ms, action::kill, 1);
  add(16s, action::freeze, 1);
  for (int i = 0; i < 3; ++i)
    add(20s + i * 3s, action::join, 1);
  happening churn;
  churn.at = 30s;
  churn.what = action::churn;
  churn.percent = 1;
  churn.lasting = 40s;
  churn.down = 15s;
  s.events.push_back(churn);
  happening lost;
  lost.at = 100s;
  lost.what = action::region_loss;
  lost.region = places_of(s).name(0);
  s.events.push_back(lost);
  s.length = std::max<duration>(s.length, 125s);
}

} // namespace banyan::sim
