#include "actors/sim/published/swim.hpp"

#include <algorithm>
#include <cmath>

namespace banyan::sim::published {
namespace {

constexpr auto warm_up = 10s;
constexpr auto crash_limit = 60s;
constexpr auto calm_again = 3s;
/// Not all crashes at the same point between two beats.
constexpr auto phase = 137ms;
constexpr auto join_every = 5s;
constexpr unsigned join_seconds = 175;
constexpr unsigned join_looks = 95;

/// A crash, until all know it; then the process starts again.
class crash {
public:
  crash(swarm& mesh, index victim) : mesh_{mesh}, victim_{victim} {}

  void play(bool silent, crash_times& out, std::uint64_t& false_deaths) {
    const auto begun = mesh_.now();
    std::optional<duration> doubted, first, last;
    mesh_.on_view_change = [&](index, index subject, opinion from, opinion to,
                               time_point at) {
      if (subject != victim_) {
        false_deaths += to == opinion::dead ? 1U : 0U;
        return;
      }
      if (!doubted && (to == opinion::suspect || to == opinion::dead))
        doubted = at - begun;
      if (to != opinion::dead || from == opinion::unknown)
        return;
      if (!first)
        first = at - begun;
      last = at - begun;
      out.each.add(*last);
    };
    if (silent)
      mesh_.unplug(victim_);
    else
      mesh_.kill(victim_);
    const bool known =
        mesh_
            .run_until(
                [&] {
                  return mesh_.views().count(victim_, opinion::dead)
                         == mesh_.views().observers();
                },
                crash_limit)
            .has_value();
    mesh_.on_view_change = nullptr;
    if (doubted)
      out.doubted.add(*doubted);
    if (first)
      out.first.add(*first);
    if (known)
      out.all.add(*last);
    else
      ++out.open;
    const auto other = victim_ == 0 ? index{1} : index{0};
    mesh_.start(victim_, {other});
    mesh_.run_until([&] { return mesh_.settled(); }, crash_limit);
    mesh_.run_for(calm_again);
  }

private:
  swarm& mesh_;
  index victim_;
};

std::string ms(double value) {
  return shown(value / 1000, 2);
}
std::string seconds(duration d) {
  return shown(to_ms(d) / 1000, 2);
}

/// How many runs, each with so many crashes of each kind.
struct effort {
  unsigned runs, crashes;
};
effort effort_for(std::size_t nodes) {
  if (nodes <= 100)
    return {5, 6};
  if (nodes <= 500)
    return {2, 6};
  return {1, nodes <= 1'000 ? 6U : 3U};
}

struct row {
  std::size_t nodes = 0;
  unsigned runs = 0;
  crash_times silent, killed;
  spread bytes, frames;
  std::uint64_t false_deaths = 0;
};

table detection_table(const std::vector<row>& rows) {
  table t;
  t.title = "Seconds from a crash on: SWIM by its formulas, Banyan measured";
  t.head = {"N",           "SWIM first",     "SWIM waits",
            "SWIM failed", "doubted",        "first dead",
            "median node", "99 %",           "all, median",
            "all, worst",  "killed: first",  "killed: all, worst",
            "crashes",     "not all in 60 s"};
  for (const auto& r : rows) {
    const auto first = swim_first_detection(swim_period);
    const auto waits = swim_suspicion(r.nodes, swim_period);
    t.rows.push_back({std::to_string(r.nodes), seconds(first), seconds(waits),
                      seconds(first + waits), ms(r.silent.doubted.at(0.5)),
                      ms(r.silent.first.at(0.5)), ms(r.silent.each.at(0.5)),
                      ms(r.silent.each.at(0.99)), ms(r.silent.all.at(0.5)),
                      ms(r.silent.all.at(1)), ms(r.killed.first.at(0.5)),
                      ms(r.killed.all.at(1)),
                      std::to_string(r.silent.all.size() + r.silent.open) + "+"
                          + std::to_string(r.killed.all.size() + r.killed.open),
                      std::to_string(r.silent.open + r.killed.open)});
  }
  t.notes = {
      "SWIM (DSN 2002) with its experiments' period of 2 s. First: e/(e-1) "
      "periods until some member misses the crashed one (expected; section "
      "3.1), whatever N. Waits: suspicion time-out of 3*ceil(ln(N+1)) periods "
      "(section 5). Failed: their sum, without the time that news takes; with "
      "a period of 1 s halve it.",
      "Banyan: medians of silent crashes (power lost); killed: kill -9."};
  return t;
}

table load_table(const std::vector<row>& rows) {
  table t;
  t.title = "Sent by a node when all is calm";
  t.head = {"N",        "SWIM msg / 2 s", "msg / 2 s, mean",
            "99 %",     "B/s mean",       "B/s 99 %",
            "B/s most", "runs",           "false deaths"};
  for (const auto& r : rows)
    t.rows.push_back({std::to_string(r.nodes), shown(swim_messages_a_period, 1),
                      shown(r.frames.mean * 2, 1), shown(r.frames.p99 * 2, 0),
                      shown(r.bytes.mean), shown(r.bytes.p99),
                      shown(r.bytes.most), std::to_string(r.runs),
                      std::to_string(r.false_deaths)});
  t.notes = {"SWIM: section 5.1, \"the average overhead stays around 2.0\" "
             "messages sent per member and period of 2 s up to 55 members, as "
             "its analysis says for any N; payloads of at most 135 B.",
             "Banyan: beats to all in meshes of up to 17, above that to those "
             "whom a node watches and who watch it, eight of each."};
  return t;
}

table join_table(const std::vector<swim_join>& runs) {
  table t;
  t.title = "17 processes join one after the other, 10 % of packets lost";
  t.head = {"system", "group"};
  t.rows = {{"SWIM:Basic, published", "2"},
            {"SWIM+Inf., published", "4"},
            {"SWIM+Inf.+Susp., published", "12"}};
  for (const auto& r : runs)
    t.rows.push_back(
        {"Banyan",
         std::to_string(r.smallest)
             + (r.smallest == r.largest ? ""
                                        : " to " + std::to_string(r.largest))
             + ", " + std::to_string(r.false_deaths) + " opinions \"dead\""});
  t.notes = {"SWIM: section 5.3 and figure 4, UDP. Banyan's links are TCP: "
             "what is lost comes late. A process every 5 s; the sizes of all "
             "views from 95 to 175 s. All opinions \"dead\" are false, and "
             "taken back."};
  return t;
}

} // namespace

duration swim_first_detection(duration period) noexcept {
  const auto e = std::exp(1.0);
  return duration{
      static_cast<std::int64_t>(double(period.count()) * e / (e - 1))};
}

duration swim_suspicion(std::size_t nodes, duration period) noexcept {
  return period
         * static_cast<std::int64_t>(3
                                     * std::ceil(std::log(double(nodes + 1))));
}

void crash_times::add(const crash_times& more) {
  doubted.add(more.doubted);
  first.add(more.first);
  each.add(more.each);
  all.add(more.all);
  open += more.open;
}

swim_run run_swim(const swim_options& how, const story_progress& progress) {
  swim_run out;
  out.how = how;
  out.how.nodes = std::max(how.nodes, swim_options::nodes_min);
  const auto n = out.how.nodes;
  swarm_config cfg;
  cfg.seed = how.seed;
  swarm mesh{cfg};
  for (std::size_t i = 0; i < n; ++i)
    mesh.add(0);
  mesh.start_settled();
  mesh.run_for(warm_up);
  const auto title =
      std::to_string(n) + " nodes, seed " + std::to_string(how.seed);
  mesh.on_view_change = [&](index, index, opinion, opinion to, time_point) {
    out.false_deaths += to == opinion::dead ? 1U : 0U;
  };
  traffic_watch sent{mesh};
  out.stopped = !run_seconds(mesh, how.calm_seconds, title + ", calm", progress,
                             [&](unsigned) { sent.look(); });
  out.bytes = sent.out();
  out.frames = sent.frames_out();
  for (unsigned k = 0; k < 2 * how.crashes && !out.stopped; ++k) {
    if (!progress(title + ", crash " + std::to_string(k + 1) + " of "
                  + std::to_string(2 * how.crashes))) {
      out.stopped = true;
      break;
    }
    mesh.run_for(phase * std::int64_t(k + 1));
    const auto victim = static_cast<index>((k * (n / 3 + 1) + how.seed) % n);
    crash one{mesh, victim};
    const bool silent = k % 2 == 0;
    one.play(silent, silent ? out.silent : out.killed, out.false_deaths);
  }
  return out;
}

swim_join run_swim_join(std::uint64_t seed, const story_progress& progress) {
  swim_join out;
  swarm_config cfg;
  cfg.seed = seed;
  swarm mesh{cfg};
  for (std::size_t i = 0; i < out.nodes; ++i)
    mesh.add(0);
  mesh.set_loss(0.1);
  mesh.on_view_change = [&](index, index, opinion, opinion to, time_point) {
    out.false_deaths += to == opinion::dead ? 1U : 0U;
  };
  mesh.start(0);
  for (index i = 1; i < out.nodes; ++i)
    mesh.at(mesh.now() + join_every * std::int64_t{i},
            [&mesh, i] { mesh.start(i, {0}); });
  out.smallest = out.nodes;
  out.stopped = !run_seconds(
      mesh, join_seconds, "17 nodes join, seed " + std::to_string(seed),
      progress, [&](unsigned second) {
        if (second < join_looks)
          return;
        for (index i = 0; i < out.nodes; ++i) {
          std::size_t size = 0;
          for (index of = 0; of < out.nodes; ++of)
            size += in_view(mesh.views().of(i, of)) ? 1U : 0U;
          out.smallest = std::min(out.smallest, size);
          out.largest = std::max(out.largest, size);
        }
      });
  return out;
}

story_outcome play_swim(const story_request& request,
                        const story_progress& progress) {
  std::vector<std::size_t> sizes{10, 50, 100, 500, 1'000, 2'000};
  if (request.nodes)
    sizes = {std::max(*request.nodes, swim_options::nodes_min)};
  const auto seed = request.seed.value_or(1);
  story_outcome out;
  out.held = true;
  std::vector<row> rows;
  for (const auto n : sizes) {
    row r;
    r.nodes = n;
    const auto work = effort_for(n);
    for (unsigned k = 0; k < work.runs && out.held; ++k) {
      swim_options o;
      o.seed = seed + k;
      o.nodes = n;
      o.crashes = work.crashes;
      const auto run = run_swim(o, progress);
      out.held = out.held && !run.stopped;
      r.silent.add(run.silent);
      r.killed.add(run.killed);
      const auto share = 1.0 / ++r.runs;
      r.bytes.mean += (run.bytes.mean - r.bytes.mean) * share;
      r.bytes.p99 = std::max(r.bytes.p99, run.bytes.p99);
      r.bytes.most = std::max(r.bytes.most, run.bytes.most);
      r.frames.mean += (run.frames.mean - r.frames.mean) * share;
      r.frames.p99 = std::max(r.frames.p99, run.frames.p99);
      r.false_deaths += run.false_deaths;
    }
    rows.push_back(r);
    if (!out.held)
      break;
    out.held = r.false_deaths == 0 && r.silent.open + r.killed.open == 0;
  }
  std::vector<swim_join> joins;
  for (unsigned k = 0; k < 3 && !request.nodes; ++k) {
    joins.push_back(run_swim_join(seed + k, progress));
    if (joins.back().stopped) {
      out.held = false;
      break;
    }
    out.held = out.held && joins.back().largest == joins.back().nodes
               && joins.back().smallest * 2 > joins.back().nodes;
  }
  std::vector<table> all{detection_table(rows), load_table(rows)};
  if (!joins.empty())
    all.push_back(join_table(joins));
  out.text = request.json ? json_of(all) : text_of(all);
  return out;
}

} // namespace banyan::sim::published
