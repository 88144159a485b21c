#pragma once
#include "actors/sim/swarm.hpp"
#include "base/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

/// What is to happen to a simulated mesh, and when: what `banyan sim` reads.
namespace banyan::sim {

enum class action : std::uint8_t {
  kill,        ///< kill -9
  freeze,      ///< SIGSTOP; thawed after `lasting`, if that is said
  thaw,        ///< those named, or all
  partition,   ///< those named are cut off from all others
  heal,        ///< ends partitions and losses
  region_loss, ///< all machines of a region lose their power at once
  loss,        ///< of packets: `percent` of all, or of the nodes named
  slow,        ///< their processors take `factor` times as long
  churn, ///< `percent` of the nodes per minute die and are back after `down`
  join,  ///< `count` new nodes
  leave  ///< on purpose
};
const char* to_string(action a) noexcept;

/// One line of a scenario. Who: `nodes` by number, or `count` or `percent` of
/// those that run, drawn at random, in `region` or anywhere.
struct happening {
  duration at{};
  action what = action::kill;
  std::vector<index> nodes;
  std::uint32_t count = 0;
  double percent = 0;
  std::string region;
  duration lasting{};              ///< zero: until the end
  double factor = 0;               ///< of `slow`
  duration down = 30s;             ///< of `churn`
  direction way = direction::both; ///< of `partition` and `loss`
  std::string place;               ///< `FILE:LINE`, for messages
};

struct scenario {
  static constexpr std::size_t nodes_max = 20'000;

  std::size_t nodes = 1'000;
  std::size_t regions = 12;       ///< when none are named
  std::vector<std::string> names; ///< of regions
  std::map<std::string, std::size_t>
      sizes; ///< the other regions share the rest
  std::uint64_t seed = 1;
  duration length = 60s; ///< after the first seconds, in which links come up
  std::string latency = "planet";               ///< or `lan`
  std::vector<std::vector<double>> round_trips; ///< in ms, instead
  std::size_t groups = 0;
  std::uint32_t voters = 3;
  std::uint32_t spread = 2; ///< regions of a group, at least
  double loss = 0;          ///< of every packet, in percent
  std::vector<happening> events;
};

/// `FILE:LINE: field: cause; what would be right`.
struct scenario_error {
  std::string message;
};

/// Reads a scenario (TOML). What can't be is said with its line; unknown fields
/// are refused. `file` is for messages.
result<scenario, scenario_error> parse_scenario(std::string_view toml,
                                                std::string_view file);
/// One event as the command line gives it: `TIME ACTION FIELD=VALUE…`, with the
/// fields of a `[[event]]`.
result<happening, scenario_error> parse_event(std::string_view text);
/// What only the whole can be held against: regions that nobody is in, nodes
/// that aren't there, events after the end. Also sorts the events by time.
result<void, scenario_error> check(scenario& s);
/// What shows most in little time: a calm while, single deaths, a newcomer,
/// churn of 1 % per minute, and the loss of a whole region.
void add_standard_events(scenario& s);
/// Its regions, with the round trips between them. Only of one that was
/// checked.
world places_of(const scenario& s);
/// How many nodes each region has; by region.
std::vector<std::size_t> sizes_of(const scenario& s, const world& places);

} // namespace banyan::sim
