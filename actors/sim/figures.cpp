// The results of a course, as a table, as JSON and as CSV.
#include "actors/sim/detail/course_state.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace banyan::sim {

namespace {

void add_times(std::vector<figure>& out, const std::string& key,
               const std::string& text, const times& t,
               std::optional<double> goal) {
  if (t.size() == 0)
    return;
  out.push_back({key + "_median_ms", text + ", median", t.at(0.5), "ms"});
  out.push_back({key + "_p99_ms", text + ", 99 %", t.at(0.99), "ms", goal});
  out.push_back({key + "_max_ms", text + ", last", t.at(1), "ms"});
}

std::string shown(double v) {
  char text[40];
  if (v == std::floor(v) && std::abs(v) < 1e15)
    std::snprintf(text, sizeof text, "%.0f", v);
  else
    std::snprintf(text, sizeof text, "%.1f", v);
  return text;
}

} // namespace

std::vector<figure> course::state::figures() const {
  std::vector<figure> out;
  const auto add = [&out](std::string key, std::string text, double value,
                          std::string unit = "",
                          std::optional<double> goal = {}, bool floor = false) {
    out.push_back(
        {std::move(key), std::move(text), value, std::move(unit), goal, floor});
  };
  add("nodes", "nodes", double(what.nodes));
  add("regions", "regions", double(mesh.places().size()));
  add("seconds", "virtual seconds", double((mesh.now() - zero) / 1ms) / 1000);
  const char* const names[end_count] = {"", "kill", "freeze", "power"};
  for (std::size_t e = 1; e < end_count; ++e) {
    if (timed_deaths[e] > 0)
      add(names[e] + std::string{"s"}, names[e] + std::string{"s, timed"},
          double(timed_deaths[e]));
    add_times(out, names[e], std::string{"a "} + names[e] + " known to a node",
              known[e],
              e == std::size_t(end::killed) ? std::optional{3000.0}
                                            : std::nullopt);
  }
  // Who of all has not heard of those that are still gone.
  std::uint64_t unaware = 0;
  for (index i = 0; i < mesh.size(); ++i)
    if (nodes[i].timed && !up(i) && !mesh.left(i))
      unaware +=
          mesh.views().observers() - mesh.views().count(i, opinion::dead);
  if (known[1].size() + known[2].size() > 0)
    add("unaware", "opinions of those that are still wrong", double(unaware),
        "", 0.0);
  add("false_deaths", "false deaths, as opinions", double(false_deaths), "",
      0.0);
  if (impaired_deaths > 0)
    add("impaired_deaths", "deaths of nodes that a fault was put on",
        double(impaired_deaths));
  add("suspicions", "nodes that ran suspected, as opinions",
      double(suspicions));
  for (const auto& one : {calm, churning}) {
    const auto w = measured(one);
    if (w.mean == 0)
      continue;
    const std::string key = w.key, text = std::string{"sent "} + w.text;
    add(key + "_bytes_mean", text + " by a node, mean", w.mean, "B/s", w.goal);
    add(key + "_bytes_p99", text + ", 99 % of the nodes", w.p99, "B/s");
    add(key + "_bytes_max", text + ", the most", w.most, "B/s");
    add(key + "_frames_mean", text + ", mean", w.frames, "frames/s");
  }
  if (churn_deaths > 0)
    add("churn_deaths", "deaths by churn", double(churn_deaths));
  add("links_max", "links of a node, the most", double(links_most), "", 64.0);
  if (!joined.empty()) {
    times knows, known_to_all;
    std::size_t open = 0;
    for (const auto& j : joined) {
      if (j.knows)
        knows.add(*j.knows);
      if (j.known)
        known_to_all.add(*j.known);
      open += j.knows && j.known ? 0U : 1U;
    }
    add("joined", "newcomers", double(joined.size()));
    if (knows.size() > 0)
      add("join_knows_max_ms", "a newcomer knows all members, last",
          knows.at(1), "ms", 3000.0);
    if (known_to_all.size() > 0)
      add("join_known_max_ms", "a newcomer is known to all, last",
          known_to_all.at(1), "ms", 3000.0);
    if (open > 0)
      add("join_open", "newcomers that had not joined", double(open), "", 0.0);
  }
  if (lost_at != never) {
    add("lost", "nodes lost with a region", double(lost_count));
    add_times(out, "lost", "one of those known to a node", region_known, {});
    if (settled_after)
      add("lost_settled_ms", "one settled view after", to_ms(*settled_after),
          "ms", 15'000.0);
    else
      add("lost_unsettled", "opinions still wrong",
          double(mesh.wrong_opinions()), "", 0.0);
  }
  if (groups.size() > 0) {
    add("groups", "groups", double(groups.size()));
    if (groups.crowded() > 0)
      add("groups_crowded", "groups in fewer regions than asked for",
          double(groups.crowded()));
    if (lost_at != never)
      add("groups_least", "groups with a quorum after the loss, least",
          double(groups_least), "", double(groups_before_loss), true);
    add("groups_serving", "groups with a quorum at the end",
        double(groups.with_quorum()));
    add_times(out, "leader_missed", "a lost leader missed by a voter",
              leader_missed, {});
  }
  add("events", "events", double(mesh.events()));
  add("signatures", "signatures checked", double(mesh.signatures()));
  return out;
}

std::string table_of(const std::vector<figure>& all) {
  std::size_t widest = 0;
  for (const auto& f : all)
    widest = std::max(widest, f.text.size());
  std::string out;
  for (const auto& f : all) {
    out += f.text + std::string(widest + 2 - f.text.size(), ' ');
    const auto value = shown(f.value);
    out += std::string(value.size() < 14 ? 14 - value.size() : 0, ' ') + value;
    out += " " + f.unit;
    if (f.goal)
      out += std::string(f.unit.size() < 9 ? 9 - f.unit.size() : 1, ' ')
             + (f.met() ? "goal " : "MISSED: ") + (f.floor ? ">= " : "<= ")
             + shown(*f.goal);
    while (out.back() == ' ')
      out.pop_back();
    out += "\n";
  }
  return out;
}

std::string json_of(const std::vector<figure>& all) {
  std::string out = "{";
  for (const auto& f : all)
    out += (out.size() > 1 ? ", \"" : "\"") + f.key + "\": " + shown(f.value);
  return out + "}\n";
}

std::string csv_head() {
  return "second,running,wrong_opinions,false_deaths,bytes_mean,bytes_p99,"
         "bytes_max,frames_mean,links_mean,links_max,groups_serving,events\n";
}

std::string csv_line(const second_row& r) {
  char text[320];
  std::snprintf(text, sizeof text,
                "%lld,%zu,%llu,%llu,%.1f,%.0f,%.0f,%.2f,%.2f,%zu,%zu,%llu\n",
                static_cast<long long>(r.second), r.running,
                static_cast<unsigned long long>(r.wrong),
                static_cast<unsigned long long>(r.false_deaths), r.bytes_mean,
                r.bytes_p99, r.bytes_max, r.frames_mean, r.links_mean,
                r.links_max, r.groups_serving,
                static_cast<unsigned long long>(r.events));
  return text;
}

} // namespace banyan::sim
