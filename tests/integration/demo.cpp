// The main job, where a person can watch it: a ledger on five peers in two
// regions that lose leaders to kill -9, a disk, and all power, while clients
// push transfers. `scripts/demo` builds and runs it. Exit 0: nothing was lost.
#include "tests/support/ledger_load.hpp"

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <thread>

namespace banyan::test {
namespace {

struct failover {
  std::string what;
  double ms = 0;
};

class demo {
public:
  int run() {
    say("five peers start: 0 1 2 in region east, 3 4 in region west");
    mesh_.start_all();
    mesh_.wait_members(5);
    say("they found each other; every link is encrypted");
    mesh_.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\n"
                           "shards = 1\nreplicas = 3\n"
                           "replace_after = \"2s\"\n");
    mesh_.wait_healthy("ledger", 3);
    say("ledger is deployed with three voters, peer %zu leads", leader());
    load_.start();
    say("16 clients push transfers, each under its own key, at any peer");
    more(1500);
    kill_leader("kill -9 of the leader");
    kill_leader("kill -9 of the leader");
    kill_leader_while_another_voter_is_frozen();
    wipe();
    stop_and_start_all();
    return settle();
  }

private:
  template <class... Args>
  void say(const char* format, Args... args) {
    std::printf("%6.2f s  %8llu acknowledged  ", since_start(),
                static_cast<unsigned long long>(load_.acknowledged()));
    if constexpr (sizeof...(args) == 0)
      std::printf("%s", format);
    else
      std::printf(format, args...);
    std::printf("\n");
    std::fflush(stdout);
  }
  [[nodiscard]] double since_start() const { return seconds(now() - start_); }
  static double seconds(duration d) {
    return static_cast<double>(d.count()) / 1e9;
  }

  /// Goes on once `transfers` more are acknowledged; a count every second.
  void more(std::uint64_t transfers) {
    const auto goal = load_.acknowledged() + transfers;
    const auto due = now() + 30s;
    while (!wait_until([&] { return load_.acknowledged() >= goal; }, 1s)) {
      say("...");
      if (now() > due)
        throw std::runtime_error{"nothing is acknowledged any more\n"
                                 + mesh_.last_words()};
    }
  }

  std::size_t leader() {
    std::optional<std::size_t> found;
    wait_until([&] { return (found = mesh_.leader_of("ledger")).has_value(); },
               10s);
    if (!found)
      throw std::runtime_error{"the ledger has no leader\n"
                               + mesh_.last_words()};
    return *found;
  }

  void strike(std::size_t victim, const char* what) {
    const auto term = load_.terms.newest();
    const auto begun = now();
    mesh_.kill(victim);
    const auto first = load_.terms.first_above(term, 20s);
    if (!first)
      throw std::runtime_error{"no failover in 20 s\n" + mesh_.last_words()};
    failovers_.push_back({what, seconds(first->at - begun) * 1000});
    say("%s, peer %zu: the next answer came after %.1f ms", what, victim,
        failovers_.back().ms);
  }

  void kill_leader(const char* what) {
    const auto victim = leader();
    strike(victim, what);
    more(1500);
    mesh_.start(victim);
    say("peer %zu is back", victim);
    mesh_.wait_healthy("ledger", 3);
    more(1500);
  }

  void kill_leader_while_another_voter_is_frozen() {
    const auto victim = leader();
    std::optional<std::size_t> other;
    const auto row = mesh_.app(victim, "ledger");
    if (row)
      for (const auto& v : row->groups.front().voters)
        if (const auto i = mesh_.index_of(v.node); i && *i != victim)
          other = i;
    if (!other)
      throw std::runtime_error{"the ledger shows no other voter"};
    mesh_.freeze(*other);
    const auto frozen = now();
    say("peer %zu, a voter, is frozen for a second: one of three is left",
        *other);
    std::thread thaw{[&] {
      std::this_thread::sleep_until(frozen + 1s); // the freeze itself
      mesh_.thaw(*other);
    }};
    try {
      strike(victim, "kill -9 of the leader while another voter is frozen");
    } catch (...) {
      thaw.join();
      throw;
    }
    thaw.join();
    more(1500);
    mesh_.start(victim);
    say("peers %zu and %zu are back", *other, victim);
    mesh_.wait_healthy("ledger", 3);
    more(1500);
  }

  void wipe() {
    const auto victim = leader();
    strike(victim, "kill -9 of the leader, its data directory is wiped");
    mesh_.wipe(victim);
    mesh_.start(victim);
    say("peer %zu is back with an empty disk, as a new node", victim);
    mesh_.wait_healthy("ledger", 3, 40s);
    say("the ledger has three voters with all of its state again");
    more(1500);
  }

  void stop_and_start_all() {
    say("all peers are stopped");
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      mesh_.signal(i, SIGTERM);
    for (std::size_t i = 0; i < mesh_.size(); ++i)
      if (const int code = mesh_.terminate(i); code != 0)
        throw std::runtime_error{"peer " + std::to_string(i) + " exited with "
                                 + std::to_string(code) + "\n"
                                 + mesh_.last_words()};
    say("all peers are started again");
    mesh_.start_all();
    more(1500);
    mesh_.wait_healthy("ledger", 3);
    say("the ledger serves");
  }

  int settle() {
    load_.stop();
    const auto report = load_.audit();
    say("the clients are done");
    std::printf("\n%s\n", report.text().c_str());
    for (const auto& f : failovers_)
      std::printf("failover %8.1f ms  %s\n", f.ms, f.what.c_str());
    const auto fallen = mesh_.casualties();
    std::printf("%s\n%s: %llu acknowledged transfers, %llu lost, %llu applied "
                "twice\n",
                fallen.c_str(), report.clean() ? "all is well" : "FAILED",
                static_cast<unsigned long long>(report.acknowledged),
                static_cast<unsigned long long>(report.lost),
                static_cast<unsigned long long>(report.twice));
    return report.clean() && fallen.empty() ? 0 : 1;
  }

  time_point start_ = now();
  process_mesh mesh_{{{"east"}, {"east"}, {"east"}, {"west"}, {"west"}}};
  ledger_load load_{mesh_, {"ledger", 16, 16, 5ms, 30s}};
  std::vector<failover> failovers_;
};

} // namespace
} // namespace banyan::test

int main() {
  try {
    return banyan::test::demo{}.run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "demo: %s\n", e.what());
    return 1;
  }
}
