#include "net/link/address.hpp"

#include <algorithm>

namespace banyan::net {
namespace {

bool parse_number(std::string_view text, unsigned max, unsigned& out) {
  if (text.empty() || text.size() > 5)
    return false;
  unsigned v = 0;
  for (char c : text) {
    if (c < '0' || c > '9')
      return false;
    v = v * 10 + static_cast<unsigned>(c - '0');
  }
  out = v;
  return v <= max;
}

bytes parse_ipv4(std::string_view host) {
  bytes out;
  while (out.size() < 4) {
    const auto dot = host.find('.');
    unsigned part = 0;
    if (!parse_number(host.substr(0, dot), 255, part))
      return {};
    out.push_back(static_cast<std::uint8_t>(part));
    if ((dot == std::string_view::npos) != (out.size() == 4))
      return {};
    if (dot != std::string_view::npos)
      host = host.substr(dot + 1);
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/// Groups between colons, without `::`; a last one may be dotted. False for
/// anything else.
bool parse_groups(std::string_view text, bytes& out) {
  if (text.empty())
    return true;
  for (;;) {
    const auto colon = text.find(':');
    const auto group = text.substr(0, colon);
    if (colon == std::string_view::npos
        && group.find('.') != std::string_view::npos) {
      const auto v4 = parse_ipv4(group);
      append(out, v4);
      return v4.size() == 4;
    }
    if (group.empty() || group.size() > 4)
      return false;
    unsigned v = 0;
    for (char c : group) {
      if (hex_digit(c) < 0)
        return false;
      v = v * 16 + static_cast<unsigned>(hex_digit(c));
    }
    out.push_back(static_cast<std::uint8_t>(v >> 8));
    out.push_back(static_cast<std::uint8_t>(v & 0xFF));
    if (out.size() > 16 || colon == std::string_view::npos)
      return out.size() <= 16;
    text = text.substr(colon + 1);
  }
}

bytes parse_ipv6(std::string_view host) {
  bytes head;
  bytes tail;
  const auto gap = host.find("::");
  if (gap == std::string_view::npos)
    return parse_groups(host, head) && head.size() == 16 ? head : bytes{};
  if (!parse_groups(host.substr(0, gap), head)
      || !parse_groups(host.substr(gap + 2), tail)
      || head.size() + tail.size() > 14)
    return {};
  head.resize(16 - tail.size());
  append(head, tail);
  return head;
}

bool is_mapped_ipv4(const bytes& ip) {
  return ip.size() == 16 && ip[10] == 0xFF && ip[11] == 0xFF
         && std::all_of(ip.begin(), ip.begin() + 10,
                        [](auto b) { return b == 0; });
}

/// The address, with an IPv4 one mapped into IPv6 taken out.
bytes plain_ip(std::string_view host) {
  auto ip = ip_bytes(host);
  if (is_mapped_ipv4(ip))
    ip.erase(ip.begin(), ip.begin() + 12);
  return ip;
}

} // namespace

bytes ip_bytes(std::string_view host) {
  return host.find(':') == std::string_view::npos ? parse_ipv4(host)
                                                  : parse_ipv6(host);
}

bool address::is_loopback() const noexcept {
  if (host == "localhost")
    return true;
  const auto ip = plain_ip(host);
  if (ip.size() == 4)
    return ip[0] == 127;
  return ip.size() == 16 && ip[15] == 1
         && std::all_of(ip.begin(), ip.end() - 1,
                        [](auto b) { return b == 0; });
}

bool address::is_wildcard() const noexcept {
  const auto ip = plain_ip(host);
  return !ip.empty()
         && std::all_of(ip.begin(), ip.end(), [](auto b) { return b == 0; });
}

std::string address::prefix() const {
  const auto ip = plain_ip(host);
  if (ip.empty())
    return host;
  const auto net = const_bytes{ip}.first(ip.size() == 4 ? 3 : 7);
  return to_hex(net) + (ip.size() == 4 ? "/24" : "/56");
}

std::string to_string(const address& a) {
  if (a.empty())
    return {};
  const auto port = std::to_string(a.port);
  if (a.host.find(':') != std::string::npos)
    return "[" + a.host + "]:" + port;
  return a.host + ":" + port;
}

std::optional<address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return std::nullopt;
  auto host = text.substr(0, colon);
  unsigned port = 0;
  if (!parse_number(text.substr(colon + 1), 65535, port))
    return std::nullopt;
  const bool bracketed =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed)
    host = host.substr(1, host.size() - 2);
  const bool has_colon = host.find(':') != std::string_view::npos;
  if (bracketed != has_colon || (bracketed && ip_bytes(host).empty()))
    return std::nullopt;
  const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_'
           || c == ':';
  });
  if (host.empty() || host.size() > address::host_bytes_max || !plain)
    return std::nullopt;
  return address{std::string{host}, static_cast<std::uint16_t>(port)};
}

} // namespace banyan::net
