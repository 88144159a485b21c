#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace banyan {

/// What an operator would want to know that it happened. The words of
/// `to_string` are the API's and on the wire: never changed.
enum class event_kind : std::uint8_t {
  // Every node sees these for itself.
  member_joined,
  member_alive,
  member_suspect,
  member_dead,
  member_left,
  failover,
  deployed,
  updated,
  removed,
  undeleted,
  conflict,          ///< one name, two apps
  region_unverified, ///< measured round trips contradict what a member claims
  region_verified,   ///< and no longer do
  node_probation,    ///< by its uptime; these change nothing without a policy
  node_held,
  node_evacuated, ///< its groups move away
  node_excluded,
  node_readmitted,
  observer_disagrees, ///< with all others, or with itself
  policy_changed,
  node_unlisted,   ///< a member that isn't on the list of allowed nodes
  node_refused,    ///< for want of it there: another node here, or this one
  policy_conflict, ///< two of one version: none is enforced
  // These are told to the others.
  leadership_moved,
  replica_added,
  replica_removed,
  replica_replaced,
  replica_given_up,
  state_lost,
  state_rebuilt,
  quarantined,
  states_differ, ///< and no majority agrees
  row_damaged,
  row_mended,
  log_damaged,
  host_failed,
  host_slow,
  poisoned,
  parked,
  unparked,
  stopped,
  started,
  module_fetched,
  module_refused,
  rollout_began,
  rollout_paused,
  rollout_ended,
  rolled_back,
  drain_began,
  drain_ended,
  peer_started,
  peer_stops,
  disk_full,
  secret_missing,
  keys_taken,   ///< of the HTTP door
  keys_refused, ///< and the old ones kept
  backup_taken,
  restored,
  recovered,
  instance_started,
  instance_stopped,
  instance_gave_way, ///< N others serve
  voter_goes_home,   ///< to where placement would have put it
  evacuation_began,  ///< by the mesh's policy
  evacuation_ended,
  excluded, ///< by the mesh's policy: the peer ends
  readmitted,
  events_left_out ///< more happened here than was told
};
[[nodiscard]] const char* to_string(event_kind k) noexcept;
/// Whether the other nodes only know of it when they are told.
[[nodiscard]] bool is_told(event_kind k) noexcept;

/// One thing that happened, as `GET /v1/events` shows it.
struct mesh_event {
  static constexpr std::size_t kind_bytes_max = 32;
  static constexpr std::size_t text_bytes_max = 1024;

  std::uint64_t number = 0; ///< of the node whose list this is; ascending
  std::int64_t at_unix_ms = 0;
  node_id node;     ///< who says so
  std::string kind; ///< a word of `to_string`, or of a later version
  std::string app;  ///< empty: it isn't about one
  std::optional<std::uint32_t> shard;
  std::optional<node_id> about; ///< the node that it happened to
  std::string text;             ///< for people; one line of UTF-8
};
/// As one JSON object.
[[nodiscard]] std::string event_json(const mesh_event& e);
/// 1 to `kind_bytes_max` of a–z and `_`.
[[nodiscard]] bool is_event_kind(std::string_view word) noexcept;
/// `text` without line breaks and other control characters, cut to `most`
/// bytes at a character's border.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t most);

/// So many at once, so many a second in the long run.
class ration {
public:
  ration(double per_second, double most) : rate_{per_second}, most_{most} {}
  [[nodiscard]] bool take(time_point now);

private:
  double rate_;
  double most_;
  std::optional<double> left_;
  time_point at_{};
};

/// The newest events that a node saw or heard of: at most `events_max` of them
/// and `bytes_max` of memory; the oldest go first. Lost with the process.
///
/// Numbers ascend across restarts too, as far as the clock does: each is at
/// least the milliseconds since 1970 times 1,024. So a reader goes on behind
/// the last number it has seen, after a restart and nearly on another peer.
class event_log {
public:
  static constexpr std::size_t events_max = 10'000;
  static constexpr std::size_t bytes_max = std::size_t{4} << 20;
  static constexpr std::uint64_t numbers_per_ms = 1024;

  explicit event_log(const node_id& self) : self_{self} {}

  /// Numbers and keeps an event of this node. The reference holds until the
  /// next one is added.
  const mesh_event& add(event_kind k, mesh_event e, std::int64_t unix_ms);
  /// Whether the others are told of what this node saw: rationed. What is left
  /// out is counted, and told with the first that may be told again.
  [[nodiscard]] bool may_tell(time_point now);
  /// How many weren't told since this was asked last.
  [[nodiscard]] std::uint64_t take_untold();

  /// Keeps what another node says it saw. False: it speaks for somebody else,
  /// too often, or again.
  bool hear(const node_id& from, mesh_event e, std::int64_t unix_ms,
            time_point now);

  /// Another process of that node: its numbers may begin anew.
  void met(const node_id& who) { speakers_.erase(who); }

  /// In order, those with a number above `after`. A number that was never
  /// given, from another peer or a clock that went back, means: all. Until `f`
  /// says false.
  template <class F>
  void each_after(std::uint64_t after, F f) const {
    for (auto i = first_after(after); i != events_.end(); ++i)
      if (!f(*i))
        return;
  }
  [[nodiscard]] std::uint64_t newest() const noexcept { return newest_; }
  [[nodiscard]] std::size_t size() const noexcept { return events_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
  [[nodiscard]] std::deque<mesh_event>::const_iterator
  first_after(std::uint64_t after) const;
  const mesh_event& keep(mesh_event e, std::int64_t unix_ms);

  struct speaker {
    std::uint64_t newest = 0; ///< of its own numbers
    ration left;
  };
  node_id self_;
  std::deque<mesh_event> events_;
  std::size_t bytes_ = 0;
  std::uint64_t newest_ = 0;
  ration own_{20, 200};
  std::uint64_t untold_ = 0;
  std::unordered_map<node_id, speaker> speakers_;
};

} // namespace banyan
