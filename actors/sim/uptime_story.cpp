#include "actors/sim/uptime_story.hpp"

#include "base/random.hpp"
#include "net/membership/rings.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::sim {
namespace {

constexpr auto day_minutes = static_cast<std::uint32_t>(minutes_a_day);
constexpr std::uint32_t pause = 4; ///< minutes between two outages
/// Without a break: too short for voters to be replaced, or not.
constexpr std::uint32_t brief = 4;
constexpr std::uint32_t lasting = 20;

/// What is expected of a node; the story holds when it is so.
struct fate {
  standing worst = standing::normal;
  standing last = standing::normal;
  bool back = false; ///< it was excluded and joined again
};

struct flaky {
  const char* name;
  std::uint32_t minutes; ///< down each day,
  std::uint32_t most;    ///< without a break,
  std::uint32_t from;    ///< from this day on,
  std::uint32_t until;   ///< to this one
  fate should;
};

constexpr std::uint32_t always = 1000;
// Days count from 0 here. Standings follow whole days, seven at least.
constexpr flaky flakies[] = {
    {"flaky-98", 25, brief, 0, always, {standing::hold, standing::hold, false}},
    {"mended-98", 25, lasting, 0, 9, {standing::hold, standing::normal, false}},
    {"flaky-96",
     58,
     brief,
     0,
     always,
     {standing::evacuate, standing::evacuate, false}},
    {"mended-96",
     58,
     brief,
     0,
     9,
     {standing::evacuate, standing::normal, false}},
    {"flaky-93",
     100,
     lasting,
     0,
     always,
     {standing::excluded, standing::excluded, true}},
    {"mended-90",
     140,
     brief,
     0,
     9,
     {standing::excluded, standing::normal, true}},
};
constexpr std::uint32_t liar_minutes = 86;    ///< 94 %
constexpr std::uint32_t needed_minutes = 100; ///< 93 %

std::string number(std::size_t n) {
  return std::to_string(n);
}

bool is_good(const std::string& name) {
  return name.rfind("good-", 0) == 0;
}

/// Gives out the minutes of a day, so that no two nodes are down at once.
class timetable {
public:
  std::vector<uptime_role::span> take(std::uint32_t minutes,
                                      std::uint32_t most) {
    std::vector<uptime_role::span> out;
    while (minutes > 0) {
      const auto n = std::min(minutes, most);
      out.push_back({next_, next_ + n});
      next_ += n + pause;
      minutes -= n;
    }
    return out;
  }

private:
  std::uint32_t next_ = 30; ///< after the verdicts of the day
};

void repeat(const std::vector<uptime_role::span>& day, std::uint32_t from,
            std::uint32_t until, std::uint32_t days,
            std::vector<uptime_role::span>& out) {
  for (auto d = from; d < std::min(until, days); ++d)
    for (const auto& s : day)
      out.push_back({d * day_minutes + s.begin, d * day_minutes + s.end});
}

struct plot {
  uptime_mesh_options mesh;
  std::map<std::string, fate> should;
};

plot write_plot(const uptime_story_options& how) {
  plot p;
  p.mesh.seed = how.seed;
  p.mesh.policy.enforce = how.enforce;
  seeded_random random{how.seed * 7919 + 1};
  const char* regions[] = {"eu", "us", "ap", "af"};
  timetable hours;
  const auto cast = [&](std::string name, const std::string& region) {
    uptime_role r;
    r.name = std::move(name);
    r.as.node = node_id{random.array<32>()};
    r.as.region = region;
    r.as.zone = "z" + number(p.mesh.cast.size());
    r.as.host = "h" + number(p.mesh.cast.size());
    p.mesh.cast.push_back(std::move(r));
    return p.mesh.cast.size() - 1;
  };
  const auto anywhere = [&] {
    return std::string{regions[p.mesh.cast.size() % 4]};
  };
  for (const auto& f : flakies) {
    const auto i = cast(f.name, anywhere());
    repeat(hours.take(f.minutes, f.most), f.from, f.until, how.days,
           p.mesh.cast[i].down);
    p.should[f.name] = f.should;
  }
  // One that hides its own downtime and obeys no policy.
  const auto own = cast("liar-own", anywhere());
  p.mesh.cast[own].lies_about_itself = true;
  repeat(hours.take(liar_minutes, brief), 0, always, how.days,
         p.mesh.cast[own].down);
  p.should["liar-own"] = {standing::excluded, standing::excluded, false};
  // A region of three, with apps that may run nowhere else.
  const auto needed = cast("needed-93", "sa");
  repeat(hours.take(needed_minutes, brief), 0, always, how.days,
         p.mesh.cast[needed].down);
  p.should["needed-93"] = {standing::evacuate, standing::evacuate, false};
  cast("sa-1", "sa");
  cast("sa-2", "sa");
  // Drained by an operator every week, six hours each time.
  for (std::uint32_t i = 0; i < 2; ++i) {
    const auto n = cast("drained-" + number(i + 1), anywhere());
    for (auto day = 2 + i * 2; day < how.days; day += 7)
      p.mesh.cast[n].drained.push_back(
          {day * day_minutes + 60, day * day_minutes + 60 + 360});
  }
  const auto victim = cast("slandered", anywhere());
  // Each starts anew every ten days; ten share one time of the day.
  std::vector<uptime_role::span> restart;
  for (std::uint32_t n = 0; p.mesh.cast.size() < how.nodes; ++n) {
    if (n % 10 == 0)
      restart = hours.take(2, brief);
    const auto i = cast("good-" + number(n + 1), anywhere());
    for (auto d = n % 10; d < how.days; d += 10)
      repeat(restart, d, d + 1, how.days, p.mesh.cast[i].down);
  }
  // Liars: two of those who observe one good node accuse it day after day, a
  // third accuses all that it observes.
  net::rings rings{mesh_id{}, nullptr};
  for (const auto& r : p.mesh.cast)
    rings.set(r.as.node, true);
  std::set<node_id> watching;
  for (const auto& o : rings.observers(p.mesh.cast[victim].as.node))
    watching.insert(o);
  // Fewer than those who tell the truth: more than half would be believed.
  const auto honest = static_cast<std::size_t>(std::count_if(
      p.mesh.cast.begin(), p.mesh.cast.end(), [&](const uptime_role& r) {
        return is_good(r.name) && watching.count(r.as.node) != 0;
      }));
  const auto accusers =
      std::min<std::size_t>(2, honest == 0 ? 0 : (honest - 1) / 2);
  std::size_t slander = 0;
  std::size_t wild = 0;
  for (auto& r : p.mesh.cast) {
    if (!is_good(r.name))
      continue;
    if (slander < accusers && watching.count(r.as.node) != 0) {
      r.slanders = true;
      r.victims = {p.mesh.cast[victim].as.node};
      r.name = "liar-of-one-" + number(++slander);
    } else if (wild < 1 && watching.count(r.as.node) == 0) {
      r.slanders = true;
      r.name = "liar-of-all-" + number(++wild);
    }
  }
  for (std::size_t g = 0; g < how.groups; ++g) {
    placement_need need;
    need.voters = g % 10 == 9 ? 5 : 3;
    need.regions_min = 2;
    if (g % 20 == 0) {
      need.voters = 3;
      need.regions_min = 0;
      need.regions = {"sa"};
    } else {
      need.denied = {"sa"};
    }
    p.mesh.groups.push_back(need);
  }
  return p;
}

std::string stamp(std::uint32_t minute) {
  char text[40];
  std::snprintf(text, sizeof text, "day %2u %02u:%02u  ",
                minute / day_minutes + 1, minute % day_minutes / 60,
                minute % 60);
  return text;
}

std::string percent(std::uint32_t part, std::uint32_t all) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", all == 0 ? 0.0 : 100.0 * part / all);
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words)
    out += (out.empty() ? "" : ", ") + w;
  return out.empty() ? "-" : out;
}

std::string table_of(const uptime_story& s) {
  std::string out =
      "node           up %    7 d %  disagreed %  voters  by policy  now"
      "        days on which it became\n";
  std::size_t good = 0;
  for (const auto& n : s.nodes) {
    if (is_good(n.name) && n.standings.empty()) {
      ++good;
      continue;
    }
    char line[160];
    std::snprintf(line, sizeof line,
                  "%-13s %6s  %6s  %11s  %6zu  %9llu  %-9s  ", n.name.c_str(),
                  percent(n.up, n.out_of).c_str(),
                  n.week ? percent_text(*n.week).c_str() : "-",
                  percent(n.contradicted, n.counted).c_str(), n.voters,
                  static_cast<unsigned long long>(n.policy_moves),
                  n.gone ? "gone" : to_string(n.is));
    out += line + joined(n.standings) + "\n";
  }
  return out + number(good) + " good nodes more: normal all the time\n";
}

std::string json_of(const uptime_story& s) {
  std::string out = std::string{"{\"held\":"} + (s.held ? "true" : "false");
  out += ",\"moves\":{";
  for (std::size_t c = 0; c < s.moves.size(); ++c)
    out += std::string{c == 0 ? "" : ","} + "\""
           + to_string(static_cast<move_cause>(c))
           + "\":" + std::to_string(s.moves[c]);
  out += "},\"nodes\":[";
  bool first = true;
  for (const auto& n : s.nodes) {
    out += std::string{first ? "" : ","} + "{\"name\":\"" + n.name
           + "\",\"up\":" + percent(n.up, n.out_of)
           + ",\"voters\":" + number(n.voters) + ",\"standing\":\""
           + to_string(n.is) + "\",\"worst\":\"" + to_string(n.worst)
           + "\",\"gone\":" + (n.gone ? "true" : "false") + ",\"became\":[";
    for (std::size_t i = 0; i < n.standings.size(); ++i)
      out += std::string{i == 0 ? "" : ","} + "\"" + n.standings[i] + "\"";
    out += "]}";
    first = false;
  }
  return out + "]}\n";
}

/// Who should stand how: after 30 days; of fewer, only how bad it got.
void judge_story(const plot& p, const uptime_story_options& how,
                 uptime_story& s) {
  const auto wrong = [&](const uptime_mesh::node_report& n,
                         const std::string& what) {
    s.problems.push_back(n.name + " " + what);
  };
  constexpr std::uint32_t all_days = 30;
  for (const auto& n : s.nodes) {
    const bool liar = n.name.rfind("liar-of", 0) == 0;
    const bool found = n.contradicted * 20 > n.counted; // one in twenty
    if (how.days > 8 && liar != found)
      wrong(n, liar ? "lied and was not found out"
                    : "told the truth and looks like a liar");
  }
  for (const auto& n : s.nodes) {
    const auto at = p.should.find(n.name);
    if (at == p.should.end()) {
      if (n.worst != standing::normal)
        wrong(n, std::string{"did nothing wrong and became "}
                     + to_string(n.worst));
      if (n.policy_moves != 0)
        wrong(n, "did nothing wrong and lost voters by policy");
      continue;
    }
    const auto& f = at->second;
    // Nobody empties it, so that it may stay one that should be empty.
    const bool as_bad = !how.enforce && f.worst == standing::excluded
                            ? n.worst >= standing::evacuate
                            : n.worst == f.worst;
    if (how.days > 8 && !as_bad)
      wrong(n, std::string{"became "} + to_string(n.worst) + " at worst, not "
                   + to_string(f.worst));
    if (!how.enforce && n.policy_moves != 0)
      wrong(n, "lost voters to a policy that only observes");
    if (!how.enforce || how.days < all_days)
      continue;
    if (n.is != f.last)
      wrong(n, std::string{"is "} + to_string(n.is) + " at the end, not "
                   + to_string(f.last));
    const bool back = std::any_of(
        n.standings.begin(), n.standings.end(), [](const std::string& w) {
          return w.find("probation") != std::string::npos;
        });
    if (f.back && !back)
      wrong(n, "was not readmitted on probation");
  }
}

} // namespace

uptime_story
tell_uptime(const uptime_story_options& how,
            const std::function<bool(const std::string&)>& progress) {
  auto p = write_plot(how);
  uptime_mesh mesh{p.mesh};
  uptime_story s;
  bool whole = true;
  while (mesh.now() < how.days * day_minutes && whole) {
    if (mesh.now() % day_minutes == 0)
      whole = progress("day " + std::to_string(mesh.now() / day_minutes + 1)
                       + " of " + std::to_string(how.days));
    if (whole)
      mesh.minute();
  }
  s.problems = mesh.problems;
  s.nodes = mesh.report();
  s.moves = mesh.moves;
  if (whole)
    judge_story(p, how, s);
  else
    s.problems.emplace_back(
        "stopped after " + std::to_string(mesh.now() / day_minutes) + " days");
  s.held = s.problems.empty();
  for (const auto& e : mesh.events)
    s.text += stamp(e.minute) + e.text + "\n";
  s.text += "\n" + table_of(s) + "\nvoters moved:";
  for (std::size_t c = 0; c < s.moves.size(); ++c)
    s.text += std::string{c == 0 ? " " : ", "} + std::to_string(s.moves[c])
              + " " + to_string(static_cast<move_cause>(c));
  s.text += "\n" + std::to_string(how.groups) + " groups, "
            + std::to_string(mesh.group_minutes)
            + " times looked at for their quorum; "
            + std::to_string(mesh.false_days) + " days signed by liars; seed "
            + std::to_string(how.seed) + "\n";
  if (s.held)
    s.text += "no group was below its quorum at any minute\n";
  for (std::size_t i = 0; i < s.problems.size() && i < 20; ++i)
    s.text += "NOT HELD: " + s.problems[i] + "\n";
  s.json = json_of(s);
  return s;
}

} // namespace banyan::sim
