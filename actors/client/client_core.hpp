#pragma once
#include "actors/pure/balancer.hpp"
#include "actors/pure/client_wire.hpp"
#include "base/random.hpp"
#include "base/time.hpp"

#include <deque>
#include <map>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace banyan {

/// A call as the client's user makes it.
struct client_request {
  std::uint64_t token = 0; ///< the user's; echoed by the answer
  std::string app;
  std::string key;
  std::string command;
  bytes argument;
  bool query = false;
  std::string idempotency_key; ///< commands; empty: numbered in a session
  duration deadline = std::chrono::seconds{5};
  std::optional<duration> max_staleness;
};

struct client_send {
  node_id to;
  client_call_frame frame;
};
/// The end of a call; exactly one per `call`.
struct client_answer {
  std::uint64_t token = 0;
  banyan::reply reply;
  bool unreachable = false; ///< never sent: no peer was linked
};
using client_effect = std::variant<client_send, client_answer>;

/// Decides for a client which peer is asked what, and when again.
///
/// A command is numbered in a session for its (app, shard), opened at need, so
/// that the same (session, number) may be given to several peers: its group
/// runs it once. A peer whose link dies, or that says nothing for
/// `silence_max`, is replaced by the next one; a call that has no answer after
/// `patience` is given to a second peer as well. Answers that leave the outcome
/// open are asked again until the deadline.
///
/// Who led the group of a call is told by its answer, and asked first the next
/// time, which saves a hop. What any of several may answer (stale queries, and
/// calls without a key) is spread over the linked peers. `overloaded` is asked
/// again after the pause that it names, at most twice, out of a budget of a
/// tenth of the calls: clients multiply no overload. Above `window` calls wait
/// here, first in first out.
///
/// Pure: time in, effects out; `on_tick` is due at `deadline()`.
class client_core {
public:
  static constexpr std::size_t calls_max = 16384;
  static constexpr std::uint64_t session_window = 1000; ///< of 1,024 allowed
  static constexpr duration silence_max = std::chrono::milliseconds{250};
  static constexpr duration patience = std::chrono::seconds{1};
  /// A peer answers at the deadline itself; it gets so much longer.
  static constexpr duration grace = std::chrono::milliseconds{50};
  /// Calls that peers know of; a peer takes 1,024 of one client.
  static constexpr std::size_t window = 1000;
  static constexpr unsigned overloads_max = 2; ///< repeats of one call
  static constexpr double overload_share = 0.1;
  static constexpr double overload_reserve = 100;

  /// `first_call`: number before the first call of this client; random, so
  /// that a late answer to an earlier client's call is nobody's.
  explicit client_core(std::uint64_t first_call)
      : next_call_{first_call}, random_{first_call}, spread_{random_} {}
  client_core(const client_core&) = delete;
  client_core& operator=(const client_core&) = delete;

  using effects = std::vector<client_effect>;
  void call(client_request r, time_point now, effects& out);
  void on_peer_up(const node_id& node, time_point now, effects& out);
  void on_peer_down(const node_id& node, time_point now, effects& out);
  /// An answer; one that nobody waits for is dropped.
  void on_reply(const node_id& from, client_reply_frame f, time_point now,
                effects& out);
  void on_tick(time_point now, effects& out);
  [[nodiscard]] time_point deadline() const;
  /// Ends all calls and gives the sessions back.
  void close(effects& out);

  [[nodiscard]] std::size_t outstanding() const { return calls_.size(); }
  [[nodiscard]] std::size_t linked() const { return peers_.size(); }
  [[nodiscard]] std::uint64_t repeated() const { return repeated_; }
  [[nodiscard]] std::uint64_t sessions() const { return sessions_; }

private:
  using group_name = std::pair<std::string, std::uint32_t>;
  enum class purpose : std::uint8_t { call, lookup, open };
  struct pending {
    purpose what = purpose::call;
    std::uint64_t token = 0;
    client_call_frame frame;
    time_point until;
    time_point retry_at = never; ///< waits to be asked (again)
    time_point sent_at{};
    duration pause{};
    bool sent = false;
    bool begun = false;     ///< is one of the `window`
    unsigned overloads = 0; ///< answered by asking again
    /// Attempts of a call that is spread, as the balancer knows them.
    std::vector<std::pair<node_id, std::uint64_t>> spread;
    bool lost = false;          ///< some attempt's outcome will never be told
    std::vector<node_id> asked; ///< and not answered, the latest last
    std::vector<node_id> not_here; ///< said `not_found`
    std::uint32_t shard = 0;
  };
  struct peer {
    node_id node;
    time_point heard{};
    bool silent = false;
  };
  struct group {
    std::uint64_t session = 0; ///< 0: none
    std::string key;           ///< one that leads to this shard
    std::uint64_t next = 1;
    std::map<std::uint64_t, std::uint64_t> open; ///< number → call
    std::deque<std::uint64_t> waiting;           ///< for a session or a number
    bool opening = false;
  };
  struct app {
    std::uint32_t shards = 0;           ///< 0: not known
    std::vector<node_id> leaders;       ///< by shard, as far as answers told
    std::vector<std::uint64_t> waiting; ///< calls
    bool asking = false;
  };

  void begin_calls(time_point now, effects& out);
  void start(std::uint64_t id, time_point now, effects& out);
  void look_up(const std::string& name, std::uint64_t id, time_point now,
               effects& out);
  void open_session(const group_name& name, const std::string& key,
                    time_point now, effects& out);
  std::uint64_t internal(purpose what, const std::string& name,
                         const std::string& key, time_point until);
  void send_to_best(std::uint64_t id, time_point now, effects& out);
  void send(std::uint64_t id, peer& to, time_point now, effects& out);
  [[nodiscard]] node_id leader_for(const client_call_frame& f) const;
  void learn(const client_call_frame& asked, const node_id& from,
             const client_reply_frame& f);
  peer* find(const node_id& node);

  // choice.cpp
  [[nodiscard]] static bool is_spread(const pending& c);
  [[nodiscard]] static bool has_node(const std::vector<node_id>& list,
                                     const node_id& node);
  peer* choose(const pending& c, time_point now);
  void peers_changed(time_point now);
  void begin_attempt(pending& c, const node_id& at, time_point now);
  void end_attempt(pending& c, const node_id& at, balanced_end how,
                   time_point now, duration retry_after = {});
  bool repeat_overload(std::uint64_t id, const reply& r, time_point now);

  void retry_later(std::uint64_t id, time_point now);
  void finish(std::uint64_t id, reply r, time_point now, effects& out);
  void pump(group& g, time_point now, effects& out);
  [[nodiscard]] reply out_of_time(const pending& c) const;

  void on_looked_up(std::uint64_t id, const node_id& from,
                    const client_reply_frame& f, time_point now, effects& out);
  void on_session(std::uint64_t id, reply r, time_point now, effects& out);
  void on_answer(std::uint64_t id, const node_id& from, reply r, time_point now,
                 effects& out);
  bool ask_elsewhere(std::uint64_t id, const node_id& not_here, time_point now,
                     effects& out);
  void on_expired(std::uint64_t id, reply r, time_point now, effects& out);
  void check_silence(std::uint64_t id, time_point now, effects& out);

  std::uint64_t next_call_;
  std::vector<peer> peers_; ///< the preferred one first
  std::unordered_map<std::uint64_t, pending> calls_;
  std::map<std::string, app> apps_;
  std::map<group_name, group> groups_;
  seeded_random random_;
  balancer spread_; ///< over the linked peers
  std::uint64_t attempts_ = 0;
  std::size_t begun_ = 0;
  std::deque<std::uint64_t> backlog_; ///< calls behind the window
  bool beginning_ = false;
  double overload_budget_ = overload_reserve;
  std::uint64_t repeated_ = 0;
  std::uint64_t sessions_ = 0;

  struct alarm {
    time_point at;
    std::uint64_t call;
    bool operator<(const alarm& o) const {
      return at != o.at ? at > o.at : call > o.call;
    }
  };
  std::priority_queue<alarm> alarms_; ///< stale ones are skipped
};

} // namespace banyan
