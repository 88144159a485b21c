// What hostile members of a large mesh can do: `banyan sim --story hostile`.
#include "actors/sim/hostile.hpp"

#include "actors/sim/detail/liars.hpp"
#include "actors/sim/groups.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

namespace banyan::sim {
namespace {

constexpr duration settling = 10s;
constexpr duration lying_before_kill = 3s;
constexpr duration death_told_within = 10s;
constexpr duration look_every = 20ms;
constexpr std::size_t joiners = 2;
constexpr duration join_limit = 20s;

class story {
public:
  explicit story(const hostile_options& how)
      : how_{how}, mesh_{config(how)}, groups_{mesh_},
        random_{how.seed ^ 0x686f7374696c65ULL} {
    const auto hostile = how.hostile > 0
                             ? how.hostile
                             : std::max<std::size_t>(2, how.nodes / 100);
    for (std::size_t i = 0; i < how.nodes; ++i)
      mesh_.add(i % how.regions);
    hostile_.assign(how.nodes, false);
    std::vector<index> chosen;
    while (chosen.size() < hostile) {
      // Not the first, which let all the others in.
      const auto i = index(1 + random_.below(how.nodes - 1));
      if (!hostile_[i])
        chosen.push_back(i);
      hostile_[i] = true;
    }
    std::sort(chosen.begin(), chosen.end());
    liars_ = std::make_unique<liars>(mesh_, chosen, how.seed);
    gone_.assign(how.nodes, false);
  }

  void begin() {
    mesh_.start_settled();
    mesh_.run_for(settling);
    placement_need need;
    need.voters = 3;
    need.regions_min = 2;
    groups_.place(how_.groups, need);
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (const auto a : groups_.voters(g))
        for (const auto b : groups_.voters(g))
          if (a != b)
            fellows_.emplace(a, b);
    mesh_.on_view_change = [this](index by, index of, opinion, opinion to,
                                  time_point) { changed(by, of, to); };
    mesh_.on_effect = [this](index by, const net::membership_effect& e,
                             time_point) {
      if (const auto* m = std::get_if<net::misbehaved>(&e);
          m != nullptr && honest(by))
        if (const auto who = mesh_.find(m->node); who && !honest(*who))
          named_.insert(*who);
    };
    mesh_.run_for(2s); // until the fellows are linked
  }

  lie_report tell(lie what) {
    now_ = {};
    now_.what = what;
    named_.clear();
    const auto refuted = refutations();
    const auto before = carried();
    const auto began = mesh_.now();
    liars_->begin(what);
    const auto newcomers = join();
    mesh_.run_for(lying_before_kill);
    now_.told = real_death();
    const auto rest = how_.each - (mesh_.now() - began);
    if (rest > 0ms)
      mesh_.run_for(rest);
    const auto knows = [&] {
      return std::all_of(newcomers.begin(), newcomers.end(),
                         [&](index i) { return !misled(i); });
    };
    mesh_.run_until(knows, join_limit, 200ms);
    for (const auto i : newcomers)
      now_.misled += misled(i) ? 1 : 0;
    now_.joined = newcomers.size();
    now_.believed = believed();
    liars_->end();
    const auto seconds = to_ms(mesh_.now() - began) / 1000;
    const auto after = carried();
    const auto nodes = double(how_.nodes - liars_->who().size());
    now_.bytes_per_second =
        double(after.bytes_out - before.bytes_out) / nodes / seconds;
    now_.frames_per_second =
        double(after.frames_out - before.frames_out) / nodes / seconds;
    now_.refutations = refutations() - refuted;
    now_.found_out = named_.size();
    mesh_.run_for(2s);
    return now_;
  }
  [[nodiscard]] std::size_t hostile() const { return liars_->who().size(); }

private:
  static swarm_config config(const hostile_options& how) {
    swarm_config c;
    c.seed = how.seed;
    c.places = world::planet(how.regions);
    return c;
  }
  [[nodiscard]] bool honest(index i) const { return !hostile_[i]; }

  void changed(index by, index of, opinion to) {
    if (!honest(by) || !honest(of) || gone_[of] || gone_[by])
      return;
    now_.suspected += to == opinion::suspect ? 1 : 0;
    if (to != opinion::dead && to != opinion::left)
      return;
    ++now_.dead;
    now_.moved += fellows_.count({by, of});
  }

  std::vector<index> join() {
    std::vector<index> out;
    for (std::size_t n = 0; n < joiners; ++n) {
      const auto i = mesh_.add(n % how_.regions);
      hostile_.push_back(false);
      gone_.push_back(false);
      mesh_.start(i, {liars_->who()[n % liars_->who().size()], some_honest(),
                      some_honest()});
      out.push_back(i);
    }
    return out;
  }
  index some_honest() {
    for (;;)
      if (const auto i = index(random_.below(how_.nodes));
          honest(i) && !gone_[i])
        return i;
  }

  /// Kills an honest node. @returns when the last honest one knew.
  std::optional<duration> real_death() {
    const auto who = some_honest();
    gone_[who] = true;
    mesh_.kill(who);
    return mesh_.run_until(
        [&] {
          for (index i = 0; i < mesh_.size(); ++i)
            if (honest(i) && !gone_[i] && i < how_.nodes
                && mesh_.views().of(i, who) != opinion::dead)
              return false;
          return true;
        },
        death_told_within, look_every);
  }

  /// It lacks a member that runs, or counts one that nobody runs.
  [[nodiscard]] bool misled(index newcomer) const {
    for (index i = 0; i < mesh_.size(); ++i) {
      const auto is = mesh_.views().of(newcomer, i);
      if (honest(i) && !gone_[i] && mesh_.running(i) && is != opinion::alive
          && is != opinion::suspect)
        return true;
    }
    return strangers(newcomer) > 0;
  }
  /// Living members that nobody runs, in its view.
  [[nodiscard]] std::size_t strangers(index i) const {
    std::size_t n = 0;
    mesh_.core(i).each(
        [&](const net::member_record& r, net::member_state state) {
          n += !mesh_.find(r.node) && state != net::member_state::left
                       && state != net::member_state::dead
                   ? 1
                   : 0;
        });
    return n;
  }
  [[nodiscard]] std::uint64_t believed() const {
    std::uint64_t n = 0;
    for (index i = 0; i < mesh_.size(); ++i)
      if (honest(i) && mesh_.running(i))
        n += strangers(i);
    return n;
  }
  [[nodiscard]] std::uint64_t refutations() const {
    std::uint64_t n = 0;
    for (index i = 0; i < how_.nodes; ++i)
      if (honest(i) && mesh_.running(i))
        n += mesh_.core(i).counters().refutations;
    return n;
  }
  [[nodiscard]] traffic carried() const {
    traffic sum;
    for (index i = 0; i < how_.nodes; ++i)
      if (honest(i)) {
        sum.bytes_out += mesh_.of(i).bytes_out;
        sum.frames_out += mesh_.of(i).frames_out;
      }
    return sum;
  }

  const hostile_options how_;
  swarm mesh_;
  group_set groups_;
  seeded_random random_;
  std::unique_ptr<liars> liars_;
  std::vector<bool> hostile_;
  std::vector<bool> gone_; ///< killed on purpose
  std::set<std::pair<index, index>> fellows_;
  std::set<index> named_;
  lie_report now_;
};

/// Whom it must cost its name: what no honest node sends.
bool shows(lie what) {
  return what == lie::leave || what == lie::mangle || what == lie::flood;
}

std::string row(const lie_report& r, std::size_t hostile) {
  char told[32] = "never";
  if (r.told)
    std::snprintf(told, sizeof told, "%.0f ms", to_ms(*r.told));
  char out[320];
  std::snprintf(out, sizeof out,
                "%-12s %6llu %10llu %7llu %9llu %6zu of %zu %10s %9.0f %8.1f "
                "%6zu of %zu\n",
                to_string(r.what), static_cast<unsigned long long>(r.dead),
                static_cast<unsigned long long>(r.suspected),
                static_cast<unsigned long long>(r.moved),
                static_cast<unsigned long long>(r.believed), r.misled, r.joined,
                told, r.bytes_per_second, r.frames_per_second, r.found_out,
                hostile);
  return out;
}

std::string json_row(const lie_report& r) {
  char out[400];
  std::snprintf(
      out, sizeof out,
      "{\"lie\": \"%s\", \"dead\": %llu, \"suspected\": %llu, \"moved\": "
      "%llu, \"believed\": %llu, \"joined\": %zu, \"misled\": %zu, "
      "\"told_ms\": %.0f, \"bytes_per_second\": %.0f, \"found_out\": %zu}",
      to_string(r.what), static_cast<unsigned long long>(r.dead),
      static_cast<unsigned long long>(r.suspected),
      static_cast<unsigned long long>(r.moved),
      static_cast<unsigned long long>(r.believed), r.joined, r.misled,
      r.told ? to_ms(*r.told) : -1.0, r.bytes_per_second, r.found_out);
  return out;
}

void judge(hostile_story& s, const lie_report& r, std::size_t hostile) {
  const auto bad = [&](const std::string& what) {
    s.problems.push_back(std::string{to_string(r.what)} + ": " + what);
  };
  if (r.dead > 0)
    bad("honest nodes were held for dead, " + std::to_string(r.dead)
        + " opinions");
  if (r.moved > 0)
    bad(std::to_string(r.moved) + " voters would have been replaced");
  if (r.believed > 0)
    bad("members that nobody runs are believed in, "
        + std::to_string(r.believed) + " opinions");
  if (r.misled > 0)
    bad(std::to_string(r.misled) + " newcomers were misled");
  if (!r.told)
    bad("a real death stayed untold");
  if (shows(r.what) && r.found_out < hostile)
    bad("only " + std::to_string(r.found_out) + " of " + std::to_string(hostile)
        + " were found out");
}

} // namespace

const char* to_string(lie what) noexcept {
  switch (what) {
  case lie::none:
    return "none";
  case lie::accuse:
    return "accuse";
  case lie::incarnation:
    return "incarnation";
  case lie::leave:
    return "leave";
  case lie::mangle:
    return "mangle";
  case lie::flood:
    return "flood";
  case lie::pages:
    return "pages";
  case lie::invent:
    return "invent";
  }
  return "?";
}

hostile_story
tell_hostile(const hostile_options& how,
             const std::function<bool(const std::string&)>& progress) {
  hostile_story out;
  story s{how};
  s.begin();
  out.text = std::to_string(s.hostile()) + " hostile among "
             + std::to_string(how.nodes) + " nodes, all at once, "
             + std::to_string(how.each / 1s) + " s each\n"
             + "lie            dead  suspected   moved  invented   misled     "
               "  death    B/s      fr/s  found out\n";
  out.json = "[";
  auto all = how.told;
  for (std::size_t n = 0; how.told.empty() && n < lie_count; ++n)
    all.push_back(static_cast<lie>(n));
  for (const auto what : all) {
    if (!progress(std::string{"lie: "} + to_string(what))) {
      out.problems.emplace_back("stopped");
      break;
    }
    const auto r = s.tell(what);
    judge(out, r, s.hostile());
    out.text += row(r, s.hostile());
    out.json += (out.reports.empty() ? "" : ",\n ") + json_row(r);
    out.reports.push_back(r);
  }
  out.json += "]\n";
  for (const auto& p : out.problems)
    out.text += "PROBLEM " + p + "\n";
  if (out.problems.empty())
    out.text += "nobody was evicted, no group moved, no newcomer was misled, "
                "and no death was hidden\n";
  out.held = out.problems.empty();
  return out;
}

} // namespace banyan::sim
