#include "base/codec.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>
#define MSGPACK_NO_BOOST
#include <msgpack.hpp>

namespace banyan {
namespace {

bytes encoded(const std::function<void(writer&)>& with) {
  bytes out;
  writer w{out};
  with(w);
  return out;
}

TEST(codec, integers_round_trip_in_their_shortest_form) {
  for (unsigned shift = 0; shift < 64; ++shift)
    for (std::int64_t near : {-1, 0, 1}) {
      const std::uint64_t u =
          (std::uint64_t{1} << shift) + static_cast<std::uint64_t>(near);
      const auto as_uint = encoded([&](writer& w) { w.uint(u); });
      reader r{as_uint};
      EXPECT_EQ(r.uint(), u);
      EXPECT_TRUE(r.done()) << u;
      const auto s = static_cast<std::int64_t>(u);
      const auto as_sint = encoded([&](writer& w) { w.sint(s); });
      reader q{as_sint};
      EXPECT_EQ(q.sint(), s);
      EXPECT_TRUE(q.done()) << s;
      const auto negative = encoded([&](writer& w) { w.sint(-(s / 2)); });
      reader n{negative};
      EXPECT_EQ(n.sint(), -(s / 2));
      EXPECT_TRUE(n.done()) << -(s / 2);
    }
}

TEST(codec, every_type_round_trips_at_its_size_borders) {
  for (std::size_t size : {0, 1, 31, 32, 255, 256, 65535, 65536}) {
    const std::string s(size, 'x');
    const auto b = encoded([&](writer& w) {
      w.text(s).blob(as_bytes(s)).array(size);
      for (std::size_t i = 0; i < size; ++i)
        w.nil();
      w.map(1).uint(7).boolean(true).number(-0.5);
    });
    reader r{b};
    EXPECT_EQ(r.text(size), s);
    EXPECT_EQ(as_text(r.blob(size)), s);
    EXPECT_EQ(r.array(size), size);
    for (std::size_t i = 0; i < size; ++i)
      r.nil();
    EXPECT_EQ(r.map(1), 1U);
    EXPECT_EQ(r.key(-1), 7);
    EXPECT_TRUE(r.boolean());
    EXPECT_EQ(r.number(), -0.5);
    EXPECT_TRUE(r.done());
  }
}

TEST(codec, a_longer_form_than_needed_is_refused) {
  const std::vector<bytes> longer{
      {0xCC, 0x7F},                   // 127 in two bytes
      {0xCD, 0x00, 0xFF},             // 255 in three
      {0xCE, 0, 0, 0xFF, 0xFF},       // 65535 in five
      {0xCF, 0, 0, 0, 0, 0, 0, 0, 1}, // 1 in nine
      {0xD0, 0x05},                   // 5 as signed
      {0xD0, 0xE0},                   // -32 in two bytes
      {0xD1, 0xFF, 0x80},             // -128 in three
      {0xD9, 0x01, 'a'},              // a short string with a size byte
      {0xDA, 0x00, 0x20},             // 32 in a two-byte size
      {0xC5, 0x00, 0x01, 'a'},        // blob
      {0xDC, 0x00, 0x01, 0xC0},       // array
      {0xDE, 0x00, 0x01, 0x00, 0xC0}, // map
      {0xCA, 0, 0, 0, 0},             // float32
      {0xC1},                         // never used
      {0xD4, 0, 0},                   // extension
  };
  for (const auto& b : longer) {
    reader r{b};
    r.skip();
    EXPECT_FALSE(r.ok()) << to_hex(b);
  }
}

TEST(codec, a_count_or_length_beyond_the_bytes_left_is_refused_unallocated) {
  for (const bytes& b : {bytes{0xDD, 0xFF, 0xFF, 0xFF, 0xFF},
                         bytes{0xDF, 0xFF, 0xFF, 0xFF, 0xFF},
                         bytes{0xDB, 0xFF, 0xFF, 0xFF, 0xFF},
                         bytes{0xC6, 0xFF, 0xFF, 0xFF, 0xFF}}) {
    EXPECT_EQ(reader{b}.array(SIZE_MAX), 0U);
    EXPECT_EQ(reader{b}.map(SIZE_MAX), 0U);
    EXPECT_TRUE(reader{b}.text(SIZE_MAX).empty());
    EXPECT_TRUE(reader{b}.blob(SIZE_MAX).empty());
    reader r{b};
    r.skip();
    EXPECT_FALSE(r.ok());
  }
}

TEST(codec, depth_is_bounded) {
  const bytes deep(1000000, 0x91); // arrays of one array of one …
  reader r{deep};
  r.skip();
  EXPECT_FALSE(r.ok());
}

TEST(codec, keys_of_a_map_ascend) {
  const auto b =
      encoded([](writer& w) { w.map(2).uint(3).nil().uint(3).nil(); });
  reader r{b};
  ASSERT_EQ(r.map(2), 2U);
  const auto first = r.key(-1);
  r.nil();
  r.key(first);
  EXPECT_FALSE(r.ok());
}

TEST(codec, failure_is_for_good) {
  const auto b = encoded([](writer& w) { w.uint(300).uint(5); });
  reader r{b};
  EXPECT_EQ(r.uint(299), 0U);
  EXPECT_EQ(r.uint(), 0U);
  EXPECT_FALSE(r.done());
  EXPECT_EQ(r.peek(), reader::kind::bad);
}

// What our reader accepts, msgpack-c's parser reads as the same single value.
TEST(codec, random_bytes_never_disagree_with_msgpack_c) {
  seeded_random random{17};
  std::size_t accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    bytes b(1 + random.below(12));
    random.fill(b.data(), b.size());
    if (random.chance(0.7))
      b[0] = static_cast<std::uint8_t>(0x80 + random.below(0x60));
    reader r{b};
    const auto value = r.raw();
    if (!r.ok())
      continue;
    ++accepted;
    std::size_t offset = 0;
    const auto object = msgpack::unpack(reinterpret_cast<const char*>(b.data()),
                                        b.size(), offset);
    EXPECT_EQ(offset, value.size()) << to_hex(b);
  }
  EXPECT_GT(accepted, 10000U);
}

} // namespace

TEST(codec, whole_numbers_stay_floats) {
  for (const double v : {0.0, 5.0, -3.0, 1e300}) {
    bytes b;
    writer{b}.number(v);
    EXPECT_EQ(b.size(), 9U);
    reader r{b};
    EXPECT_EQ(r.number(), v);
    EXPECT_TRUE(r.done());
  }
}

} // namespace banyan
