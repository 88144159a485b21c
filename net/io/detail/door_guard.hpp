#pragma once
#include "base/time.hpp"
#include "net/io/detail/socket.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

namespace banyan::io::detail {

/// Whom limits count a client to: one IPv4 address, or the /64 of an IPv6 one,
/// since whoever has an address there has all of them.
class door_guest {
public:
  explicit door_guest(const endpoint& e) noexcept;
  [[nodiscard]] bool operator==(const door_guest& o) const noexcept {
    return bytes_ == o.bytes_;
  }
  /// The same for the same guest, another for every other one: 4 or 8 bytes, no
  /// text.
  [[nodiscard]] std::string name() const;
  struct hash {
    std::size_t operator()(const door_guest& g) const noexcept;
  };

private:
  std::array<std::uint8_t, 16> bytes_{}; ///< IPv4 as inside IPv6.
};

struct guard_limits {
  std::uint32_t rate = 2000;     ///< Requests in a second; 0: any number.
  std::uint32_t burst = 4000;    ///< At once, after a pause.
  std::size_t connections = 512; ///< Open at once; 0: any number.
  std::size_t remembered = 10'000;
};

/// What each client's address has used up. Pure: no socket, no clock.
///
/// A token bucket per guest; of more guests than `remembered` the one longest
/// unseen is forgotten, which gives it a full bucket again.
class door_guard {
public:
  explicit door_guard(guard_limits l) : limits_{l} {}

  /// A request came. Nothing: it may go on, and counts; else so long until the
  /// next one may.
  std::optional<duration> request(const door_guest& g, time_point now);
  /// A connection came. False: it has its share, and this one doesn't count.
  bool connect(const door_guest& g);
  /// One that counted is gone.
  void disconnect(const door_guest& g);

  [[nodiscard]] std::size_t remembered() const noexcept {
    return buckets_.size();
  }

private:
  struct bucket {
    door_guest guest;
    double tokens;
    time_point at;
  };

  guard_limits limits_;
  std::list<bucket> order_; ///< The last seen first.
  std::unordered_map<door_guest, std::list<bucket>::iterator, door_guest::hash>
      buckets_;
  std::unordered_map<door_guest, std::size_t, door_guest::hash> open_;
};

} // namespace banyan::io::detail
