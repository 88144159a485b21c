#pragma once
#include "actors/host/module.hpp"
#include "actors/loop/virtual_loop.hpp"
#include "base/random.hpp"
#include "net/link/virtual_network.hpp"
#include "sim/machine.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// Whole nodes on virtual time, network, disk and hosts, from one seed: what
/// runs on a machine here is the peer of production, actors included.
namespace banyan::sim {

/// The machines, the network between them and the time that they share.
///
/// Each machine has a loop of its own and the world has one more, for the
/// network, the clients and the faults. A step takes whichever loop has the
/// earliest work, so that one machine can be stopped as SIGSTOP stops a
/// process: nothing of it runs, its clock jumps when it goes on.
class world {
public:
  explicit world(std::uint64_t seed, std::size_t machines = 3);
  ~world();
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  [[nodiscard]] time_point now() const { return loop.now(); }
  [[nodiscard]] duration elapsed() const { return now() - began_; }
  void after(duration d, std::function<void()> f) {
    loop.after(d, std::move(f), "world");
  }
  /// False: nothing is left to do up to `limit`.
  bool step(time_point limit);
  void run_for(duration d);
  /// @returns `done()`, asked between steps of the world's own loop.
  bool run_until(const std::function<bool()>& done, duration limit);

  /// Adds what happened to the hash that two runs of one seed must share; with
  /// BANYAN_SIM_LOG set, prints it too.
  void trace(const std::string& what);
  /// A checker found something.
  void problem(const std::string& what);

  /// Of what a replica on machine `n` told: at most one leader per term.
  void on_role(std::size_t n, const group_id& g, const role_changed& r);

  [[nodiscard]] machine& at(std::size_t n) { return *machines[n]; }
  [[nodiscard]] std::size_t count_up() const;
  [[nodiscard]] std::vector<net::membership_config::seed>
  seeds_for(std::size_t n) const;

  const std::uint64_t seed;
  seeded_random random;
  actors::virtual_loop loop;
  net::virtual_network net;
  host_catalog catalog;
  std::vector<std::unique_ptr<machine>> machines;

  std::vector<std::string> problems;
  std::uint64_t hash = 0;
  std::uint64_t leaderships = 0;
  std::uint64_t steps = 0;
  const bool verbose;

private:
  seeded_random ties_;
  time_point began_;
  std::map<std::pair<group_id, std::uint64_t>, replica_ref> leaders_;
};

} // namespace banyan::sim
