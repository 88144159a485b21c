#include "support.hpp"

#include <gtest/gtest.h>

namespace banyan::net::test {
namespace {

TEST(LinkTable, TwoPeersLinkAndTalk) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.run_for(10ms);
  ASSERT_EQ(a.ups.size(), 1U);
  ASSERT_EQ(b.ups.size(), 1U);
  const auto& at_a = a.ups[0];
  const auto& at_b = b.ups[0];
  EXPECT_EQ(at_a.node, b.table->self());
  EXPECT_EQ(at_b.node, a.table->self());
  EXPECT_TRUE(at_a.dialled);
  EXPECT_FALSE(at_b.dialled);
  EXPECT_EQ(at_a.handshake_hash, at_b.handshake_hash);
  EXPECT_EQ(at_a.handshake_hash.size(), 64U);
  EXPECT_EQ(at_a.role, link_role::peer);
  EXPECT_EQ(at_b.role, link_role::peer);
  EXPECT_EQ(at_b.features, 7U);
  EXPECT_EQ(at_a.listen, test_mesh::at("10.0.0.2"));
  EXPECT_EQ(at_a.seen_as.host, "10.0.0.1");
  EXPECT_EQ(at_b.remote, at_a.seen_as);
  EXPECT_GE(at_a.round_trip, 100us);
  EXPECT_LE(at_a.round_trip, 300us);

  const auto text = to_bytes("hello");
  ASSERT_TRUE(a.table->send(b.table->self(), channel::raft, text).ok());
  ASSERT_TRUE(b.table
                  ->send_packed(a.table->self(), channel::request,
                                [](writer& w) { w.text("hi"); })
                  .ok());
  mesh.run_for(10ms);
  ASSERT_EQ(b.got.size(), 1U);
  EXPECT_EQ(b.got[0].channel, channel::raft);
  EXPECT_EQ(b.got[0].payload, text);
  EXPECT_EQ(b.got[0].from, a.table->self());
  ASSERT_EQ(a.got.size(), 1U);
  EXPECT_EQ(a.got[0].payload, (bytes{0xA2, 'h', 'i'}));
}

TEST(LinkTable, NoLinkToOneself) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  a.table->want(test_mesh::at(a.host), std::nullopt, mesh.clock.now());
  a.table->want(a.table->self(), test_mesh::at(a.host), mesh.clock.now());
  mesh.run_for(30s);
  EXPECT_TRUE(a.ups.empty());
  ASSERT_EQ(a.failures, std::vector{dial_error::self}); // and never again
  EXPECT_EQ(a.retries[0], never);
  EXPECT_EQ(a.table->counters().dials, 1U);
}

TEST(LinkTable, AJoinAddressFindsItsNodeAndAPinMustFit) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  a.table->want(test_mesh::at(b.host), a.table->self(), mesh.clock.now());
  mesh.run_for(5ms);
  ASSERT_FALSE(a.failures.empty());
  EXPECT_EQ(a.failures[0], dial_error::wrong_node);
  EXPECT_TRUE(a.ups.empty());
  EXPECT_TRUE(b.ups.empty()); // it never got a proof
  a.table->unwant(test_mesh::at(b.host));
  a.table->want(test_mesh::at(b.host), b.table->self(), mesh.clock.now());
  mesh.run_for(5ms);
  ASSERT_EQ(a.ups.size(), 1U);
  // The node's own wish finds the link that the address made.
  mesh.want(a, b);
  mesh.run_for(10s);
  EXPECT_EQ(a.ups.size(), 1U);
  EXPECT_EQ(a.table->counters().dials - a.failures.size(), 1U);
}

TEST(LinkTable, AnotherMeshKeyIsHungUpOn) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  node_options other;
  other.mesh_keys = {2};
  auto& b = mesh.start("10.0.0.2", other);
  mesh.want(a, b);
  mesh.run_for(5ms);
  ASSERT_FALSE(a.failures.empty());
  EXPECT_EQ(a.failures[0], dial_error::hung_up);
  EXPECT_GE(b.table->counters().refused_strangers, 1U);
}

TEST(LinkTable, MeshKeysRotateWithoutAGap) {
  test_mesh mesh{1};
  node_options both;
  both.mesh_keys = {2, 1}; // dials with the new one, accepts the old one
  node_options old;
  auto& a = mesh.start("10.0.0.1", old);
  auto& b = mesh.start("10.0.0.2", both);
  a.table->want(test_mesh::at(b.host), std::nullopt, mesh.clock.now());
  mesh.run_for(5ms);
  EXPECT_EQ(a.ups.size(), 1U);
}

TEST(LinkTable, AFailedDialBacksOffWithJitterUpToTheMost) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  const auto b_id = b.table->self();
  mesh.kill(b);
  a.table->want(b_id, test_mesh::at("10.0.0.2"), mesh.clock.now());
  mesh.run_for(60s);
  ASSERT_GE(a.failures.size(), 12U);
  ASSERT_LE(a.failures.size(), 30U);
  for (const auto why : a.failures)
    EXPECT_EQ(why, dial_error::refused);
  std::vector<duration> gaps;
  for (std::size_t i = 1; i < a.retries.size(); ++i)
    gaps.push_back(a.retries[i] - a.retries[i - 1]);
  EXPECT_LE(gaps[0], 105ms);
  for (const auto gap : gaps)
    EXPECT_LE(gap, 5s + 5ms);
  EXPECT_GE(gaps.back(), 2500ms);
  std::sort(gaps.begin(), gaps.end());
  EXPECT_NE(gaps[gaps.size() - 1], gaps[gaps.size() - 2]); // jitter
  // New evidence: dial at once.
  const auto before = a.failures.size();
  a.table->hurry(b_id, mesh.clock.now());
  mesh.run_for(1ms);
  EXPECT_EQ(a.failures.size(), before + 1);
}

TEST(LinkTable, AKilledProcessIsEvidenceTwiceWithinAMillisecond) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.want(b, a);
  mesh.run_for(2s);
  ASSERT_EQ(a.ups.size(), a.downs.size() + 1);
  a.downs.clear();
  mesh.kill(b);
  mesh.run_for(1ms);
  ASSERT_EQ(a.downs.size(), 1U);
  EXPECT_EQ(a.downs[0].second, link_end::end_of_stream);
  ASSERT_FALSE(a.failures.empty()); // the second: its port is closed
  EXPECT_EQ(a.failures[0], dial_error::refused);
}

TEST(LinkTable, AFrozenFarSideTimesOutAndIsTriedAgain) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.freeze(b);
  mesh.want(a, b);
  mesh.run_for(2100ms);
  ASSERT_EQ(a.failures, std::vector{dial_error::timed_out});
  mesh.thaw(b);
  mesh.run_for(1s);
  EXPECT_EQ(a.ups.size(), 1U);
  EXPECT_EQ(b.ups.size(), 1U);
}

TEST(LinkTable, AFullLaneIsOverloadedUntilTheFarSideReads) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.run_for(5ms);
  mesh.freeze(b);
  const bytes chunk(256 * 1024, 1);
  std::size_t sent = 0;
  for (;; ++sent) {
    const auto queued = a.table->send(b.table->self(), channel::bulk, chunk);
    mesh.run_for(1ms);
    if (!queued) {
      EXPECT_EQ(queued.error(), send_errc::overloaded);
      break;
    }
    ASSERT_LT(sent, 100U);
  }
  EXPECT_LE(a.table->queued(b.table->self(), lane::bulk),
            16U * 1024 * 1024 + 300'000);
  EXPECT_EQ(a.table->counters().sends_refused, 1U);
  EXPECT_TRUE(a.writable.empty());
  mesh.thaw(b);
  mesh.run_for(1s);
  EXPECT_EQ(a.writable, std::vector{lane::bulk});
  ASSERT_EQ(b.got.size(), sent);
  EXPECT_EQ(b.got.back().payload, chunk);
}

TEST(LinkTable, LittleIsKeptUnsentSoAHeartbeatOvertakesASnapshot) {
  virtual_network::options how;
  how.everywhere.bytes_per_second = 10'000'000;
  how.kernel_buffer = 16 * 1024;
  test_mesh mesh{1, how};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.run_for(5ms);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(
        a.table->send(b.table->self(), channel::bulk, bytes(1'000'000, 1))
            .ok());
  mesh.run_for(5ms);
  EXPECT_GE(a.table->queued(b.table->self(), lane::bulk), 3'700'000U);
  ASSERT_TRUE(a.table->send(b.table->self(), channel::beat, {}).ok());
  const auto sent_at = mesh.clock.now();
  ASSERT_TRUE(mesh.run_while([&] { return b.got.empty(); }, 1s));
  EXPECT_EQ(b.got[0].channel, channel::beat);
  EXPECT_LE(mesh.clock.now() - sent_at, 20ms); // 4 MB would take 400 ms
}

TEST(LinkTable, SendErrorsAreTyped) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  const auto to = b.table->self();
  EXPECT_EQ(a.table->send(to, channel::raft, {}).error(),
            send_errc::not_linked);
  mesh.want(a, b);
  mesh.run_for(5ms);
  EXPECT_EQ(a.table->send(to, channel::link, {}).error(), send_errc::forbidden);
  EXPECT_EQ(
      a.table->send(to, channel::raft, bytes(frame_bytes_max + 1)).error(),
      send_errc::too_large);
  EXPECT_EQ(a.table
                ->send_packed(to, channel::raft,
                              [](writer& w) { w.blob(bytes(frame_bytes_max)); })
                .error(),
            send_errc::too_large);
  ASSERT_TRUE(a.table->send(to, channel::raft, {}).ok());
  mesh.run_for(5ms);
  ASSERT_EQ(b.got.size(), 1U); // what was refused left nothing behind
  EXPECT_TRUE(b.got[0].payload.empty());
}

TEST(LinkTable, AClientCallsAndIsAnswered) {
  test_mesh mesh{1};
  auto& peer = mesh.start("10.0.0.1");
  node_options o;
  o.client = true;
  auto& client = mesh.start("10.0.0.9", o);
  client.table->want(test_mesh::at(peer.host), std::nullopt, mesh.clock.now());
  mesh.run_for(5ms);
  ASSERT_EQ(peer.ups.size(), 1U);
  EXPECT_EQ(peer.ups[0].role, link_role::client);
  ASSERT_EQ(client.ups.size(), 1U);
  EXPECT_EQ(client.ups[0].role, link_role::peer);
  const auto p = peer.table->self();
  const auto c = client.table->self();
  EXPECT_EQ(client.table->send(p, channel::raft, {}).error(),
            send_errc::forbidden);
  EXPECT_EQ(peer.table->send(c, channel::membership, {}).error(),
            send_errc::forbidden);
  EXPECT_TRUE(client.table->send(p, channel::request, bytes{1}).ok());
  EXPECT_TRUE(peer.table->send(c, channel::reply, bytes{2}).ok());
  mesh.run_for(5ms);
  ASSERT_EQ(peer.got.size(), 1U);
  ASSERT_EQ(client.got.size(), 1U);
}

TEST(LinkTable, CloseDeliversWhatIsQueuedAndSaysGoodbye) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.run_for(5ms);
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(
        a.table->send(b.table->self(), channel::request, bytes(20'000, 3))
            .ok());
  a.table->unwant(b.table->self());
  a.table->close(b.table->self(), mesh.clock.now());
  ASSERT_EQ(a.downs.size(), 1U);
  EXPECT_EQ(a.downs[0].second, link_end::local);
  EXPECT_EQ(a.table->send(b.table->self(), channel::request, {}).error(),
            send_errc::not_linked);
  mesh.run_for(1s);
  EXPECT_EQ(b.got.size(), 100U);
  ASSERT_EQ(b.downs.size(), 1U);
  EXPECT_EQ(b.downs[0].second, link_end::goodbye);
  EXPECT_EQ(mesh.network.open_streams(), 0U);
  EXPECT_EQ(a.table->deadline(), never);
}

TEST(LinkTable, StopSaysGoodbyeToAllAndEndsIdle) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  auto& c = mesh.start("10.0.0.3");
  mesh.want(a, b);
  mesh.want(c, a);
  mesh.run_for(5ms);
  ASSERT_EQ(a.ups.size(), 2U);
  ASSERT_TRUE(a.table->send(b.table->self(), channel::raft, bytes{1}).ok());
  a.table->stop(mesh.clock.now());
  mesh.run_for(100ms);
  EXPECT_TRUE(a.table->idle());
  EXPECT_EQ(b.got.size(), 1U);
  for (auto* n : {&b, &c}) {
    ASSERT_EQ(n->downs.size(), 1U);
    EXPECT_EQ(n->downs[0].second, link_end::goodbye);
  }
  ASSERT_FALSE(c.failures.empty()); // it wants a, but nobody listens
}

TEST(LinkTable, AProbeSaysWhoIsThereAndMakesNoLink) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.run_for(5ms);
  a.table->probe(test_mesh::at(b.host), 41, mesh.clock.now());
  a.table->probe(test_mesh::at("10.0.0.99"), 42, mesh.clock.now());
  mesh.run_for(5ms);
  ASSERT_EQ(a.probed.size(), 2U);
  std::sort(a.probed.begin(), a.probed.end(),
            [](const auto& x, const auto& y) { return x.first < y.first; });
  ASSERT_TRUE(a.probed[0].second.ok());
  EXPECT_EQ(a.probed[0].second->node, b.table->self());
  EXPECT_EQ(a.probed[0].second->boot, a.ups[0].boot);
  EXPECT_EQ(a.probed[0].second->seen_as.host, "10.0.0.1");
  EXPECT_EQ(a.probed[1].second.error(), dial_error::refused);
  EXPECT_EQ(a.ups.size(), 1U);
  EXPECT_EQ(b.ups.size(), 1U);
  EXPECT_TRUE(b.downs.empty());
}

TEST(LinkTable, AProbeOfAClonedDiskTellsBothOfThem) {
  test_mesh mesh{1};
  node_options same;
  same.seed = 77;
  auto& a = mesh.start("10.0.0.2", same);
  auto& b = mesh.start("10.0.0.3", same);
  a.table->probe(test_mesh::at(a.host), 1, mesh.clock.now());
  mesh.run_for(5ms);
  ASSERT_EQ(a.probed.size(), 1U); // itself, in this very boot
  EXPECT_EQ(a.probed[0].second.error(), dial_error::self);
  EXPECT_TRUE(a.clones.empty());
  a.table->probe(test_mesh::at(b.host), 2, mesh.clock.now());
  mesh.run_for(5ms);
  ASSERT_EQ(a.probed.size(), 2U);
  ASSERT_TRUE(a.probed[1].second.ok());
  EXPECT_EQ(a.probed[1].second->node, a.table->self());
  ASSERT_EQ(a.clones.size(), 1U);
  EXPECT_EQ(a.clones[0].second.host, b.host);
  ASSERT_EQ(b.clones.size(), 1U);
  EXPECT_EQ(b.clones[0].second.host, a.host);
  EXPECT_NE(a.clones[0].first, b.clones[0].first);
  EXPECT_TRUE(a.ups.empty() && b.ups.empty());
}

TEST(LinkTable, AClonedDiskShowsAsTwoBootsOfOneNode) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  node_options same;
  same.seed = 77;
  mesh.start("10.0.0.2", same);
  mesh.start("10.0.0.3", same);
  a.table->probe(test_mesh::at("10.0.0.2"), 1, mesh.clock.now());
  a.table->probe(test_mesh::at("10.0.0.3"), 2, mesh.clock.now());
  mesh.run_for(5ms);
  ASSERT_EQ(a.probed.size(), 2U);
  EXPECT_EQ(a.probed[0].second->node, a.probed[1].second->node);
  EXPECT_NE(a.probed[0].second->boot, a.probed[1].second->boot);
}

TEST(LinkTable, AnHourOldLinkIsRefreshedWithoutLosingAFrame) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.want(b, a);
  mesh.run_for(10ms);
  const auto first = link_to(a, b.table->self())->handshake_hash;
  mesh.run_for(1h - 20ms);
  std::uint8_t n = 0;
  for (; n < 40; ++n) {
    ASSERT_TRUE(
        a.table->send(b.table->self(), channel::request, bytes{n}).ok());
    ASSERT_TRUE(b.table->send(a.table->self(), channel::raft, bytes{n}).ok());
    mesh.run_for(1ms);
  }
  mesh.run_for(5s);
  const auto second = link_to(a, b.table->self())->handshake_hash;
  EXPECT_NE(first, second);
  EXPECT_EQ(second, link_to(b, a.table->self())->handshake_hash);
  EXPECT_EQ(b.got.size(), n);
  EXPECT_EQ(a.got.size(), n);
  for (auto* node : {&a, &b}) {
    ASSERT_EQ(node->ups.size(), node->downs.size() + 1);
    for (const auto& [info, why] : node->downs)
      EXPECT_EQ(why, link_end::replaced);
    EXPECT_EQ(node->replaced_links.back(), node->downs.back().first.id);
  }
  EXPECT_EQ(mesh.network.open_streams(), 1U);
}

TEST(LinkTable, ManyBytesMakeAFreshHandshakeToo) {
  test_mesh mesh{1};
  node_options o;
  o.limits.refresh_bytes = 1'000'000;
  auto& a = mesh.start("10.0.0.1", o);
  auto& b = mesh.start("10.0.0.2", o);
  mesh.want(a, b);
  mesh.run_for(10ms);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(
        b.table->send(a.table->self(), channel::bulk, bytes(100'000)).ok());
    mesh.run_for(5ms);
  }
  mesh.run_for(5s);
  EXPECT_EQ(a.got.size(), 40U);
  EXPECT_GE(a.ups.size(), 3U);
  EXPECT_LE(a.ups.size(), 6U);
  for (const auto& [info, why] : a.downs)
    EXPECT_EQ(why, link_end::replaced);
}

TEST(LinkTable, KeysChangeEvery65536Records) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.run_for(5ms);
  for (int i = 0; i < 70'000; ++i) {
    ASSERT_TRUE(a.table->send(b.table->self(), channel::beat, bytes{1}).ok());
    a.table->flush(mesh.clock.now());
    if (i % 1000 == 0)
      mesh.run_for(1ms);
  }
  mesh.run_for(1s);
  EXPECT_GT(a.table->counters().records_out, 65'536U + 4000U);
  EXPECT_EQ(b.got.size(), 70'000U);
  EXPECT_TRUE(b.downs.empty());
}

TEST(LinkTable, AHandlerMayCallBackIntoTheTable) {
  test_mesh mesh{1};
  auto& a = mesh.start("10.0.0.1");
  auto& b = mesh.start("10.0.0.2");
  mesh.want(a, b);
  mesh.run_for(5ms);
  b.on_batch = [&](const link_info& info) {
    ASSERT_TRUE(b.table->send(info.node, channel::reply, bytes{9}).ok());
    b.table->flush(mesh.clock.now());
    b.table->close(info.node, mesh.clock.now());
  };
  ASSERT_TRUE(a.table->send(b.table->self(), channel::request, {}).ok());
  mesh.run_for(20ms);
  ASSERT_EQ(a.got.size(), 1U);
  EXPECT_EQ(a.downs.at(0).second, link_end::goodbye);
}

} // namespace
} // namespace banyan::net::test
