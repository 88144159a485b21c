#pragma once
#include "actors/pure/uptime/policy.hpp"
#include "base/bytes.hpp"
#include "base/time.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

/// What an enforced policy does to a node whose uptime is too low (DESIGN
/// section 10). Pure: time comes in, decisions go out.
namespace banyan {

/// What a node does about its own standing. It evacuates itself with the same
/// machinery that drains it (`drain`, one move at a time and never by force),
/// so each group keeps its quorum and none loses its last copy; what can't go
/// stays, and with it the node. Once it is empty, and too bad to stay, it ends.
/// One per node; asked every tick.
class evacuation {
public:
  enum class step : std::uint8_t {
    none,
    begin,  ///< move everything away
    end,    ///< it may keep what is left
    exclude ///< nothing is left: say why and exit
  };
  /// `as`: how this node stands while the policy is enforced, else `normal`.
  /// `held`: replicas and instances here, those that are being made too.
  step on_tick(standing as, std::size_t held, time_point now);
  [[nodiscard]] bool on() const noexcept { return on_; }

  /// Empty for so long: nothing comes any more.
  static constexpr duration empty_for = std::chrono::seconds{10};
  static constexpr std::size_t moves_at_once = 1;

private:
  bool on_ = false;
  time_point empty_since_ = never;
};

/// A group that this node leads, as `evictions` is asked about it.
struct eviction_group {
  group_id group;
  std::vector<node_id> voters;
  std::int32_t redundancy = 0; ///< voters there beyond a majority
};
struct eviction {
  group_id group;
  node_id from;
};

/// What leaders do about a node that doesn't evacuate itself: it lies about its
/// uptime, say, or reads other documents. Each leader moves its groups' voters
/// away from there, one at a time. One per node; asked every tick.
class evictions {
public:
  /// `leaving`: nodes that say that they are drained or evacuated.
  void see(const std::map<node_id, standing>& standings,
           const std::set<node_id>& leaving, time_point now);
  /// The next, most redundancy last; nothing while one is under way.
  std::optional<eviction> next(const std::vector<eviction_group>& led,
                               time_point now);
  [[nodiscard]] const eviction* running() const {
    return running_ ? &*running_ : nullptr;
  }
  /// It is done, or can't be done now.
  void over(time_point now);
  [[nodiscard]] bool hangs(time_point now) const {
    return running_ && now >= began_ + give_up;
  }

  static constexpr duration patience = std::chrono::hours{1};
  static constexpr duration give_up = std::chrono::minutes{10};
  static constexpr duration again_after = std::chrono::minutes{10};

private:
  std::map<node_id, time_point> idle_; ///< that should go and don't, since
  std::unordered_map<group_id, time_point> tried_;
  std::optional<eviction> running_;
  time_point began_{};
};

/// Why a node was excluded, as it keeps it on its disk. A peer that finds it at
/// its start says the same words again and doesn't join.
struct exclusion {
  std::string why;
  /// Readmitted then, on probation: nobody has seen it for a whole window.
  std::int64_t until_unix_ms = 0;
};
/// `score`: over the policy's window, if known.
[[nodiscard]] exclusion exclusion_of(std::optional<basis_points> score,
                                     const mesh_policy& policy,
                                     std::int64_t now_unix_ms);
/// What the peer says as it ends, and at each start until it is readmitted.
[[nodiscard]] std::string words_of(const exclusion& e);
[[nodiscard]] bytes encode(const exclusion& e);
[[nodiscard]] bool decode(const_bytes in, exclusion& out);
inline constexpr std::size_t exclusion_text_bytes_max = 1024;

} // namespace banyan
