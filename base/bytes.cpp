#include "base/bytes.hpp"

namespace banyan {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return -1;
}

constexpr char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

int base32_digit(char c) {
  if (c >= 'a' && c <= 'z')
    return c - 'a';
  if (c >= '2' && c <= '7')
    return c - '2' + 26;
  return -1;
}

} // namespace

std::string to_hex(const_bytes b) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(b.size() * 2);
  for (auto byte : b) {
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

bool from_hex(std::string_view text, bytes& out) {
  out.clear();
  if (text.size() % 2 != 0)
    return false;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0)
      return false;
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return true;
}

std::string to_base32(const_bytes b) {
  std::string out;
  out.reserve((b.size() * 8 + 4) / 5);
  std::uint32_t window = 0;
  unsigned bits = 0;
  for (auto byte : b) {
    window = (window << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out.push_back(base32_digits[(window >> bits) & 31]);
    }
  }
  if (bits > 0)
    out.push_back(base32_digits[(window << (5 - bits)) & 31]);
  return out;
}

bool from_base32(std::string_view text, bytes& out) {
  out.clear();
  std::uint32_t window = 0;
  unsigned bits = 0;
  for (char c : text) {
    const int digit = base32_digit(c);
    if (digit < 0)
      return false;
    window = (window << 5) | static_cast<std::uint32_t>(digit);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>((window >> bits) & 255));
    }
  }
  return bits < 5 && (window & ((1U << bits) - 1)) == 0;
}

} // namespace banyan
