#pragma once
#include "actors/host/virtual_host.hpp"
#include "actors/loop/virtual_loop.hpp"
#include "actors/node/peer.hpp"
#include "actors/testing/sim/local_clock.hpp"
#include "store/virtual_disk.hpp"

#include <memory>
#include <string>
#include <vector>

namespace banyan::sim {

class world;

/// One machine: a disk that outlives its processes, a clock of its own, and at
/// most one peer. `boot`, `kill` and the like are for the world's loop, never
/// for a turn of this machine's own.
class machine {
public:
  machine(world& w, std::size_t number, std::uint64_t seed, std::string region);
  ~machine();
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  void boot();
  enum class end {
    process, ///< kill -9: what was written stays, far ends are told
    power    ///< what was not synced is lost or torn, nobody is told
  };
  void kill(end how);
  /// Asks the peer to stop: it hands over and says goodbye. `down` once it is.
  void stop(std::function<void()> down);
  /// Of a machine that is down: its next process is a node that never was.
  void wipe();
  void pause();  ///< SIGSTOP: loop, disk threads and hosts stand still
  void resume(); ///< SIGCONT

  [[nodiscard]] bool up() const { return peer_ != nullptr; }
  [[nodiscard]] bool paused() const { return paused_; }
  /// Counts the boots: what was asked of an earlier one gets no answer.
  [[nodiscard]] std::uint64_t boots() const { return boots_; }
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] const std::string& region() const { return region_; }
  [[nodiscard]] net::address address() const { return {host_, 7117}; }
  [[nodiscard]] const node_id& id() const { return key_.id(); }
  [[nodiscard]] actors::peer& peer() { return *peer_; }
  [[nodiscard]] const actors::peer& peer() const { return *peer_; }
  [[nodiscard]] store::virtual_disk& disk() { return disk_; }
  [[nodiscard]] const store::virtual_disk& disk() const { return disk_; }

  /// @name For the world, in its own time
  /// @{
  /// When there is something to do here.
  [[nodiscard]] time_point next();
  void advance(time_point now) { loop_.advance(clock_.local(now)); }
  void step(time_point now);
  /// @}

  /// Wall clock: what apps and reports see.
  [[nodiscard]] std::int64_t unix_ms() const;
  void jump_wall_clock(duration by) { wall_offset_ += by; }
  /// This machine's time goes `ppm` millionths faster (or slower) from now on.
  void drift(std::int64_t ppm);
  /// Each step of its loop takes so long from now on; zero: no time.
  void slow_cpu(duration per_step) { per_step_ = per_step; }

  /// Of every app host that runs here, and of those that will.
  void host_delays(duration low, duration high);
  /// Of one host by chance; false if none runs.
  bool kill_a_host();
  bool hang_a_host();
  /// Hosts here die of every turn of this command from now on; empty: of none.
  void deadly(const std::string& command);
  /// Its peer finds no such module from now on; empty: it finds all.
  void lacks(std::string module) { lacking_ = std::move(module); }
  /// Its disk answers with an error or lost something, now or later: that its
  /// peer ends with a word is right, a few times.
  void expect_fatal() { fatal_expected_ = true; }
  /// Why it ended by itself; empty if it didn't.
  [[nodiscard]] const std::string& fault() const { return fault_; }
  [[nodiscard]] int fault_code() const { return fault_code_; }
  /// Its next processes are of a build that knows these alone.
  void set_features(feature_bits bits) { features_ = bits; }

private:
  class sim_host;
  class sim_hosts;
  void on_fatal(int code, const std::string& why);
  void end_peer();

  world& world_;
  std::size_t number_;
  std::uint64_t seed_;
  std::string host_;
  std::string region_;
  actors::virtual_loop loop_;
  local_clock clock_;
  duration wall_offset_{0};
  duration per_step_{0};
  time_point busy_until_{};
  seeded_random random_;
  identity key_;
  store::virtual_disk disk_;
  std::unique_ptr<seeded_random> peer_random_;
  std::unique_ptr<actors::peer> peer_;
  std::vector<sim_host*> hosts_;
  std::string deadly_;
  std::string lacking_;
  duration host_low_ = 20us;
  duration host_high_ = 200us;
  std::uint64_t boots_ = 0;
  bool paused_ = false;
  bool fatal_expected_ = false;
  unsigned fatals_ = 0;
  std::string fault_;
  int fault_code_ = 0;
  feature_bits features_ = features_known;
};

} // namespace banyan::sim
