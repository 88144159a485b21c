#pragma once
#include "actors/pure/balancer.hpp"
#include "actors/pure/directory.hpp"
#include "actors/pure/replica_wire.hpp"
#include "base/random.hpp"

#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace banyan {

/// One call by app name, as a gateway or a client hands it to its router.
struct call_request {
  std::uint64_t token = 0; ///< the asker's own; echoed by the answer
  std::string app;
  request_kind kind = request_kind::command;
  std::string key;
  std::string command;
  bytes argument; ///< msgpack
  /// A command without identity gets a number in a session of the router's, so
  /// that the router may repeat it across a failover.
  request_identity identity;
  duration deadline = std::chrono::seconds{5};
  std::optional<duration> max_staleness; ///< queries only
  std::optional<std::uint32_t> shard;    ///< instead of the key's
};

/// To the router or replica of `to`, which may be this node itself.
struct router_send {
  node_id to;
  request_frame frame;
};
/// The end of a call; exactly one per `call`.
struct router_answer {
  std::uint64_t token = 0;
  banyan::reply reply;
  std::uint32_t shard = 0;
  node_id by; ///< whose answer it is; none: the router's own
  /// It was asked more than once, or waited for somebody to ask: how long it
  /// took says nothing about load.
  bool repeated = false;
};
using router_effect = std::variant<router_send, router_answer>;

/// Finds the leader for each call, waits out a failover inside the call's
/// deadline and repeats what may be repeated: a caller sees an answer, not that
/// a peer died. Pure; one per node.
///
/// Two kinds of calls have no leader and are spread (actors/pure/balancer.hpp):
/// stale queries over the voters, and the calls of stateless apps over the
/// instances, as queries, at least once. Such a call that is long under way is
/// made a second time elsewhere, once, and the first answer counts. Commands of
/// durable apps are at one node at a time.
///
/// Ends of a call besides the replica's own: `not_found` (no such app),
/// `overloaded` (more than `calls_max` at once, or for as long as a call bears
/// that waited out a failover, with all the others), `invalid_argument` and
/// `too_large` (over a bound of the wire's), `deadline` (never handed to a
/// leader: provably not executed), `no_quorum` (the same, and a leader said
/// why, or no instance is up), `unknown` (handed over, no answer in time; the
/// same identity is safe).
/// What may stand in an earlier leader's log never ends as "not executed".
class router_core {
public:
  static constexpr std::size_t calls_max = 16384;
  static constexpr std::uint64_t session_window = 1000; ///< of 1,024 allowed
  /// Later ends and staler reads than these are cut down to them.
  static constexpr duration deadline_max = std::chrono::hours{1};
  static constexpr duration staleness_max = std::chrono::hours{24};
  /// So many hints are followed at once, then the call pauses: two nodes that
  /// name each other don't make it spin.
  static constexpr std::uint8_t hops_max = 3;
  /// A stale query that bears less than this goes straight to the leader.
  static constexpr duration spread_staleness_min =
      std::chrono::milliseconds{50};

  /// `known` and `random` must outlive the router.
  router_core(node_id self, const directory& known, random_source& random);

  void call(call_request c, time_point now, std::vector<router_effect>& out);
  /// An answer by `from`; one that nobody waits for is dropped.
  void on_reply(const node_id& from, reply_frame f, time_point now,
                std::vector<router_effect>& out);
  /// A link that can carry requests to `node` is up. A higher incarnation than
  /// before (0: not known) means that what was outstanding there died.
  void on_link_up(const node_id& node, incarnation at, time_point now,
                  std::vector<router_effect>& out);
  /// The link is gone or its far node silent: what is outstanding there is
  /// asked again elsewhere, and says where it may have run. With incarnation 0
  /// (silence only) no death is told.
  void on_link_down(const node_id& node, incarnation at, time_point now,
                    std::vector<router_effect>& out);
  /// The directory has news of `g`: its calls go to the leader that it names,
  /// also those that wait for an answer of another node. Of a stateless app: to
  /// the instances that it has now.
  void on_view(const group_id& g, time_point now,
               std::vector<router_effect>& out);
  /// The app is gone: its calls end with `not_found`, commands that may have
  /// been executed with `unknown`.
  void on_app_removed(const app_id& app, time_point now,
                      std::vector<router_effect>& out);
  void on_tick(time_point now, std::vector<router_effect>& out);
  /// When `on_tick` is due: the next end or retry of a call that is under way.
  [[nodiscard]] time_point deadline() const;
  [[nodiscard]] std::size_t outstanding() const { return calls_.size(); }
  [[nodiscard]] std::uint64_t retries() const { return retries_; }
  /// Calls that were made a second time while the first was under way.
  [[nodiscard]] std::uint64_t hedges() const { return hedges_; }
  /// How the nodes that answer spread calls of this app stand.
  [[nodiscard]] std::vector<balancer::look> looks(const app_id& app,
                                                  time_point now) const;

private:
  /// What a call has that any of several nodes may answer.
  struct spreading {
    bool instances = false; ///< of a stateless app; else voters
    std::set<node_id> tried;
    std::uint64_t attempt = 0; ///< the balancer's token; 0: none under way
    node_id hedged_to;
    std::uint64_t hedge = 0; ///< likewise, of the second attempt
    bool hedged = false;     ///< that was made
    time_point hedge_at = never;
  };
  struct app_balance {
    explicit app_balance(random_source& random) : nodes{random, options()} {}
    static balancer_options options();
    balancer nodes;
    std::vector<balanced_instance> set; ///< as the balancer has them
  };
  struct pending {
    bool internal = false; ///< opens a session of the router's own
    bool own_session = false;
    bool in_flight = false;
    bool repeated = false;
    bool waited = false;    ///< out a failover, so far
    bool submitted = false; ///< may stand in some leader's log
    reply_status last = reply_status::deadline;
    std::uint64_t token = 0;
    request_frame frame; ///< `call` is our number
    time_point until;
    time_point retry_at = never;
    time_point alarm_at = never; ///< as it stands in `alarms_`
    duration pause{};
    node_id at;
    std::uint32_t next_candidate = 0;
    std::uint8_t hops = 0; ///< hints followed since the last pause
    std::unique_ptr<spreading> spread;
  };
  struct session {
    std::uint64_t id = 0;
    std::uint64_t next = 1;
    std::map<std::uint64_t, std::uint64_t> open; ///< number → call
  };
  struct group_state {
    std::vector<session> sessions;
    std::uint64_t opening = 0; ///< the internal call that opens one; 0: none
    std::set<std::uint64_t> want_session;
    std::unordered_set<std::uint64_t> calls;
    /// Voters whose state was too old, and until when they aren't asked.
    std::map<node_id, time_point> too_old;
  };
  using effects = std::vector<router_effect>;

  void start(std::uint64_t id, time_point now, effects& out);
  bool give_session(pending& c, std::uint64_t id);
  void want_session(std::uint64_t id, time_point now, effects& out);
  void send(std::uint64_t id, const node_id& to, time_point now, effects& out);
  void send_to_best(std::uint64_t id, time_point now, effects& out);
  void retry_later(std::uint64_t id, time_point now, duration at_least = {});
  void finish(std::uint64_t id, reply r, time_point now, effects& out,
              const node_id& by = {});
  void session_opened(const group_id& g, std::uint64_t session_id,
                      time_point now, effects& out);
  void forget_session(pending& c);
  void cut(const node_id& node, incarnation at, time_point now, effects& out);
  bool may_have_run(const pending& c) const;
  /// Verdicts that a leader gives before it looks for an earlier attempt's end.
  static bool says_not_run(reply_status s);
  reply out_of_time(const pending& c) const;
  void arm(std::uint64_t id, pending& c);

  // router_spread.cpp
  app_balance& balance_of(const pending& c);
  [[nodiscard]] std::vector<balanced_instance> voters_for(const group_id& g,
                                                          time_point now);
  void take_instances(const pending& c, time_point now);
  std::optional<node_id> choose(pending& c, time_point now);
  void spread(std::uint64_t id, time_point now, effects& out);
  void spread_due(std::uint64_t id, time_point now, effects& out);
  void spread_to(std::uint64_t id, const node_id& to, time_point now,
                 effects& out);
  void spread_again(std::uint64_t id, bool moved, time_point now, effects& out);
  void hedge(std::uint64_t id, time_point now, effects& out);
  void attempt_ended(pending& c, const node_id& at, balanced_end how,
                     time_point now, duration retry_after = {});
  void attempts_over(pending& c, time_point now);
  void on_spread_reply(const node_id& from, reply_frame& f, time_point now,
                       effects& out);
  void spread_lost(std::uint64_t id, const node_id& node, time_point now,
                   effects& out);
  void instances_changed(const app_id& app, time_point now, effects& out);

  node_id self_;
  const directory& known_;
  random_source& random_;
  std::uint64_t next_call_;
  std::unordered_map<std::uint64_t, pending> calls_;
  std::unordered_map<group_id, group_state> groups_;
  std::uint64_t retries_ = 0;
  std::uint64_t hedges_ = 0;
  std::uint64_t attempts_ = 0;
  std::unordered_map<app_id, app_balance> balances_;
  std::unordered_map<node_id, incarnation> linked_;
  /// One for each call: its retry or its end.
  std::set<std::pair<time_point, std::uint64_t>> alarms_;
};

} // namespace banyan
