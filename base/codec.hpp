#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <string_view>

namespace banyan {

/// Appends canonical msgpack to a buffer: every value in its shortest form, so
/// that equal values have equal bytes and can be hashed and signed. The writer
/// of a map gives its keys in ascending order; the reader checks that.
class writer {
public:
  /// `out` is borrowed and must outlive the writer; bytes are appended.
  explicit writer(bytes& out) noexcept : out_{out} {}

  writer& nil();
  writer& boolean(bool v);
  writer& uint(std::uint64_t v);
  writer& sint(std::int64_t v);
  writer& number(double v);
  writer& text(std::string_view v); ///< at most 2^32-1 bytes; not checked UTF-8
  writer& blob(const_bytes v);
  writer& array(std::size_t elements);
  writer& map(std::size_t pairs);
  /// Bytes that already are one encoded value.
  writer& raw(const_bytes encoded);

  template <class Tag>
  writer& id(strong_number<Tag> v) {
    return uint(v.value());
  }
  template <class Tag, std::size_t N>
  writer& id(const strong_bytes<Tag, N>& v) {
    return blob(v.view());
  }

private:
  bytes& out_;
};

/// Reads canonical msgpack out of foreign bytes. Copies nothing, allocates
/// nothing, recurses no deeper than `depth_max`. The first thing that is not
/// what was asked for (type, bound, canonical form, end of input) makes the
/// reader fail for good: each getter then returns zero or empty, so a decoder
/// reads all its fields and asks `done()` once.
class reader {
public:
  static constexpr unsigned depth_max = 32;

  explicit reader(const_bytes in) noexcept : in_{in} {}

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  /// Everything was as asked and nothing is left over.
  [[nodiscard]] bool done() const noexcept { return ok_ && in_.empty(); }
  [[nodiscard]] std::size_t left() const noexcept { return in_.size(); }
  /// Lets a decoder refuse a value by a rule of its own.
  void fail() noexcept {
    ok_ = false;
    in_ = {};
  }
  /// Fails unless `condition`; returns ok().
  bool require(bool condition) noexcept {
    if (!condition)
      fail();
    return ok_;
  }

  enum class kind : std::uint8_t {
    nil,
    boolean,
    uint,
    sint,
    number,
    text,
    blob,
    array,
    map,
    bad
  };
  /// What comes next, without taking it; `bad` at the end or on failure.
  [[nodiscard]] kind peek() const noexcept;

  void nil();
  bool boolean();
  std::uint64_t uint(std::uint64_t max = UINT64_MAX);
  std::int64_t sint(); ///< any integer that fits
  double number();     ///< a float64; integers are not floats
  std::string_view text(std::size_t size_max);
  const_bytes blob(std::size_t size_max);
  /// The number of elements that follow; refused above `max` and above what
  /// the bytes left could hold.
  std::size_t array(std::size_t max);
  /// The number of pairs that follow; the same bounds. Use `key()` for keys.
  std::size_t map(std::size_t max);
  /// The next key of a map with small integer keys; fails unless it is larger
  /// than `previous` (start with -1).
  std::int64_t key(std::int64_t previous);
  /// Skips one value of any type; checks its form.
  void skip();
  /// One value of any type, as its bytes; checks its form.
  const_bytes raw();

  template <class Tag>
  void id(strong_number<Tag>& out) {
    out = strong_number<Tag>{uint()};
  }
  template <class Tag, std::size_t N>
  void id(strong_bytes<Tag, N>& out) {
    require(strong_bytes<Tag, N>::from(blob(N), out));
  }

private:
  struct head {
    kind what = kind::bad;
    std::uint64_t value = 0; ///< the integer (two's complement), size or count
  };
  head take_head();
  std::uint64_t big_endian(std::size_t width);
  const_bytes take(std::uint64_t size);
  void skip_at(unsigned depth);

  const_bytes in_;
  bool ok_ = true;
};

} // namespace banyan
