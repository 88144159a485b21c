#pragma once
#include "tests/integration/netns_load.hpp"
#include "tests/support/ledger_load.hpp"
#include "tests/support/owned_mesh.hpp"

#include <functional>

namespace banyan::test {

/// Hosts (five unless said) with a peer each, three apps on them, and callers
/// in the hub, who know what every answer must be. A scenario strikes faults
/// between `begin` and `end`; what is wrong is collected, not thrown.
class netns_world {
public:
  struct settings {
    double seconds = 10; ///< of faults
    std::uint64_t seed = 1;
    std::size_t hosts = 5;
    std::vector<std::string> flags{};           ///< of each peer
    std::function<void(netns_world&)> before{}; ///< the peers start
    std::string replace_after{};                ///< of each app; empty: default
    std::vector<std::string> regions{};         ///< by host; empty: one for all
    std::string spec{}; ///< further lines of each app's spec
    double goal_ms = 0; ///< of what the scenario measures; 0: none
  };
  explicit netns_world(settings s);

  net_hosts hosts;
  process_mesh& mesh() { return *mesh_; }
  [[nodiscard]] const process_mesh& mesh() const { return *mesh_; }
  std::mt19937_64 random;

  /// Peers and apps are there, and the load runs.
  void begin();
  /// Heals, demands health within `bound`, ends the load and judges it.
  /// @returns the exit code of the program.
  int end(duration bound = std::chrono::seconds{20});

  [[nodiscard]] bool time_left() const { return now() < until_; }
  /// Lets the load run on for a random time.
  void dwell(duration least, duration most);
  /// A fault that has just begun: a line, and counted for the table.
  void struck(const std::string& kind);
  /// What came of one, counted apart from the faults.
  void noted(const std::string& what);
  void complain(const std::string& what);
  /// Cuts only, no process.
  void heal();
  /// Waits until every app is healthy in every peer's view.
  void demand_health(duration bound);
  /// Nobody may have ended by itself; who did is started again.
  void demand_alive();
  std::size_t any_host() { return random() % hosts.size(); }
  std::pair<std::size_t, std::size_t> any_pair();
  /// Who leads that shard now, or anybody.
  std::size_t leader(const std::string& app, std::uint32_t shard = 0);
  /// A line with the time.
  void say(const std::string& what) const;

private:
  settings settings_;
  owned_mesh owned_;
  process_mesh* mesh_;
  std::unique_ptr<history_load> histories_;
  std::unique_ptr<ledger_load> ledger_;
  time_point until_{}, started_{};
  std::map<std::string, std::uint64_t> faults_, notes_;
  std::uint64_t cut_packets_ = 0;
  duration slowest_heal_{};
  std::vector<std::string> wrong_;
};

} // namespace banyan::test
