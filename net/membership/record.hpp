#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "crypto/identity.hpp"
#include "net/link/address.hpp"
#include "net/link/link_table.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::net {

/// What a member says about itself: a hint, never proof of anything.
enum class member_word : std::uint8_t {
  normal = 1, ///< It takes part.
  left = 2,   ///< It stopped on purpose: no ring, no placement.
};

/// Labels travel to logs, JSON and metrics: letters, digits, `.`, `_`, `-`, at
/// most 64 of them; may be empty.
[[nodiscard]] bool valid_label(std::string_view text) noexcept;

/// What a node can carry. `weight` is its share in placement; 100 is usual.
struct node_capacity {
  std::uint32_t cores = 0;
  std::uint32_t weight = 100;
  std::uint64_t memory_mib = 0;
  std::uint64_t disk_mib = 0;
  friend bool operator==(const node_capacity& a, const node_capacity& b) {
    return a.cores == b.cores && a.weight == b.weight
           && a.memory_mib == b.memory_mib && a.disk_mib == b.disk_mib;
  }
};

/// A member whose claim of a tier the author of a record found false.
struct member_doubt {
  /// The first bytes of its id: nobody makes a key that has the same.
  using start = std::array<std::uint8_t, 8>;
  start node{};
  std::uint8_t tier = 0; ///< that it saw proven

  [[nodiscard]] static start start_of(const node_id& node) noexcept;
  friend bool operator==(const member_doubt& a, const member_doubt& b) {
    return a.node == b.node && a.tier == b.tier;
  }
};

/// One member as it describes itself. Ordered by (incarnation, number): a boot
/// or a refutation raises the first, any other change the second.
struct member_record {
  static constexpr std::size_t label_bytes_max = 64; ///< region, zone, target
  static constexpr std::size_t encoded_bytes_max = 1024;
  static constexpr std::size_t doubts_max = 16;
  static constexpr std::size_t relays_max = 3;

  node_id node;
  banyan::incarnation incarnation;
  std::uint64_t number = 0;
  member_word word = member_word::normal;
  boot_id boot;
  net::address address; ///< empty while it knows none that others could dial
  std::string region;
  std::string zone;
  std::string target; ///< what its modules are built for: `x86_64-linux`
  std::uint8_t tier = 0;
  node_capacity capacity;
  std::uint64_t features = 0;
  /// By node, ascending; counted only where this node observes that one.
  std::vector<member_doubt> doubts;
  /// Nodes that hold a link with it and forward to it, when it can hardly be
  /// dialled (net/link/relay.hpp); `relays_max` at most, none of them itself.
  std::vector<node_id> relays;

  /// True when this one replaces `other`, a record of the same node.
  /// Canonical msgpack: a map, so that newer versions may add keys.
  void encode(writer& w) const;
  [[nodiscard]] static bool decode(const_bytes in, member_record& out);

  [[nodiscard]] bool newer_than(const member_record& other) const noexcept {
    return incarnation != other.incarnation ? other.incarnation < incarnation
                                            : other.number < number;
  }
};

/// Who let a node in: a member that completed a handshake with it signs the
/// node id, once. Valid for whoever knows the sponsor.
struct admission {
  node_id sponsor;
  signature by;
  [[nodiscard]] static admission make(const identity& sponsor,
                                      const mesh_id& mesh, const node_id& node);
  [[nodiscard]] bool verify(const mesh_id& mesh, const node_id& node) const;
  void encode(writer& w) const;
  [[nodiscard]] static bool decode(reader& r, admission& out);
};

/// A record as it travels: the very bytes that its member signed (so keys that
/// only a newer version knows stay in it), the signature, and the admission.
struct member_document {
  member_record record; ///< decoded from `body`
  bytes body;
  signature by;
  std::optional<net::admission> admitted;

  [[nodiscard]] static member_document make(const identity& member,
                                            const mesh_id& mesh,
                                            const member_record& record);
  /// That the member itself signed it. Says nothing about the admission.
  [[nodiscard]] bool verify(const mesh_id& mesh) const;
  void encode(writer& w) const;
  /// Form and bounds only; fails the reader on anything else.
  [[nodiscard]] static bool decode(reader& r, member_document& out);
};

/// What one observer last said about one subject: a signed register. The
/// highest (observer incarnation, number) wins, so it can be taken back and
/// cannot be replayed. Without weight once the subject's incarnation is higher.
struct report {
  node_id observer;
  node_id subject;
  incarnation observer_incarnation;
  incarnation subject_incarnation;
  std::uint64_t number = 0;
  bool down = false; ///< false takes the accusation back
  signature by;

  [[nodiscard]] bool newer_than(const report& other) const noexcept {
    return observer_incarnation != other.observer_incarnation
               ? other.observer_incarnation < observer_incarnation
               : other.number < number;
  }
  void sign(const identity& observer_key, const mesh_id& mesh);
  [[nodiscard]] bool verify(const mesh_id& mesh) const;
  void encode(writer& w) const;
  [[nodiscard]] static bool decode(reader& r, report& out);
};

} // namespace banyan::net
