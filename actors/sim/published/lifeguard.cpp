#include "actors/sim/published/lifeguard.hpp"

#include <algorithm>

namespace banyan::sim::published {
namespace {

constexpr auto warm_up = 10s;
constexpr std::size_t slow_counts[] = {1, 4, 8, 16, 32};
constexpr duration blocked_for[] = {256ms, 1s, 4s, 16s};
constexpr duration open_for[] = {16ms, 256ms, 4s};
/// Promised: while at most one in so many is slow, the healthy have no healthy
/// node dead.
constexpr std::size_t few_of = 16;
constexpr double overload = 10'000; ///< 100 ms for each frame

/// Of several runs.
struct sum {
  std::uint64_t false_deaths = 0, by_healthy = 0, doubts = 0, slow_dead = 0;
  unsigned runs = 0, unsettled = 0;
  double bytes = 0, most = 0;
  void add(const lifeguard_run& r) {
    false_deaths += r.views.false_deaths;
    by_healthy += r.views.false_by_healthy;
    doubts += r.views.doubts_by_healthy;
    slow_dead += r.views.removals;
    unsettled += r.settled ? 0U : 1U;
    bytes += (r.out.mean - bytes) / ++runs;
    most = std::max(most, r.out.most);
  }
};

void add_row(table& t, const std::string& name, const sum& s) {
  t.rows.push_back({name, std::to_string(s.false_deaths),
                    std::to_string(s.by_healthy), std::to_string(s.doubts),
                    std::to_string(s.slow_dead), shown(s.bytes / 1000, 2),
                    shown(s.most / 1000, 1), std::to_string(s.unsettled),
                    std::to_string(s.runs)});
}

table empty_table(std::string title, std::string first) {
  table t;
  t.title = std::move(title);
  t.head = {std::move(first), "FP",         "FP-",       "doubts", "slow dead",
            "KB/s, mean",     "KB/s, most", "unsettled", "runs"};
  return t;
}

} // namespace

lifeguard_run run_lifeguard(const lifeguard_options& how,
                            const story_progress& progress) {
  lifeguard_run out;
  out.how = how;
  auto& n = out.how.nodes;
  n = std::max<std::size_t>(n, 4);
  out.how.slow = std::min(how.slow, n / 2);
  swarm_config cfg;
  cfg.seed = how.seed;
  swarm mesh{cfg};
  for (std::size_t i = 0; i < n; ++i)
    mesh.add(0);
  mesh.start_settled();
  mesh.run_for(warm_up);
  std::vector<index> slow;
  for (std::size_t k = 0; k < out.how.slow; ++k)
    slow.push_back(
        static_cast<index>((k * n / out.how.slow + how.seed * 7) % n));
  view_watch views{mesh, slow};
  traffic_watch bytes{mesh};
  const auto end = mesh.now() + how.seconds * 1s;
  if (how.factor > 0) {
    for (const auto i : slow)
      mesh.slow(i, how.factor);
    mesh.at(end, [&] {
      for (const auto i : slow)
        mesh.slow(i, 1);
    });
  } else {
    for (auto t = mesh.now(); t < end; t += how.blocked + how.open) {
      mesh.at(t, [&] {
        for (const auto i : slow)
          mesh.freeze(i);
      });
      mesh.at(std::min(t + how.blocked, end), [&] {
        for (const auto i : slow)
          mesh.thaw(i);
      });
    }
  }
  const auto title = std::to_string(out.how.slow) + " of " + std::to_string(n)
                     + " slow, "
                     + (how.factor > 0 ? "overloaded"
                                       : shown(to_ms(how.blocked)) + "/"
                                             + shown(to_ms(how.open)) + " ms");
  out.stopped = !run_seconds(mesh, how.seconds + how.after_seconds, title,
                             progress, [&](unsigned) {
                               views.look();
                               bytes.look();
                             });
  out.views = views.result();
  out.out = bytes.out();
  out.settled = mesh.settled();
  return out;
}

story_outcome play_lifeguard(const story_request& request,
                             const story_progress& progress) {
  story_outcome out;
  out.held = true;
  lifeguard_options base;
  base.seed = request.seed.value_or(base.seed);
  base.nodes = request.nodes.value_or(base.nodes);
  auto by_count = empty_table("Blocked: by how many are slow at once", "slow");
  auto by_time =
      empty_table("Blocked: by how long, and how long not", "blocked/open");
  auto loaded = empty_table("Overloaded: 100 ms of processor for each frame, "
                            "60 s without a break",
                            "slow");
  sum all, few;
  std::vector<sum> times(std::size(blocked_for) * std::size(open_for));
  for (const auto c : slow_counts) {
    sum one;
    for (std::size_t d = 0; d < times.size() && out.held; ++d) {
      auto o = base;
      o.slow = c;
      o.blocked = blocked_for[d / std::size(open_for)];
      o.open = open_for[d % std::size(open_for)];
      const auto run = run_lifeguard(o, progress);
      out.held = !run.stopped;
      one.add(run);
      times[d].add(run);
      all.add(run);
      if (c * few_of <= run.how.nodes)
        few.add(run);
    }
    add_row(by_count, std::to_string(c), one);
  }
  add_row(by_count, "all", all);
  for (std::size_t d = 0; d < times.size(); ++d)
    add_row(by_time,
            shown(to_ms(blocked_for[d / std::size(open_for)])) + "/"
                + shown(to_ms(open_for[d % std::size(open_for)])) + " ms",
            times[d]);
  for (const auto c : slow_counts) {
    if (!out.held)
      break;
    auto o = base;
    o.slow = c;
    o.factor = overload;
    const auto run = run_lifeguard(o, progress);
    out.held = !run.stopped;
    sum one;
    one.add(run);
    if (c * few_of <= run.how.nodes)
      few.add(run);
    add_row(loaded, std::to_string(c), one);
  }
  by_count.notes = {
      "FP: opinions \"dead\" of members that were never slow, by any node; "
      "FP-: "
      "those of nodes that were not slow either. Doubts: the same by such "
      "nodes, suspected only. Slow dead: healthy nodes' opinions \"dead\" of "
      "slow ones, each time anew: they are not false. 60 s and 20 s after."};
  loaded.notes = {
      "Published: with SWIM \"even a single overloaded member is sufficient to "
      "cause some false positive failure detection events\", four of 100 cause "
      "hundreds at healthy members (section II, figure 1); Lifeguard has 50 to "
      "100 times fewer than SWIM (section V). The absolute numbers of its "
      "tables are not at hand: no cell is given for them."};
  const std::vector<table> tables{by_count, by_time, loaded};
  out.held = out.held && few.by_healthy == 0;
  out.text = request.json ? json_of(tables) : text_of(tables);
  return out;
}

} // namespace banyan::sim::published
