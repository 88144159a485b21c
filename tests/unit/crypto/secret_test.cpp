#include "crypto/hash.hpp"
#include "crypto/noise/handshake.hpp"
#include "crypto/secret.hpp"
#include "crypto/system_random.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <sstream>
#include <type_traits>

namespace banyan {
namespace {

using key = secret_bytes<32>;

template <class T, class = void>
struct printable : std::false_type {};
template <class T>
struct printable<T, std::void_t<decltype(std::declval<std::ostream&>()
                                         << std::declval<const T&>())>>
    : std::true_type {};

static_assert(!std::is_copy_constructible_v<key>);
static_assert(!std::is_copy_assignable_v<key>);
static_assert(std::is_nothrow_move_constructible_v<key>);
static_assert(!printable<key>::value);

/// Memory that we may look at after the object in it is gone.
template <class T>
struct grave {
  alignas(T) std::array<unsigned char, sizeof(T)> raw{};
  [[nodiscard]] bool holds(const_bytes needle) const {
    return std::search(raw.begin(), raw.end(), needle.begin(), needle.end())
           != raw.end();
  }
};

bytes pattern_bytes(std::size_t size) {
  bytes out(size);
  seeded_random{11}.fill(out.data(), size);
  return out;
}

TEST(secret, is_wiped_when_destroyed) {
  const bytes pattern = pattern_bytes(32);
  grave<key> g;
  auto* k = new (g.raw.data()) key;
  ASSERT_TRUE(key::from(pattern, *k));
  EXPECT_TRUE(g.holds(pattern));
  k->~secret_bytes();
  EXPECT_FALSE(g.holds(const_bytes{pattern}.first(4)));
}

TEST(secret, is_wiped_when_moved_from) {
  const bytes pattern = pattern_bytes(32);
  key a;
  ASSERT_TRUE(key::from(pattern, a));
  key b{std::move(a)};
  EXPECT_EQ(a.view(),
            const_bytes{bytes(32)}); // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(b.view(), const_bytes{pattern});
  a = std::move(b);
  EXPECT_EQ(b.view(),
            const_bytes{bytes(32)}); // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(a.view(), const_bytes{pattern});
}

TEST(secret, compares_and_refuses_another_length) {
  key a;
  key b;
  EXPECT_TRUE(a == b);
  b.data()[31] = 1;
  EXPECT_TRUE(a != b);
  EXPECT_TRUE(a != b.clone());
  EXPECT_FALSE(key::from(bytes(31), a));
  EXPECT_FALSE(key::from(bytes(33), a));
  EXPECT_FALSE(same_secret(bytes(3), bytes(4)));
}

/// A dead handshake keeps neither its psk nor its ephemeral key.
TEST(secret, a_failed_handshake_is_wiped) {
  const bytes pattern = pattern_bytes(32);
  seeded_random random{1};
  const auto own = noise::dh_keypair::generate(random);
  grave<noise::handshake> g;
  noise::handshake_setup setup;
  setup.local_static = &own;
  setup.psks.emplace_back();
  ASSERT_TRUE(key::from(pattern, setup.psks.back()));
  auto* h = new (g.raw.data())
      noise::handshake{noise::link_protocol(), std::move(setup), random};
  bytes out;
  seeded_random same{1};
  (void)noise::dh_keypair::generate(same);
  const key ephemeral{same};
  ASSERT_TRUE(h->write_message({}, out).ok());
  EXPECT_TRUE(g.holds(ephemeral.view()));
  EXPECT_FALSE(h->read_message(bytes(10), out).ok());
  EXPECT_FALSE(g.holds(ephemeral.view().first(8)));
  h->~handshake();
  EXPECT_FALSE(g.holds(ephemeral.view().first(8)));
}

TEST(system_random, gives_other_bytes_each_time) {
  system_random random;
  EXPECT_NE(random.array<32>(), random.array<32>());
}

TEST(hash, pieces_and_whole_agree) {
  hasher h;
  h.update(as_bytes("ban")).update(as_bytes("yan"));
  EXPECT_EQ(h.finish(), hash(as_bytes("banyan")));
  // BLAKE2b-256 of nothing, as b2sum -l 256 prints it
  EXPECT_EQ(to_hex(hash({}).view()),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

TEST(hash, parts_read_in_one_way_only) {
  const auto ab_c = hash_of({as_bytes("ab"), as_bytes("c")});
  EXPECT_NE(ab_c, hash_of({as_bytes("a"), as_bytes("bc")}));
  EXPECT_NE(ab_c, hash_of({as_bytes("abc")}));
  EXPECT_NE(ab_c, hash_of({as_bytes("ab"), as_bytes("c"), {}}));
}

TEST(hash, a_key_changes_everything) {
  key a;
  key b;
  b.data()[0] = 1;
  EXPECT_NE(keyed_hash(a, as_bytes("x")), hash(as_bytes("x")));
  EXPECT_NE(keyed_hash(a, as_bytes("x")), keyed_hash(b, as_bytes("x")));
  EXPECT_EQ(derive_key(a, {as_bytes("x")}).view(),
            keyed_hash_of(a, {as_bytes("x")}).view());
}

TEST(system_random, fills_nothing_when_nothing_is_asked_for) {
  system_random random;
  random.fill(nullptr, 0);
  std::uint8_t untouched = 7;
  random.fill(&untouched, 0);
  EXPECT_EQ(untouched, 7);
}

} // namespace
} // namespace banyan
