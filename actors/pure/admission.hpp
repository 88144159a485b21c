#pragma once
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
  std::size_t peer_max = 4096; ///< of groups that one other peer leads
  /// In all; an app below its even share of them may have that, too.
  std::size_t waiting_max = 8192;
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
/// Pure; one per router. Tokens are the caller's, each used once.
class admission {
public:
  explicit admission(admission_options o = {});

  struct call {
    std::uint64_t token = 0;
    group_id group;
    node_id peer;       ///< that leads it now; none: not known, or this one
    std::string client; ///< whom bounds count it to; empty: nobody
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

  /// Set when a call for this group would be refused whatever it is: for doors
  /// that want to know before they read it.
  [[nodiscard]] std::optional<answer> refusal(const group_id& group,
                                              const std::string& client) const;
  /// The same, and it counts as a call that was refused.
  std::optional<answer> turn_away(const group_id& group,
                                  const std::string& client);

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

  [[nodiscard]] std::size_t limit() const { return limit_; }
  [[nodiscard]] std::size_t under_way() const { return under_way_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  [[nodiscard]] std::uint64_t late() const { return late_; }

private:
  struct entry {
    call c;
    bool waits = false;
    time_point asked;
    time_point began; ///< when it went
  };
  struct app_queue {
    std::map<std::uint32_t, std::deque<std::uint64_t>> groups;
    std::uint32_t next = 0; ///< the shard whose turn it is, or the one behind
    std::size_t size = 0;
  };

  [[nodiscard]] bool has_place(const call& c) const;
  [[nodiscard]] bool is_behind(const group_id& group) const;
  [[nodiscard]] bool is_full(const app_id& app) const;
  [[nodiscard]] std::size_t group_max() const;
  [[nodiscard]] duration wait_of(const app_id& app) const;
  [[nodiscard]] duration waited_at(const group_id& group, time_point now) const;
  answer refuse(duration wait, const char* why);
  void begin(entry& e, time_point now);
  void leave_queue(const entry& e);
  std::optional<std::uint64_t> next_of(app_queue& q);
  void drop_late(time_point now, turn& out);
  void measure(duration took, time_point now);
  void adapt(time_point now);
  template <class Map, class Key>
  static void uncount(Map& map, const Key& key);

  admission_options options_;
  std::size_t limit_;
  std::unordered_map<std::uint64_t, entry> calls_; ///< all but the exempt
  std::size_t under_way_ = 0;
  std::unordered_map<group_id, std::size_t> per_group_;
  std::unordered_map<app_id, std::size_t> per_app_;
  std::unordered_map<node_id, std::size_t> per_peer_;
  std::unordered_map<std::string, std::size_t> per_client_;
  std::map<app_id, app_queue> queues_;
  app_id turn_;                                            ///< who comes next
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
