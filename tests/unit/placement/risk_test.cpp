// What an app would live through now.
#include "actors/pure/risk.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

node_id node(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return node_id{a};
}

class risk : public ::testing::Test {
protected:
  risk() {
    f.replace_after = 5min;
    f.silence = 250ms;
    f.takeover = 25ms;
  }
  /// Node `n` of that place, able to take replicas.
  void member(std::uint8_t n, const std::string& region,
              const std::string& zone = "", const std::string& host = "") {
    candidate c;
    c.node = node(n);
    c.region = region;
    c.zone = zone;
    c.host = host;
    f.members.push_back(c);
    f.fitting.push_back(c.node);
  }
  /// A shard with its voters, all of them well; the first one leads.
  risk_group& shard(const std::vector<std::uint8_t>& voters) {
    auto& g = f.groups.emplace_back();
    g.shard = static_cast<std::uint32_t>(f.groups.size() - 1);
    for (const auto v : voters)
      g.voters.push_back({node(v), true, true});
    g.leader = node(voters.front());
    return g;
  }
  kind_risk of(loss_of kind) { return risk_of(f).kinds[std::size_t(kind) - 1]; }
  std::string words(loss_of kind) {
    const auto r = risk_of(f);
    return words_of(r.kinds[std::size_t(kind) - 1], r);
  }

  risk_facts f;
};

TEST_F(risk, three_voters_in_three_regions_live_through_any_one) {
  member(1, "eu", "a", "h1");
  member(2, "us", "a", "h2");
  member(3, "ap", "a", "h3");
  member(4, "ap", "b", "h4");
  shard({1, 2, 3});
  for (const auto kind :
       {loss_of::node, loss_of::machine, loss_of::zone, loss_of::region}) {
    const auto k = of(kind);
    EXPECT_TRUE(k.survives) << to_string(kind);
    EXPECT_EQ(k.places, 3U);
    EXPECT_EQ(k.pause, 275ms); // the leader's
    // Without ap two nodes are left, and both have one.
    EXPECT_EQ(k.repair_after, kind == loss_of::region
                                  ? std::nullopt
                                  : std::optional<duration>{5min + 250ms});
    EXPECT_TRUE(k.breaking.empty());
  }
  EXPECT_EQ(words(loss_of::zone),
            "nothing is lost; every shard answers again within 275 ms; "
            "replicas are made anew elsewhere after 5 min");
}

TEST_F(risk, says_which_shards_would_wait_for_whom) {
  member(1, "eu");
  member(2, "eu");
  member(3, "us");
  shard({1, 2, 3});
  shard({3, 1, 2});
  const auto k = of(loss_of::region);
  EXPECT_FALSE(k.survives);
  ASSERT_EQ(k.breaking.size(), 1U);
  EXPECT_EQ(k.breaking[0].name, "eu");
  EXPECT_EQ(k.breaking[0].nodes, 2U);
  EXPECT_EQ(k.breaking[0].waiting_count, 2U);
  const auto& w = k.breaking[0].waiting.at(0);
  EXPECT_EQ(w.shard, 0U);
  EXPECT_EQ(w.missing, 1U);
  EXPECT_EQ(w.wait_for, (std::vector<node_id>{node(1), node(2)}));
  EXPECT_EQ(w.copies_outside, 1U);
  EXPECT_EQ(words(loss_of::region),
            "region eu: shard 0 waits for 1 of " + short_string(node(1)) + " "
                + short_string(node(2))
                + ", and 1 more; nothing is lost unless their disks are");
}

TEST_F(risk, is_that_of_the_present_not_of_the_spec) {
  for (std::uint8_t n = 1; n <= 3; ++n)
    member(n, "eu", "z" + std::to_string(n));
  auto& g = shard({1, 2, 3});
  EXPECT_TRUE(of(loss_of::node).survives);
  g.voters[2].up = false; // one is gone already: no further one may go
  const auto k = of(loss_of::node);
  EXPECT_FALSE(k.survives);
  EXPECT_EQ(k.breaking_count, 2U);
  EXPECT_EQ(k.breaking[0].waiting[0].missing, 1U);
  EXPECT_EQ(k.breaking[0].waiting[0].wait_for.size(), 2U);
  EXPECT_TRUE(risk_of(f).waiting.empty());
  g.voters[1].up = false; // it doesn't serve any more
  const auto now = risk_of(f);
  ASSERT_EQ(now.waiting.size(), 1U);
  EXPECT_EQ(words_of(now.waiting[0], now), "shard 0 waits for 1 of "
                                               + short_string(node(2)) + " "
                                               + short_string(node(3)));
  EXPECT_EQ(words(loss_of::node), "nothing serves now");
  EXPECT_FALSE(of(loss_of::node).survives);
}

TEST_F(risk, a_shard_that_waits_already_is_not_a_losss_doing) {
  for (std::uint8_t n = 1; n <= 6; ++n)
    member(n, "eu");
  shard({1, 2, 3});
  auto& g = shard({4, 5, 6});
  g.voters[0].up = g.voters[1].up = false;
  const auto r = risk_of(f);
  EXPECT_EQ(r.waiting_count, 1U);
  EXPECT_EQ(r.waiting[0].shard, 1U);
  EXPECT_TRUE(r.kinds[0].survives);
}

TEST_F(risk, the_only_copies_are_named) {
  member(1, "eu");
  member(2, "us");
  shard({1});
  const auto k = of(loss_of::node);
  EXPECT_FALSE(k.survives);
  EXPECT_EQ(k.breaking[0].waiting[0].copies_outside, 0U);
  EXPECT_NE(words(loss_of::node).find("which have its only copies"),
            std::string::npos);
  f.groups[0].learners.push_back({node(2), true, true});
  EXPECT_EQ(of(loss_of::node).breaking[0].waiting[0].copies_outside, 1U);
}

TEST_F(risk, a_voter_that_is_behind_is_waited_for) {
  for (std::uint8_t n = 1; n <= 3; ++n)
    member(n, "eu");
  auto& g = shard({1, 2, 3});
  g.voters[1].current = false;
  const auto k = of(loss_of::node);
  EXPECT_TRUE(k.survives);
  EXPECT_EQ(k.catching_up, 1U);
  EXPECT_NE(words(loss_of::node).find("caught up"), std::string::npos);
}

TEST_F(risk, without_labels_nothing_is_known) {
  for (std::uint8_t n = 1; n <= 3; ++n)
    member(n, "", "", "h" + std::to_string(n));
  shard({1, 2, 3});
  EXPECT_FALSE(of(loss_of::zone).known);
  EXPECT_FALSE(of(loss_of::region).survives);
  EXPECT_TRUE(of(loss_of::machine).survives);
  EXPECT_EQ(words(loss_of::zone), "not known: no node with a replica says its "
                                  "zone (`banyan-peer --zone`)");
  // One label: those without are counted as one place, at worst.
  f.members[0].region = "eu";
  EXPECT_TRUE(of(loss_of::region).known);
  EXPECT_FALSE(of(loss_of::region).survives);
  EXPECT_EQ(of(loss_of::region).breaking[0].name, "nodes without a region");
}

TEST_F(risk, who_may_be_anywhere_goes_with_any_region) {
  member(1, "eu");
  member(2, "us");
  member(3, "ap");
  shard({1, 2, 3});
  EXPECT_TRUE(of(loss_of::region).survives);
  f.members[2].unverified = true;
  EXPECT_FALSE(of(loss_of::region).survives);
  EXPECT_EQ(of(loss_of::region).breaking_count, 2U); // eu or us, with it
  EXPECT_TRUE(of(loss_of::node).survives);
}

TEST_F(risk, two_peers_of_one_machine_go_together) {
  member(1, "eu", "", "h1");
  member(2, "eu", "", "h1");
  member(3, "eu", "", "h3");
  shard({1, 2, 3});
  EXPECT_TRUE(of(loss_of::node).survives);
  const auto k = of(loss_of::machine);
  ASSERT_EQ(k.breaking.size(), 1U);
  EXPECT_EQ(k.breaking[0].name, "h1");
}

TEST_F(risk, repair_needs_a_node_elsewhere) {
  for (std::uint8_t n = 1; n <= 3; ++n)
    member(n, "eu");
  shard({1, 2, 3});
  EXPECT_FALSE(of(loss_of::node).repair_after);
  EXPECT_NE(words(loss_of::node).find("no other node can take its replicas"),
            std::string::npos);
  member(4, "eu");
  EXPECT_TRUE(of(loss_of::node).repair_after);
  f.fitting.pop_back(); // drained, say
  EXPECT_FALSE(of(loss_of::node).repair_after);
}

TEST_F(risk, who_leads_nothing_is_not_missed) {
  for (std::uint8_t n = 1; n <= 3; ++n)
    member(n, "r" + std::to_string(n));
  shard({1, 2, 3});
  f.groups[0].leader = node(9); // of no place here
  EXPECT_EQ(of(loss_of::node).pause, duration{});
  EXPECT_EQ(words(loss_of::node).find("nothing is lost; calls go on"), 0U);
  f.groups[0].leader.reset();
  EXPECT_EQ(of(loss_of::node).pause, 275ms);
}

TEST_F(risk, one_instance_of_a_stateless_app_is_enough) {
  f.stateless = true;
  member(1, "eu");
  member(2, "us");
  member(3, "us");
  shard({1, 2});
  f.groups[0].leader.reset();
  EXPECT_TRUE(of(loss_of::region).survives);
  EXPECT_EQ(of(loss_of::region).pause, 250ms);
  f.groups[0].voters.pop_back(); // the last one starts elsewhere
  EXPECT_TRUE(of(loss_of::region).survives);
  EXPECT_EQ(of(loss_of::region).pause, 2250ms);
  f.fitting = {node(1)};
  EXPECT_FALSE(of(loss_of::region).survives);
}

TEST_F(risk, what_is_named_is_bounded) {
  for (std::uint8_t n = 1; n <= 40; ++n)
    member(n, "eu");
  for (std::uint8_t n = 1; n <= 40; ++n)
    for (int i = 0; i < 20; ++i)
      shard({n});
  const auto k = of(loss_of::node);
  EXPECT_EQ(k.breaking_count, 40U);
  EXPECT_EQ(k.breaking.size(), risk_places_max);
  EXPECT_EQ(k.breaking[0].waiting_count, 20U);
  EXPECT_EQ(k.breaking[0].waiting.size(), risk_shards_max);
}

} // namespace
} // namespace banyan
