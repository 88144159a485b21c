#include "base/codec.hpp"

#define MSGPACK_NO_BOOST
#include <msgpack/pack.hpp>

namespace banyan {
namespace {

struct sink { // what msgpack::packer asks of a stream
  bytes& out;
  void write(const char* data, std::size_t size) {
    append(out, as_bytes({data, size}));
  }
};

template <class Pack>
void pack(bytes& out, Pack&& with) {
  sink s{out};
  msgpack::packer<sink> p{s};
  with(p);
}

std::uint32_t size32(std::size_t n) {
  BANYAN_ASSERT(n <= UINT32_MAX);
  return static_cast<std::uint32_t>(n);
}

} // namespace

writer& writer::nil() {
  out_.push_back(0xC0);
  return *this;
}

writer& writer::boolean(bool v) {
  out_.push_back(v ? 0xC3 : 0xC2);
  return *this;
}

writer& writer::uint(std::uint64_t v) {
  if (v < 128)
    out_.push_back(static_cast<std::uint8_t>(v));
  else
    pack(out_, [v](auto& p) { p.pack_uint64(v); });
  return *this;
}

writer& writer::sint(std::int64_t v) {
  pack(out_, [v](auto& p) { p.pack_int64(v); });
  return *this;
}

writer& writer::number(double v) {
  // By hand: msgpack-cxx 4 packs 5.0 as the integer 5.
  std::uint64_t bits = 0;
  static_assert(sizeof bits == sizeof v);
  std::memcpy(&bits, &v, sizeof bits);
  out_.push_back(0xCB);
  for (int shift = 56; shift >= 0; shift -= 8)
    out_.push_back(static_cast<std::uint8_t>(bits >> shift));
  return *this;
}

writer& writer::text(std::string_view v) {
  pack(out_, [v](auto& p) { p.pack_str(size32(v.size())); });
  append(out_, as_bytes(v));
  return *this;
}

writer& writer::blob(const_bytes v) {
  pack(out_, [v](auto& p) { p.pack_bin(size32(v.size())); });
  append(out_, v);
  return *this;
}

writer& writer::array(std::size_t elements) {
  pack(out_, [=](auto& p) { p.pack_array(size32(elements)); });
  return *this;
}

writer& writer::map(std::size_t pairs) {
  pack(out_, [=](auto& p) { p.pack_map(size32(pairs)); });
  return *this;
}

writer& writer::raw(const_bytes encoded) {
  append(out_, encoded);
  return *this;
}

reader::kind reader::peek() const noexcept {
  if (!ok_ || in_.empty())
    return kind::bad;
  const std::uint8_t b = in_[0];
  if (b < 0x80 || (b >= 0xCC && b <= 0xCF))
    return kind::uint;
  if (b < 0x90 || b == 0xDE || b == 0xDF)
    return kind::map;
  if (b < 0xA0 || b == 0xDC || b == 0xDD)
    return kind::array;
  if (b < 0xC0 || (b >= 0xD9 && b <= 0xDB))
    return kind::text;
  if (b == 0xC0)
    return kind::nil;
  if (b == 0xC2 || b == 0xC3)
    return kind::boolean;
  if (b >= 0xC4 && b <= 0xC6)
    return kind::blob;
  if (b == 0xCB)
    return kind::number;
  if ((b >= 0xD0 && b <= 0xD3) || b >= 0xE0)
    return kind::sint;
  return kind::bad; // float32, extensions, 0xC1
}

const_bytes reader::take(std::uint64_t size) {
  if (!ok_ || size > in_.size()) {
    fail();
    return {};
  }
  const auto out = in_.first(static_cast<std::size_t>(size));
  in_ = in_.from(out.size());
  return out;
}

std::uint64_t reader::big_endian(std::size_t width) {
  std::uint64_t v = 0;
  for (auto byte : take(width))
    v = (v << 8) | byte;
  return v;
}

reader::head reader::take_head() {
  head h;
  h.what = peek();
  if (h.what == kind::bad) {
    fail();
    return h;
  }
  const std::uint8_t b = take(1)[0];
  // Each wide form must not have fitted the next narrower one.
  const auto wide = [&](std::size_t width, std::uint64_t least) {
    h.value = big_endian(width);
    require(h.value >= least);
  };
  switch (h.what) {
  case kind::uint:
    if (b < 0x80)
      h.value = b;
    else
      wide(std::size_t{1} << (b - 0xCC),
           b == 0xCC ? 0x80U : 1ULL << (4U << (b - 0xCC)));
    break;
  case kind::sint: {
    if (b >= 0xE0) {
      h.value = static_cast<std::uint64_t>(static_cast<std::int8_t>(b));
      break;
    }
    const std::size_t width = std::size_t{1} << (b - 0xD0);
    std::uint64_t v = big_endian(width);
    if (width < 8 && ((v >> (width * 8 - 1)) & 1) != 0)
      v |= ~std::uint64_t{0} << (width * 8);
    h.value = v;
    const auto s = static_cast<std::int64_t>(v);
    // canonical: negative, and too small for the next narrower form
    const std::int64_t above =
        width == 1 ? -32 : -(std::int64_t{1} << (width * 4 - 1));
    require(s < above);
    break;
  }
  case kind::text:
    if (b < 0xC0)
      h.value = b & 0x1FU;
    else
      wide(std::size_t{1} << (b - 0xD9),
           b == 0xD9 ? 32U : (b == 0xDA ? 0x100U : 0x10000U));
    break;
  case kind::blob:
    wide(std::size_t{1} << (b - 0xC4),
         b == 0xC4 ? 0U : (b == 0xC5 ? 0x100U : 0x10000U));
    break;
  case kind::array:
    if (b < 0xA0)
      h.value = b & 0x0FU;
    else
      wide(b == 0xDC ? 2 : 4, b == 0xDC ? 16U : 0x10000U);
    break;
  case kind::map:
    if (b < 0x90)
      h.value = b & 0x0FU;
    else
      wide(b == 0xDE ? 2 : 4, b == 0xDE ? 16U : 0x10000U);
    break;
  case kind::boolean:
    h.value = b & 1U;
    break;
  case kind::number:
    h.value = big_endian(8);
    break;
  case kind::nil:
  case kind::bad:
    break;
  }
  if (!ok_)
    h.what = kind::bad;
  return h;
}

void reader::nil() {
  require(take_head().what == kind::nil);
}

bool reader::boolean() {
  const auto h = take_head();
  return require(h.what == kind::boolean) && h.value != 0;
}

std::uint64_t reader::uint(std::uint64_t max) {
  const auto h = take_head();
  return require(h.what == kind::uint && h.value <= max) ? h.value : 0;
}

std::int64_t reader::sint() {
  const auto h = take_head();
  const bool fits =
      h.what == kind::sint || (h.what == kind::uint && h.value <= INT64_MAX);
  return require(fits) ? static_cast<std::int64_t>(h.value) : 0;
}

double reader::number() {
  const auto h = take_head();
  if (!require(h.what == kind::number))
    return 0;
  double v = 0;
  std::memcpy(&v, &h.value, sizeof v);
  return v;
}

std::string_view reader::text(std::size_t size_max) {
  const auto h = take_head();
  if (!require(h.what == kind::text && h.value <= size_max))
    return {};
  return as_text(take(h.value));
}

const_bytes reader::blob(std::size_t size_max) {
  const auto h = take_head();
  if (!require(h.what == kind::blob && h.value <= size_max))
    return {};
  return take(h.value);
}

std::size_t reader::array(std::size_t max) {
  const auto h = take_head();
  const bool fits =
      h.what == kind::array && h.value <= max && h.value <= in_.size();
  return require(fits) ? static_cast<std::size_t>(h.value) : 0;
}

std::size_t reader::map(std::size_t max) {
  const auto h = take_head();
  const bool fits =
      h.what == kind::map && h.value <= max && h.value <= in_.size() / 2;
  return require(fits) ? static_cast<std::size_t>(h.value) : 0;
}

std::int64_t reader::key(std::int64_t previous) {
  const auto k = static_cast<std::int64_t>(uint(INT64_MAX));
  return require(k > previous) ? k : -1;
}

void reader::skip_at(unsigned depth) {
  if (!require(depth < depth_max))
    return;
  const auto h = take_head();
  switch (h.what) {
  case kind::text:
  case kind::blob:
    take(h.value);
    break;
  case kind::array:
  case kind::map: {
    const std::uint64_t values = h.what == kind::map ? h.value * 2 : h.value;
    if (!require(values <= in_.size()))
      return;
    for (std::uint64_t i = 0; i < values && ok_; ++i)
      skip_at(depth + 1);
    break;
  }
  default:
    break;
  }
}

void reader::skip() {
  skip_at(0);
}

const_bytes reader::raw() {
  const auto before = in_;
  skip();
  return ok_ ? before.first(before.size() - in_.size()) : const_bytes{};
}

} // namespace banyan
