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

} // namespace
} // namespace banyan::net::test
