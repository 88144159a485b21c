#include "fake_streams.hpp"

#include <gtest/gtest.h>

namespace banyan::net::test {
namespace {

struct pair_of_sides {
  explicit pair_of_sides(link_role role = link_role::peer)
      : role_{role}, a{1, random, "garden", 1, role}, b{2, random},
        dial{a.keys, random}, answer{b.keys, random} {}

  link_role role_;
  seeded_random random{3};
  side_keys a, b;
  link_handshake dial, answer;
};

TEST(Handshake, BothRolesProveThemselves) {
  for (const auto role : {link_role::peer, link_role::client}) {
    pair_of_sides p{role};
    const auto first = p.dial.write_first();
    EXPECT_EQ(first.size(), message_1_bytes);
    const auto as = p.answer.read_first(first);
    ASSERT_TRUE(as.ok());
    EXPECT_EQ(*as, role);
    const auto second = p.answer.write_second(p.b.say());
    EXPECT_EQ(second.size(), message_2_bytes);
    const auto far_b = p.dial.read_second(second);
    ASSERT_TRUE(far_b.ok());
    EXPECT_EQ(far_b->node, p.b.key.id());
    EXPECT_EQ(far_b->listen, (address{"10.0.0.9", 7600}));
    EXPECT_EQ(far_b->seen, (address{"10.0.0.8", 33333}));
    const auto third = p.dial.write_third(p.a.say(role));
    EXPECT_EQ(third.size(), message_3_bytes);
    const auto far_a = p.answer.read_third(third);
    ASSERT_TRUE(far_a.ok());
    EXPECT_EQ(far_a->node, p.a.key.id());
    EXPECT_EQ(far_a->role, role);
    EXPECT_EQ(far_a->incarnation, incarnation{5});
    EXPECT_EQ(far_a->dial, 3U);
    EXPECT_EQ(p.dial.hash(), p.answer.hash());
    record_sealer out{p.dial.split().send};
    record_opener in{p.answer.split().receive};
    bytes record;
    ASSERT_TRUE(out.seal(to_bytes("x"), record).ok());
    bytes plain(1);
    ASSERT_TRUE(
        in.open(const_bytes{record}.from(record_header_bytes), plain.data())
            .ok());
    EXPECT_EQ(to_text(plain), "x");
  }
}

TEST(Handshake, EveryFlippedByteOfEveryMessageFails) {
  for (std::size_t i = 0; i < message_1_bytes; ++i) {
    pair_of_sides p;
    auto first = p.dial.write_first();
    first[i] ^= 0x10;
    EXPECT_FALSE(p.answer.read_first(first).ok()) << i;
  }
  for (std::size_t i = 0; i < message_2_bytes; ++i) {
    pair_of_sides p;
    ASSERT_TRUE(p.answer.read_first(p.dial.write_first()).ok());
    auto second = p.answer.write_second(p.b.say());
    second[i] ^= 0x10;
    EXPECT_FALSE(p.dial.read_second(second).ok()) << i;
  }
  for (std::size_t i = 0; i < message_3_bytes; ++i) {
    pair_of_sides p;
    ASSERT_TRUE(p.answer.read_first(p.dial.write_first()).ok());
    ASSERT_TRUE(p.dial.read_second(p.answer.write_second(p.b.say())).ok());
    auto third = p.dial.write_third(p.a.say());
    third[i] ^= 0x10;
    EXPECT_FALSE(p.answer.read_third(third).ok()) << i;
  }
}

/// A member with the mesh key that claims what its keys don't say.
TEST(Handshake, AFalseClaimFailsAtTheProof) {
  const auto third_with = [](auto change, bool other_key) {
    pair_of_sides p;
    EXPECT_TRUE(p.answer.read_first(p.dial.write_first()).ok());
    EXPECT_TRUE(p.dial.read_second(p.answer.write_second(p.b.say())).ok());
    // The payload is made by hand and sent through the real cipher.
    auto mine = p.a.say();
    change(mine);
    side_keys liar{7, p.random};
    if (other_key) {
      p.a.keys.key = &liar.key; // signs with its own key...
      mine.node = liar.key.id();
    }
    const auto third = p.dial.write_third(mine);
    const auto far = p.answer.read_third(third);
    return far.ok();
  };
  EXPECT_TRUE(third_with([](hello&) {}, false));
  EXPECT_TRUE(third_with([](hello&) {}, true)); // another identity is allowed
  EXPECT_FALSE(third_with([](hello& h) { h.role = link_role::client; }, false));
}

TEST(Handshake, TheProofBindsNodeMeshHashKeyRoleAndIncarnation) {
  seeded_random random{4};
  side_keys a{1, random};
  side_keys b{2, random};
  const auto mesh = a.keys.mesh;
  const bytes hash(64, 1);
  const auto key = a.static_key.pub;
  const auto good = encode_hello(a.say(), a.key, mesh, hash, key);
  hello out;
  ASSERT_TRUE(decode_hello(good, mesh, hash, key, out));
  EXPECT_FALSE(decode_hello(good, test_mesh::mesh_of("other"), hash, key, out));
  EXPECT_FALSE(decode_hello(good, mesh, bytes(64, 2), key, out));
  EXPECT_FALSE(decode_hello(good, mesh, hash, b.static_key.pub, out));
  // Flip the signed fields in the encoding: node, role, incarnation.
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 1;
    hello other;
    if (decode_hello(bad, mesh, hash, key, other)) {
      EXPECT_EQ(other.node, a.key.id());
      EXPECT_EQ(other.role, link_role::peer);
      EXPECT_EQ(other.incarnation, incarnation{5});
    }
  }
}

bytes hello_map(std::initializer_list<std::pair<int, bytes>> extra,
                const hello& h, const identity& key, const mesh_id& mesh,
                const_bytes hash, const noise::dh_public& pub) {
  const auto good = encode_hello(h, key, mesh, hash, pub);
  // Eleven pairs of ours, then those of a newer minor version.
  bytes out;
  std::size_t end = good.size();
  while (good[end - 1] == 0)
    --end;
  out.push_back(static_cast<std::uint8_t>(0x80 + 11 + extra.size()));
  out.insert(out.end(), good.begin() + 1,
             good.begin() + static_cast<std::ptrdiff_t>(end));
  out.push_back(0); // `knows` is zero, as is the padding
  for (const auto& [k, v] : extra) {
    out.push_back(static_cast<std::uint8_t>(k));
    append(out, v);
  }
  out.resize(hello_bytes);
  return out;
}

TEST(Handshake, UnknownKeysOfANewerPeerAreSkipped) {
  seeded_random random{4};
  side_keys a{1, random};
  const auto mesh = a.keys.mesh;
  const bytes hash(64, 1);
  const auto make = [&](std::initializer_list<std::pair<int, bytes>> extra) {
    return hello_map(extra, a.say(), a.key, mesh, hash, a.static_key.pub);
  };
  hello out;
  EXPECT_TRUE(decode_hello(make({}), mesh, hash, a.static_key.pub, out));
  EXPECT_TRUE(decode_hello(
      make({{11, {0x01}}, {50, {0x92, 0xC0, 0xA1, 'x'}}, {100, {0x80}}}), mesh,
      hash, a.static_key.pub, out));
  EXPECT_EQ(out.node, a.key.id());
  // Not in order, twice, or broken: refused.
  EXPECT_FALSE(decode_hello(make({{12, {0x01}}, {11, {0x01}}}), mesh, hash,
                            a.static_key.pub, out));
  EXPECT_FALSE(
      decode_hello(make({{10, {0x01}}}), mesh, hash, a.static_key.pub, out));
  EXPECT_FALSE(
      decode_hello(make({{11, {0xC1}}}), mesh, hash, a.static_key.pub, out));
}

TEST(Handshake, RandomPayloadsAreRefused) {
  seeded_random random{5};
  side_keys a{1, random};
  const auto good =
      encode_hello(a.say(), a.key, a.keys.mesh, bytes(64), a.static_key.pub);
  for (int i = 0; i < 100'000; ++i) {
    auto bad = good;
    if (random.chance(0.5)) {
      bad.resize(hello_bytes);
      random.fill(bad.data(), 1 + random.below(hello_bytes));
      if (random.chance(0.8))
        bad[0] = static_cast<std::uint8_t>(0x80 + random.below(16));
    } else { // the signature is not reached: the form breaks before
      bad[random.below(40) < 20 ? 0 : 1] ^= 0x55;
    }
    if (bad == good)
      continue;
    hello out;
    ASSERT_FALSE(
        decode_hello(bad, a.keys.mesh, bytes(64), a.static_key.pub, out));
  }
  hello out;
  for (const std::size_t size : {0U, 1U, 767U, 769U}) {
    auto bad = good;
    bad.resize(size);
    EXPECT_FALSE(
        decode_hello(bad, a.keys.mesh, bytes(64), a.static_key.pub, out));
  }
}

/// docs/wire-format.md, as bytes.
TEST(WireFormat, PrologueWelcomeAndGoodbyeAreWhatTheDocumentSays) {
  EXPECT_EQ(to_hex(make_prologue("garden")),
            "93a662616e79616e01a667617264656e");
  EXPECT_EQ(message_1_bytes, 48U);
  EXPECT_EQ(message_2_bytes, 864U);
  EXPECT_EQ(message_3_bytes, 832U);
  EXPECT_EQ(frame_bytes_max, 8'454'144U);
  answering_table t;
  seeded_random random{1};
  side_keys far{1, random};
  hand_dialler d{t, far};
  ASSERT_TRUE(d.link());
  using frames = std::vector<std::pair<channel, bytes>>;
  EXPECT_EQ(d.read(), (frames{{channel::link, {0x81, 0x00, 0x01}}}));
  t.table->close(far.key.id(), t.now);
  t.table->flush(t.now);
  EXPECT_EQ(d.read(), (frames{{channel::link, {0x81, 0x00, 0x02}}}));
  EXPECT_FALSE(t.io.is_over(d.id));
  d.send(channel::link, {0x81, 0x00, 0x02});
  EXPECT_TRUE(t.io.is_over(d.id)); // both have said it
}

TEST(WireFormat, WelcomeAndGoodbyeDoNotWaitForAFlush) {
  answering_table t;
  t.flush_after = false;
  seeded_random random{1};
  side_keys far{1, random};
  hand_dialler d{t, far};
  ASSERT_TRUE(d.link());
  EXPECT_EQ(d.read().size(), 1U);
  ASSERT_TRUE(t.table->send(far.key.id(), channel::raft, {}).ok());
  EXPECT_TRUE(t.table->needs_flush());
  d.send(channel::link, {0x81, 0x00, 0x02});
  EXPECT_TRUE(t.io.is_over(d.id));
  EXPECT_EQ(d.read().size(), 2U); // what was queued, and its own goodbye
}

TEST(WireFormat, UnknownWordsAndKeysOfTheLinkChannelAreSkipped) {
  answering_table t;
  seeded_random random{1};
  side_keys far{1, random};
  hand_dialler d{t, far};
  ASSERT_TRUE(d.link());
  d.send(channel::link, {0x81, 0x00, 0x09});             // an unknown word
  d.send(channel::link, {0x82, 0x00, 0x09, 0x05, 0xC0}); // and key
  d.send(channel::link, {0x80});
  EXPECT_FALSE(t.io.is_over(d.id));
  d.send(channel::link, {0x81, 0x00}); // cut short
  EXPECT_TRUE(t.io.is_over(d.id));
}

// What a table does with what a stream brings.

TEST(Admission, AStrangerIsRefusedBeforeAnyDiffieHellman) {
  answering_table t;
  seeded_random random{1};
  side_keys stranger{1, random, "garden", 77};
  hand_dialler d{t, stranger};
  d.first();
  EXPECT_TRUE(t.io.is_over(d.id));
  EXPECT_TRUE(t.io.written[d.id].empty()); // and learns nothing
  EXPECT_EQ(t.random.draws, 0U); // no ephemeral key, so no Diffie-Hellman
  EXPECT_EQ(t.table->counters().refused_strangers, 1U);
  EXPECT_TRUE(t.node.log.empty());
}

TEST(Admission, AnotherMeshOrWireVersionIsAStranger) {
  seeded_random random{1};
  for (const bool other_name : {true, false}) {
    answering_table t;
    side_keys far{
        1, random,          other_name ? "desert" : "garden",
        1, link_role::peer, wire_version_major + (other_name ? 0 : 1)};
    hand_dialler d{t, far};
    d.first();
    EXPECT_TRUE(t.io.is_over(d.id));
    EXPECT_TRUE(t.io.written[d.id].empty());
    EXPECT_EQ(t.table->counters().refused_strangers, 1U);
  }
}

TEST(Admission, AllOfFourMeshKeysAreAccepted) {
  answering_table t{{}, {1, 2, 3, 4}};
  seeded_random random{1};
  for (std::uint8_t fill = 1; fill <= 5; ++fill) {
    for (const auto role : {link_role::peer, link_role::client}) {
      side_keys far{static_cast<std::uint8_t>(
                        fill * 2 + (role == link_role::peer ? 0 : 1)),
                    random, "garden", fill, role};
      hand_dialler d{t, far, role};
      EXPECT_EQ(d.link(), fill <= 4);
    }
  }
  EXPECT_EQ(t.node.ups.size(), 8U);
}

TEST(Admission, AReplayedFirstMessageIsRefused) {
  answering_table t;
  seeded_random random{1};
  side_keys far{1, random};
  link_handshake shake{far.keys, random};
  const auto first = shake.write_first();
  const auto one = t.open();
  t.feed(one, first);
  EXPECT_EQ(t.io.written[one].size(), message_2_bytes);
  const auto draws = t.random.draws;
  const auto two = t.open();
  t.feed(two, first);
  EXPECT_TRUE(t.io.is_over(two));
  EXPECT_TRUE(t.io.written[two].empty());
  EXPECT_EQ(t.random.draws, draws);
  EXPECT_EQ(t.table->counters().refused_replays, 1U);
}

TEST(Admission, EveryTruncationOfEveryMessageHasNoEffect) {
  seeded_random random{1};
  side_keys far{1, random};
  link_limits limits;
  limits.rations.handshakes_burst = limits.rations.prefix_burst = 1e6;
  answering_table t{limits};
  for (std::size_t n = 0; n < message_1_bytes; n += 5) {
    hand_dialler d{t, far};
    t.feed(d.id, const_bytes{d.shake.write_first()}.first(n));
    t.table->on_closed(d.id, stream_end::end_of_stream, t.now);
    EXPECT_TRUE(t.io.written[d.id].empty());
  }
  for (std::size_t n = 0; n < message_3_bytes; n += 13) {
    hand_dialler d{t, far};
    d.first();
    ASSERT_TRUE(d.second());
    const auto third = d.shake.write_third(d.mine);
    t.feed(d.id, const_bytes{third}.first(n));
    t.table->on_closed(d.id, stream_end::end_of_stream, t.now);
    EXPECT_TRUE(t.io.written[d.id].empty());
  }
  EXPECT_TRUE(t.node.log.empty());
  EXPECT_EQ(t.table->counters().handshakes_cut, 10U + 64U);
}

TEST(Admission, MessagesMayComeByteByByteAndWithRecordsBehind) {
  answering_table t;
  seeded_random random{1};
  side_keys far{1, random};
  hand_dialler d{t, far};
  for (const auto b : d.shake.write_first())
    t.feed(d.id, bytes{b});
  ASSERT_TRUE(d.second());
  auto third = d.shake.write_third(d.mine);
  d.sealer.emplace(d.shake.split().send);
  const bytes plain{3, 0, 0, 2, 0xA1, 'x'};
  ASSERT_TRUE(d.sealer->seal(plain, third).ok());
  t.feed(d.id, third);
  ASSERT_EQ(t.node.ups.size(), 1U);
  ASSERT_EQ(t.node.got.size(), 1U);
  EXPECT_EQ(t.node.got[0].payload, (bytes{0xA1, 'x'}));
}

TEST(Admission, TwoSecondsToTheFirstByteFiveInAll) {
  answering_table t;
  seeded_random random{1};
  side_keys far{1, random};
  const auto silent = t.open();
  hand_dialler slow{t, far};
  t.pass(1900ms);
  EXPECT_FALSE(t.io.is_over(silent));
  slow.first();
  t.pass(200ms);
  EXPECT_TRUE(t.io.is_over(silent));
  EXPECT_FALSE(t.io.is_over(slow.id));
  t.pass(2800ms);
  EXPECT_FALSE(t.io.is_over(slow.id));
  t.pass(200ms);
  EXPECT_TRUE(t.io.is_over(slow.id));
  EXPECT_EQ(t.table->counters().handshake_timeouts, 2U);
  EXPECT_EQ(t.table->deadline(), never);
}

TEST(Admission, HalfOfTheSlotsAreKeptForAddressesOfKnownMembers) {
  link_limits limits;
  limits.rations.half_open_max = 8;
  answering_table t{limits};
  t.table->set_known({{"10.9.9.9", 7600}});
  int open = 0;
  for (int i = 0; i < 20; ++i)
    open += t.io.is_over(t.open("10.0." + std::to_string(i) + ".1")) ? 0 : 1;
  EXPECT_EQ(open, 4);
  EXPECT_EQ(t.table->counters().refused_rationed, 16U);
  EXPECT_FALSE(t.io.is_over(t.open("10.9.9.9")));
  t.pass(3s); // they time out, and their slots are free again
  EXPECT_FALSE(t.io.is_over(t.open("10.0.50.1")));
}

TEST(Admission, ALinkGivesItsSlotBack) {
  link_limits limits;
  limits.rations.half_open_max = 2;
  answering_table t{limits};
  seeded_random random{1};
  for (std::uint8_t i = 1; i < 20; ++i) {
    side_keys far{i, random};
    hand_dialler d{t, far};
    EXPECT_TRUE(d.link());
  }
}

TEST(Admission, ItsOwnIdentityAtTheOtherEndIsRefused) {
  answering_table t;
  seeded_random random{1};
  side_keys self{200, random};
  hand_dialler d{t, self};
  EXPECT_FALSE(d.link());
  EXPECT_EQ(t.table->counters().refused_self, 1U);
  EXPECT_TRUE(t.node.log.empty());
}

TEST(Admission, AClientKeyCannotClaimToBeAPeer) {
  answering_table t;
  seeded_random random{1};
  side_keys client{1, random, "garden", 1, link_role::client};
  hand_dialler d{t, client, link_role::peer};
  EXPECT_FALSE(d.link());
  EXPECT_EQ(t.table->counters().refused_proofs, 1U);
}

TEST(Admission, AClientThatGossipsLosesItsLink) {
  for (const auto c : {channel::membership, channel::beat, channel::raft,
                       channel::group, channel::outbox, channel::bulk}) {
    answering_table t;
    seeded_random random{1};
    side_keys client{1, random, "garden", 1, link_role::client};
    hand_dialler d{t, client, link_role::client};
    ASSERT_TRUE(d.link());
    d.send(channel::request, {1});
    ASSERT_EQ(t.node.got.size(), 1U);
    EXPECT_EQ(t.node.ups[0].role, link_role::client);
    d.send(c, {1});
    EXPECT_TRUE(t.io.is_over(d.id));
    EXPECT_EQ(t.node.got.size(), 1U);
    EXPECT_EQ(t.table->counters().client_violations, 1U);
    ASSERT_EQ(t.node.downs.size(), 1U);
    EXPECT_EQ(t.node.downs[0].second, link_end::protocol_error);
  }
}

TEST(Admission, AClientLinkNeverTakesThePlaceOfAPeersLink) {
  answering_table t;
  seeded_random random{1};
  side_keys peer{1, random};
  side_keys client{1, random, "garden", 1, link_role::client};
  hand_dialler p{t, peer};
  ASSERT_TRUE(p.link());
  hand_dialler c{t, client, link_role::client};
  c.mine.incarnation = incarnation{99};
  c.link();
  EXPECT_EQ(t.node.ups.size(), 1U);
  EXPECT_TRUE(t.node.downs.empty());
  EXPECT_EQ(t.table->find(peer.key.id())->role, link_role::peer);
}

TEST(Admission, RandomBytesOnTheLinkPortHaveNoEffect) {
  link_limits limits;
  limits.rations.handshakes_burst = limits.rations.prefix_burst = 1e9;
  answering_table t{limits};
  seeded_random random{11};
  constexpr int cases = 20'000;
  for (int i = 0; i < cases; ++i) {
    const auto id = t.open();
    bytes data(1 + random.below(120));
    random.fill(data.data(), data.size());
    t.feed(id, data);
    ASSERT_EQ(t.io.is_over(id), data.size() >= message_1_bytes);
    t.table->on_closed(id, stream_end::reset, t.now);
    t.io.ended.clear();
  }
  EXPECT_TRUE(t.io.written.empty());
  EXPECT_EQ(t.random.draws, 0U);
  EXPECT_TRUE(t.node.log.empty());
  EXPECT_EQ(t.table->deadline(), never); // nothing is left behind
}

TEST(Admission, RandomBytesOnALinkEndThatLinkAlone) {
  answering_table t;
  seeded_random random{12};
  side_keys good{1, random};
  hand_dialler witness{t, good};
  ASSERT_TRUE(witness.link());
  for (std::uint8_t i = 0; i < 30; ++i) {
    side_keys far{static_cast<std::uint8_t>(10 + i), random};
    hand_dialler d{t, far};
    ASSERT_TRUE(d.link());
    bytes data(2000);
    random.fill(data.data(), data.size());
    data[0] = 0;
    t.feed(d.id, data);
    ASSERT_TRUE(t.io.is_over(d.id));
    t.now += 1s; // the ration of the prefix
  }
  EXPECT_EQ(t.table->counters().protocol_errors, 30U);
  EXPECT_EQ(t.node.downs.size(), 30U);
  witness.send(channel::raft, {7});
  EXPECT_EQ(t.node.got.size(), 1U);
}

} // namespace
} // namespace banyan::net::test
