#pragma once
#include "actors/sim/views.hpp"
#include "actors/sim/world.hpp"
#include "crypto/identity.hpp"
#include "net/membership/membership.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

/// Thousands of nodes in one process and in virtual time: the real membership
/// cores on a network that is made up. Pure: no socket, clock, thread or file.
namespace banyan::sim {

/// What a node's processor is charged for, on its own virtual clock: until that
/// time is over it takes nothing in, and what it sends leaves then.
struct processor_costs {
  duration input = 10us;      ///< each frame or timer: opening, decoding
  duration verify = 50us;     ///< each signature that it would have to check
  duration handshake = 300us; ///< each side of each new link
  duration fsync = 2ms;       ///< until an incarnation is on disk
};

struct swarm_config {
  std::uint64_t seed = 1; ///< the same seed, the same course of events
  world places = world::lan(1);
  processor_costs costs;
  /// Of one node's uplink; shared by its links.
  double bits_per_second = 100e6;
  /// How far a node is from its region's centre: up to so much, each its own.
  duration last_mile = 0ms;
  /// Applied to every process that starts, last.
  std::function<void(net::membership_config&)> every;
};

/// What went through a node's links since it was added. With 22 bytes for the
/// record around each frame (docs/wire-format.md) and the handshakes, without
/// TCP's and IP's headers.
struct traffic {
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t frames_in = 0, frames_out = 0;
};

/// Which way a fault lies.
enum class direction : std::uint8_t { both, in, out };

/// The nodes of one mesh, their links, and all that may happen to them.
///
/// Time goes on in `run_for` and `run_until` only, in steps of 1 ms: everything
/// arrives in whole milliseconds (processors are charged in microseconds). All
/// else takes place at once, at `now`, between two steps or within a hook, and
/// is seen by others when the network brings it to them.
///
/// The network gives what the link layer gives (net/link): a link comes up on
/// both sides after three round trips of TCP and handshake; it ends with its
/// process (`end_of_stream`), or with a reset where a machine knows nothing of
/// it; a machine that is gone or cut off says nothing at all, and what was sent
/// to it is sent again once the way is free, as TCP does. A dial is refused by
/// a machine without the process, or times out after 2 s. A packet that is lost
/// stops its stream until it was sent again, after 200 ms and a round trip, and
/// twice that when it is lost again. Where only the way back is cut, a stream
/// carries 14,000 bytes more and then stands still.
///
/// Memory: what the cores take, and one byte per pair of nodes.
class swarm {
public:
  explicit swarm(swarm_config config);
  ~swarm();
  swarm(const swarm&) = delete;
  swarm& operator=(const swarm&) = delete;

  /// @name Nodes
  /// @{
  /// A machine with its own key, in a region of `places`; nothing runs on it.
  index add(std::size_t region);
  /// Starts a process on a machine where none runs: with what its disk holds
  /// (nothing on a first start) and `--join` for each of `seeds`.
  void start(index i, const std::vector<index>& seeds = {});
  /// Starts all nodes that were added as the mesh that they are after a quiet
  /// night: each knows all others. Takes a second, for not all began at once;
  /// links and views take a few seconds more.
  void start_settled();
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool running(index i) const; ///< also while frozen
  [[nodiscard]] bool frozen(index i) const;
  [[nodiscard]] bool left(index i) const;
  [[nodiscard]] std::size_t region(index i) const;
  [[nodiscard]] const node_id& id(index i) const;
  [[nodiscard]] std::optional<index> find(const node_id& node) const;
  [[nodiscard]] const identity& key(index i) const; ///< to forge with
  [[nodiscard]] const mesh_id& mesh() const noexcept;
  [[nodiscard]] const world& places() const noexcept;
  /// Only of a node that runs.
  [[nodiscard]] const net::membership& core(index i) const;
  /// Calls a core directly, at `now`; its effects are carried out.
  void call(index i, const std::function<void(net::membership&, time_point,
                                              net::membership_effects&)>& f);
  /// Tells both, now and after each start, that they share a group or that they
  /// don't.
  void share_group(index a, index b, bool shares = true);
  /// @}

  /// @name Time
  /// @{
  [[nodiscard]] time_point now() const noexcept;
  [[nodiscard]] duration elapsed() const noexcept; ///< since the beginning
  void run_for(duration d);
  /// Asks every `step`. @returns how long it took, or nothing after `limit`.
  std::optional<duration> run_until(const std::function<bool()>& done,
                                    duration limit, duration step = 10ms);
  /// At that time, before what the network brings then.
  void at(time_point t, std::function<void()> f);
  /// @}

  /// @name What happens to nodes
  /// @{
  void kill(index i);   ///< kill -9: its streams end, its port is closed
  void unplug(index i); ///< the machine is gone without a word, until `start`
  void freeze(index i); ///< SIGSTOP: streams stay, nobody reads
  void thaw(index i);
  void leave(index i); ///< it says so, and stops 100 ms later
  /// Its processor takes so many times as long; 1 is normal.
  void slow(index i, double factor);
  /// @}

  /// @name What happens to the network
  /// @{
  /// Of every packet to be lost, 0 to below 1.
  void set_loss(double rate);
  /// Of those of one node, on top of that; 1 is a cut.
  void set_loss(index i, double rate, direction way = direction::both);
  /// Nodes on different sides don't reach each other; all begin on side 0.
  void set_side(index i, std::uint32_t side);
  /// Nothing comes from `from` to `to`.
  void cut_one_way(index from, index to, bool cut = true);
  /// Ends all cuts and losses.
  void heal();
  [[nodiscard]] bool reaches(index from, index to) const;
  /// @}

  /// @name Hooks
  /// @{
  /// Each change of a node's view of another, as it happens; `at` is in the
  /// observer's time. Restored and first records too: `from` is `unknown`.
  std::function<void(index observer, index subject, opinion from, opinion to,
                     time_point at)>
      on_view_change;
  /// All effects of all nodes but frames and beats.
  std::function<void(index i, const net::membership_effect& effect,
                     time_point at)>
      on_effect;
  /// Instead of what a node sends: may change the payload; false drops it.
  using outgoing =
      std::function<bool(index to, net::channel on, bytes& payload)>;
  void set_outgoing(index i, outgoing hook); ///< empty: as usual
  /// A frame that node `from`'s core never made, on its link to `to`. False
  /// when there is none.
  bool inject(index from, index to, net::channel on, bytes payload);
  /// @}

  /// @name Looks
  /// @{
  [[nodiscard]] const view_table& views() const noexcept;
  [[nodiscard]] bool linked(index a, index b) const; ///< `a` has a link to `b`
  [[nodiscard]] std::vector<index> links(index i) const;
  [[nodiscard]] std::size_t link_count(index i) const;
  [[nodiscard]] const traffic& of(index i) const;
  /// How many opinions of nodes that run (and aren't frozen) are wrong: a node
  /// that runs is alive, one that ran is dead or has left.
  [[nodiscard]] std::uint64_t wrong_opinions() const;
  [[nodiscard]] bool settled() const { return wrong_opinions() == 0; }
  /// Of everything so far: the same in two runs that went alike.
  [[nodiscard]] std::uint64_t trace() const noexcept;
  [[nodiscard]] std::uint64_t events() const noexcept;
  [[nodiscard]] std::uint64_t signatures() const noexcept; ///< checked in all
  /// @}

private:
  class state;
  std::unique_ptr<state> s_;
};

} // namespace banyan::sim
