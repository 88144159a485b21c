#pragma once
#include "base/ids.hpp"
#include "base/random.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace banyan {

struct balancer_options {
  duration latency_memory = 1s;   ///< after it a latency counts for 1/e
  duration latency_floor = 100us; ///< less than this is no difference
  /// A call under way for this long, and for eight times what the quickest
  /// instance takes, makes its instance the last choice until something ends
  /// there, and may be made a second time elsewhere.
  duration stuck_after = 100ms;
  std::uint32_t failures_to_eject = 3; ///< in a row
  duration eject_first = 1s;           ///< doubles each time in a row, up to
  duration eject_max = 60s;
  unsigned ejected_percent_max = 50; ///< at least one may always go
  duration slow_start = 5s; ///< until a new instance gets its full share
  /// Of that share. Beyond its share it is taken instead of one that costs as
  /// many times as much: of 0.1, ten times.
  double slow_start_from = 0.1;
  /// Another region's instance is taken when this one's cost more than so many
  /// times as much.
  double spill_ratio = 2.0;
  /// The caller's own instance is taken unless it costs more than so many times
  /// as much as one of the others: a call that stays needs no link.
  double self_ratio = 2.0;
  double retry_share = 0.1; ///< repeated calls, of all
  /// Repeats that a quiet router may do at once; new after `retry_refill`.
  double retry_reserve = 10;
  duration retry_refill = 10s;
  double retry_saved_max = 500;
};

/// One that can answer, as membership and placement have it.
struct balanced_instance {
  node_id node;
  bool near = true;  ///< in this node's region
  bool self = false; ///< on this node
  /// What a call there takes before any was made: the link's round trip.
  duration expected = 1ms;
};

/// How a call that went to an instance ended.
enum class balanced_end : std::uint8_t {
  answered,   ///< by the app, be it with an error of the app's own
  failed,     ///< no link, no host, no answer in its time
  overloaded, ///< it sent the call back at once
  given_up,   ///< by the caller; `failed` if that was after its patience
};

/// Spreads calls over the instances of one stateless app (or over the replicas
/// that may answer a stale read): of two taken at random the one with the lower
/// cost, calls under way × latency (Mitzenmacher 2001); the own node's is
/// always one of the two and stays while it costs little more. The latency is
/// the highest lately seen, decaying, and never less than the age of the oldest
/// call under way: an instance that has just frozen gets no second call of a
/// caller's. One that let a call hang is left alone for a moment, then tried
/// with one call and little patience, until it answers. Instances of this
/// node's region come first, others when they cost a fraction. Who fails
/// several calls in a row is left alone for a while (outlier ejection), then
/// tried with one call; who is new starts slowly. Repeating is bounded by a
/// budget (Google SRE book, ch. 22), or a failure under load would multiply it.
///
/// Pure; one per app and router. Tokens are the caller's, each used once.
class balancer {
public:
  /// `random` must outlive it.
  explicit balancer(random_source& random, balancer_options o = {});

  /// Those there are now. Who stays keeps its history, who comes starts slowly
  /// unless all are new. Calls under way at one that goes may still end.
  void set(const std::vector<balanced_instance>& now_there, time_point now);
  /// `node` begins anew: its instance was started again, or its link is up
  /// again. What was held against it is forgotten, and it starts slowly.
  void back(const node_id& node, time_point now);

  /// Where the next call goes; `tried` are left out as long as another is
  /// there. Nothing: there is no instance. With all of them ejected or stuck
  /// it takes what there is: bad instances beat none.
  [[nodiscard]] std::optional<node_id> choose(const std::set<node_id>& tried,
                                              time_point now);
  /// The same among `some` alone, for calls that only a part of all can answer
  /// (the voters of one shard); in place of `set`. Nobody of `some` untried:
  /// nothing.
  [[nodiscard]] std::optional<node_id>
  choose_of(const std::vector<balanced_instance>& some,
            const std::set<node_id>& tried, time_point now);

  void began(std::uint64_t token, const node_id& at, time_point now);
  /// An unknown token is ignored. Who is `overloaded` says for how long it
  /// wants to be left alone; at least 100 ms.
  void ended(std::uint64_t token, balanced_end how, time_point now,
             duration retry_after = {});
  /// How long a call may be under way before it is worth a second one elsewhere
  /// (for calls that may run twice). What the quickest instance takes is the
  /// measure: who is late earns itself no patience.
  [[nodiscard]] duration patience(time_point now) const;
  /// The same of a call at `node`: less if it was late, or failed, when it was
  /// last heard of.
  [[nodiscard]] duration patience_at(const node_id& node, time_point now) const;

  /// A new call (not a repeat of one) comes: its share goes into the budget.
  void count_call();
  /// Pays for one more attempt of a call; false when the budget is used up.
  [[nodiscard]] bool may_repeat(time_point now);

  struct look {
    node_id node;
    bool near = true;
    bool ejected = false;
    std::size_t under_way = 0;
    duration latency{};
  };
  /// For metrics, by node.
  [[nodiscard]] std::vector<look> looks(time_point now) const;
  [[nodiscard]] std::uint64_t ejections() const { return ejections_; }
  [[nodiscard]] std::size_t size() const { return instances_.size(); }

private:
  struct instance {
    bool near = true;
    bool self = false;
    duration latency{}; ///< as of `measured`; fades from then on
    time_point measured{};
    time_point since = time_point::min(); ///< slow start from here
    std::set<std::pair<time_point, std::uint64_t>> under_way;
    std::uint32_t failures = 0; ///< in a row
    std::uint32_t ejected_times = 0;
    time_point ejected_until = time_point::min();
    bool on_probation = false; ///< one call at a time until one is answered
    bool doubted = false;      ///< it let a call hang: likewise
    time_point doubted_until = time_point::min(); ///< left alone so long
    time_point loaded_until = time_point::min();
  };
  struct call {
    node_id at;
    time_point began;
    duration patience; ///< as it began: what became slow since excuses nothing
  };
  enum class fitness : std::uint8_t { well, last_choice };

  [[nodiscard]] fitness fit(const instance& i, time_point now) const;
  [[nodiscard]] double kept(const instance& i, time_point now) const;
  [[nodiscard]] duration faded(const instance& i, time_point now) const;
  [[nodiscard]] std::optional<duration> quickest(time_point now) const;
  [[nodiscard]] duration latency_of(const instance& i, time_point now) const;
  [[nodiscard]] double cost(const instance& i, time_point now) const;
  [[nodiscard]] double share(const instance& i, time_point now) const;
  using candidate = std::pair<const node_id*, const instance*>;
  [[nodiscard]] static instance fresh(const balanced_instance& one, bool slowly,
                                      time_point now);
  const candidate* better_of_two(const std::vector<candidate>& list,
                                 time_point now);
  std::optional<node_id> best_of(const std::vector<candidate>& list,
                                 time_point now);
  void measure(instance& i, duration took, time_point now);
  void eject(instance& i, time_point now);

  random_source& random_;
  balancer_options options_;
  static constexpr std::size_t met_max = 256; ///< by `choose_of`
  std::map<node_id, instance> instances_;
  std::map<std::uint64_t, call> calls_;
  double retries_saved_;
  time_point refilled_{};
  std::uint64_t ejections_ = 0;
};

} // namespace banyan
