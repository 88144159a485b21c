#pragma once
#include "base/bytes.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace banyan {

/// A number that mixes with no other number. `Tag` only makes the type unique.
template <class Tag>
class strong_number {
public:
  constexpr strong_number() noexcept = default;
  constexpr explicit strong_number(std::uint64_t v) noexcept : v_{v} {}
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return v_; }
  [[nodiscard]] constexpr strong_number next() const noexcept {
    return strong_number{v_ + 1};
  }
  /// The one before; zero stays zero.
  [[nodiscard]] constexpr strong_number prev() const noexcept {
    return strong_number{v_ == 0 ? 0 : v_ - 1};
  }
  friend constexpr bool operator==(strong_number a, strong_number b) {
    return a.v_ == b.v_;
  }
  friend constexpr bool operator!=(strong_number a, strong_number b) {
    return a.v_ != b.v_;
  }
  friend constexpr bool operator<(strong_number a, strong_number b) {
    return a.v_ < b.v_;
  }
  friend constexpr bool operator<=(strong_number a, strong_number b) {
    return a.v_ <= b.v_;
  }
  friend constexpr bool operator>(strong_number a, strong_number b) {
    return a.v_ > b.v_;
  }
  friend constexpr bool operator>=(strong_number a, strong_number b) {
    return a.v_ >= b.v_;
  }

private:
  std::uint64_t v_ = 0;
};

/// A fixed run of bytes that names something; all zero means "none".
template <class Tag, std::size_t N>
class strong_bytes {
public:
  static constexpr std::size_t size = N;
  constexpr strong_bytes() noexcept = default;
  constexpr explicit strong_bytes(const std::array<std::uint8_t, N>& v) noexcept
      : v_{v} {}
  /// False, leaving `out` alone, when `b` has another length.
  static bool from(const_bytes b, strong_bytes& out) noexcept {
    if (b.size() != N)
      return false;
    std::copy(b.begin(), b.end(), out.v_.begin());
    return true;
  }
  [[nodiscard]] const_bytes view() const noexcept { return v_; }
  [[nodiscard]] const std::array<std::uint8_t, N>& array() const noexcept {
    return v_;
  }
  [[nodiscard]] bool is_none() const noexcept {
    return std::all_of(v_.begin(), v_.end(), [](auto b) { return b == 0; });
  }
  friend bool operator==(const strong_bytes& a, const strong_bytes& b) {
    return a.v_ == b.v_;
  }
  friend bool operator!=(const strong_bytes& a, const strong_bytes& b) {
    return a.v_ != b.v_;
  }
  friend bool operator<(const strong_bytes& a, const strong_bytes& b) {
    return a.v_ < b.v_;
  }

private:
  std::array<std::uint8_t, N> v_{};
};

/// A peer: its Ed25519 public key.
using node_id = strong_bytes<struct node_tag, 32>;
/// An app: the BLAKE2b-256 of its genesis.
using app_id = strong_bytes<struct app_tag, 32>;
/// A mesh: the BLAKE2b-256 of its name and first owner key.
using mesh_id = strong_bytes<struct mesh_tag, 32>;
/// One life of one replica's log and votes: 128 random bits.
using replica_id = strong_bytes<struct replica_tag, 16>;
/// The line of descent of an app's data: changes with `restore` and `recover`.
using lineage_id = strong_bytes<struct lineage_tag, 16>;
/// BLAKE2b-256.
using digest = strong_bytes<struct digest_tag, 32>;

/// A leadership term of one Raft group.
using term = strong_number<struct term_tag>;
/// A position in one group's log; the first entry has index 1.
using log_index = strong_number<struct log_index_tag>;
/// One life of a node in the membership; raised at every boot and to refute.
using incarnation = strong_number<struct incarnation_tag>;

/// The unit of replication: one shard of one app.
struct group_id {
  app_id app;
  std::uint32_t shard = 0;
  friend bool operator==(const group_id& a, const group_id& b) {
    return a.shard == b.shard && a.app == b.app;
  }
  friend bool operator!=(const group_id& a, const group_id& b) {
    return !(a == b);
  }
  friend bool operator<(const group_id& a, const group_id& b) {
    return a.app != b.app ? a.app < b.app : a.shard < b.shard;
  }
};

/// Lower-case base32 of an id.
template <class Tag, std::size_t N>
std::string to_string(const strong_bytes<Tag, N>& id) {
  return to_base32(id.view());
}
/// The first 8 characters of the text form: for people, never for machines.
template <class Tag, std::size_t N>
std::string short_string(const strong_bytes<Tag, N>& id) {
  return to_string(id).substr(0, 8);
}
/// False when `text` isn't the text form of such an id.
template <class Tag, std::size_t N>
bool parse_id(std::string_view text, strong_bytes<Tag, N>& out) {
  bytes raw;
  return from_base32(text, raw) && strong_bytes<Tag, N>::from(raw, out);
}

namespace detail {
inline std::size_t hash_bytes(const_bytes b) noexcept {
  return std::hash<std::string_view>{}(as_text(b));
}
} // namespace detail

} // namespace banyan

template <class Tag>
struct std::hash<banyan::strong_number<Tag>> {
  std::size_t operator()(banyan::strong_number<Tag> v) const noexcept {
    return std::hash<std::uint64_t>{}(v.value());
  }
};
template <class Tag, std::size_t N>
struct std::hash<banyan::strong_bytes<Tag, N>> {
  std::size_t operator()(const banyan::strong_bytes<Tag, N>& v) const noexcept {
    return banyan::detail::hash_bytes(v.view());
  }
};
template <>
struct std::hash<banyan::group_id> {
  std::size_t operator()(const banyan::group_id& g) const noexcept {
    return banyan::detail::hash_bytes(g.app.view()) * 31 + g.shard;
  }
};
