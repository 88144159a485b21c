#pragma once
#include "actors/sim/calendar.hpp"
#include "actors/sim/swarm.hpp"
#include "actors/sim/verifying.hpp"
#include "base/random.hpp"

#include <map>
#include <unordered_map>
#include <unordered_set>

namespace banyan::sim {

/// The inside of `swarm`, in three files: swarm.cpp has the calls from outside,
/// processes.cpp the nodes and their cores, network.cpp links and packets.
class swarm::state {
public:
  explicit state(swarm& outside, swarm_config config);

  enum class what : std::uint8_t {
    frame,       ///< arrives on a link
    stream_end,  ///< the same, behind all frames; `number` is the `link_end`
    link_up,     ///< for the process
    dialled,     ///< a dial's first packet arrives at `node`, from `other`
    shaken,      ///< its third message does
    welcomed,    ///< and the answer to that at the dialler, `node`
    dial_failed, ///< for the process; `number` is the `dial_error`
    redial,      ///< `number` is the target's turn
    retry,       ///< a stream that stood still tries again
    timer,       ///< for the process
    persisted,   ///< for the process; `number` is the incarnation
    probed,      ///< for the process; `number` is the token, `link` 1: reached
    wake,        ///< a busy process goes on with what arrived meanwhile
    stop,        ///< of a process that said that it leaves
    call         ///< `number` of what `at` was given
  };
  struct event {
    what kind = what::call;
    net::channel on = net::channel::membership;
    bool dialled = false;
    index node = 0;
    index other = 0;
    std::uint64_t life = 0; ///< of the process of `node`; zero: any
    std::uint64_t link = 0;
    std::uint64_t number = 0;
    bytes payload;
  };
  using tick = calendar<event>::tick;

  /// What is sent while a stream stands still.
  struct held {
    net::channel on;
    std::uint64_t end = 0; ///< not a frame: the `link_end`
    bytes payload;
  };
  /// One end of a link, at the node that has it.
  struct link_side {
    index far = 0;
    std::uint64_t link = 0;
    time_point clear{}; ///< when the last thing sent arrives: order is kept
    std::uint32_t unanswered = 0; ///< bytes sent while nothing comes back
    time_point stalled_at = never;
    std::vector<held> waits;
  };
  /// A link that a process wants: dialled until it is there.
  struct target {
    index far = 0;
    bool any = false; ///< a seed: whoever it is
    bool dialling = false;
    duration backoff{};
    std::uint64_t turn = 0; ///< of waiting: `hurry` ends it
  };
  struct machine {
    explicit machine(identity k) : key{std::move(k)} {}
    identity key;
    std::unique_ptr<net::membership> core;
    net::boot_id boot;
    incarnation disk;
    std::shared_ptr<const net::settled_members> members_on_disk;
    std::uint32_t region = 0;
    duration last_mile{};
    std::uint64_t life = 0; ///< goes up with each start and end
    bool powered = true;
    bool frozen = false;
    bool ran = false; ///< ever
    bool left = false;
    double slowness = 1;
    double loss_in = 0, loss_out = 0;
    std::uint32_t side = 0;
    time_point busy_until{};
    time_point uplink_free{};
    tick armed = -1; ///< of the timer; none: -1
    bool wakes = false;
    std::vector<event> inbox; ///< what waits for a busy or frozen process
    std::vector<link_side> links;
    std::vector<target> targets;
    std::vector<index> partners;
    outgoing hook;
    traffic carried;
  };

  // processes.cpp
  index add(std::size_t region);
  void start(index i, const std::vector<index>& seeds);
  void start_settled();
  void boot(index i, const std::vector<index>& seeds);
  [[nodiscard]] std::string zone_of(index i) const;
  void end_process(index i);
  void kill(index i);
  void unplug(index i);
  void freeze(index i);
  void thaw(index i);
  void leave(index i);
  void call(index i, const std::function<void(net::membership&, time_point,
                                              net::membership_effects&)>& f);
  void share_group(index a, index b, bool shares);
  /// For the process on `e.node`: now, or once it has time.
  void input(event&& e);
  void run(event&& e);
  void wake(index i);
  void go_on(index i);
  void arm(index i);
  void timer(event&& e);
  void carry_out(index i, net::membership_effects& effects, time_point now);
  void set_opinion(index observer, index subject, opinion o, time_point now);
  void count_in(index i);
  void note(std::uint64_t a, std::uint64_t b);

  // network.cpp
  [[nodiscard]] bool blocked(index from, index to) const;
  [[nodiscard]] duration transit(index from, index to, std::size_t size);
  [[nodiscard]] duration latency(index from, index to);
  void send(index from, const node_id& to, net::channel on, bytes&& payload,
            time_point now);
  bool transmit(index from, link_side& via, held&& h, time_point now);
  void arrive(event&& e);
  void end_link(index from, index to, net::link_end far_sees, time_point now);
  void forget_link(index i, std::uint64_t link);
  void want(index i, const node_id& node, time_point now);
  void unwant(index i, const node_id& node);
  void want_seed(index i, const net::address& at, time_point now);
  void unwant_seed(index i, const net::address& at);
  void dial(index i, target& t, time_point now);
  void dial_later(index i, target& t, time_point now);
  void hurry(index i, index far, time_point now);
  void dialled(event&& e);
  void shaken(event&& e);
  void welcomed(const event& e);
  void came_up(index i, index far, std::uint64_t link, bool dialled,
               time_point now);
  void fail_dial(index i, index far, net::dial_error why, duration after);
  void redial(const event& e);
  void probe(index i, std::uint64_t token, const net::address& at,
             time_point now);
  void cuts_changed();
  void retry(const event& e);
  [[nodiscard]] link_side* side(index i, index far);
  [[nodiscard]] target* wanted(index i, index far);
  [[nodiscard]] std::optional<index> at_address(const net::address& a) const;

  void handle(event&& e);
  void run_until(time_point end);
  void push(time_point at, event&& e);
  [[nodiscard]] tick tick_of(time_point t) const; ///< the first not before it
  [[nodiscard]] time_point time_of(tick t) const;
  [[nodiscard]] time_point now() const { return time_of(calendar_.now()); }
  machine& at(index i) { return *machines_[i]; }
  [[nodiscard]] const machine& at(index i) const { return *machines_[i]; }

  swarm& outside_;
  swarm_config cfg_;
  seeded_random random_;  ///< of the cores
  seeded_random network_; ///< of the network
  mesh_id mesh_{std::array<std::uint8_t, 32>{7}};
  std::shared_ptr<shared_verifier> verify_ =
      std::make_shared<shared_verifier>(mesh_);
  std::shared_ptr<net::ring_order> order_;
  std::vector<std::unique_ptr<machine>> machines_;
  std::unordered_map<node_id, index> numbers_;
  view_table views_;
  calendar<event> calendar_;
  std::map<std::uint64_t, std::function<void()>> calls_;
  std::uint64_t calls_made_ = 0;
  std::uint64_t links_made_ = 0;
  std::uint64_t turns_ = 0;
  double loss_ = 0;
  bool cuts_ = false; ///< anything at all is cut
  std::unordered_set<std::uint64_t> one_way_;
  /// Links that are up on one side only as yet: (smaller, larger).
  std::unordered_set<std::uint64_t> pending_;
  std::vector<std::pair<index, std::uint64_t>> stalled_;
  std::uint64_t trace_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t signatures_ = 0;
};

} // namespace banyan::sim
