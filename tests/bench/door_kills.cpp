#include "tests/bench/door_bench.hpp"
#include "tests/support/ledger_load.hpp"

#include <algorithm>
#include <cstdio>
#include <random>
#include <thread>

namespace banyan::test {
namespace {

constexpr duration every = 3s;
constexpr duration frozen_for = 2s;
constexpr duration promised = 5s; ///< no call takes longer

double to_ms(duration d) {
  return static_cast<double>(d.count()) / 1e6;
}

/// Kills or freezes one peer after the other.
class reaper {
public:
  reaper(process_mesh& mesh, const door_settings& s) : mesh_{mesh}, s_{s} {
    random_.seed(std::random_device{}());
  }

  /// One failure; it is over, and the peer back, when this returns.
  void strike() {
    const auto victim = random_() % mesh_.size();
    if (!s_.overlap && random_() % 2 == 0)
      return kill(victim);
    ++freezes_;
    mesh_.freeze(victim);
    std::thread thaw{[&, until = now() + frozen_for] {
      std::this_thread::sleep_until(until); // that is what is asked for
      mesh_.thaw(victim);
    }};
    if (s_.overlap) {
      std::this_thread::sleep_for(
          std::chrono::milliseconds{random_() % (frozen_for / 1ms)});
      kill((victim + 1 + random_() % (mesh_.size() - 1)) % mesh_.size());
    }
    thaw.join();
  }
  [[nodiscard]] int kills() const { return kills_; }
  [[nodiscard]] int freezes() const { return freezes_; }

private:
  void kill(std::size_t victim) {
    ++kills_;
    mesh_.kill(victim);
    mesh_.start(victim);
  }

  process_mesh& mesh_;
  const door_settings& s_;
  std::mt19937 random_;
  int kills_ = 0;
  int freezes_ = 0;
};

} // namespace

bool door_kills(const door_settings& s) {
  process_mesh mesh{std::vector<peer_place>(s.peers)};
  mesh.start_all();
  mesh.wait_members(s.peers);
  mesh.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\n"
                        "shards = 16\nreplicas = 3\n");
  mesh.wait_healthy("ledger", 3);
  load_options o;
  o.clients = s.clients;
  o.patience = 500ms;
  o.deadline = promised;
  o.keep_waits = true;
  ledger_load load{mesh, o};
  load.start();
  reaper death{mesh, s};
  const auto begun = now();
  for (int round = 1; begun + round * every <= begun + s.span; ++round) {
    std::this_thread::sleep_until(begun + round * every);
    death.strike();
  }
  std::this_thread::sleep_until(begun + s.span);
  const auto spent = now() - begun;
  load.stop();
  const auto report = load.audit();
  auto waits = load.waits();
  std::sort(waits.begin(), waits.end());
  const auto at = [&](double q) {
    return waits.empty() ? 0.0
                         : to_ms(waits[static_cast<std::size_t>(
                             q * static_cast<double>(waits.size() - 1))]);
  };
  const auto failed =
      waits.end() - std::upper_bound(waits.begin(), waits.end(), promised);
  std::printf("%zu peers, %zu clients, %.0f s, %d kills, %d freezes%s\n"
              "calls %zu (%.0f/s), over %.0f s: %td\n"
              "p50 %.2f  p90 %.2f  p99 %.1f  p99.9 %.1f  longest %.1f ms\n%s",
              s.peers, s.clients, to_ms(spent) / 1000, death.kills(),
              death.freezes(), s.overlap ? ", overlapping" : "", waits.size(),
              static_cast<double>(waits.size()) * 1000 / to_ms(spent),
              to_ms(promised) / 1000, failed, at(0.5), at(0.9), at(0.99),
              at(0.999), at(1), report.text().c_str());
  const auto fallen = mesh.casualties();
  if (!fallen.empty() || !report.clean())
    std::printf("%s%s", fallen.c_str(), mesh.last_words().c_str());
  std::fflush(stdout);
  return report.clean() && fallen.empty() && report.acknowledged > 0
         && (failed == 0 || !s.judge);
}

} // namespace banyan::test
