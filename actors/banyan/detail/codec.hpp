#pragma once
// The msgpack that an app's module speaks: written in shortest form, read in
// any form, from foreign bytes, without recursion or allocation by a length.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::detail {

using buffer = std::vector<std::uint8_t>;

/// A borrowed run of bytes.
struct view {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(data), size};
  }
};
inline view as_view(const buffer& b) noexcept {
  return {b.data(), b.size()};
}
inline view as_view(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// True when `s` is UTF-8 without surrogates, overlong forms or anything above
/// U+10FFFF.
inline bool is_utf8(std::string_view s) noexcept {
  std::size_t i = 0;
  while (i < s.size()) {
    const auto c = static_cast<std::uint8_t>(s[i++]);
    if (c < 0x80)
      continue;
    const unsigned more = c >= 0xc2 && c <= 0xdf   ? 1
                          : c >= 0xe0 && c <= 0xef ? 2
                          : c >= 0xf0 && c <= 0xf4 ? 3
                                                   : 0;
    if (more == 0 || s.size() - i < more)
      return false;
    const auto second = static_cast<std::uint8_t>(s[i]);
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f)
        || (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
      return false;
    for (unsigned n = 0; n < more; ++n, ++i)
      if ((static_cast<std::uint8_t>(s[i]) & 0xc0) != 0x80)
        return false;
  }
  return true;
}

class packer {
public:
  explicit packer(buffer& out) noexcept : out_{out} {}

  void nil() { out_.push_back(0xc0); }
  void boolean(bool v) { out_.push_back(v ? 0xc3 : 0xc2); }
  void uint(std::uint64_t v) {
    if (v < 0x80)
      out_.push_back(static_cast<std::uint8_t>(v));
    else
      sized(v, 0xcc, 0xcd, 0xce, 0xcf);
  }
  void sint(std::int64_t v) {
    if (v >= 0)
      return uint(static_cast<std::uint64_t>(v));
    const auto bits = static_cast<std::uint64_t>(v);
    if (v >= -32)
      out_.push_back(static_cast<std::uint8_t>(v));
    else if (v >= INT8_MIN)
      put(0xd0, bits, 1);
    else if (v >= INT16_MIN)
      put(0xd1, bits, 2);
    else if (v >= INT32_MIN)
      put(0xd2, bits, 4);
    else
      put(0xd3, bits, 8);
  }
  void number(double v) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &v, sizeof bits);
    put(0xcb, bits, 8);
  }
  void text(std::string_view v) {
    if (v.size() < 32)
      out_.push_back(static_cast<std::uint8_t>(0xa0 | v.size()));
    else
      sized(v.size(), 0xd9, 0xda, 0xdb, 0);
    raw(as_view(v));
  }
  void blob(view v) {
    sized(v.size, 0xc4, 0xc5, 0xc6, 0);
    raw(v);
  }
  void array(std::size_t n) {
    if (n < 16)
      out_.push_back(static_cast<std::uint8_t>(0x90 | n));
    else
      sized(n, 0, 0xdc, 0xdd, 0);
  }
  void map(std::size_t n) {
    if (n < 16)
      out_.push_back(static_cast<std::uint8_t>(0x80 | n));
    else
      sized(n, 0, 0xde, 0xdf, 0);
  }
  void raw(view v) { out_.insert(out_.end(), v.data, v.data + v.size); }

private:
  /// The shortest of the widths whose tag isn't 0.
  void sized(std::uint64_t v, std::uint8_t one, std::uint8_t two,
             std::uint8_t four, std::uint8_t eight) {
    if (one != 0 && v <= UINT8_MAX)
      put(one, v, 1);
    else if (v <= UINT16_MAX)
      put(two, v, 2);
    else if (eight == 0 || v <= UINT32_MAX)
      put(four, v, 4);
    else
      put(eight, v, 8);
  }
  void put(std::uint8_t tag, std::uint64_t v, unsigned width) {
    out_.push_back(tag);
    for (unsigned i = width; i-- > 0;)
      out_.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  buffer& out_;
};

/// One value's head; text and blob with their bytes.
struct item {
  enum kind_type : std::uint8_t {
    nil,
    boolean,
    uint,
    sint,
    number,
    text,
    blob,
    array,
    map,
    extension
  };
  kind_type kind = nil;
  std::uint64_t bits = 0; ///< uint, sint (two's complement), boolean; a count
  double real = 0;
  view body;

  /// The word that error messages use for it.
  [[nodiscard]] const char* name() const noexcept {
    switch (kind) {
    case nil:
      return "null";
    case boolean:
      return "boolean";
    case uint:
    case sint:
      return "integer";
    case number:
      return "number";
    case text:
      return "string";
    case blob:
      return "bytes";
    case array:
      return "array";
    case map:
      return "object";
    default:
      return "extension";
    }
  }
};

/// Pulls values out of foreign bytes. Every length and count is checked against
/// what is left, so a count never asks for more memory than bytes came in.
class parser {
public:
  static constexpr unsigned depth_max = 32;

  explicit parser(view in) noexcept : at_{in.data}, end_{in.data + in.size} {}

  [[nodiscard]] bool empty() const noexcept { return at_ == end_; }
  [[nodiscard]] const std::uint8_t* position() const noexcept { return at_; }

  /// The next head. False (for good) when the bytes end or make no sense.
  bool next(item& out) {
    if (at_ == end_)
      return false;
    const std::uint8_t tag = *at_++;
    if (tag < 0x80)
      return set(out, item::uint, tag);
    if (tag < 0x90)
      return counted(out, item::map, tag & 0x0fU);
    if (tag < 0xa0)
      return counted(out, item::array, tag & 0x0fU);
    if (tag < 0xc0)
      return with_body(out, item::text, tag & 0x1fU);
    if (tag >= 0xe0)
      return set(out, item::sint,
                 static_cast<std::uint64_t>(static_cast<std::int8_t>(tag)));
    return tagged(out, tag);
  }

  /// Skips one whole value. False as in next(), or nested too deep.
  bool skip(unsigned depth = 0) {
    item i;
    if (depth > depth_max || !next(i))
      return false;
    if (i.kind != item::array && i.kind != item::map)
      return true;
    const std::uint64_t n = i.kind == item::map ? 2 * i.bits : i.bits;
    for (std::uint64_t k = 0; k < n; ++k)
      if (!skip(depth + 1))
        return false;
    return true;
  }

private:
  [[nodiscard]] std::uint64_t left() const noexcept {
    return static_cast<std::uint64_t>(end_ - at_);
  }
  bool fail() noexcept {
    at_ = end_;
    return false;
  }
  static bool set(item& out, item::kind_type k, std::uint64_t bits) {
    out.kind = k;
    out.bits = bits;
    return true;
  }
  bool counted(item& out, item::kind_type k, std::uint64_t n) {
    return (k == item::map ? n <= left() / 2 : n <= left()) ? set(out, k, n)
                                                            : fail();
  }
  bool with_body(item& out, item::kind_type k, std::uint64_t n) {
    if (n > left())
      return fail();
    out.body = {at_, static_cast<std::size_t>(n)};
    at_ += n;
    return set(out, k, n);
  }
  bool big_endian(std::uint64_t& v, unsigned width) {
    if (width > left())
      return fail();
    v = 0;
    for (unsigned i = 0; i < width; ++i)
      v = v << 8 | *at_++;
    return true;
  }
  bool tagged(item& out, std::uint8_t tag) {
    std::uint64_t v = 0;
    switch (tag) {
    case 0xc0:
      return set(out, item::nil, 0);
    case 0xc2:
    case 0xc3:
      return set(out, item::boolean, tag & 1U);
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return big_endian(v, 1U << (tag - 0xc4U))
             && with_body(out, item::blob, v);
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return big_endian(v, 1U << (tag - 0xc7U))
             && with_body(out, item::extension, v + 1);
    case 0xca:
    case 0xcb:
      return real(out, tag == 0xcb);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return big_endian(v, 1U << (tag - 0xccU)) && set(out, item::uint, v);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return signed_integer(out, 1U << (tag - 0xd0U));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return with_body(out, item::extension, 1 + (1U << (tag - 0xd4U)));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return big_endian(v, 1U << (tag - 0xd9U))
             && with_body(out, item::text, v);
    case 0xdc:
    case 0xdd:
      return big_endian(v, tag == 0xdc ? 2 : 4) && counted(out, item::array, v);
    case 0xde:
    case 0xdf:
      return big_endian(v, tag == 0xde ? 2 : 4) && counted(out, item::map, v);
    default: // 0xc1 is never used
      return fail();
    }
  }
  bool signed_integer(item& out, unsigned width) {
    std::uint64_t v = 0;
    if (!big_endian(v, width))
      return false;
    const unsigned unused = 64 - 8 * width;
    const auto wide = static_cast<std::int64_t>(v << unused) >> unused;
    return set(out, wide < 0 ? item::sint : item::uint,
               static_cast<std::uint64_t>(wide));
  }
  bool real(item& out, bool wide) {
    std::uint64_t v = 0;
    if (!big_endian(v, wide ? 8 : 4))
      return false;
    if (wide) {
      std::memcpy(&out.real, &v, sizeof out.real);
    } else {
      const auto narrow = static_cast<std::uint32_t>(v);
      float f = 0;
      std::memcpy(&f, &narrow, sizeof f);
      out.real = static_cast<double>(f);
    }
    return set(out, item::number, 0);
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

} // namespace banyan::detail
