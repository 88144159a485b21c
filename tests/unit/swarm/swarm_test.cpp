// The swarm itself: what its network does to real membership cores.
#include "actors/sim/swarm.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace banyan::sim {
namespace {

struct mesh_of_60 : ::testing::Test {
  mesh_of_60() : s{config()} {
    for (int i = 0; i < 60; ++i)
      s.add(std::size_t(i) % 3);
    s.start_settled();
    s.run_for(8s);
  }
  static swarm_config config() {
    swarm_config c;
    c.seed = 3;
    c.places = world::planet(3);
    return c;
  }
  std::optional<duration> until_settled(duration limit) {
    return s.run_until([this] { return s.settled(); }, limit);
  }
  swarm s;
};

TEST_F(mesh_of_60, is_settled_and_keeps_few_links) {
  EXPECT_TRUE(s.settled());
  std::size_t most = 0;
  for (index i = 0; i < s.size(); ++i)
    most = std::max(most, s.link_count(i));
  EXPECT_LE(most, 16U);
}

TEST_F(mesh_of_60, knows_of_a_kill_at_once) {
  s.kill(7);
  const auto took = until_settled(5s);
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 1s);
  std::printf("kill known after %.0f ms\n", to_ms(*took));
}

TEST_F(mesh_of_60, finds_a_machine_without_power_by_its_silence) {
  s.unplug(7);
  const auto took = until_settled(20s);
  ASSERT_TRUE(took);
  EXPECT_GE(*took, 1s); // nobody said so
}

TEST_F(mesh_of_60, takes_a_frozen_node_back) {
  s.freeze(7);
  ASSERT_TRUE(until_settled(20s));
  EXPECT_EQ(s.views().of(3, 7), opinion::dead);
  s.thaw(7);
  EXPECT_TRUE(until_settled(60s));
  EXPECT_EQ(s.views().of(3, 7), opinion::alive);
}

TEST_F(mesh_of_60, takes_a_node_back_that_starts_again) {
  s.kill(7);
  ASSERT_TRUE(until_settled(5s));
  s.start(7, {3});
  EXPECT_TRUE(until_settled(20s));
}

TEST_F(mesh_of_60, lets_a_new_node_in) {
  const auto i = s.add(1);
  s.start(i, {5});
  EXPECT_TRUE(until_settled(20s));
  s.leave(i);
  EXPECT_TRUE(until_settled(5s));
  EXPECT_EQ(s.views().of(3, i), opinion::left);
  s.run_for(1s);
  EXPECT_FALSE(s.running(i));
}

TEST_F(mesh_of_60, parts_and_heals) {
  for (index i = 0; i < 60; ++i)
    s.set_side(i, i % 3 == 0 ? 1 : 0); // a whole region
  EXPECT_FALSE(s.reaches(0, 1));
  const auto parted = s.run_until(
      [this] {
        for (index a = 0; a < 60; ++a)
          for (index b = 0; b < 60; ++b)
            if (a % 3 != 0 && b % 3 == 0 && s.views().of(a, b) != opinion::dead)
              return false;
        return true;
      },
      60s, 500ms);
  ASSERT_TRUE(parted);
  s.heal();
  EXPECT_TRUE(until_settled(120s));
}

TEST_F(mesh_of_60, thinks_nobody_dead_for_lost_packets) {
  s.set_loss(0.05);
  int dead = 0;
  s.on_view_change = [&](index, index, opinion, opinion to, time_point) {
    dead += to == opinion::dead ? 1 : 0;
  };
  s.run_for(60s);
  EXPECT_EQ(dead, 0);
}

TEST_F(mesh_of_60, cuts_one_way_only) {
  const index from = 4;
  const auto to = s.links(from).front();
  const auto before = s.of(to).frames_in;
  ASSERT_GT(before, 0U);
  for (index i = 0; i < 60; ++i)
    s.cut_one_way(from, i);
  EXPECT_FALSE(s.reaches(from, to));
  EXPECT_TRUE(s.reaches(to, from));
  s.run_for(3s);
  EXPECT_FALSE(s.core(to).hears(s.id(from)));
  EXPECT_TRUE(s.run_until(
      [&] { return s.views().of(to, from) == opinion::dead; }, 30s));
}

TEST_F(mesh_of_60, sends_what_a_hostile_node_says_instead) {
  const index liar = 9;
  const auto to = s.links(liar).front();
  s.set_outgoing(liar, [&](index, net::channel, bytes& payload) {
    payload = {0xc1};
    return true;
  });
  s.run_for(3s);
  EXPECT_GT(s.core(to).counters().frames_bad, 0U);
  s.set_outgoing(liar, [](index, net::channel, bytes&) { return false; });
  EXPECT_TRUE(s.run_until([&] { return !s.core(to).hears(s.id(liar)); }, 10s));
  EXPECT_FALSE(s.inject(liar, liar, net::channel::beat, {1}));
}

TEST_F(mesh_of_60, charges_processors_for_signatures) {
  s.slow(7, 1e5); // a second for each input: it misses every beat
  EXPECT_TRUE(
      s.run_until([&] { return s.views().of(3, 7) != opinion::alive; }, 60s));
}

TEST(a_swarm, goes_alike_with_one_seed_and_otherwise_with_another) {
  const auto course = [](std::uint64_t seed) {
    auto cfg = mesh_of_60::config();
    cfg.seed = seed;
    swarm s{cfg};
    for (int i = 0; i < 40; ++i)
      s.add(std::size_t(i) % 3);
    s.start_settled();
    s.set_loss(0.05);
    s.run_for(2s);
    s.kill(3);
    s.freeze(4);
    s.run_for(5s);
    return std::pair{s.trace(), s.events()};
  };
  EXPECT_EQ(course(5), course(5));
  EXPECT_NE(course(5), course(6));
}

TEST(a_world, has_the_distances_that_people_measure) {
  const auto w = world::planet(12);
  ASSERT_EQ(w.size(), 12U);
  const auto ms = [&](const char* a, const char* b) {
    return to_ms(2 * w.one_way(*w.find(a), *w.find(b)));
  };
  EXPECT_NEAR(ms("frankfurt", "virginia"), 90, 10);
  EXPECT_NEAR(ms("tokyo", "virginia"), 155, 15);
  EXPECT_NEAR(ms("sydney", "frankfurt"), 250, 30);
  EXPECT_NEAR(ms("frankfurt", "frankfurt"), 2, 0.1);
  EXPECT_EQ(world::planet(30).size(), 30U);
  EXPECT_FALSE(world::planet({"frankfurt", "atlantis"}));
  EXPECT_FALSE(world::of({"a", "b"}, {{1, 2}}));
  EXPECT_FALSE(world::of({"a"}, {{-1}}));
}

} // namespace
} // namespace banyan::sim
