// Leaders spread evenly, slowly, and never against a failover.
#include "actors/pure/lead_balance.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace banyan {
namespace {

node_id node(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return node_id{a};
}
group_id group(std::uint8_t app, std::uint32_t shard) {
  std::array<std::uint8_t, 32> a{};
  a[0] = app;
  return {app_id{a}, shard};
}

/// Nodes that see the same views, each with a balance of its own.
struct mesh {
  struct led {
    std::vector<node_id> voters;
    node_id leader;
  };
  explicit mesh(std::uint8_t n) : balances(n) {
    for (std::uint8_t i = 0; i < n; ++i)
      nodes.push_back(node(static_cast<std::uint8_t>(i + 1)));
  }
  lead_facts facts_of(std::size_t i) const {
    lead_facts f;
    f.self = nodes[i];
    f.members = members;
    f.busy = busy;
    for (const auto& [id, g] : groups) {
      if (partly) { // as in a large mesh
        ++f.leads[g.leader];
        if (std::find(g.voters.begin(), g.voters.end(), f.self)
            == g.voters.end())
          continue;
      }
      lead_facts::group out;
      out.id = id;
      out.leader = g.leader;
      if (g.leader == f.self)
        for (const auto& v : g.voters)
          if (v != f.self) {
            out.voters.push_back(v);
            if (unfit.count(v) == 0)
              out.fit.push_back(v);
          }
      f.groups.push_back(std::move(out));
    }
    return f;
  }
  /// For so long; how many moved.
  std::size_t run(duration d) {
    std::size_t moves = 0;
    for (const auto end = now + d; now < end; now += 2s)
      for (std::size_t i = 0; i < nodes.size(); ++i)
        if (const auto m = balances[i].next(facts_of(i), now)) {
          auto& g = groups.at(m->group);
          EXPECT_EQ(g.leader, nodes[i]);
          g.leader = m->to;
          last = *m;
          ++moves;
        }
    return moves;
  }
  std::map<node_id, int> leads(std::uint8_t app) const {
    std::map<node_id, int> out;
    for (const auto& [id, g] : groups)
      if (id.app == group(app, 0).app)
        ++out[g.leader];
    return out;
  }
  /// How many more than one of its voters a group's leader leads of its app.
  int excess(std::uint8_t app) const {
    auto n = leads(app);
    int most = 0;
    for (const auto& [id, g] : groups)
      if (id.app == group(app, 0).app)
        for (const auto& v : g.voters)
          most = std::max(most, n[g.leader] - n[v]);
    return most;
  }

  std::vector<node_id> nodes;
  std::vector<lead_balance> balances;
  std::map<group_id, led> groups;
  std::map<node_id, std::uint16_t> busy;
  std::set<node_id> unfit;
  std::uint64_t members = 1;
  bool partly = false; ///< who is no voter knows nothing of a group
  lead_move last;
  time_point now{std::chrono::hours{1}};
};

} // namespace

TEST(lead_balance, it_converges_and_rests) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    seeded_random random{seed};
    mesh m{static_cast<std::uint8_t>(3 + random.below(5))};
    const auto apps = 1 + random.below(3);
    for (std::uint8_t a = 1; a <= apps; ++a)
      for (std::uint32_t s = 0; s <= random.below(16); ++s) {
        std::set<node_id> v;
        while (v.size() < 3)
          v.insert(m.nodes[random.below(m.nodes.size())]);
        const std::vector<node_id> voters{v.begin(), v.end()};
        m.groups[group(a, s)] = {voters, voters[random.below(3)]};
      }
    const auto moves = m.run(std::chrono::minutes{12});
    EXPECT_LE(moves, 2 * m.groups.size()) << "seed " << seed;
    for (std::uint8_t a = 1; a <= apps; ++a)
      EXPECT_LE(m.excess(a), 1) << "seed " << seed;
    EXPECT_EQ(m.run(std::chrono::minutes{3}), 0U) << "seed " << seed;
  }
}

TEST(lead_balance, who_knows_but_its_own_groups_rests_as_well) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    seeded_random random{seed};
    mesh m{12};
    m.partly = true;
    for (std::uint32_t s = 0; s < 40; ++s) {
      const auto first = random.below(12);
      std::vector<node_id> voters;
      for (std::size_t i = 0; i < 3; ++i)
        voters.push_back(m.nodes[(first + i * 2) % 12]);
      m.groups[group(1, s)] = {voters, voters[random.below(3)]};
    }
    m.run(std::chrono::minutes{12});
    EXPECT_EQ(m.run(std::chrono::minutes{5}), 0U) << "seed " << seed;
  }
}

TEST(lead_balance, all_leaders_of_a_restarted_mesh_spread_within_a_minute) {
  mesh m{5};
  for (std::uint32_t s = 0; s < 16; ++s)
    m.groups[group(1, s)] = {
        {m.nodes[0], m.nodes[1 + s % 4], m.nodes[1 + (s + 1) % 4]}, m.nodes[0]};
  EXPECT_LE(m.run(60s), 13U);
  for (const auto& [n, leads] : m.leads(1))
    EXPECT_LE(leads, 4);
}

TEST(lead_balance, two_nodes_push_nothing_back_and_forth) {
  mesh m{2};
  for (std::uint32_t s = 0; s < 7; ++s)
    m.groups[group(1, s)] = {m.nodes, m.nodes[s < 4 ? 0 : 1]};
  EXPECT_EQ(m.run(std::chrono::minutes{10}), 0U);
  // Loaded: one after the other goes, and none comes back.
  m.busy[m.nodes[0]] = 950;
  m.busy[m.nodes[1]] = 400;
  EXPECT_EQ(m.run(12s), 1U);
  EXPECT_TRUE(m.last.for_load);
  m.run(60s);
  EXPECT_EQ(m.leads(1)[m.nodes[0]], 1); // its last one would help nobody
  m.busy[m.nodes[0]] = 700;
  m.busy[m.nodes[1]] = 650;
  EXPECT_EQ(m.run(std::chrono::minutes{5}), 0U);
  m.busy.clear();
  EXPECT_GT(m.run(std::chrono::minutes{5}), 0U);
  EXPECT_LE(m.excess(1), 1);
}

TEST(lead_balance, nothing_moves_within_ten_seconds_of_a_failover) {
  mesh m{3};
  for (std::uint32_t s = 0; s < 6; ++s)
    m.groups[group(1, s)] = {m.nodes, m.nodes[0]};
  m.groups[group(2, 0)] = {m.nodes, m.nodes[1]};
  EXPECT_EQ(m.run(10s), 0U); // it has only just begun
  EXPECT_EQ(m.run(3s), 1U);
  for (int i = 0; i < 10; ++i) {
    m.groups[group(2, 0)].leader = m.nodes[i % 3]; // somewhere else
    EXPECT_EQ(m.run(9s), 0U);
    ++m.members;
    EXPECT_EQ(m.run(9s), 0U);
  }
}

TEST(lead_balance, who_can_not_lead_as_well_gets_nothing) {
  mesh m{3};
  for (std::uint32_t s = 0; s < 6; ++s)
    m.groups[group(1, s)] = {m.nodes, m.nodes[0]};
  m.unfit.insert(m.nodes[1]);
  m.run(std::chrono::minutes{5});
  EXPECT_EQ(m.leads(1)[m.nodes[1]], 0);
  EXPECT_EQ(m.leads(1)[m.nodes[2]], 3);
}

TEST(lead_balance, apps_of_one_group_are_spread_too) {
  mesh m{3};
  for (std::uint8_t a = 1; a <= 12; ++a)
    m.groups[group(a, 0)] = {m.nodes, m.nodes[0]};
  m.run(std::chrono::minutes{5});
  std::map<node_id, int> all;
  for (const auto& [id, g] : m.groups)
    ++all[g.leader];
  for (const auto& n : m.nodes)
    EXPECT_NEAR(all[n], 4, 1);
}

} // namespace banyan
