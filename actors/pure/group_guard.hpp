#pragma once
#include "crypto/mesh_key.hpp"
#include "net/link/link_table.hpp"

#include <map>
#include <optional>
#include <set>
#include <utility>

namespace banyan {

/// Who may speak Raft on which link: a group frame counts only on a link whose
/// far node has proved that it knows the group's secret (DESIGN section 4). So
/// a voter that slept through changes still accepts its new fellows, and no
/// other member can speak Raft. Proofs are bound to the link's handshake and
/// end with it. Pure; one per node.
class group_guard {
public:
  explicit group_guard(node_id self) : self_{self} {}

  /// The secret of all groups of an app, once this node knows it.
  void put_secret(const app_id& app, const secret_bytes<32>& secret);
  void forget(const app_id& app);
  [[nodiscard]] bool knows(const app_id& app) const;
  /// Null when unknown. Borrowed.
  [[nodiscard]] const secret_bytes<32>* secret(const app_id& app) const;

  /// The proof to send before the first frame of `group` on this link; none
  /// when it was given already, or when the secret is unknown.
  [[nodiscard]] std::optional<digest> prove(const net::link_info& link,
                                            const group_id& group);
  /// Takes the far node's proof; false when it is wrong. One for a group whose
  /// secret isn't known yet waits for it (at most `waiting_max` do).
  [[nodiscard]] bool on_proof(const net::link_info& link, const group_id& group,
                              const digest& proof);
  [[nodiscard]] bool may_speak(net::link_id link, const group_id& group) const;
  void on_link_gone(net::link_id link);

  static constexpr std::size_t waiting_max = 4096;

private:
  using on_link = std::pair<net::link_id, group_id>;
  node_id self_;
  std::map<app_id, secret_bytes<32>> secrets_;
  std::set<on_link> given_;
  std::set<on_link> taken_;
  struct waiting {
    net::link_info link;
    digest proof;
  };
  std::map<on_link, waiting> waiting_;
};

} // namespace banyan
