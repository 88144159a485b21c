// The link handshake under every kind of damage.
#include "crypto/noise/handshake.hpp"
#include "crypto/record.hpp"
#include "crypto/system_random.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using namespace noise;

/// Two sides of one link handshake, the same for a given seed.
struct link_pair {
  explicit link_pair(std::uint64_t seed = 7)
      : random{seed}, initiator_static{dh_keypair::generate(random)},
        responder_static{dh_keypair::generate(random)}, psk{random},
        initiator_random{seed + 1}, responder_random{seed + 2},
        initiator{link_protocol(), setup(true), initiator_random},
        responder{link_protocol(), setup(false), responder_random} {}

  handshake_setup setup(bool is_initiator) {
    handshake_setup s;
    s.initiator = is_initiator;
    s.prologue = as_bytes("banyan 1 orchard");
    s.local_static = is_initiator ? &initiator_static : &responder_static;
    s.psks.push_back(psk.clone());
    return s;
  }

  /// Runs the messages before number `n`, so that message `n` is next; returns
  /// it as its writer wrote it. Payloads are those of a real link: none, some,
  /// some.
  bytes message(std::size_t n) {
    bytes out;
    bytes payload;
    for (std::size_t i = 0; i <= n; ++i) {
      auto& from = i % 2 == 0 ? initiator : responder;
      EXPECT_TRUE(from.write_message(i == 0 ? const_bytes{}
                                            : as_bytes("signed and bound"),
                                     out)
                      .ok());
      if (i < n) {
        auto& to = i % 2 == 0 ? responder : initiator;
        EXPECT_TRUE(to.read_message(out, payload).ok());
      }
    }
    return out;
  }
  handshake& reader_of(std::size_t n) {
    return n % 2 == 0 ? responder : initiator;
  }

  seeded_random random;
  dh_keypair initiator_static;
  dh_keypair responder_static;
  secret_bytes<32> psk;
  seeded_random initiator_random;
  seeded_random responder_random;
  handshake initiator;
  handshake responder;
};

void expect_dead(handshake& h) {
  EXPECT_TRUE(h.dead());
  EXPECT_FALSE(h.complete());
  EXPECT_FALSE(h.my_turn());
  bytes out;
  const auto written = h.write_message({}, out);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error(), handshake_errc::dead);
  const auto read = h.read_message(bytes(48), out);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error(), handshake_errc::dead);
  EXPECT_TRUE(out.empty());
}

TEST(handshake, both_sides_agree) {
  link_pair p;
  const bytes last = p.message(2);
  bytes payload;
  ASSERT_TRUE(p.responder.read_message(last, payload).ok());
  EXPECT_EQ(as_text(payload), "signed and bound");
  ASSERT_TRUE(p.initiator.complete() && p.responder.complete());
  EXPECT_EQ(p.initiator.handshake_hash(), p.responder.handshake_hash());
  EXPECT_EQ(p.initiator.handshake_hash().size(), 64U);
  EXPECT_EQ(p.initiator.remote_static(), p.responder_static.pub);
  EXPECT_EQ(p.responder.remote_static(), p.initiator_static.pub);
  auto i = p.initiator.split();
  auto r = p.responder.split();
  bytes sealed;
  bytes opened;
  ASSERT_TRUE(r.send.encrypt({}, as_bytes("hello"), sealed).ok());
  ASSERT_TRUE(i.receive.decrypt({}, sealed, opened).ok());
  EXPECT_EQ(as_text(opened), "hello");
}

TEST(handshake, messages_have_the_sizes_of_the_wire_format) {
  link_pair p;
  EXPECT_EQ(p.message(0).size(), 48U); // e, tag of an empty payload
  link_pair q;
  EXPECT_EQ(q.message(1).size(), 32 + 48 + 16 + 16U);
  link_pair s;
  EXPECT_EQ(s.message(2).size(), 48 + 16 + 16U);
}

TEST(handshake, every_flipped_byte_of_every_message_fails_cleanly) {
  int cases = 0;
  for (std::size_t n = 0; n < 3; ++n) {
    const std::size_t size = link_pair{}.message(n).size();
    for (std::size_t at = 0; at < size; ++at)
      for (const unsigned mask : {0x01U, 0x80U, 0xFFU}) {
        link_pair p;
        bytes message = p.message(n);
        message[at] = static_cast<std::uint8_t>(message[at] ^ mask);
        bytes payload;
        const auto read = p.reader_of(n).read_message(message, payload);
        ASSERT_FALSE(read.ok()) << "message " << n << " byte " << at;
        EXPECT_EQ(read.error(), handshake_errc::forged);
        EXPECT_TRUE(payload.empty());
        expect_dead(p.reader_of(n));
        ++cases;
      }
  }
  std::cout << cases << " flips\n";
}

TEST(handshake, every_truncation_and_extension_fails_cleanly) {
  for (std::size_t n = 0; n < 3; ++n) {
    const std::size_t size = link_pair{}.message(n).size();
    for (std::size_t keep = 0; keep <= size + 2; ++keep) {
      if (keep == size)
        continue;
      link_pair p;
      bytes message = p.message(n);
      message.resize(keep);
      bytes payload;
      const auto read = p.reader_of(n).read_message(message, payload);
      ASSERT_FALSE(read.ok()) << "message " << n << " cut to " << keep;
      EXPECT_TRUE(read.error() == handshake_errc::too_short
                  || read.error() == handshake_errc::forged);
      EXPECT_TRUE(payload.empty());
      expect_dead(p.reader_of(n));
    }
  }
}

TEST(handshake, a_stranger_without_the_psk_is_refused_by_message_1) {
  link_pair p;
  link_pair other;
  secret_bytes<32> wrong = p.psk.clone();
  wrong.data()[31] ^= 1;
  auto setup = p.setup(false);
  setup.psks.clear();
  setup.psks.push_back(std::move(wrong));
  handshake responder{link_protocol(), std::move(setup), p.responder_random};
  bytes payload;
  const auto read = responder.read_message(p.message(0), payload);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error(), handshake_errc::forged);
}

TEST(handshake, a_responder_tries_its_psks_one_after_another) {
  link_pair p;
  const bytes message = p.message(0);
  std::vector<secret_bytes<32>> accepted;
  accepted.emplace_back(p.random);
  accepted.emplace_back(p.random);
  accepted.push_back(p.psk.clone());
  std::optional<handshake> responder;
  bytes payload;
  std::size_t used = 0;
  for (; used < accepted.size(); ++used) {
    auto setup = p.setup(false);
    setup.psks[0] = accepted[used].clone();
    responder.emplace(link_protocol(), std::move(setup), p.responder_random);
    if (responder->read_message(message, payload).ok())
      break;
  }
  EXPECT_EQ(used, 2U);
  bytes answer;
  ASSERT_TRUE(responder->write_message({}, answer).ok());
  EXPECT_TRUE(p.initiator.read_message(answer, payload).ok());
}

TEST(handshake, another_prologue_fails) {
  link_pair p;
  auto setup = p.setup(false);
  setup.prologue = as_bytes("banyan 1 garden");
  handshake responder{link_protocol(), std::move(setup), p.responder_random};
  bytes payload;
  EXPECT_FALSE(responder.read_message(p.message(0), payload).ok());
}

TEST(handshake, points_of_small_order_are_refused) {
  secret_bytes<32> out;
  EXPECT_FALSE(dh(secret_bytes<32>{}, dh_public{}, out));
  // by way of a handshake: NN without psk carries a bare point
  const auto nn = protocol::parse("Noise_NN_25519_ChaChaPoly_BLAKE2b");
  ASSERT_TRUE(nn.has_value());
  system_random random;
  handshake_setup setup;
  setup.initiator = false;
  handshake responder{*nn, std::move(setup), random};
  bytes payload;
  ASSERT_TRUE(responder.read_message(bytes(32), payload).ok());
  bytes answer;
  const auto written = responder.write_message({}, answer);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error(), handshake_errc::weak_key);
  EXPECT_TRUE(answer.empty());
  expect_dead(responder);
}

TEST(handshake, out_of_turn_is_the_end) {
  bytes out;
  {
    link_pair p;
    const auto read = p.initiator.read_message(bytes(48), out);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error(), handshake_errc::out_of_turn);
    expect_dead(p.initiator);
  }
  {
    link_pair p;
    const auto written = p.responder.write_message({}, out);
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error(), handshake_errc::out_of_turn);
    expect_dead(p.responder);
  }
}

TEST(handshake, sizes_are_bounded) {
  bytes out;
  {
    link_pair p;
    const auto read = p.responder.read_message(bytes(65'536), out);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error(), handshake_errc::too_large);
  }
  {
    link_pair p;
    const bytes payload(65'535 - 48);
    ASSERT_TRUE(p.initiator.write_message(payload, out).ok());
    EXPECT_EQ(out.size(), 65'535U);
    bytes read;
    ASSERT_TRUE(p.responder.read_message(out, read).ok());
    EXPECT_EQ(read, payload);
  }
  {
    link_pair p;
    const auto written = p.initiator.write_message(bytes(65'535 - 47), out);
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error(), handshake_errc::too_large);
    expect_dead(p.initiator);
  }
}

TEST(handshake, a_replayed_last_message_fails) {
  link_pair p;
  const bytes last = p.message(2);
  bytes payload;
  ASSERT_TRUE(p.responder.read_message(last, payload).ok());
  link_pair q{99}; // the same two nodes' next handshake would differ like this
  (void)q.message(1);
  EXPECT_FALSE(q.responder.read_message(last, payload).ok());
}

TEST(cipher_state, the_last_nonce_is_kept_for_rekey) {
  cipher_state c{chacha_poly, secret_bytes<32>{}};
  c.set_counter(UINT64_MAX);
  bytes out;
  const auto sealed = c.encrypt({}, as_bytes("x"), out);
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error(), cipher_errc::exhausted);
  EXPECT_TRUE(out.empty());
}

} // namespace
} // namespace banyan
