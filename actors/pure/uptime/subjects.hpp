#pragma once
#include "net/membership/rings.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace banyan {

/// Who writes down whose uptime, in one node's view of the members: as in
/// DESIGN section 5, but that who is dead stays a subject, of those before it
/// on the rings, until it says goodbye.
///
/// Whose word counts is answered for days that are past, when others may have
/// been dead or not yet there: on each ring the `reach` members before a node.
/// So a member chooses whom it may judge no more than whom it may accuse. Pure.
class uptime_subjects {
public:
  enum class state : std::uint8_t { living, dead, left };
  static constexpr unsigned reach = 4;

  explicit uptime_subjects(const mesh_id& mesh)
      : order_{std::make_shared<net::ring_order>(mesh)} {}

  /// True: something changed.
  bool put(const node_id& node, state s);

  /// Nobody is on rings: everybody observes everybody.
  [[nodiscard]] bool full() const noexcept {
    return living_ <= net::full_mesh_max;
  }
  struct subject {
    node_id node;
    bool dead = false;
  };
  /// Those whom `self` observes now, the living before the dead.
  [[nodiscard]] std::vector<subject> subjects_of(const node_id& self) const;
  /// Those that observe `about` now.
  [[nodiscard]] std::vector<node_id> observers_of(const node_id& about) const;
  /// Whether the word of one counts about the other.
  [[nodiscard]] bool counts(const node_id& observer,
                            const node_id& about) const;
  [[nodiscard]] bool is_member(const node_id& node) const {
    return states_.count(node) != 0;
  }

private:
  std::shared_ptr<net::ring_order> order_;
  std::map<node_id, state> states_;
  std::vector<state> by_index_;
  std::size_t living_ = 0;
};

} // namespace banyan
