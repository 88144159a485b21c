#pragma once
#include "actors/pure/fair_bound.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace banyan {

struct admission_options {
  /// Calls under way in all; the present limit moves between these.
  std::size_t limit_min = 256;
  std::size_t limit_start = 1024;
  std::size_t limit_max = 8192;
  std::size_t client_max = 1024; ///< under way and waiting, of one client
  /// Of one group: a quarter of the limit, and at least so many.
  std::size_t group_min = 256;
  std::size_t peer_max = 4096;    ///< of groups that one other peer leads
  std::size_t waiting_max = 8192; ///< in all
  /// Of arguments, under way and waiting, in all and of one client.
  std::size_t bytes_max = std::size_t{256} << 20U;
  std::size_t client_bytes_max = std::size_t{64} << 20U;
  duration retry_min = 10ms; ///< bounds of what `retry_after` says
  duration retry_max = 2s;
  duration adapt_every = 100ms;
  std::size_t adapt_memory = 100; ///< rounds that the quickest one counts for
  std::size_t samples_min = 10;   ///< for a round to say anything
};

/// Which calls a peer takes on, which wait at its door and which go away: so
/// that too many callers cost the surplus and not everybody. What is refused or
/// late here was handed to nobody: `overloaded` and `deadline` are true.
///
/// The limit of calls under way follows their latency, as TCP's window does
/// (additive increase, multiplicative decrease; Netflix's concurrency limits):
/// it falls while the median is over three times the lowest of the last ten
/// seconds. Who finds it reached waits, by group; a freed place goes to the
/// next app in turn, within it to the next group in turn: one hot app or group
/// starves no other. What could not be answered by its deadline any more leaves
/// the queue first, and doesn't enter it.
///
/// Places under way, places that wait and bytes of arguments are shared by
/// apps (actors/pure/fair_bound.hpp): an app below its even share finds a place
/// whatever the others hold. Who finds no room for its bytes is refused and
/// never waits: waiting would hold them. A client may hold as many bytes as it
/// leaves to the others, and `client_bytes_max` at most: so a few clients of
/// one app leave something to the next one.
///
/// Pure; one per router. Tokens are the caller's, each used once.
class admission {
public:
  explicit admission(admission_options o = {});
  admission(const admission&) = delete;
  admission& operator=(const admission&) = delete;
  admission(admission&&) = default;
  admission& operator=(admission&&) = default;

  struct call {
    std::uint64_t token = 0;
    group_id group;
    node_id peer;          ///< that leads it now; none: not known, or this one
    std::string client;    ///< whom bounds count it to; empty: nobody
    std::size_t bytes = 0; ///< that it holds here until it ended
    time_point until;
    /// Takes no place and never waits: what waits by design (watches), or is
    /// part of another call (sessions).
    bool exempt = false;
  };
  enum class verdict : std::uint8_t { go, wait, refuse };
  struct answer {
    verdict what = verdict::go;
    duration retry_after{}; ///< with `refuse`
    const char* why = "";   ///< with `refuse`, for people
  };
  answer ask(const call& c, time_point now);

  /// Set when a call for this group, of so many bytes, would be refused
  /// whatever it is: for doors that want to know before they read it.
  [[nodiscard]] std::optional<answer> refusal(const group_id& group,
                                              const std::string& client,
                                              std::size_t bytes) const;
  /// The same, and it counts as a call that was refused.
  std::optional<answer> turn_away(const group_id& group,
                                  const std::string& client, std::size_t bytes);

  /// A call that went, or waits, is over. Its latency counts unless it waited
  /// for something else than this mesh's work (`sample` false): a failover, a
  /// repeat.
  void ended(std::uint64_t token, bool sample, time_point now);

  struct turn {
    std::vector<std::uint64_t> go;   ///< waited; may go now
    std::vector<std::uint64_t> late; ///< waited in vain: `deadline`
  };
  /// After `ended`, and when `deadline()` is reached.
  turn release(time_point now);
  [[nodiscard]] time_point deadline() const;

  [[nodiscard]] std::size_t limit() const { return under_way_.max; }
  [[nodiscard]] std::size_t under_way() const { return under_way_.used; }
  [[nodiscard]] std::size_t waiting() const { return places_.used; }
  [[nodiscard]] std::size_t bytes() const { return bytes_.used; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  [[nodiscard]] std::uint64_t late() const { return late_; }

private:
  struct entry;
  /// Those that wait are chained through their entries, the first first.
  struct group_state {
    std::size_t under_way = 0;
    entry* first = nullptr;
    entry* last = nullptr;
  };
  /// Of an app with calls here.
  struct app_state {
    app_id id;
    std::size_t under_way = 0;
    std::size_t waiting = 0;
    std::size_t bytes = 0;
    std::map<std::uint32_t, group_state> groups; ///< by shard
    std::map<std::uint32_t, group_state*> queue; ///< where some wait
    std::uint32_t next = 0; ///< the shard whose turn it is, or the one behind
  };
  struct client_state {
    std::size_t calls = 0;
    std::size_t bytes = 0;
  };
  using clients = std::unordered_map<std::string, client_state>;
  struct entry {
    std::uint64_t token = 0;
    std::uint32_t shard = 0;
    bool waits = false;
    app_state* app = nullptr;
    group_state* group = nullptr;
    clients::value_type* client = nullptr; ///< none: nobody's
    node_id peer;
    std::size_t bytes = 0;
    time_point until;
    time_point asked;
    time_point began; ///< when it went
    entry* before = nullptr;
    entry* behind = nullptr;
  };
  /// What there is of a call's app and group.
  struct found {
    const app_state* app = nullptr;
    const group_state* group = nullptr;
    std::size_t apps = 0; ///< with calls here, this one too
  };

  [[nodiscard]] found look(const group_id& group) const;
  [[nodiscard]] const char* refused_for(const found& f,
                                        const std::string& client,
                                        std::size_t bytes) const;
  [[nodiscard]] bool app_has_place(const app_state* app,
                                   std::size_t apps) const;
  [[nodiscard]] bool group_has_place(const group_state& g) const;
  [[nodiscard]] bool peer_has_place(const node_id& peer, const app_state* app,
                                    std::size_t apps) const;
  [[nodiscard]] bool may_go(const found& f, const node_id& peer) const;
  [[nodiscard]] bool queue_is_full(const found& f) const;
  [[nodiscard]] duration wait_of(const app_state* app) const;
  [[nodiscard]] duration hint(duration wait) const;
  answer refuse(duration wait, const char* why);
  entry& enter(const call& c, time_point now);
  void begin(entry& e, time_point now);
  void join_queue(entry& e);
  void leave_queue(entry& e);
  entry* next_of(app_state& app);
  void drop_late(time_point now, turn& out);
  void measure(duration took);
  void adapt(time_point now);

  admission_options options_;
  fair_bound under_way_; ///< `max` is the limit
  fair_bound places_;    ///< that wait
  fair_bound bytes_;
  std::unordered_map<std::uint64_t, entry> calls_; ///< all but the exempt
  std::unordered_map<app_id, app_state> apps_;
  clients clients_;
  std::unordered_map<node_id, std::size_t> per_peer_;
  std::map<app_id, app_state*> queues_; ///< with some waiting
  app_id turn_;                         ///< who comes next
  std::set<std::pair<time_point, std::uint64_t>> waiting_; ///< by deadline
  duration usual_ = 1ms; ///< moving mean of latencies
  bool reached_ = false; ///< the limit, in this round
  time_point round_{};   ///< its end
  std::vector<duration> samples_;
  std::deque<duration> medians_;
  std::uint64_t refused_ = 0;
  std::uint64_t late_ = 0;
};

} // namespace banyan
