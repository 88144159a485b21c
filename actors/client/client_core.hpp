#pragma once
#include "actors/client/call_window.hpp"
#include "actors/pure/balancer.hpp"
#include "actors/pure/client_wire.hpp"
#include "base/random.hpp"
#include "base/time.hpp"

#include <deque>
#include <map>
#include <optional>
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
/// calls without a key) is spread over the linked peers.
///
/// Overload is met here, where a call costs least. Of each app so many calls
/// are given to peers as they answer in good time (`call_window`), of all apps
/// `window`; none takes more than `hog_share` places for each that is free, and
/// some are for apps with `few`: those that hang leave places to others. What
/// has no place waits, first in first out, apps in turn. A call that would wait
/// so long that it could hardly be answered by its deadline is refused at once,
/// and one that waited in vain leaves: `overloaded`, and no byte was sent. What
/// a peer refuses is asked again after the pause that it names, at most twice,
/// out of a budget of a tenth of the calls; until then no other call goes to
/// that group.
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
  static constexpr std::size_t window = call_window::size_max;
  static constexpr std::size_t hog_share = 3;
  static constexpr std::size_t few = 2; ///< of one app; there is room for them
  static constexpr unsigned overloads_max = 2; ///< repeats of one call
  static constexpr double overload_share = 0.1;
  static constexpr double overload_reserve = 100;
  /// Bounds of a `retry_after`, told and heard.
  static constexpr duration retry_min = std::chrono::milliseconds{10};
  static constexpr duration retry_max = std::chrono::seconds{2};
  /// Apps that are remembered without a call or a session.
  static constexpr std::size_t apps_max = 256;

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
  /// Answered `overloaded` without asking, or without asking again.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  [[nodiscard]] std::size_t apps() const { return apps_.size(); }

private:
  struct app;
  enum class purpose : std::uint8_t { call, lookup, open };
  enum class place : std::uint8_t {
    none, ///< our own calls need none
    held, ///< its group is left alone until `retry_at`
    queued,
    begun, ///< is one of the `window`
  };
  struct pending {
    purpose what = purpose::call;
    app* home = nullptr;
    std::uint64_t token = 0;
    client_call_frame frame;
    time_point since;
    time_point queued_at{}; ///< the last time; what was held waited elsewhere
    time_point until;
    time_point retry_at = never; ///< waits to be asked (again)
    time_point check_at = never; ///< whether who was asked is silent
    time_point alarm_at = never; ///< when it is looked at next
    time_point sent_at{};
    duration pause{};
    place at = place::none;
    unsigned sends = 0;
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
  struct shard_hint {
    node_id leader;
    time_point left_alone{}; ///< until then: it was overloaded
  };
  struct app {
    std::string name;
    std::size_t calls = 0;         ///< all, ours among them
    std::uint32_t shards = 0;      ///< 0: not known
    std::vector<shard_hint> hints; ///< by shard, as far as answers told
    std::map<std::uint32_t, group> groups;
    std::vector<std::uint64_t> waiting; ///< calls, for the look-up
    bool asking = false;
    call_window window;
    std::deque<std::uint64_t> backlog; ///< some may have ended meanwhile
    std::size_t queued = 0;            ///< that have not
    bool has_turn = false;             ///< is in `turns_`
    /// Who sent back a call that is spread, and until when it is left alone.
    std::vector<std::pair<node_id, time_point>> loaded;
  };

  // backlog.cpp
  app& app_of(const std::string& name);
  [[nodiscard]] bool has_place(const app& a) const;
  [[nodiscard]] duration wait_of(const app& a, time_point now) const;
  [[nodiscard]] static reply overload(duration wait, const char* why);
  [[nodiscard]] std::optional<reply> refusal(const pending& c,
                                             time_point now) const;
  [[nodiscard]] bool may_wait(const pending& c, time_point now) const;
  [[nodiscard]] static bool may_be_held(const pending& c, time_point until,
                                        time_point now);
  void place_call(std::uint64_t id, time_point now, effects& out);
  void begin(std::uint64_t id, time_point now, effects& out);
  void begin_calls(time_point now, effects& out);
  void leave_queue(pending& c);
  void give_back(pending& c);
  void shed(std::uint64_t id, time_point now, effects& out);
  [[nodiscard]] time_point left_alone(const pending& c) const;
  void note_overload(const pending& c, const node_id& from, const reply& r,
                     time_point now);
  void hold(std::uint64_t id, time_point now, effects& out);
  bool may_repeat();
  bool repeat_overload(std::uint64_t id, const reply& r, time_point now,
                       effects& out);

  // client_core.cpp
  void start(std::uint64_t id, time_point now, effects& out);
  void look_up(app& a, std::uint64_t id, time_point now, effects& out);
  void open_session(app& a, std::uint32_t shard, const std::string& key,
                    time_point now, effects& out);
  std::uint64_t internal(purpose what, app& a, const std::string& key,
                         time_point now);
  void pump(group& g, time_point now, effects& out);
  peer* find(const node_id& node);
  static bool drop(std::vector<node_id>& list, const node_id& node);
  void send_to_best(std::uint64_t id, time_point now, effects& out);
  void send(std::uint64_t id, peer& to, time_point now, effects& out);
  void retry_later(std::uint64_t id, time_point now, duration at_least = {});
  void check_silence(std::uint64_t id, time_point now, effects& out);
  void look(std::uint64_t id, time_point now, effects& out);
  [[nodiscard]] static time_point next_look(const pending& c);
  void schedule(std::uint64_t id, pending& c);

  // choice.cpp
  [[nodiscard]] static bool is_spread(const pending& c);
  [[nodiscard]] static bool has_node(const std::vector<node_id>& list,
                                     const node_id& node);
  [[nodiscard]] static std::optional<std::uint32_t> shard_for(const pending& c);
  [[nodiscard]] static shard_hint* hint_for(const pending& c);
  void learn(const pending& asked, const node_id& from,
             const client_reply_frame& f);
  peer* choose(const pending& c, time_point now);
  void peers_changed(time_point now);
  void begin_attempt(pending& c, const node_id& at, time_point now);
  void end_attempt(pending& c, const node_id& at, balanced_end how,
                   time_point now, duration retry_after = {});

  // answers.cpp
  void on_looked_up(std::uint64_t id, const node_id& from,
                    const client_reply_frame& f, time_point now, effects& out);
  void on_session(std::uint64_t id, reply r, time_point now, effects& out);
  void on_answer(std::uint64_t id, const node_id& from, reply r, time_point now,
                 effects& out);
  bool ask_elsewhere(std::uint64_t id, const node_id& not_here, time_point now,
                     effects& out);
  void on_expired(std::uint64_t id, reply r, time_point now, effects& out);
  void finish(std::uint64_t id, reply r, time_point now, effects& out);
  static void measure(const pending& c, reply_status how, time_point now);
  [[nodiscard]] reply out_of_time(const pending& c) const;

  std::uint64_t next_call_;
  std::vector<peer> peers_; ///< the preferred one first
  std::unordered_map<std::uint64_t, pending> calls_;
  std::map<std::string, app> apps_;
  seeded_random random_;
  balancer spread_; ///< over the linked peers
  std::uint64_t attempts_ = 0;
  std::size_t begun_ = 0;
  std::deque<app*> turns_; ///< apps with a backlog, who comes next
  bool beginning_ = false;
  std::size_t sweep_at_ = apps_max;
  double overload_budget_ = overload_reserve;
  std::uint64_t repeated_ = 0;
  std::uint64_t sessions_ = 0;
  std::uint64_t refused_ = 0;

  struct alarm {
    time_point at;
    std::uint64_t call;
    bool operator<(const alarm& o) const {
      return at != o.at ? at > o.at : call > o.call;
    }
  };
  /// One that isn't its call's `alarm_at` is stale, and skipped. Nearly all are
  /// set in the order of their times.
  std::deque<alarm> in_order_;
  std::priority_queue<alarm> alarms_;
};

} // namespace banyan
