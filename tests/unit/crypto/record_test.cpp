#include "base/random.hpp"
#include "crypto/record.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

noise::cipher_state state_at(std::uint64_t counter = 0,
                             std::uint64_t seed = 3) {
  seeded_random random{seed};
  noise::cipher_state out{noise::chacha_poly, secret_bytes<32>{random}};
  out.set_counter(counter);
  return out;
}

bytes sealed(record_sealer& s, const_bytes plaintext) {
  bytes out;
  EXPECT_TRUE(s.seal(plaintext, out).ok());
  return out;
}

const_bytes body_of(const bytes& record) {
  return const_bytes{record}.from(record_header_bytes);
}

result<std::size_t, record_errc> open(record_opener& o, const_bytes body) {
  bytes out(body.size());
  return o.open(body, out.data());
}

TEST(record, what_is_sealed_opens_in_every_size) {
  record_sealer s{state_at()};
  record_opener o{state_at()};
  for (const std::size_t size : {0, 1, 63, 64, 65, 1000, 65'519}) {
    bytes plaintext(size);
    seeded_random{size}.fill(plaintext.data(), size);
    const bytes record = sealed(s, plaintext);
    ASSERT_EQ(record.size(), size + record_overhead_bytes);
    EXPECT_EQ(record[0] * 256U + record[1], size + record_tag_bytes);
    bytes out(size);
    const auto opened = o.open(body_of(record), out.data());
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(*opened, size);
    EXPECT_EQ(out, plaintext);
  }
  EXPECT_EQ(s.counter(), 7U);
  EXPECT_EQ(o.counter(), 7U);
}

TEST(record, in_place_and_elsewhere_are_the_same_bytes) {
  record_sealer a{state_at()};
  record_sealer b{state_at()};
  const bytes plaintext = to_bytes("the same bytes either way");
  const bytes record = sealed(a, plaintext);
  bytes room(plaintext.size() + record_overhead_bytes);
  std::copy(plaintext.begin(), plaintext.end(),
            room.begin() + record_header_bytes);
  const auto size = b.seal_in_place(room.data(), plaintext.size());
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(*size, room.size());
  EXPECT_EQ(room, record);
  record_opener o{state_at()};
  const auto opened = o.open_in_place(room.data() + record_header_bytes,
                                      room.size() - record_header_bytes);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((const_bytes{room.data() + record_header_bytes, *opened}),
            const_bytes{plaintext});
}

TEST(record, too_large_changes_nothing) {
  record_sealer s{state_at()};
  bytes out = to_bytes("kept");
  const auto refused = s.seal(bytes(record_plaintext_max + 1), out);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error(), record_errc::too_large);
  EXPECT_EQ(as_text(out), "kept");
  EXPECT_EQ(s.counter(), 0U);
}

TEST(record, every_flipped_byte_is_forged_and_the_end) {
  record_sealer s{state_at()};
  const bytes record = sealed(s, as_bytes("a heartbeat or so"));
  for (std::size_t i = 0; i < body_of(record).size(); ++i) {
    record_opener o{state_at()};
    bytes body = body_of(record).copy();
    body[i] ^= 0x40;
    auto opened = open(o, body);
    ASSERT_FALSE(opened.ok()) << i;
    EXPECT_EQ(opened.error(), record_errc::forged);
    opened = open(o, body_of(record)); // even the true one, afterwards
    ASSERT_FALSE(opened.ok());
  }
}

TEST(record, every_truncation_fails) {
  record_sealer s{state_at()};
  const bytes record = sealed(s, as_bytes("a heartbeat or so"));
  for (std::size_t n = 0; n < body_of(record).size(); ++n) {
    record_opener o{state_at()};
    const auto opened = open(o, body_of(record).first(n));
    ASSERT_FALSE(opened.ok()) << n;
    EXPECT_EQ(opened.error(), n < record_tag_bytes ? record_errc::too_short
                                                   : record_errc::forged);
  }
}

TEST(record, replayed_swapped_or_dropped_records_are_forged) {
  record_sealer s{state_at()};
  const bytes first = sealed(s, as_bytes("first"));
  const bytes second = sealed(s, as_bytes("second"));
  record_opener replayed{state_at()};
  ASSERT_TRUE(open(replayed, body_of(first)).ok());
  EXPECT_FALSE(open(replayed, body_of(first)).ok());
  record_opener swapped{state_at()};
  EXPECT_FALSE(open(swapped, body_of(second)).ok());
}

TEST(record, another_key_is_forged) {
  record_sealer s{state_at(0, 3)};
  record_opener o{state_at(0, 4)};
  EXPECT_FALSE(open(o, body_of(sealed(s, as_bytes("x")))).ok());
}

// [4] Rekey by Noise `Rekey` every 2^16 records.
TEST(record, both_sides_rekey_after_65536_records) {
  record_sealer s{state_at()};
  record_opener o{state_at()};
  auto plain = state_at(); // Noise without our counting beside it
  bytes out(100);
  for (std::uint64_t n = 0; n < 2 * record_rekey_interval + 2; ++n) {
    const bytes record = sealed(s, as_bytes("tick"));
    if (n > 0 && n % record_rekey_interval == 0)
      plain.rekey();
    bytes expected;
    ASSERT_TRUE(plain.encrypt({}, as_bytes("tick"), expected).ok());
    ASSERT_EQ(body_of(record), const_bytes{expected}) << "record " << n;
    ASSERT_TRUE(o.open(body_of(record), out.data()).ok()) << "record " << n;
  }
}

TEST(record, without_the_rekey_the_next_record_is_forged) {
  auto before = state_at(record_rekey_interval - 1);
  auto stubborn = state_at(record_rekey_interval - 1);
  record_opener o{std::move(before)};
  bytes record;
  ASSERT_TRUE(stubborn.encrypt({}, as_bytes("x"), record).ok());
  ASSERT_TRUE(open(o, record).ok());
  record.clear();
  ASSERT_TRUE(stubborn.encrypt({}, as_bytes("y"), record).ok());
  EXPECT_FALSE(open(o, record).ok());
}

TEST(record, the_counter_ends_before_the_nonce_of_rekey) {
  record_sealer s{state_at(UINT64_MAX)};
  bytes out;
  const auto refused = s.seal(as_bytes("x"), out);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error(), record_errc::exhausted);
  EXPECT_TRUE(out.empty());
}

} // namespace
} // namespace banyan
