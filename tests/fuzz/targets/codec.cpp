// The bounded codec of base: whatever it accepts is canonical msgpack.
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void copy(reader& r, writer& w) {
  switch (r.peek()) {
  case reader::kind::nil:
    r.nil();
    w.nil();
    break;
  case reader::kind::boolean:
    w.boolean(r.boolean());
    break;
  case reader::kind::uint:
    w.uint(r.uint());
    break;
  case reader::kind::sint:
    w.sint(r.sint());
    break;
  case reader::kind::number:
    w.number(r.number());
    break;
  case reader::kind::text:
    w.text(r.text(SIZE_MAX));
    break;
  case reader::kind::blob:
    w.blob(r.blob(SIZE_MAX));
    break;
  case reader::kind::array: {
    const auto n = r.array(SIZE_MAX);
    BANYAN_ASSERT(n <= r.left() || !r.ok());
    w.array(n);
    for (std::size_t i = 0; i < n && r.ok(); ++i)
      copy(r, w);
    break;
  }
  case reader::kind::map: {
    const auto n = r.map(SIZE_MAX);
    BANYAN_ASSERT(2 * n <= r.left() || !r.ok());
    w.map(n);
    for (std::size_t i = 0; i < 2 * n && r.ok(); ++i)
      copy(r, w);
    break;
  }
  case reader::kind::bad:
    r.fail();
    break;
  }
}

// Getters in the order that the input says, on what follows.
void script(const_bytes in) {
  input i{in};
  const auto steps = i.piece();
  reader r{i.rest()};
  std::int64_t key = -1;
  for (const auto step : steps) {
    const auto before = r.left();
    switch (step % 11) {
    case 0:
      r.nil();
      break;
    case 1:
      (void)r.boolean();
      break;
    case 2:
      BANYAN_ASSERT(r.uint(step) <= step);
      break;
    case 3:
      (void)r.sint();
      break;
    case 4:
      (void)r.number();
      break;
    case 5:
      BANYAN_ASSERT(r.text(step).size() <= step);
      break;
    case 6:
      BANYAN_ASSERT(r.blob(step).size() <= step);
      break;
    case 7:
      BANYAN_ASSERT(r.array(step) <= step);
      break;
    case 8:
      BANYAN_ASSERT(r.map(step) <= step);
      break;
    case 9:
      key = r.key(key);
      break;
    default:
      r.skip();
    }
    BANYAN_ASSERT(r.left() <= before);
    BANYAN_ASSERT(r.ok() || (r.left() == 0 && !r.done()));
  }
}

void run(const_bytes in) {
  script(in);
  reader r{in};
  const auto raw = r.raw();
  if (!r.ok())
    return;
  bytes again;
  writer w{again};
  reader source{raw};
  copy(source, w);
  BANYAN_ASSERT(source.done());
  BANYAN_ASSERT(const_bytes{again} == raw);
}

std::vector<bytes> seeds() {
  bytes b;
  writer w{b};
  w.array(9).nil().boolean(true).uint(0).uint(300).uint(UINT64_MAX);
  w.sint(-1).number(0.5).text("text").blob(bytes{1, 2, 3});
  bytes m;
  writer v{m};
  v.map(3).uint(1).text("a").uint(2).map(0).uint(70'000).array(1).sint(-40'000);
  bytes deep;
  writer d{deep};
  for (int i = 0; i < 31; ++i)
    d.array(1);
  d.nil();
  return {b, m, deep, bytes{0xdd, 0xff, 0xff, 0xff, 0xff},
          bytes{3, 8, 9, 2, 0x81, 1, 5}};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(codec)
