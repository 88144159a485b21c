// A hundred real peers on one machine: how soon they have formed one mesh, what
// each of them takes, and what becomes of apps and of money under load when ten
// drawn at random are killed at once.
//
//   hundred_bench [--peers N] [--kills K] [--replicas R] [--shards S]
//                 [--idle SECONDS] [--seed X] [--form-goal S] [--rss-goal MIB]
//                 [--know-goal MS]
//
// The peers are joined at each other in a tree, and have formed once everybody
// counts everybody as alive. The load is transfers through all doors, whose
// every answer is checked (tests/support/ledger_load.hpp). The kills are drawn
// anew until every shard keeps a majority of its voters: how often is in the
// table. Everybody knows once each peer's own /v1/status counts the killed as
// dead. With a goal the exit code is 1 when it is missed; it is 1 anyway when
// something that was acknowledged is lost or an app doesn't serve.
#include "base/random.hpp"
#include "tests/support/ledger_load.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>

namespace banyan::test {
namespace {

struct settings {
  std::size_t peers = 100;
  std::size_t kills = 10;
  int replicas = 5;
  int shards = 4;
  int idle_s = 20;
  std::uint64_t seed = 1;
  double form_goal_s = 0; ///< 0: none
  double rss_goal_mib = 0;
  double know_goal_ms = 0;
};

constexpr duration patience = 180s;

double seconds(duration d) {
  return to_ms(d) / 1000;
}

/// Of a process: resident memory, and CPU time so far.
double memory_mib(pid_t pid, const char* what, const char* file = "/status") {
  std::ifstream in{"/proc/" + std::to_string(pid) + file};
  for (std::string word; in >> word;)
    if (word == what) {
      double kib = 0;
      in >> kib;
      return kib / 1024;
    }
  return 0;
}

double cpu_s(pid_t pid) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/stat"};
  std::string line;
  std::getline(in, line);
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos)
    return 0;
  double user = 0;
  double kernel = 0;
  int field = 2; // the state follows the name
  const char* at = line.c_str() + name_end + 1;
  while (*at != '\0') {
    while (std::isspace(static_cast<unsigned char>(*at)) != 0)
      ++at;
    ++field;
    if (field == 14)
      user = std::atof(at);
    if (field == 15)
      kernel = std::atof(at);
    while (*at != '\0' && std::isspace(static_cast<unsigned char>(*at)) == 0)
      ++at;
  }
  return (user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

struct spread {
  double median = 0, most = 0;
};
spread spread_of(std::vector<double> v) {
  if (v.empty())
    return {};
  std::sort(v.begin(), v.end());
  return {v[v.size() / 2], v.back()};
}

class hundred {
public:
  explicit hundred(const settings& s)
      : s_{s}, mesh_{std::vector<peer_place>(s.peers), options()} {}

  int run() {
    form();
    measure_memory("formed");
    measure_idle();
    mesh_.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\nshards = "
                               + std::to_string(s_.shards) + "\nreplicas = "
                               + std::to_string(s_.replicas) + "\n");
    await_everywhere();
    load_options how;
    how.clients = 8;
    how.pause = 20ms;
    ledger_load load{mesh_, how};
    load.start();
    wait_until([&] { return load.acknowledged() >= 100; }, patience);
    strike();
    const auto before = load.acknowledged();
    wait_until([&] { return load.acknowledged() >= before + 200; }, patience);
    load.stop();
    const auto report = load.audit(60s);
    row("transfers acknowledged", static_cast<double>(report.acknowledged), "");
    row("longest wait of one of them", to_ms(report.longest), "ms");
    row("lost", static_cast<double>(report.lost), "");
    row("applied twice", static_cast<double>(report.twice), "");
    if (!report.clean())
      fail("the audit: " + report.text());
    every_shard_serves();
    measure_memory("after the kills");
    if (const auto ended = mesh_.casualties(); !ended.empty())
      fail("peers ended by themselves: " + ended);
    return failed_ ? 1 : 0;
  }

private:
  static mesh_options options() {
    mesh_options o;
    o.start_limit = patience;
    o.join_tree = true;
    return o;
  }
  void row(const std::string& what, double n, const char* unit,
           double goal = 0) {
    std::printf("%-46s %10.1f %s", what.c_str(), n, unit);
    if (goal > 0)
      std::printf("  (goal %.0f)", goal);
    std::printf("\n");
    std::fflush(stdout);
    if (goal > 0 && n > goal)
      fail("goal missed: " + what);
  }
  void fail(const std::string& why) {
    std::printf("FAILED: %s\n", why.c_str());
    failed_ = true;
  }
  [[nodiscard]] std::int64_t counts(std::size_t i, const char* state) const {
    return mesh_.get(i, "/v1/status", 10s)["members"][state].integer;
  }
  /// Until all running peers count so many; in order, so that each is asked
  /// again only until it does.
  [[nodiscard]] bool all_count(const char* state, std::size_t n) const {
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      if (mesh_.serving(i)
          && !wait_until(
              [&] { return counts(i, state) == static_cast<std::int64_t>(n); },
              patience, 2ms))
        return false;
    return true;
  }

  void form() {
    const auto begun = now();
    mesh_.start_all();
    row("peers, all ready after", seconds(now() - begun), "s");
    if (!all_count("alive", s_.peers))
      throw std::runtime_error{"the mesh doesn't form\n"
                               + mesh_.last_words(300)};
    row("everybody knows everybody after", seconds(now() - begun), "s",
        s_.form_goal_s);
  }

  /// A deploy is answered by one peer: its documents are on their way then.
  void await_everywhere() {
    const auto begun = now();
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      if (!wait_until(
              [&] { return !mesh_.get(i, "/v1/apps/ledger", 10s).is_nil(); },
              patience, 5ms))
        throw std::runtime_error{"peer " + std::to_string(i)
                                 + " never hears of the app"};
    row("the app is known everywhere, asked one by one, after",
        seconds(now() - begun), "s");
  }

  void measure_memory(const char* when) {
    std::vector<double> all;
    std::vector<double> own; // not pages of files, which all have in common
    double paid = 0;         // those pages once, for all of them
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      if (mesh_.running(i)) {
        all.push_back(memory_mib(mesh_.pid(i), "VmRSS:"));
        own.push_back(memory_mib(mesh_.pid(i), "RssAnon:"));
        paid += memory_mib(mesh_.pid(i), "Pss:", "/smaps_rollup");
      }
    const auto peers =
        static_cast<double>(std::max(own.size(), std::size_t{1}));
    const auto is = spread_of(std::move(all));
    row(std::string{"resident memory of a peer, "} + when + ": median",
        is.median, "MiB");
    row(std::string{"resident memory of a peer, "} + when + ": most", is.most,
        "MiB", s_.rss_goal_mib);
    row("of that its own, not of mapped files: most",
        spread_of(std::move(own)).most, "MiB");
    row("what the machine pays per peer (PSS), on average", paid / peers,
        "MiB");
  }

  double cpu_of_all() const {
    double sum = 0;
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      if (mesh_.running(i))
        sum += cpu_s(mesh_.pid(i));
    return sum;
  }

  void measure_idle() {
    if (s_.idle_s == 0)
      return;
    const auto cpu = cpu_of_all();
    const auto begun = now();
    std::this_thread::sleep_for(std::chrono::seconds{s_.idle_s});
    row("CPU of all peers together, idle",
        (cpu_of_all() - cpu) / seconds(now() - begun) * 100, "% of a core");
    std::vector<double> links;
    for (std::size_t i = 0; i < mesh_.size(); i += 5)
      links.push_back(links_of(i));
    row("links of a peer, idle: most", spread_of(std::move(links)).most, "");
  }

  [[nodiscard]] double links_of(std::size_t i) const {
    io::http_call c;
    c.target = "/metrics";
    c.timeout = 10s;
    const auto body = mesh_.call(mesh_.control(i), c).body;
    const auto of = [&](const std::string& name) {
      const auto at = body.find("\nbanyan_" + name + " ");
      return at == std::string::npos
                 ? 0.0
                 : std::atof(body.c_str() + at + name.size() + 9);
    };
    return of("links");
  }

  /// Peers whose loss leaves every shard a majority.
  std::vector<std::size_t> draw() {
    const auto app = mesh_.app(0, "ledger");
    seeded_random dice{s_.seed};
    for (int draws = 1; app && draws <= 1000; ++draws) {
      std::set<std::size_t> chosen;
      while (chosen.size() < s_.kills)
        chosen.insert(1 + dice.below(s_.peers - 1));
      const bool kept = std::all_of(
          app->groups.begin(), app->groups.end(), [&](const group_row& g) {
            std::size_t lost = 0;
            for (const auto& v : g.voters)
              if (const auto i = mesh_.index_of(v.node))
                lost += chosen.count(*i);
            return lost * 2 < g.voters.size();
          });
      if (kept) {
        row("draws until each shard keeps a majority", draws, "");
        return {chosen.begin(), chosen.end()};
      }
    }
    throw std::runtime_error{"peer 0 doesn't show who holds the shards"};
  }

  void strike() {
    const auto all_there = [&] {
      const auto app = mesh_.app(0, "ledger");
      return app && !app->groups.empty()
             && std::all_of(app->groups.begin(), app->groups.end(),
                            [&](const group_row& g) {
                              return g.voters.size()
                                     == static_cast<std::size_t>(s_.replicas);
                            });
    };
    if (!wait_until(all_there, patience, 100ms))
      throw std::runtime_error{"peer 0 doesn't see all voters"};
    const auto victims = draw();
    const auto begun = now();
    for (const auto i : victims)
      mesh_.signal(i, SIGKILL);
    for (const auto i : victims)
      mesh_.kill(i);
    if (!all_count("dead", victims.size()))
      fail("not every peer counts the killed as dead");
    row("peers killed at once", static_cast<double>(victims.size()), "");
    row("every other peer knows all of them dead after", to_ms(now() - begun),
        "ms", s_.know_goal_ms);
    every_shard_serves();
    row("every shard answered a command after", to_ms(now() - begun), "ms");
  }

  /// Through peers that most often have nothing of the shard.
  void every_shard_serves() {
    for (int key = 0; key < s_.shards * 4; ++key) {
      auto by = static_cast<std::size_t>(key) * 7 % s_.peers;
      while (!mesh_.serving(by))
        by = (by + 1) % s_.peers;
      const auto r = mesh_.command(by,
                                   "/v1/apps/ledger/actors/there-"
                                       + std::to_string(key) + "/deposit",
                                   R"({"cents":1})", 20s);
      if (r.status != 200)
        fail("peer " + std::to_string(by) + " got " + r.body);
    }
  }

  const settings s_;
  process_mesh mesh_;
  bool failed_ = false;
};

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  using namespace banyan::test;
  settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto next = [&]() -> const char* {
      if (i + 1 >= argc) {
        std::fprintf(stderr, "%s needs a value\n", flag.c_str());
        std::exit(2);
      }
      return argv[++i];
    };
    if (flag == "--peers")
      s.peers = static_cast<std::size_t>(std::atoi(next()));
    else if (flag == "--kills")
      s.kills = static_cast<std::size_t>(std::atoi(next()));
    else if (flag == "--replicas")
      s.replicas = std::atoi(next());
    else if (flag == "--shards")
      s.shards = std::atoi(next());
    else if (flag == "--idle")
      s.idle_s = std::atoi(next());
    else if (flag == "--seed")
      s.seed = static_cast<std::uint64_t>(std::atoll(next()));
    else if (flag == "--form-goal")
      s.form_goal_s = std::atof(next());
    else if (flag == "--rss-goal")
      s.rss_goal_mib = std::atof(next());
    else if (flag == "--know-goal")
      s.know_goal_ms = std::atof(next());
    else {
      std::fprintf(stderr, "unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  if (s.peers < 5 || s.kills * 2 >= s.peers || s.replicas < 1 || s.shards < 1
      || s.idle_s < 0) {
    std::fprintf(stderr,
                 "at least 5 peers, and fewer than half of them killed; "
                 "replicas and shards from 1\n");
    return 2;
  }
  try {
    return hundred{s}.run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "hundred_bench: %s\n", e.what());
    return 1;
  }
}
