#include "net/io/detail/door_guard.hpp"

#include "base/assert.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace banyan::io::detail {
namespace {

constexpr std::size_t network = 8; // bytes of a /64

} // namespace

door_guest::door_guest(const endpoint& e) noexcept {
  if (e.family() == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &e.storage, sizeof in);
    bytes_[10] = bytes_[11] = 0xFF;
    std::memcpy(&bytes_[12], &in.sin_addr, 4);
  } else if (e.family() == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &e.storage, sizeof in);
    const bool v4 = IN6_IS_ADDR_V4MAPPED(&in.sin6_addr);
    std::memcpy(bytes_.data(), &in.sin6_addr, v4 ? bytes_.size() : network);
  }
}

std::string door_guest::name() const {
  const bool v4 = bytes_[10] == 0xFF; // a /64 has nothing there
  const auto* from = bytes_.data() + (v4 ? 12 : 0);
  return {from, from + (v4 ? 4 : network)};
}

std::size_t door_guest::hash::operator()(const door_guest& g) const noexcept {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::memcpy(&a, &g.bytes_[0], 8);
  std::memcpy(&b, &g.bytes_[8], 8);
  a ^= b + 0x9E3779B97F4A7C15U + (a << 6U) + (a >> 2U);
  a *= 0xFF51AFD7ED558CCDU;
  return static_cast<std::size_t>(a ^ (a >> 32U));
}

std::optional<duration> door_guard::request(const door_guest& g,
                                            time_point now) {
  if (limits_.rate == 0)
    return std::nullopt;
  const double full = std::max(limits_.burst, 1U);
  const auto found = buckets_.find(g);
  if (found == buckets_.end()) {
    if (buckets_.size() >= limits_.remembered) {
      buckets_.erase(order_.back().guest);
      order_.pop_back();
    }
    order_.push_front({g, full, now});
    buckets_.emplace(g, order_.begin());
  } else {
    order_.splice(order_.begin(), order_, found->second);
  }
  auto& b = order_.front();
  const auto since = std::chrono::duration<double>(now - b.at).count();
  b.tokens = std::min(full, b.tokens + since * limits_.rate);
  b.at = now;
  if (b.tokens < 1)
    return std::chrono::duration_cast<duration>(
        std::chrono::duration<double>((1 - b.tokens) / limits_.rate));
  b.tokens -= 1;
  return std::nullopt;
}

bool door_guard::connect(const door_guest& g) {
  if (limits_.connections == 0)
    return true;
  auto& n = open_[g];
  if (n >= limits_.connections)
    return false;
  ++n;
  return true;
}

void door_guard::disconnect(const door_guest& g) {
  if (limits_.connections == 0)
    return;
  const auto found = open_.find(g);
  BANYAN_ASSERT(found != open_.end() && found->second > 0);
  if (--found->second == 0)
    open_.erase(found);
}

} // namespace banyan::io::detail
