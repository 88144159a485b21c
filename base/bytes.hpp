#pragma once
#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace banyan {

using bytes = std::vector<std::uint8_t>;

/// A borrowed run of bytes: valid while its owner is, never null-terminated.
class const_bytes {
public:
  constexpr const_bytes() noexcept = default;
  constexpr const_bytes(const std::uint8_t* data, std::size_t size) noexcept
      : data_{data}, size_{size} {}
  const_bytes(const bytes& b) noexcept // NOLINT(google-explicit-constructor)
      : data_{b.data()}, size_{b.size()} {}
  template <std::size_t N>
  constexpr const_bytes( // NOLINT(google-explicit-constructor)
      const std::array<std::uint8_t, N>& a) noexcept
      : data_{a.data()}, size_{N} {}

  [[nodiscard]] constexpr const std::uint8_t* data() const noexcept {
    return data_;
  }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] constexpr const std::uint8_t* begin() const noexcept {
    return data_;
  }
  [[nodiscard]] constexpr const std::uint8_t* end() const noexcept {
    return data_ + size_;
  }
  [[nodiscard]] std::uint8_t operator[](std::size_t i) const {
    BANYAN_ASSERT(i < size_);
    return data_[i];
  }
  [[nodiscard]] const_bytes first(std::size_t n) const {
    BANYAN_ASSERT(n <= size_);
    return {data_, n};
  }
  [[nodiscard]] const_bytes from(std::size_t offset) const {
    BANYAN_ASSERT(offset <= size_);
    return {data_ + offset, size_ - offset};
  }
  [[nodiscard]] bytes copy() const { return {begin(), end()}; }

  friend bool operator==(const_bytes a, const_bytes b) noexcept {
    return a.size_ == b.size_
           && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
  }
  friend bool operator!=(const_bytes a, const_bytes b) noexcept {
    return !(a == b);
  }
  friend bool operator<(const_bytes a, const_bytes b) noexcept {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }

private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

inline const_bytes as_bytes(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
inline std::string_view as_text(const_bytes b) noexcept {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
inline bytes to_bytes(std::string_view s) {
  return as_bytes(s).copy();
}
inline std::string to_text(const_bytes b) {
  return std::string{as_text(b)};
}
inline void append(bytes& out, const_bytes more) {
  out.insert(out.end(), more.begin(), more.end());
}

/// Bytes that many hold and nobody changes: a log entry in the log, the overlay
/// and three send queues at once.
class shared_bytes {
public:
  shared_bytes() = default;
  explicit shared_bytes(bytes b)
      : p_{std::make_shared<const bytes>(std::move(b))} {}
  [[nodiscard]] const_bytes view() const noexcept {
    return p_ ? const_bytes{*p_} : const_bytes{};
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return p_ ? p_->size() : 0;
  }
  friend bool operator==(const shared_bytes& a, const shared_bytes& b) {
    return a.p_ == b.p_ || a.view() == b.view();
  }

private:
  std::shared_ptr<const bytes> p_;
};

/// Lower-case hexadecimal, for logs and tests.
std::string to_hex(const_bytes b);
/// Lower-case RFC 4648 base32 without padding: the text form of ids.
std::string to_base32(const_bytes b);
/// Fails (false, `out` unspecified) on any other character or on stray bits.
bool from_hex(std::string_view text, bytes& out);
bool from_base32(std::string_view text, bytes& out);

} // namespace banyan
