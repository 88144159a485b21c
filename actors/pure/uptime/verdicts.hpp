#pragma once
#include "actors/pure/uptime/score.hpp"

#include <map>
#include <optional>

namespace banyan {

/// How nodes stand, as one node judges them: by the documents that it keeps,
/// and in a mesh above 17, where those of others aren't kept, by what it
/// fetched. Of a node that was judged both ways what is kept here counts. Pure.
class verdict_book {
public:
  /// All are judged anew by the documents kept here. `full`: those are about
  /// everybody, and what was fetched while the mesh was larger is void.
  void begin(bool full);
  void judged(const node_id& node, const verdict& v) { kept_[node] = v; }
  void fetched(const node_id& node, const verdict& v) { fetched_[node] = v; }

  /// Of whom nothing is known: `normal`.
  [[nodiscard]] verdict of(const node_id& node) const;
  /// How it stands as far as anything acts on it: `normal` unless the policy is
  /// enforced.
  [[nodiscard]] standing acting(const node_id& node,
                                const mesh_policy& policy) const;
  /// By the documents kept here.
  [[nodiscard]] const std::map<node_id, verdict>& kept() const noexcept {
    return kept_;
  }
  /// The first at or behind `from` that was judged by what was fetched.
  [[nodiscard]] std::optional<node_id> next_fetched(const node_id& from) const;

private:
  std::map<node_id, verdict> kept_;
  std::map<node_id, verdict> fetched_;
};

} // namespace banyan
