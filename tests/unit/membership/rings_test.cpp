#include "base/random.hpp"
#include "net/membership/rings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace banyan::net {
namespace {

const mesh_id mesh{std::array<std::uint8_t, 32>{5}};

std::vector<node_id> some_nodes(std::size_t n, std::uint64_t seed = 1) {
  seeded_random random{seed};
  std::vector<node_id> out;
  for (std::size_t i = 0; i < n; ++i)
    out.emplace_back(random.array<node_id::size>());
  return out;
}

rings of(const std::vector<node_id>& nodes) {
  rings r{mesh, nullptr};
  for (const auto& n : nodes)
    r.set(n, true);
  return r;
}

TEST(rings_rule, every_ring_is_one_circle_through_all) {
  const auto nodes = some_nodes(100);
  const auto r = of(nodes);
  for (std::size_t ring = 0; ring < ring_count; ++ring) {
    std::set<node_id> met;
    auto at = nodes[0];
    while (met.insert(at).second)
      at = r.subjects(at)[ring];
    EXPECT_EQ(at, nodes[0]);
    EXPECT_EQ(met.size(), nodes.size());
  }
}

TEST(rings_rule, the_rings_are_different_orders) {
  const auto r = of(some_nodes(1000));
  double distinct = 0;
  for (const auto& n : some_nodes(1000)) {
    const auto s = r.subjects(n);
    distinct += double(std::set<node_id>{s.begin(), s.end()}.size());
  }
  EXPECT_GT(distinct / 1000, 7.9);
}

TEST(rings_rule, observers_are_those_whose_subject_one_is) {
  const auto nodes = some_nodes(40);
  const auto r = of(nodes);
  for (const auto& a : nodes)
    for (const auto& b : nodes) {
      const auto s = r.subjects(a);
      const auto o = r.observers(b);
      const auto watches = std::count(s.begin(), s.end(), b);
      EXPECT_EQ(watches, std::count(o.begin(), o.end(), a));
      EXPECT_EQ(r.places(a, b), a == b ? 0 : unsigned(watches));
    }
}

TEST(rings_rule, follow_from_who_is_there_alone) {
  auto nodes = some_nodes(200);
  const auto a = of(nodes);
  std::reverse(nodes.begin(), nodes.end());
  rings b{mesh, nullptr};
  for (const auto& n : some_nodes(100, 2)) {
    b.set(n, true); // came and went
    b.set(n, false);
  }
  for (const auto& n : nodes)
    b.set(n, true);
  EXPECT_EQ(b.size(), 200U);
  for (const auto& n : nodes)
    EXPECT_EQ(a.subjects(n), b.subjects(n));
}

TEST(rings_rule, another_mesh_has_other_rings) {
  const auto nodes = some_nodes(100);
  const auto a = of(nodes);
  rings b{mesh_id{std::array<std::uint8_t, 32>{6}}, nullptr};
  for (const auto& n : nodes)
    b.set(n, true);
  EXPECT_NE(a.subjects(nodes[0]), b.subjects(nodes[0]));
}

TEST(rings_rule, one_that_goes_moves_its_observers_only) {
  const auto nodes = some_nodes(500);
  auto r = of(nodes);
  std::vector<rings::of_all> before;
  for (const auto& n : nodes)
    before.push_back(r.subjects(n));
  const auto gone = nodes[123];
  const auto observers = r.observers(gone);
  const auto subjects = r.subjects(gone);
  EXPECT_TRUE(r.set(gone, false));
  EXPECT_FALSE(r.set(gone, false));
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (std::size_t ring = 0; ring < ring_count; ++ring)
      if (nodes[i] == observers[ring]) {
        EXPECT_EQ(r.subjects(nodes[i])[ring], subjects[ring]);
      } else {
        EXPECT_EQ(r.subjects(nodes[i])[ring], before[i][ring]);
      }
  // Off the rings it has its place all the same: who would observe it is known.
  EXPECT_EQ(r.observers(gone), observers);
  EXPECT_EQ(r.places(observers[0], gone), 0U);
  EXPECT_TRUE(r.set(gone, true));
  EXPECT_EQ(r.subjects(gone), subjects);
}

TEST(rings_rule, are_the_same_however_often_they_were_asked_before) {
  const auto nodes = some_nodes(60);
  const auto expected = of(nodes);
  auto r = of({nodes.begin(), nodes.begin() + 40});
  const auto ask = [&](std::size_t times) {
    for (; times > 0; --times)
      for (const auto& n : nodes)
        static_cast<void>(r.observers(n));
  };
  ask(10);
  for (std::size_t n = 40; n < nodes.size(); ++n) {
    r.set(nodes[n], true);
    ask(n % 3);
  }
  for (int round = 0; round < 2; ++round) {
    for (const auto& n : nodes) {
      EXPECT_EQ(r.subjects(n), rings{expected}.subjects(n));
      EXPECT_EQ(r.observers(n), of(nodes).observers(n));
    }
    ask(10);
  }
}

TEST(rings_rule, who_is_alone_observes_itself) {
  const auto nodes = some_nodes(2);
  rings r{mesh, nullptr};
  EXPECT_EQ(r.subjects(nodes[0]), rings::of_all{}); // never met
  r.set(nodes[0], true);
  r.set(nodes[1], false);
  for (const auto& s : r.subjects(nodes[0]))
    EXPECT_EQ(s, nodes[0]);
  EXPECT_TRUE(r.full());
}

TEST(rings_rule, views_share_an_order_and_differ_in_who_is_there) {
  const auto order = std::make_shared<ring_order>(mesh);
  const auto nodes = some_nodes(10'000);
  rings a{mesh, order};
  rings b{mesh, order};
  for (const auto& n : nodes)
    a.set(n, true);
  b.set(nodes[17], true);
  b.set(nodes[4711], true);
  EXPECT_EQ(order->size(), 10'000U);
  EXPECT_FALSE(a.full());
  EXPECT_EQ(b.places(nodes[17], nodes[4711]), ring_count);
  EXPECT_FALSE(b.has(nodes[0]));
  std::size_t most = 0;
  for (std::size_t i = 0; i < nodes.size(); i += 100) {
    const auto o = a.observers(nodes[i]);
    const auto s = a.subjects(nodes[i]);
    std::set<node_id> around{o.begin(), o.end()};
    around.insert(s.begin(), s.end());
    most = std::max(most, around.size());
  }
  EXPECT_LE(most, 2 * ring_count);
}

} // namespace
} // namespace banyan::net
