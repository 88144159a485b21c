#pragma once
#include "actors/docs/key_files.hpp"
#include "actors/host/module.hpp"
#include "actors/loop/virtual_loop.hpp"
#include "actors/testing/sim/leader_watch.hpp"
#include "actors/testing/sim/log_watch.hpp"
#include "actors/testing/sim/machine.hpp"
#include "actors/testing/sim/member_watch.hpp"
#include "actors/testing/sim/sim_probe.hpp"
#include "actors/testing/sim/state_watch.hpp"
#include "base/random.hpp"
#include "net/link/virtual_network.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

/// Whole nodes on virtual time, network, disk and hosts, from one seed: what
/// runs on a machine here is the peer of production, actors included.
namespace banyan::sim {

struct world_options {
  std::uint64_t seed = 1;
  std::size_t machines = 3;
  /// By machine; the last one serves the rest. Empty: one region for all.
  std::vector<std::string> regions{};
  net::virtual_network::path within{};
  net::virtual_network::path between{}; ///< two regions
  /// A mesh with an owner (`owner`) instead of `local`.
  bool owned = false;
  /// What each machine is compiled for, as `regions`; empty: as this program.
  std::vector<std::string> targets{};
  retention removed{};           ///< of what removed apps leave
  duration uptime_minute = 1min; ///< in which uptime counts
  /// Where each machine really is, as `regions`; empty: where it says it is.
  std::vector<std::string> places{};
  homing_options homing{}; ///< of all machines
  /// By machine; who has none measures and challenges nothing.
  std::vector<std::shared_ptr<const sim_hardware>> hardware{};
};

/// The machines, the network between them and the time that they share.
///
/// Each machine has a loop of its own and the world has one more, for the
/// network, the clients and the faults. A step takes whichever loop has the
/// earliest work, so that one machine can be stopped as SIGSTOP stops a
/// process: nothing of it runs, its clock jumps when it goes on.
///
/// What the checkers need they get here, outside the code that they check: the
/// logs' completions, the roles that replicas take, the answers that clients
/// get. What they find is in `problems`.
class world {
public:
  explicit world(world_options how);
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

  /// @name What machines tell
  /// @{
  void on_role(std::size_t n, const group_id& g, const role_changed& r);
  void on_down(std::size_t n);
  store::disk watched(std::size_t n, store::disk d);
  /// @}

  /// What all machines share.
  [[nodiscard]] mesh_file mesh() const;
  [[nodiscard]] machine& at(std::size_t n) const { return *machines[n]; }
  [[nodiscard]] std::size_t count_up() const;
  [[nodiscard]] std::vector<net::membership_config::seed>
  seeds_for(std::size_t n) const;
  /// How it is from one to the other when nothing is wrong.
  [[nodiscard]] const net::virtual_network::path&
  usual_path(std::size_t from, std::size_t to) const;

  /// @name For checkers: where nothing can be demanded for a while
  /// @{
  /// How long after a fault what it touched is still excused.
  static constexpr duration aftermath = 500ms;
  void troubled(std::size_t n, duration d);
  void troubled(std::size_t from, std::size_t to, duration d);
  /// It runs, with nothing wrong for a while.
  [[nodiscard]] bool well(std::size_t n) const;
  [[nodiscard]] bool well(std::size_t a, std::size_t b) const;
  void mended(std::size_t from, std::size_t to); ///< but for the aftermath
  void all_well(); ///< what was said of trouble is over
  /// Words may come so late that a leader which has stepped down is still
  /// heard by those that should elect another.
  void words_late(duration d) {
    late_until_ = std::max(late_until_, now() + d);
  }
  [[nodiscard]] bool words_late() const { return now() < late_until_; }
  /// @}

  /// The group's owner recovers it: what only lost voters had is gone, and
  /// until a conflict is decided there may be two of it. The checkers let it
  /// be from now on.
  void accept_loss(const group_id& g) {
    logs.abandon(g);
    leaders.abandon(g);
    states.abandon(g);
  }

  const world_options how;
  const std::uint64_t seed;
  const identity owner; ///< of a mesh that has one
  seeded_random random;
  actors::virtual_loop loop;
  net::virtual_network net;
  host_catalog catalog;
  std::vector<std::unique_ptr<machine>> machines;

  std::vector<std::string> problems;
  log_watch logs;
  leader_watch leaders;
  member_watch members;
  state_watch states;
  std::uint64_t hash = 0;
  std::uint64_t steps = 0;
  const bool verbose;

private:
  void look();

  seeded_random ties_;
  time_point began_;
  time_point late_until_{};
  std::vector<time_point> trouble_;      ///< by machine, until
  std::vector<time_point> link_trouble_; ///< by from × to
};

} // namespace banyan::sim
