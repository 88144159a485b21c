#pragma once
#include "actors/pure/moves_wire.hpp"
#include "base/time.hpp"
#include "store/types.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

/// What operators' moves are decided with: whether a replica may leave its
/// node, what a drained node does next, and whom an order still has to reach.
/// Pure: time comes in, decisions go out.
namespace banyan {

/// A replica as whoever judges a departure sees it.
struct replica_standing {
  replica_ref who;
  bool reached = true; ///< its node is heard
  bool current = true; ///< its log is within a batch, its state is whole
  bool stays = true;   ///< its node isn't drained itself
};
struct group_standing {
  std::string name; ///< `ledger/3`
  std::vector<replica_standing> voters;
  std::vector<replica_standing> learners;
  bool led = true;        ///< a leader is known and heard
  bool candidate = true;  ///< another node may take a replica
  std::string why_nobody; ///< when there is none: `2 for its region`
};

/// Whether the replica on one node may leave its group.
struct departure {
  enum class kind : std::uint8_t {
    gone,    ///< It is not there (any more).
    replace, ///< A learner takes its place, in one joint change.
    remove,  ///< A learner that goes without another.
    shrink,  ///< Forced: the group goes on with fewer voters.
    wait,    ///< Not now.
    refuse,  ///< Not without `--force`.
    last     ///< Not even so: it holds the last copy.
  };
  kind what = kind::gone;
  std::string why;                 ///< of the last three: cause and next step
  std::vector<replica_ref> demote; ///< shrink: these voters become learners
};
/// No group falls below its quorum, none loses its last voter, and a healthy
/// voter stays while another is missing: that one is replaced first. A learner
/// on a node that stays, or a further node, takes the place; with neither,
/// `force` lets the voters shrink to the next odd number when a majority of
/// those that remain is up and current.
departure judge_departure(const group_standing& g, const node_id& from,
                          bool force);
/// Voters that are there beyond a majority; negative: no quorum.
std::int32_t redundancy_of(const group_standing& g);

/// A replica of the node that is drained.
struct drained_replica {
  group_id group;
  std::string name;
  bool leads = false;
  bool has_heir = false; ///< another voter may take over the lead
  std::int32_t redundancy = 0;
};

/// What a node does while it is drained: leaderships first, then replicas, two
/// at a time unless said otherwise, least redundancy first. The groups' leaders
/// carry the moves out; this asks them again each second, so that a new leader
/// goes on where the old one was. One per node.
class drain {
public:
  explicit drain(std::size_t moves_at_once = moves_max)
      : at_once_{moves_at_once} {}

  /// Again: `force` may come late.
  void begin(bool force, time_point now);
  void cancel();
  [[nodiscard]] bool on() const noexcept { return on_; }
  [[nodiscard]] bool force() const noexcept { return force_; }

  struct steps {
    std::vector<group_id> hand_over;
    std::vector<group_id> ask; ///< their leaders, to move this node's replica
  };
  /// `here`: all replicas that this node holds.
  steps on_tick(const std::vector<drained_replica>& here, time_point now);
  void on_answer(const group_id& g, const operator_answer& a, time_point now);
  [[nodiscard]] drain_notice notice() const;

  static constexpr std::size_t moves_max = 2;
  static constexpr std::size_t hand_overs_max = 4; ///< begun in one step
  static constexpr duration ask_again = std::chrono::seconds{1};
  static constexpr duration hand_over_again = std::chrono::seconds{2};
  /// After a leader said `later`: others get their turn.
  static constexpr duration later_pause = std::chrono::milliseconds{500};
  static constexpr duration refused_pause = std::chrono::seconds{3};
  /// A leader that says nothing for so long blocks its group.
  static constexpr duration silence_max = std::chrono::seconds{5};

private:
  struct move {
    bool running = false;
    time_point next{};  ///< asked then
    time_point heard{}; ///< the leader's last answer, or the first question
    std::string blocked;
  };
  void estimate(time_point now);

  std::size_t at_once_;
  bool on_ = false;
  bool force_ = false;
  time_point began_{};
  std::size_t most_ = 0; ///< replicas there were
  std::map<group_id, move> moves_;
  std::map<group_id, time_point> handed_;
  std::map<group_id, std::string> names_;
  drain_notice told_;
};

/// The weight in a node's record: none while it is drained. Those that it has
/// no link with hear no notice, and place nothing there by this. One per node.
class drained_weight {
public:
  /// `is`: as the record says it now. @returns what it is to say instead.
  [[nodiscard]] std::optional<std::uint32_t> on_tick(bool drained,
                                                     std::uint32_t is);

private:
  std::uint32_t usual_ = 0; ///< 0: none was seen
};

/// It isn't over, and not all that is left waits for something: what may have
/// to wait for weeks stands in nobody's way.
[[nodiscard]] bool moves_on(const drain_notice& d);

/// One order to the leader of every group of an app, until each has answered or
/// time is up.
class group_orders {
public:
  group_orders(std::uint32_t shards, time_point until);

  /// Shards whose leader is to be asked now.
  std::vector<std::uint32_t> on_tick(time_point now);
  /// False: that shard had its end already.
  bool on_answer(std::uint32_t shard, const operator_answer& a);
  /// Every shard has its end, or time is up.
  [[nodiscard]] bool over(time_point now) const;

  struct shard_state {
    bool answered = false;
    bool done = false;
    std::string why; ///< what was heard last
    time_point next{};
  };
  [[nodiscard]] const std::vector<shard_state>& shards() const {
    return shards_;
  }
  static constexpr duration ask_again = std::chrono::milliseconds{300};

private:
  std::vector<shard_state> shards_;
  time_point until_;
};

} // namespace banyan
