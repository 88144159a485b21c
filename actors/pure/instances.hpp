#pragma once
#include "actors/pure/why.hpp"
#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <variant>
#include <vector>

namespace banyan {

/// The version `number` shall run here.
struct start_instance {
  std::uint64_t number = 0;
};
/// Why calls are served here no more.
enum class instance_end : std::uint8_t {
  none = 0, ///< they are
  host,     ///< it failed: its next start serves again
  spare,    ///< N others serve
  leaving,  ///< this node is drained, or stops
  gone      ///< the app is
};
/// Calls are served by version `number` here from now on (again), or no more.
struct tell_instance {
  std::uint64_t number = 0;
  bool up = false;
  instance_end why = instance_end::none;
};
/// The host of that version may end.
struct stop_instance {
  std::uint64_t number = 0;
};
using instance_step =
    std::variant<start_instance, tell_instance, stop_instance>;

/// What a node sees of one stateless app as it decides.
struct instance_facts {
  struct host {
    bool begun = true; ///< false: it lacks something, and is to start again
    bool up = false;
    std::size_t outstanding = 0; ///< calls that it still runs
  };
  bool placed = false;  ///< here, by the placement as this node reads it
  bool covered = true;  ///< not needed though another was chosen: `is_covered`
  bool leaving = false; ///< an operator drains this node, or it stops
  bool evacuated = false;   ///< the mesh's policy empties it
  std::uint64_t wanted = 0; ///< the newest version; 0: the app is gone
  std::map<std::uint64_t, host> hosts; ///< of versions that were started
};

/// Who runs the instances of a stateless app, of all members as one node reads
/// them, in placement order.
///
/// - Those that take new replicas; on hold those that serve already.
/// - Where the policy leaves none of those that take new ones, those on hold
///   come too, and where even they are none, those that are evacuated: served
///   from there is better than not at all. Then who serves stays, and others
///   come only until there are N.
[[nodiscard]] placed place_instances(const digest& hash,
                                     const placement_need& need,
                                     const std::vector<why_member>& members);

/// Whether `self`, which wasn't chosen, isn't needed either.
///
/// - It serves: were there only those that do, N others would come before it.
///   Where it is evacuated and others aren't, one that serves is enough.
/// - It doesn't serve now: as long as it is on hold nobody would choose it
///   again, so it is needed until N others serve.
/// - Where nobody serves it is needed.
[[nodiscard]] bool is_covered(const digest& hash, const placement_need& need,
                              const std::vector<why_member>& members,
                              const node_id& self, bool serving);

/// Keeps one stateless app on one node: every node judges for itself, by its
/// own reading of membership and spec, so that there are N instances again soon
/// after whatever happened. Two readings that differ make a surplus or a
/// shortage for a while, nothing worse. Pure; one per app and node.
///
/// - Placed here: it starts at once, and is told to be up when its host is.
/// - Not placed here and not needed in the place of one that doesn't serve, for
///   `spare_after` without a break: told down, and stopped when nothing is
///   outstanding, or after `drain_max`. So a member that flaps moves nothing,
///   and one that can't serve takes nobody's place.
/// - The node is drained or stops: told down at once.
/// - The policy empties it: told down once others serve in its place, and never
///   where it is the place. Being chosen stands against being covered: what was
///   found before the policy spoke says nothing.
/// - A new version starts beside the old one and takes over when it is up; the
///   old one then drains. One that never comes up leaves the old one serving,
///   one that never began goes with the next.
/// - A host that fails is told down, and up again with its next start.
class instance_keeper {
public:
  static constexpr duration spare_after = std::chrono::seconds{10};
  static constexpr duration drain_max = std::chrono::seconds{15};

  /// Call once a second at least, and when a host comes up or fails.
  void on_tick(const instance_facts& f, time_point now,
               std::vector<instance_step>& out);
  /// The version that was told to be up; 0: none.
  [[nodiscard]] std::uint64_t serving() const noexcept { return serving_; }

private:
  [[nodiscard]] bool stays(const instance_facts& f, time_point now);

  time_point spare_since_ = never;
  std::uint64_t serving_ = 0;
  std::map<std::uint64_t, time_point> draining_; ///< versions, since
};

} // namespace banyan
