#pragma once
#include "sim/world.hpp"

#include <map>
#include <string>

namespace banyan::sim {

/// Harms the world at random until it is told to stop, and heals it then.
class faults {
public:
  enum class kind {
    kill,       ///< kill -9, back after a while
    quick_kill, ///< back within 150 ms
    power,      ///< power cut: what was not synced is lost or torn
    all_die,    ///< every machine at once
    blackout,   ///< disks are slow, then all lose power in one instant: what
                ///< was acknowledged without a majority's fsync is gone
    cut,        ///< between two machines, both ways
    cut_one_way,
    isolate, ///< one machine from all others
    pause,   ///< SIGSTOP for 0.1 to 5 s
    stall,   ///< a path holds everything for a while
    reset,   ///< connections between two machines are torn down
    slow_disk,
    slow_host,
    host_dies,
    host_hangs,
    transfer,  ///< an operator moves a leadership
    disk_full, ///< for a while
    /// @name Loss of what was synced: on one machine of each run alone, as a
    /// minority is all that a group promises to outlive
    /// @{
    wipe,    ///< its data directory is gone, identity and all
    rot_log, ///< a bit of its log flips while it is down
    rot_row, ///< a bit of a stored row flips
    /// @}
  };
  explicit faults(world& w)
      : world_{w}, random_{w.seed ^ 0xfa17}, unlucky_{any()} {}

  void start() { next(); }
  /// No more of it: everything runs, hears everybody and is fast again.
  void heal();
  [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const {
    return counts_;
  }

private:
  void next();
  void harm(kind k);
  void down(std::size_t n, machine::end how, duration for_how_long);
  [[nodiscard]] std::size_t any() {
    return random_.below(world_.machines.size());
  }
  [[nodiscard]] std::size_t other(std::size_t n) {
    const auto count = world_.machines.size();
    return (n + 1 + random_.below(count - 1)) % count;
  }

  world& world_;
  seeded_random random_;
  std::size_t unlucky_; ///< the machine that loses what was synced
  bool stopped_ = false;
  std::map<std::string, std::uint64_t> counts_;
};

const char* to_string(faults::kind k) noexcept;

} // namespace banyan::sim
