#pragma once
#include "actors/testing/sim/fault.hpp"
#include "actors/testing/sim/world.hpp"

#include <map>
#include <set>
#include <string>

namespace banyan::sim {

/// Does to a world what faults say, until all is healed.
class harm {
public:
  explicit harm(world& w) : world_{w} {}
  harm(const harm&) = delete;
  harm& operator=(const harm&) = delete;

  /// Now. False: not possible as things are (a machine is down, say).
  bool begin(const fault& f);
  /// All of `s`, each at its time from now on; of what is possible then,
  /// `skip(i)` says what is left out.
  void play(const schedule& s, const std::function<bool(std::size_t)>& skip);
  /// What still goes on ends: everything runs, hears everybody and is fast.
  void heal();
  /// By name, how often each came about.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const {
    return counts_;
  }
  /// Those of them while which a group's voters changed.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& changing() const {
    return changing_;
  }

private:
  bool to_machine(const fault& f, seeded_random& dice);
  bool to_network(const fault& f, seeded_random& dice);
  bool to_disk(const fault& f, seeded_random& dice);
  bool to_synced(const fault& f);
  [[nodiscard]] bool known_above(const node_id& who, incarnation then) const;
  bool to_apps(const fault& f, seeded_random& dice);

  void came_about(const fault& f);
  void roll_back(const fault& f);
  [[nodiscard]] bool all_voters_run(const group_id& g) const;
  bool move_a_voter(std::size_t n, seeded_random& dice);
  bool drain(std::size_t n, std::size_t by, duration d);
  void take_back(std::size_t n);
  void take_back_all();
  void look_for_changes();

  void later(duration d, std::function<void()> f); ///< unless healed by then
  void down(std::size_t n, machine::end how, duration for_how_long);
  void boot_later(std::size_t n, duration d);
  void stop_next(std::size_t first, std::size_t done, duration rest);
  void hold(std::size_t from, std::size_t to, duration d);
  void flip(std::size_t a, std::size_t b, time_point until, std::uint64_t dice);
  void lose(std::size_t a, std::size_t b, time_point until, std::uint64_t dice);
  void path(std::size_t from, std::size_t to, net::virtual_network::path p,
            duration d);
  void sync_delay(std::size_t n, duration more, duration d);
  [[nodiscard]] std::size_t count() const { return world_.machines.size(); }

  world& world_;
  [[nodiscard]] bool others_well(std::size_t n) const;
  time_point quiet_until_{};      ///< nothing else goes wrong before
  std::uint64_t round_ = 0;       ///< of trouble; raised by `heal`
  bool calm_ = false;             ///< healed, and nothing was begun since
  std::set<std::size_t> drained_; ///< by its faults, ever
  std::map<std::pair<std::size_t, std::size_t>, unsigned> cuts_;
  std::map<std::string, std::uint64_t> counts_;
  struct running {
    const char* name;
    time_point until;
  };
  std::vector<running> running_; ///< no change of voters was seen so far
  std::map<std::string, std::uint64_t> changing_;
};

} // namespace banyan::sim
