#pragma once
#include "base/bytes.hpp"
#include "base/random.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>

namespace banyan {

/// Overwrites memory in a way that no optimizer removes.
void wipe(void* data, std::size_t size) noexcept;
inline void wipe(bytes& b) noexcept {
  wipe(b.data(), b.size());
}
inline void wipe(std::string& s) noexcept {
  wipe(s.data(), s.size());
}
/// Compares in a time that depends on the size alone; sizes are not secret.
[[nodiscard]] bool same_secret(const_bytes a, const_bytes b) noexcept;

/// A key or other secret of fixed size. Wiped on destruction and when moved
/// from, never copied by accident (`clone()` says it), compared in constant
/// time, not printable. Starts as zeros.
template <std::size_t N>
class secret_bytes {
public:
  static constexpr std::size_t size = N;

  secret_bytes() noexcept = default;
  explicit secret_bytes(random_source& random) { random.fill(v_.data(), N); }
  secret_bytes(const secret_bytes&) = delete;
  secret_bytes& operator=(const secret_bytes&) = delete;
  secret_bytes(secret_bytes&& other) noexcept : v_{other.v_} {
    wipe(other.v_.data(), N);
  }
  secret_bytes& operator=(secret_bytes&& other) noexcept {
    if (this != &other) {
      v_ = other.v_;
      wipe(other.v_.data(), N);
    }
    return *this;
  }
  ~secret_bytes() { wipe(v_.data(), N); }

  /// False, leaving `out` alone, when `b` has another length. Wiping `b` stays
  /// its owner's business.
  [[nodiscard]] static bool from(const_bytes b, secret_bytes& out) noexcept {
    if (b.size() != N)
      return false;
    std::copy(b.begin(), b.end(), out.v_.begin());
    return true;
  }
  /// A second copy, made on purpose.
  [[nodiscard]] secret_bytes clone() const noexcept {
    secret_bytes out;
    out.v_ = v_;
    return out;
  }
  [[nodiscard]] const_bytes view() const noexcept { return v_; }
  [[nodiscard]] const std::uint8_t* data() const noexcept { return v_.data(); }
  [[nodiscard]] std::uint8_t* data() noexcept { return v_.data(); }

  friend bool operator==(const secret_bytes& a, const secret_bytes& b) {
    return same_secret(a.v_, b.v_);
  }
  friend bool operator!=(const secret_bytes& a, const secret_bytes& b) {
    return !(a == b);
  }

private:
  std::array<std::uint8_t, N> v_{};
};

template <std::size_t N>
std::ostream& operator<<(std::ostream&, const secret_bytes<N>&) = delete;

} // namespace banyan
