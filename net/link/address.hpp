#pragma once
#include "base/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace banyan::net {

/// Where a peer listens: a host (an IPv4 or IPv6 literal without brackets, or
/// a name that the stream layer resolves) and a TCP port. It says where, never
/// who: a node is its id.
struct address {
  static constexpr std::size_t host_bytes_max = 253;

  std::string host;
  std::uint16_t port = 0;

  [[nodiscard]] bool empty() const noexcept { return host.empty(); }
  /// 127.0.0.0/8, ::1 or `localhost`.
  [[nodiscard]] bool is_loopback() const noexcept;
  /// 0.0.0.0 or ::, which nobody can dial.
  [[nodiscard]] bool is_wildcard() const noexcept;
  /// What one tenant of a network usually owns: the /24 of an IPv4 address
  /// (also of a mapped one), the /56 of an IPv6 address, else the whole name.
  /// Handshakes are rationed by it.
  [[nodiscard]] std::string prefix() const;

  friend bool operator==(const address& a, const address& b) {
    return a.port == b.port && a.host == b.host;
  }
  friend bool operator!=(const address& a, const address& b) {
    return !(a == b);
  }
  friend bool operator<(const address& a, const address& b) {
    return a.host != b.host ? a.host < b.host : a.port < b.port;
  }
};

/// `HOST:PORT`, IPv6 hosts in brackets; empty for no address.
std::string to_string(const address& a);
/// `HOST:PORT` with a port from 0 to 65535; nothing else is accepted.
std::optional<address> parse_address(std::string_view text);

/// The four bytes of a dotted IPv4 literal, the sixteen of an IPv6 literal
/// without zone; empty for anything else.
bytes ip_bytes(std::string_view host);

} // namespace banyan::net
