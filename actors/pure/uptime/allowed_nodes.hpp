#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace banyan {

/// Which nodes may be in a mesh, as part of its policy (DESIGN section 4): for
/// meshes of several operators, where the mesh key alone lets too many in. A
/// value; copies share the lists. Pure.
///
/// Nobody is evicted by it. Who is a member already and isn't on the list goes
/// on: it keeps what it has, down to a last copy, and takes nothing new. Those
/// are named as `leaving`, so that whoever comes later meets them, too.
class allowed_nodes {
public:
  static constexpr std::size_t allowed_max = 16'384;
  static constexpr std::size_t leaving_max = 1'024;

  /// No list: everybody with the mesh key may come.
  allowed_nodes() = default;
  /// In any order. Whoever is in both is allowed.
  allowed_nodes(std::vector<node_id> allowed, std::vector<node_id> leaving);

  /// Without one everything below is true, and nobody leaves.
  [[nodiscard]] bool is_list() const noexcept;
  /// It may come, and takes new replicas.
  [[nodiscard]] bool allows(const node_id& node) const;
  [[nodiscard]] bool leaves(const node_id& node) const;
  /// Every member links to it and takes it as a member.
  [[nodiscard]] bool lets_in(const node_id& node) const {
    return allows(node) || leaves(node);
  }

  /// @name Ascending
  /// @{
  [[nodiscard]] const std::vector<node_id>& allowed() const noexcept;
  [[nodiscard]] const std::vector<node_id>& leaving() const noexcept;
  /// @}

  /// Empty when it can be signed.
  [[nodiscard]] std::string why_invalid() const;

  friend bool operator==(const allowed_nodes& a, const allowed_nodes& b) {
    return a.allowed() == b.allowed() && a.leaving() == b.leaving();
  }

private:
  struct lists {
    std::vector<node_id> allowed, leaving;
  };
  std::shared_ptr<const lists> of_;
};

/// Ids one behind the other, ascending: how a policy holds them.
[[nodiscard]] bytes packed_ids(const std::vector<node_id>& ids);
/// False unless `in` is ascending ids, each once.
[[nodiscard]] bool unpack_ids(const_bytes in, std::vector<node_id>& out);

/// A file of node ids, one a line as `banyan members` shows them; `#` begins a
/// comment. False, with the line in `why`, when one isn't a whole id.
[[nodiscard]] bool read_ids(std::string_view text, std::vector<node_id>& out,
                            std::string& why);

} // namespace banyan
