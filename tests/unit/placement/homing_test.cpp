// Voters return to where placement would have put them, slowly (DESIGN
// section 8: "Returning home is slow and by transfer").
#include "actors/pure/homing.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan {
namespace {

node_id node(std::uint8_t n) {
  return node_id{std::array<std::uint8_t, 32>{n}};
}
group_id group(std::uint8_t n) {
  return {app_id{std::array<std::uint8_t, 32>{n}}, 0};
}

/// Nine nodes in three regions, a zone and a machine each.
struct nine {
  std::vector<candidate> all;
  time_point now{time_point{} + 1h};
  homing core;

  nine() {
    for (std::uint8_t n = 1; n <= 9; ++n) {
      candidate c;
      c.node = node(n);
      c.region = n <= 3 ? "eu" : n <= 6 ? "us" : "ap";
      c.zone = "z" + std::to_string(n);
      c.host = "10.0.0." + std::to_string(n);
      all.push_back(c);
    }
  }
  [[nodiscard]] std::vector<candidate>
  without(const std::set<node_id>& gone) const {
    auto out = all;
    out.erase(std::remove_if(
                  out.begin(), out.end(),
                  [&](const candidate& c) { return gone.count(c.node) != 0; }),
              out.end());
    return out;
  }
  void pass(duration d, const std::set<node_id>& gone = {},
            std::uint64_t process = 1) {
    for (const auto until = now + d; now < until; now += 2s)
      see(gone, process);
    see(gone, process);
  }
  void see(const std::set<node_id>& gone, std::uint64_t process) {
    std::vector<homing::seen_member> seen;
    for (const auto& c : without(gone))
      seen.push_back({c, process});
    core.see(seen, now);
  }
  [[nodiscard]] static homing_group a_group(std::uint8_t n) {
    homing_group g;
    g.group = group(n);
    g.hash = digest{std::array<std::uint8_t, 32>{n, 77}};
    g.need.voters = 3;
    g.need.regions_min = 2;
    return g;
  }
  /// Where it stands after its home in `gone` was lost and replaced.
  [[nodiscard]] homing_group away(std::uint8_t n,
                                  const std::set<node_id>& gone) const {
    auto g = a_group(n);
    g.voters = place(g.hash, g.need, all).nodes;
    for (auto& v : g.voters)
      if (gone.count(v) != 0) {
        auto kept = g.voters;
        kept.erase(std::find(kept.begin(), kept.end(), v));
        v = *next_candidate(g.hash, g.need, without(gone), kept, {},
                            std::nullopt);
      }
    return g;
  }
  [[nodiscard]] bool home(const homing_group& g) const {
    auto is = g.voters;
    auto should = place(g.hash, g.need, all).nodes;
    std::sort(is.begin(), is.end());
    std::sort(should.begin(), should.end());
    return is == should;
  }
  [[nodiscard]] std::set<node_id> everybody() const {
    std::set<node_id> out;
    for (const auto& c : all)
      out.insert(c.node);
    return out;
  }
};

const std::set<node_id> eu{node(1), node(2), node(3)};

TEST(homing, a_voter_at_home_stays) {
  nine w;
  for (std::uint8_t n = 1; n < 60; ++n)
    EXPECT_FALSE(homeward(w.away(n, {}), w.all, w.everybody()));
}

TEST(homing, every_voter_comes_home_one_at_a_time_and_the_group_lives_through) {
  nine w;
  int moved = 0;
  for (std::uint8_t n = 1; n < 120; ++n) {
    auto g = w.away(n, eu);
    for (int steps = 0; steps < 4; ++steps) {
      const auto before = survival_of(g.voters, w.all);
      const auto m = homeward(g, w.all, w.everybody());
      if (!m)
        break;
      ++moved;
      std::replace(g.voters.begin(), g.voters.end(), m->from, m->to);
      const auto after = survival_of(g.voters, w.all);
      EXPECT_TRUE(after.any_region || !before.any_region);
      EXPECT_TRUE(after.any_zone || !before.any_zone);
      EXPECT_TRUE(after.any_host || !before.any_host);
    }
    EXPECT_TRUE(w.home(g)) << int{n};
  }
  EXPECT_GT(moved, 60);
}

TEST(homing, what_an_operator_ordered_stays) {
  nine w;
  int stayed = 0;
  for (std::uint8_t n = 1; n < 60; ++n) {
    auto g = w.away(n, {});
    // To any node that placement didn't choose.
    const auto to =
        std::find_if(w.all.begin(), w.all.end(), [&](const candidate& c) {
          return std::find(g.voters.begin(), g.voters.end(), c.node)
                 == g.voters.end();
        });
    g.voters[0] = to->node;
    const bool would = homeward(g, w.all, w.everybody()).has_value();
    g.pinned = {to->node};
    EXPECT_FALSE(homeward(g, w.all, w.everybody()));
    stayed += would ? 1 : 0;
  }
  EXPECT_GT(stayed, 30);
}

TEST(homing, too_few_nodes_move_nobody) {
  nine w;
  auto g = w.away(1, eu);
  g.need.voters = 5; // grows first
  EXPECT_FALSE(homeward(g, w.all, w.everybody()));
}

/// A group with a voter away from eu, of the first that has one.
homing_group one_away(const nine& w) {
  for (std::uint8_t n = 1;; ++n)
    if (auto g = w.away(n, eu); !w.home(g))
      return g;
}

TEST(homing, nobody_moves_before_the_better_node_was_well_for_a_time) {
  nine w;
  const auto g = one_away(w);
  w.pass(30min, eu);
  EXPECT_FALSE(w.core.next(g, w.without(eu), {}, w.now));
  w.pass(9min);
  EXPECT_FALSE(w.core.next(g, w.all, {}, w.now));
  w.pass(2min);
  EXPECT_TRUE(w.core.next(g, w.all, {}, w.now));
}

TEST(homing, a_node_that_is_gone_for_a_moment_keeps_its_place) {
  nine w;
  w.pass(30min);
  for (std::uint8_t n = 1; n < 40; ++n) {
    const auto g = w.away(n, eu); // replaced by another, not home's next
    w.pass(10s, eu);
    const auto m = w.core.next(g, w.without(eu), {}, w.now);
    EXPECT_FALSE(m && eu.count(m->to) != 0);
    if (!m)
      continue;
    const auto home = place(g.hash, g.need, w.all).nodes;
    EXPECT_NE(std::find(home.begin(), home.end(), m->to), home.end());
    w.core.over(w.now);
  }
}

TEST(homing, a_flapping_node_pulls_nothing) {
  nine w;
  w.pass(30min);
  const auto g = one_away(w);
  const auto to = homeward(g, w.all, w.everybody())->to;
  for (int i = 0; i < 40; ++i) {
    w.pass(1min, {to});
    w.pass(20min); // longer than what is asked of one that broke once
    const auto m = w.core.next(g, w.all, {}, w.now);
    if (i > 1) {
      EXPECT_FALSE(m) << i;
    }
    if (m)
      w.core.over(w.now);
  }
  w.pass(25h);
  EXPECT_TRUE(w.core.well(to, w.now));
  EXPECT_TRUE(w.core.next(g, w.all, {}, w.now));
}

TEST(homing, a_process_that_began_anew_waits_again) {
  nine w;
  w.pass(30min);
  EXPECT_TRUE(w.core.well(node(4), w.now));
  w.pass(1min, {}, 2);
  EXPECT_FALSE(w.core.well(node(4), w.now));
}

TEST(homing, one_at_a_time_and_rarely) {
  nine w;
  w.pass(30min);
  std::vector<group_id> led;
  for (std::uint8_t n = 1; n < 40; ++n)
    led.push_back(group(n));
  const auto g = one_away(w);
  ASSERT_TRUE(w.core.next(g, w.all, {}, w.now));
  EXPECT_FALSE(w.core.turn(led, w.now)); // one is under way
  w.core.over(w.now);
  w.pass(30s);
  EXPECT_FALSE(w.core.turn(led, w.now)); // rarely
  w.pass(40s);
  // Each in its turn, but for the one that has moved.
  std::set<group_id> asked;
  for (std::size_t i = 0; i < 2 * led.size(); ++i)
    if (const auto t = w.core.turn(led, w.now))
      asked.insert(*t);
  EXPECT_EQ(asked.size(), led.size() - 1);
  EXPECT_EQ(asked.count(g.group), 0U);
  w.pass(30min);
  bool again = false;
  for (std::size_t i = 0; i < led.size(); ++i)
    again |= w.core.turn(led, w.now) == g.group;
  EXPECT_TRUE(again);
}

TEST(homing, whoever_is_occupied_takes_and_gives_nothing) {
  nine w;
  w.pass(30min);
  const auto g = one_away(w);
  const auto m = homeward(g, w.all, w.everybody());
  ASSERT_TRUE(m);
  for (std::uint8_t n = 1; n <= 9; ++n) {
    const auto other = w.core.next(g, w.all, {node(n)}, w.now);
    if (!other)
      continue;
    EXPECT_NE(other->to, node(n));
    EXPECT_NE(other->from, node(n));
    w.core.over(w.now);
  }
  EXPECT_FALSE(w.core.next(g, w.all, w.everybody(), w.now));
}

TEST(homing, a_move_that_hangs_is_given_up) {
  nine w;
  w.pass(30min);
  ASSERT_TRUE(w.core.next(one_away(w), w.all, {}, w.now));
  w.pass(9min);
  EXPECT_FALSE(w.core.hangs(w.now));
  w.pass(2min);
  EXPECT_TRUE(w.core.hangs(w.now));
}

// ---- when a voter may go

led_group well(std::uint8_t n) {
  led_group g;
  g.group = group(n);
  g.hears = {true, true, true};
  return g;
}

TEST(homing_calm, groups_that_lack_nothing_are_calm) {
  const auto calm = calm_groups(false, {well(1), well(2)});
  ASSERT_TRUE(calm);
  EXPECT_EQ(*calm, (std::vector<group_id>{group(1), group(2)}));
  EXPECT_FALSE(calm_groups(true, {well(1)})) << "somebody leaves";
}

TEST(homing_calm, one_group_in_trouble_stops_all) {
  for (int n = 0; n < 4; ++n) {
    auto bad = well(2);
    bad.serving = n != 0;
    bad.configured = n != 1;
    bad.changing = n == 2;
    bad.hears[1] = n != 3;
    EXPECT_FALSE(calm_groups(false, {well(1), bad})) << n;
  }
}

TEST(homing_calm, a_group_with_something_to_do_stops_itself_alone) {
  for (int n = 0; n < 5; ++n) {
    auto busy = well(2);
    busy.app_lives = n != 0;
    busy.updating = n == 1;
    busy.wished = n == 2;
    busy.learners = n == 3 ? 1 : 0;
    busy.replicas = n == 4 ? 5 : 3;
    const auto calm = calm_groups(false, {well(1), busy});
    ASSERT_TRUE(calm) << n;
    EXPECT_EQ(*calm, std::vector<group_id>{group(1)}) << n;
  }
}

TEST(homing_calm, the_occupied_are_those_with_a_reason) {
  homing_scene s;
  s.catching_up = {node(1)};
  s.busy = {{node(2), homing_busy_most}, {node(3), homing_busy_most - 1}};
  s.standings = {{node(4), standing::probation}, {node(5), standing::normal}};
  s.held = {node(6)};
  EXPECT_EQ(occupied(s),
            (std::set<node_id>{node(1), node(2), node(4), node(6)}));
}

TEST(homing_calm, a_move_goes_on_while_its_ends_are_there) {
  nine w;
  w.pass(1h);
  std::optional<homing_move> m;
  for (std::uint8_t n = 1; n < 60 && !m; ++n)
    m = w.core.next(w.away(n, eu), w.all, {}, w.now);
  ASSERT_TRUE(m);
  const auto fine = [&] {
    homing_progress p;
    p.voters = {{m->from, true}, {node(9), true}};
    return p;
  };
  EXPECT_TRUE(w.core.goes_on(fine(), w.now));
  for (int n = 0; n < 6; ++n) {
    auto p = fine();
    p.led = n != 0;
    p.to_drained = n == 1;
    p.to_stands = n == 2 ? standing::hold : standing::normal;
    if (n == 3)
      p.voters.erase(p.voters.begin()); // it is done
    if (n == 4)
      p.voters[1].second = false; // that one is replaced first
    EXPECT_EQ(w.core.goes_on(p, w.now), n == 5) << n;
  }
  EXPECT_FALSE(w.core.goes_on(fine(), w.now + 10min)) << "it hangs";
  w.core.over(w.now);
  EXPECT_FALSE(w.core.goes_on(fine(), w.now));
}

} // namespace
} // namespace banyan
