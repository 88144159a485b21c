// A region goes dark: every app that is spread over regions serves from the
// others, and nothing that was acknowledged is gone.
#include "tests/integration/netns_scenarios.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::test {
namespace {

const std::vector<std::string> three{"eu", "us", "ap"};
constexpr std::size_t hosts_each = 2;
constexpr std::size_t keys = 8; ///< of each app: on all of its shards
constexpr duration served_limit = 20s;

struct probe {
  const char* app;
  const char* command;
  const char* body;
};
constexpr probe probes[] = {
    {"kv", "put", R"({"value":"here"})"},
    {"counter", "add", R"({"n":1})"},
    {"ledger", "deposit", R"({"cents":1})"},
};

std::size_t region_of(std::size_t host) {
  return host % three.size();
}

/// Cuts all hosts of the region off from the others; with `dark` its callers
/// don't reach it either.
void cut_off(netns_world& w, std::size_t region, bool dark) {
  std::set<std::size_t> side;
  for (std::size_t i = 0; i < w.hosts.size(); ++i)
    if (region_of(i) == region)
      side.insert(i);
  w.hosts.part(side, dark);
}

/// One command to each key of each app at once, at peers of the other regions.
/// How long the slowest of an app took, in ms: until all its shards serve.
std::map<std::string, double> serve_again(netns_world& w, std::size_t region,
                                          int round, time_point begun) {
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < w.hosts.size(); ++i)
    if (region_of(i) != region)
      others.push_back(i);
  struct result {
    int status = 0;
    double ms = 0;
  };
  std::vector<result> results(std::size(probes) * keys);
  std::vector<std::thread> callers;
  for (std::size_t n = 0; n < results.size(); ++n)
    callers.emplace_back([&, n] {
      const auto& p = probes[n / keys];
      io::http_call c;
      c.method = "POST";
      c.target = std::string{"/v1/apps/"} + p.app + "/actors/probe-"
                 + std::to_string(n % keys) + "/" + p.command;
      c.body = p.body;
      c.headers = {{"idempotency-key", "region-" + std::to_string(round) + "-"
                                           + std::to_string(n)},
                   {"banyan-deadline-ms", std::to_string(served_limit / 1ms)}};
      c.timeout = served_limit + 2s;
      const auto r = w.mesh().call(w.mesh().http(others[n % others.size()]), c);
      results[n] = {r.status, to_ms(now() - begun)};
    });
  for (auto& c : callers)
    c.join();
  std::map<std::string, double> slowest;
  for (std::size_t n = 0; n < results.size(); ++n) {
    const auto* app = probes[n / keys].app;
    slowest[app] = std::max(slowest[app], results[n].ms);
    if (results[n].status != 200)
      w.complain(std::string{app} + " didn't serve from the other regions: "
                 + std::to_string(results[n].status) + " after "
                 + std::to_string(results[n].ms) + " ms");
  }
  return slowest;
}

/// Every peer names the same leader and term for each shard.
void demand_one_leader_each(netns_world& w) {
  std::string seen;
  const auto same = [&](const char* app) {
    std::map<std::uint32_t, std::pair<std::uint64_t, std::string>> leaders;
    for (std::size_t i = 0; i < w.hosts.size(); ++i) {
      const auto row = w.mesh().app(i, app);
      if (!row)
        return false;
      for (const auto& g : row->groups)
        if (const auto [at, first] =
                leaders.try_emplace(g.shard, g.term, g.leader);
            g.leader.empty()
            || (!first && at->second != std::pair{g.term, g.leader})) {
          seen = std::string{app} + "/" + std::to_string(g.shard);
          return false;
        }
    }
    return true;
  };
  for (const auto& p : probes)
    if (!wait_until([&] { return same(p.app); }, 20s, 20ms))
      w.complain("the peers don't agree on one leader of " + seen);
}

void print_table(const std::map<std::string, std::vector<double>>& times) {
  std::printf("%-28s %8s %8s %8s %8s\n", "region cut off, served again, ms",
              "least", "median", "p90", "max");
  for (auto [app, v] : times) {
    std::sort(v.begin(), v.end());
    const auto at = [&](double q) {
      return v[std::min(v.size() - 1, static_cast<std::size_t>(
                                          q * static_cast<double>(v.size())))];
    };
    std::printf("%-32s %8.0f %8.0f %8.0f %8.0f\n", app.c_str(), v.front(),
                at(0.5), at(0.9), v.back());
  }
}

} // namespace

int netns_regions(netns_world::settings s) {
  for (std::size_t i = 0; i < hosts_each * three.size(); ++i)
    s.regions.push_back(three[region_of(i)]);
  s.hosts = s.regions.size();
  s.spec = "spread = 2\n";
  const auto goal = s.goal_ms;
  netns_world w{std::move(s)};
  w.begin();
  std::map<std::string, std::vector<double>> times;
  double longest_cut = 0; ///< making it takes time, which counts
  int round = 0;
  while (w.time_left()) {
    // One that leads something, of each app in turn.
    const auto& app = probes[static_cast<std::size_t>(round) % 3].app;
    const auto region = region_of(
        w.leader(app, std::string{app} == "counter"
                          ? 0
                          : static_cast<std::uint32_t>(round / 3 % 2)));
    const bool dark = round % 2 == 0;
    const auto begun = now();
    cut_off(w, region, dark);
    longest_cut = std::max(longest_cut, to_ms(now() - begun));
    w.struck(dark ? "a region dark" : "a region cut off, its callers not");
    for (const auto& [name, ms] : serve_again(w, region, round, begun)) {
      times[name].push_back(ms);
      if (goal > 0 && ms > goal)
        w.complain(name + " served again only after " + std::to_string(ms)
                   + " ms");
    }
    w.dwell(200ms, 1500ms);
    w.heal();
    w.demand_health(20s);
    demand_one_leader_each(w);
    w.dwell(500ms, 1500ms);
    ++round;
  }
  print_table(times);
  std::printf("of which to make the cut itself, at most %.0f ms\n",
              longest_cut);
  return w.end();
}

} // namespace banyan::test
