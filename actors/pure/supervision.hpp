#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"
#include "store/types.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

/// What supervisors decide with. Pure: time comes in, decisions go out.
namespace banyan {

struct ladder_config {
  std::array<duration, 5> delays{0ms, 50ms, 200ms, 1000ms, 5000ms};
  std::size_t budget = 5; ///< failures in `window` that are met by a restart
  duration window = 60s;
  /// A host that can't run turns for longer than this is slower than handing
  /// leadership to a voter whose host is well.
  duration elsewhere_after = 100ms;
  duration parked_retry = 30s; ///< doubles with each retry that fails, up to
  duration parked_retry_max = 10min;
};

/// The restarts of one app's host on one node: after 0, 50, 200, 1,000 and
/// then 5,000 ms; a failure more than `budget` in the window exhausts it, and
/// leadership should go elsewhere (see `after_exhaustion`).
///
/// What an operator does is announced with `operator_stops` and consumes
/// nothing.
class restart_ladder {
public:
  explicit restart_ladder(ladder_config cfg = {}) : cfg_{cfg} {}

  /// The host failed. @returns when to start it again.
  time_point failed(time_point now);
  /// An operator stops or restarts it: the next end of the host is no failure.
  void operator_stops() { excused_ = true; }
  /// An operator starts it, or another version is there: everything anew.
  void reset();
  /// It runs again; a parked one that runs for a whole window is well.
  void started(time_point now);

  /// More failures than the budget within the window before `now`, or parked.
  [[nodiscard]] bool exhausted(time_point now) const;
  /// Its newest restart had to wait for longer than a hand-over takes, and the
  /// failures that made it so still count: other voters lead better.
  [[nodiscard]] bool worn(time_point now) const;
  /// When `exhausted`, `worn` or `recovered` may say something else although
  /// nothing happened; `never` if not at all.
  [[nodiscard]] time_point next_change(time_point now) const;
  /// Everybody gave up: from now on slow retries only.
  void park();
  [[nodiscard]] bool parked() const noexcept { return parked_; }
  /// True once a parked app ran through a whole window without failing.
  [[nodiscard]] bool recovered(time_point now) const;
  /// Failures that count at `now`.
  [[nodiscard]] std::size_t failures(time_point now) const;

private:
  ladder_config cfg_;
  std::deque<time_point> failures_;
  std::optional<time_point> running_since_;
  duration retry_{};
  bool parked_ = false;
  bool excused_ = false;
};

/// What a leader does about an app whose ladder is exhausted on its node, or
/// worn: then it moves or stays.
struct exhaustion_step {
  enum class kind : std::uint8_t {
    stay, ///< Nobody better is there right now; the ladder goes on.
    move, ///< Hand leadership over to `to`.
    park, ///< It is the same on every voter.
  };
  kind what = kind::stay;
  node_id to;
};
/// `voters` in order of preference, `exhausted` those whose ladder is, and
/// `reached` those that can take over. Only when *all* voters are exhausted is
/// the app parked: one that is away may have a machine that it runs on.
exhaustion_step after_exhaustion(const node_id& self,
                                 const std::vector<node_id>& voters,
                                 const std::set<node_id>& exhausted,
                                 const std::set<node_id>& reached);

struct replacement_config {
  duration replace_after = 5min;
  duration other_region_after = 10s; ///< or `replace_after`, if shorter
};

/// Which voters of one group are due for replacement. Its leader feeds it.
class voter_watch {
public:
  explicit voter_watch(replacement_config cfg = {}) : cfg_{cfg} {}

  void set_config(replacement_config cfg) { cfg_ = cfg; }
  /// The voters as configured now: others are forgotten, new ones count as
  /// reached.
  void set_voters(const std::vector<replica_ref>& voters);
  void reached(const replica_ref& voter);
  void unreached(const replica_ref& voter, time_point now);
  /// It said `no such replica`: at once, and for good.
  void give_up(const replica_ref& voter, time_point now);
  /// Unreached, and its node is to become empty: at once, until either ends.
  void drained(const replica_ref& voter, time_point now);

  struct due {
    replica_ref voter;
    bool any_region = false; ///< else only the region of the lost one
  };
  /// The voter that waits longest, once it is due. One at a time: a group
  /// changes one voter in one joint change.
  [[nodiscard]] std::optional<due> next(time_point now) const;
  /// When `next` may say something else.
  [[nodiscard]] time_point deadline(time_point now) const;

private:
  enum class why : std::uint8_t { unreached, drained, gone };
  struct loss {
    time_point since;
    why how = why::unreached;
  };
  void lose(const replica_ref& voter, time_point now, why how);
  [[nodiscard]] time_point due_at(const loss& l) const;
  [[nodiscard]] duration patience() const;

  replacement_config cfg_;
  std::set<replica_ref> voters_;
  std::map<replica_ref, loss> lost_;
};

/// A copy of a group that somebody wants to make.
struct transfer {
  group_id group;
  node_id from; ///< who sends the snapshot: the leader
  node_id to;
  /// Voters that are there beyond a majority; negative: no quorum.
  std::int32_t redundancy = 0;
};

struct transfer_limits {
  std::size_t in_max = 2;  ///< per node
  std::size_t out_max = 2; ///< per node
};

/// Which of `wanted` may begin beside those that `run`: at most two into and
/// two out of each node, least redundancy first, then by group. Indexes into
/// `wanted`, in that order.
std::vector<std::size_t> transfers_to_begin(const std::vector<transfer>& wanted,
                                            const std::vector<transfer>& run,
                                            transfer_limits limits = {});

/// A replica as its own node sees it that is asked for another one. Leaders
/// know only of the copies that they make themselves, so who gets them counts.
struct replica_here {
  /// Since it was made, empty, for a group that lives; nothing: in an earlier
  /// life of the node, or with its group.
  std::optional<duration> age;
  /// As its leader told everybody last.
  enum class told : std::uint8_t {
    nothing,  ///< it isn't named (yet)
    catching, ///< a learner on its way
    follows,  ///< a learner that is as far as the others
    votes
  };
  told as = told::nothing;
};
/// A replica that no leader names by then is on its way no more: who asked for
/// it has gone, or took another.
inline constexpr duration arrival_patience = std::chrono::seconds{60};

/// Whether a node may begin to take in one more copy: at most two at once.
bool may_take_in(const std::vector<replica_here>& here,
                 transfer_limits limits = {});

/// So long a leader asks one and the same node again that takes in others.
inline constexpr duration intake_patience = std::chrono::seconds{60};

/// A leader's waits for nodes that placement names for new replicas, for all of
/// its groups: what a node takes in first may never come to its end.
class intake_waits {
public:
  /// It said "later". False: it has for `intake_patience` now and took nothing,
  /// and another one is to be asked. Who says so after a silence as long begins
  /// anew.
  bool goes_on(const node_id& node, time_point now);
  /// It took one in, or won't at all.
  void over(const node_id& node) { waits_.erase(node); }

private:
  struct wait {
    time_point since;
    time_point last;
  };
  std::map<node_id, wait> waits_;
};

} // namespace banyan
