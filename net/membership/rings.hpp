#pragma once
#include "base/ids.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

/// Who watches whom in a mesh that is too large for everybody to watch
/// everybody: eight rings, each a hash order of the node ids. A pure function
/// of who is on them, cheap at 10,000 nodes, and kept up one change at a time.
namespace banyan::net {

inline constexpr std::size_t ring_count = 8;
/// Meshes of up to so many members are full: there everybody watches everybody.
inline constexpr std::size_t full_mesh_max = 17;

/// The places of all nodes that were ever met, on or off the rings. A place is
/// a hash of mesh id and node id, ties go by node id: the same everywhere.
/// Only grows: 190 bytes a node. One thread; the cores of a simulation share
/// one.
class ring_order {
public:
  using index = std::uint32_t; ///< by order of coming: means nothing elsewhere

  explicit ring_order(const mesh_id& mesh) : mesh_{mesh} {}

  /// The node's number; a new one for a node that was never met.
  index add(const node_id& node);
  [[nodiscard]] std::optional<index> find(const node_id& node) const;
  [[nodiscard]] const node_id& node(index i) const { return nodes_[i]; }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  /// @name All of them in the order of their ids
  /// @{
  /// The position of the first that isn't below `node`.
  [[nodiscard]] std::size_t position(const node_id& node) const;
  [[nodiscard]] index at_position(std::size_t p) const { return by_id_[p]; }
  [[nodiscard]] bool before(index a, index b) const {
    return numbered() ? ranks_[a] < ranks_[b] : nodes_[a] < nodes_[b];
  }
  /// @}

  /// Where it is on each ring, whether it was met or not.
  using places = std::array<std::uint32_t, ring_count>;
  [[nodiscard]] places places_by_hash(const node_id& node) const;
  /// The last before such a place for which `on(index)` holds, round the ring;
  /// not `node` itself.
  template <class On>
  [[nodiscard]] std::optional<index> prev(std::size_t ring, std::uint32_t key,
                                          const node_id& node, On on) const {
    const auto& r = rings_[ring];
    auto at = first_from(ring, key, node);
    for (std::size_t n = r.size(); n > 0; --n) {
      at = at == 0 ? r.size() - 1 : at - 1;
      if (on(r[at].who) && nodes_[r[at].who] != node)
        return r[at].who;
    }
    return std::nullopt;
  }

  /// The first behind `from` for which `on(index)` holds, round the ring;
  /// `from` itself last of all, and none if it doesn't hold for that either.
  template <class On>
  [[nodiscard]] std::optional<index> next(std::size_t ring, index from,
                                          On on) const {
    const auto& r = rings_[ring];
    auto at = place_of(ring, from);
    for (std::size_t n = r.size(); n > 0; --n) {
      at = at + 1 == r.size() ? 0 : at + 1;
      if (on(r[at].who))
        return r[at].who;
    }
    return std::nullopt;
  }
  /// The same the other way round.
  template <class On>
  [[nodiscard]] std::optional<index> prev(std::size_t ring, index from,
                                          On on) const {
    const auto& r = rings_[ring];
    auto at = place_of(ring, from);
    for (std::size_t n = r.size(); n > 0; --n) {
      at = at == 0 ? r.size() - 1 : at - 1;
      if (on(r[at].who))
        return r[at].who;
    }
    return std::nullopt;
  }

private:
  struct place {
    std::uint32_t key;
    index who;
  };
  /// Ids are as good as random: no other hash is needed.
  struct first_bytes {
    std::size_t operator()(const node_id& node) const noexcept {
      std::size_t h = 0;
      std::memcpy(&h, node.array().data(), sizeof h);
      return h;
    }
  };
  [[nodiscard]] std::size_t place_of(std::size_t ring, index i) const;
  [[nodiscard]] std::size_t first_from(std::size_t ring, std::uint32_t key,
                                       const node_id& node) const;
  [[nodiscard]] bool before(const place& a, std::uint32_t key,
                            const node_id& node) const;
  [[nodiscard]] bool numbered() const noexcept {
    return places_.size() == nodes_.size();
  }
  void number_places() const;

  mesh_id mesh_;
  std::vector<node_id> nodes_;
  std::vector<places> keys_;
  std::unordered_map<node_id, index, first_bytes> numbers_;
  std::vector<index> by_id_;
  std::array<std::vector<place>, ring_count> rings_;
  /// @name Where each node is on the rings and among the ids
  /// As of when they were last numbered: a new node makes them void, and they
  /// are made again once they were asked for often enough to be worth it.
  /// @{
  mutable std::vector<std::array<std::uint32_t, ring_count>> places_;
  mutable std::vector<std::uint32_t> ranks_;
  mutable std::size_t asked_ = 0;
  /// @}
};

/// Who is on the rings in one node's view, and so who observes whom: a node
/// observes its successor on every ring. On all rings or on none.
class rings {
public:
  using index = ring_order::index;
  using of_all = std::array<node_id, ring_count>;
  using numbers_of_all = std::array<index, ring_count>;

  /// Without an order of others' this one makes its own.
  rings(const mesh_id& mesh, std::shared_ptr<ring_order> order);

  /// Puts a node on the rings, or takes it off. @returns true if it wasn't so.
  bool set(const node_id& node, bool on);
  [[nodiscard]] bool has(const node_id& node) const;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool full() const noexcept { return size_ <= full_mesh_max; }
  /// Goes up with each change.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  /// @name By ring; for a node that was met, on the rings or not
  /// Itself where nobody else is on the ring, none for one that wasn't met.
  /// @{
  [[nodiscard]] of_all subjects(const node_id& node) const;  ///< successors
  [[nodiscard]] of_all observers(const node_id& node) const; ///< predecessors
  /// @}
  /// Who would observe a node if it came to the rings; it need not have been
  /// met, and isn't by this. By ring; itself where nobody else is there.
  [[nodiscard]] of_all would_observe(const node_id& node) const;
  /// On how many rings `observer` observes `subject`; both are on them.
  [[nodiscard]] unsigned places(const node_id& observer,
                                const node_id& subject) const;

  /// @name The same by number
  /// @{
  [[nodiscard]] ring_order& order() const noexcept { return *order_; }
  bool set(index i, bool on);
  [[nodiscard]] bool has(index i) const { return i < on_.size() && on_[i]; }
  [[nodiscard]] numbers_of_all subjects(index i) const;
  [[nodiscard]] numbers_of_all observers(index i) const;
  [[nodiscard]] unsigned places(index observer, index subject) const;
  /// @}

private:
  [[nodiscard]] of_all named(const numbers_of_all& numbers) const;

  std::shared_ptr<ring_order> order_;
  std::vector<bool> on_;
  std::size_t size_ = 0;
  std::uint64_t version_ = 0;
};

} // namespace banyan::net
