#include "actors/pure/group_guard.hpp"
#include "tests/unit/routing/support.hpp"

#include <gtest/gtest.h>

namespace banyan::routing_tests {
namespace {

const group_id group{app(1), 0};
const group_id other{app(1), 1};

secret_bytes<32> secret_of(std::uint8_t n) {
  secret_bytes<32> s;
  seeded_random r{n};
  r.fill(s.data(), 32);
  return s;
}

// The two ends of one link: `at` is whom the far side proves to be.
net::link_info link(std::uint64_t id, std::uint8_t far, std::uint8_t hash = 1) {
  net::link_info l;
  l.id = net::link_id{id};
  l.node = node(far);
  l.handshake_hash = bytes(64, hash);
  return l;
}

struct two_nodes {
  group_guard a{node(1)};
  group_guard b{node(2)};
  net::link_info at_a = link(10, 2);
  net::link_info at_b = link(20, 1);
  two_nodes() {
    a.put_secret(app(1), secret_of(1));
    b.put_secret(app(1), secret_of(1));
  }
};

TEST(group_guard, nobody_speaks_without_a_proof) {
  two_nodes w;
  EXPECT_FALSE(w.b.may_speak(w.at_b.id, group));
  const auto proof = w.a.prove(w.at_a, group);
  ASSERT_TRUE(proof);
  EXPECT_TRUE(w.b.on_proof(w.at_b, group, *proof));
  EXPECT_TRUE(w.b.may_speak(w.at_b.id, group));
}

TEST(group_guard, a_proof_counts_for_one_group_on_one_link) {
  two_nodes w;
  const auto proof = *w.a.prove(w.at_a, group);
  EXPECT_TRUE(w.b.on_proof(w.at_b, group, proof));
  EXPECT_FALSE(w.b.may_speak(w.at_b.id, other));
  EXPECT_FALSE(w.b.may_speak(net::link_id{21}, group));
  EXPECT_FALSE(w.b.on_proof(w.at_b, other, proof));
  EXPECT_FALSE(w.b.may_speak(w.at_b.id, other));
}

TEST(group_guard, a_proof_is_bound_to_the_handshake_and_to_its_prover) {
  two_nodes w;
  const auto proof = *w.a.prove(w.at_a, group);
  EXPECT_FALSE(w.b.on_proof(link(21, 1, 2), group, proof)); // another handshake
  EXPECT_FALSE(w.b.on_proof(link(22, 3), group, proof));    // another node's
  EXPECT_FALSE(w.a.on_proof(w.at_a, group, proof));         // sent back
  EXPECT_FALSE(w.a.may_speak(w.at_a.id, group));
}

TEST(group_guard, a_wrong_proof_is_refused_bit_by_bit) {
  two_nodes w;
  const auto proof = *w.a.prove(w.at_a, group);
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto raw = proof.array();
    raw[bit / 8] = static_cast<std::uint8_t>(raw[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(w.b.on_proof(w.at_b, group, digest{raw}));
  }
  EXPECT_FALSE(w.b.may_speak(w.at_b.id, group));
  group_guard stranger{node(1)};
  stranger.put_secret(app(1), secret_of(9));
  EXPECT_FALSE(w.b.on_proof(w.at_b, group, *stranger.prove(w.at_a, group)));
}

TEST(group_guard, a_proof_is_given_once_per_link_and_group) {
  two_nodes w;
  EXPECT_TRUE(w.a.prove(w.at_a, group));
  EXPECT_FALSE(w.a.prove(w.at_a, group));
  EXPECT_TRUE(w.a.prove(w.at_a, other));
  EXPECT_TRUE(w.a.prove(link(11, 2), group));
  group_guard ignorant{node(3)};
  EXPECT_FALSE(ignorant.prove(w.at_a, group));
}

TEST(group_guard, a_proof_waits_for_the_secret) {
  two_nodes w;
  group_guard late{node(2)};
  EXPECT_FALSE(late.knows(app(1)));
  EXPECT_TRUE(late.on_proof(w.at_b, group, *w.a.prove(w.at_a, group)));
  EXPECT_TRUE(late.on_proof(w.at_b, other, digest{})); // a wrong one
  EXPECT_FALSE(late.may_speak(w.at_b.id, group));
  late.put_secret(app(1), secret_of(1));
  EXPECT_TRUE(late.may_speak(w.at_b.id, group));
  EXPECT_FALSE(late.may_speak(w.at_b.id, other));
}

TEST(group_guard, what_waits_is_bounded_and_ends_with_its_link) {
  two_nodes w;
  const auto proof = *w.a.prove(w.at_a, group);
  group_guard late{node(2)};
  for (std::uint32_t s = 0; s < group_guard::waiting_max; ++s)
    EXPECT_TRUE(late.on_proof(link(5, 7), group_id{app(8), s}, digest{}));
  EXPECT_TRUE(late.on_proof(w.at_b, group, proof)); // no room: forgotten
  late.on_link_gone(net::link_id{5});
  EXPECT_TRUE(late.on_proof(w.at_b, group, proof));
  late.put_secret(app(1), secret_of(1));
  EXPECT_TRUE(late.may_speak(w.at_b.id, group));
}

TEST(group_guard, a_proof_ends_with_its_link) {
  two_nodes w;
  EXPECT_TRUE(w.b.on_proof(w.at_b, group, *w.a.prove(w.at_a, group)));
  w.b.on_link_gone(w.at_b.id);
  w.a.on_link_gone(w.at_a.id);
  EXPECT_FALSE(w.b.may_speak(w.at_b.id, group));
  EXPECT_TRUE(w.a.prove(w.at_a, group)); // to be given again
}

TEST(group_guard, forget_ends_all_of_an_app) {
  two_nodes w;
  EXPECT_TRUE(w.b.on_proof(w.at_b, group, *w.a.prove(w.at_a, group)));
  w.b.forget(app(1));
  EXPECT_FALSE(w.b.knows(app(1)));
  EXPECT_EQ(w.b.secret(app(1)), nullptr);
  EXPECT_FALSE(w.b.may_speak(w.at_b.id, group));
  group_guard late{node(2)};
  EXPECT_TRUE(late.on_proof(w.at_b, other, *w.a.prove(w.at_a, other)));
  late.forget(app(1));
  late.put_secret(app(1), secret_of(1));
  EXPECT_FALSE(late.may_speak(w.at_b.id, other));
}

} // namespace
} // namespace banyan::routing_tests
