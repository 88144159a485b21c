// When a stateless app starts, serves and ends on one node.
#include "actors/pure/instances.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace banyan {
namespace {

struct instances : ::testing::Test {
  /// What it says, as words: `start 1`, `up 1`, `down 1`, `stop 1`.
  std::string tick(duration later = 1s) {
    now += later;
    std::vector<instance_step> steps;
    keeper.on_tick(facts, now, steps);
    std::string out;
    for (const auto& s : steps) {
      out += out.empty() ? "" : ", ";
      if (const auto* b = std::get_if<start_instance>(&s)) {
        facts.hosts[b->number]; // it starts
        out += "start " + std::to_string(b->number);
      } else if (const auto* t = std::get_if<tell_instance>(&s)) {
        out += (t->up ? "up " : "down ") + std::to_string(t->number);
        EXPECT_EQ(t->up, t->why == instance_end::none);
        why = t->why;
      } else {
        const auto number = std::get<stop_instance>(s).number;
        facts.hosts.erase(number);
        out += "stop " + std::to_string(number);
      }
    }
    return out;
  }
  void serve(std::uint64_t number) {
    facts.placed = true;
    facts.wanted = number;
    tick();
    facts.hosts[number].up = true;
    tick();
    ASSERT_EQ(keeper.serving(), number);
  }

  instance_keeper keeper;
  instance_facts facts;
  instance_end why = instance_end::none; ///< of the last word
  time_point now = time_point{} + 1h;
};

TEST_F(instances, one_is_told_of_once_its_host_is_up) {
  facts.wanted = 1;
  EXPECT_EQ(tick(), "") << "another node is the place";
  facts.placed = true;
  EXPECT_EQ(tick(), "start 1");
  EXPECT_EQ(tick(), "");
  facts.hosts[1].up = true;
  EXPECT_EQ(tick(), "up 1");
  EXPECT_EQ(tick(), "");
}

TEST_F(instances, a_surplus_lasts_ten_seconds) {
  serve(1);
  facts.placed = false; // who was away is back
  facts.hosts[1].outstanding = 1;
  for (int s = 0; s < 10; ++s)
    EXPECT_EQ(tick(), "") << s;
  EXPECT_EQ(tick(), "down 1");
  EXPECT_EQ(tick(), "") << "a call is still under way";
  EXPECT_EQ(why, instance_end::spare);
  facts.hosts[1].outstanding = 0;
  EXPECT_EQ(tick(), "stop 1");
  EXPECT_EQ(tick(), "");
}

// [6] Kept at N: who was chosen instead may lack the module, or be slow to
// start.
TEST_F(instances, one_needed_in_anothers_place_stays) {
  serve(1);
  facts.placed = false;
  facts.covered = false; // the one in its place doesn't serve
  for (int s = 0; s < 60; ++s)
    EXPECT_EQ(tick(), "") << s;
  facts.covered = true;
  for (int s = 0; s < 10; ++s)
    EXPECT_EQ(tick(), "") << s;
  EXPECT_EQ(tick(), "down 1");
}

TEST_F(instances, one_needed_in_anothers_place_brings_the_next_version) {
  serve(1);
  facts.placed = false;
  facts.covered = false;
  facts.wanted = 2;
  EXPECT_EQ(tick(), "start 2");
  facts.hosts[1].up = false; // what doesn't serve stands in for nobody
  facts.hosts.erase(2);
  EXPECT_EQ(tick().find("start"), std::string::npos);
}

TEST_F(instances, a_successor_that_comes_and_goes_ends_nobody) {
  serve(1);
  facts.placed = false;
  for (int i = 0; i < 20; ++i) { // its host dies again and again
    facts.covered = !facts.covered;
    EXPECT_EQ(tick(4s), "") << i;
  }
}

TEST_F(instances, what_hangs_is_stopped_in_the_end) {
  serve(1);
  facts.leaving = true;
  facts.hosts[1].outstanding = 1;
  EXPECT_EQ(tick(), "down 1");
  EXPECT_EQ(tick(14s), "");
  EXPECT_EQ(tick(1s), "stop 1");
}

TEST_F(instances, a_flapping_member_moves_nothing) {
  serve(1);
  for (int i = 0; i < 20; ++i) { // in and out of the placement
    facts.placed = !facts.placed;
    EXPECT_EQ(tick(4s), "") << i;
  }
}

TEST_F(instances, a_drained_node_says_so_at_once) {
  serve(1);
  facts.leaving = true;
  EXPECT_EQ(tick(0s), "down 1");
  EXPECT_EQ(why, instance_end::leaving);
  EXPECT_EQ(tick(), "stop 1");
  facts.leaving = false; // it was taken back
  EXPECT_EQ(tick(), "start 1");
}

TEST_F(instances, a_new_version_takes_over_when_it_is_up) {
  serve(1);
  facts.wanted = 2;
  EXPECT_EQ(tick(), "start 2");
  facts.hosts[1].outstanding = 3;
  EXPECT_EQ(tick(), "") << "the old one serves";
  facts.hosts[2].up = true;
  EXPECT_EQ(tick(), "up 2");
  EXPECT_EQ(tick(), "") << "the old one ends its calls";
  facts.hosts[1].outstanding = 0;
  EXPECT_EQ(tick(), "stop 1");
  EXPECT_EQ(keeper.serving(), 2U);
}

TEST_F(instances, one_that_never_comes_up_leaves_the_old_one_serving) {
  serve(1);
  facts.wanted = 2;
  EXPECT_EQ(tick(), "start 2");
  for (int i = 0; i < 60; ++i)
    EXPECT_EQ(tick(), "");
  facts.wanted = 3; // mended
  EXPECT_EQ(tick(), "start 3");
  EXPECT_EQ(tick(), "stop 2");
  facts.hosts[3].up = true;
  EXPECT_EQ(tick(), "up 3");
}

TEST_F(instances, one_that_never_began_goes_with_the_next) {
  serve(1);
  facts.wanted = 2;
  EXPECT_EQ(tick(), "start 2");
  facts.hosts[2].begun = false; // a secret is missing
  EXPECT_EQ(tick(), "start 2") << "it may have come";
  facts.hosts[2].begun = false;
  facts.wanted = 3;
  EXPECT_EQ(tick(), "start 3, stop 2");
  facts.hosts[3].begun = false;
  facts.placed = false; // nor does it keep its seat where it isn't wanted
  EXPECT_EQ(tick(), "");
  EXPECT_EQ(tick(10s), "down 1, stop 3");
}

TEST_F(instances, a_host_that_fails_is_down_until_it_is_up_again) {
  serve(1);
  facts.hosts[1].up = false;
  EXPECT_EQ(tick(), "down 1");
  EXPECT_EQ(why, instance_end::host);
  EXPECT_EQ(tick(1min), "") << "it is started again, by its ladder";
  facts.hosts[1].up = true;
  EXPECT_EQ(tick(), "up 1");
  facts.hosts.erase(1); // its actor ended
  EXPECT_EQ(tick(), "start 1, down 1");
}

TEST_F(instances, an_app_that_is_gone_ends) {
  serve(1);
  facts.wanted = 0;
  EXPECT_EQ(tick(), "down 1");
  EXPECT_EQ(why, instance_end::gone);
  EXPECT_EQ(tick(), "stop 1");
  EXPECT_EQ(tick(), "");
}

// The policy takes nobody's last instance: it says "evacuated" at once, and
// what was found before that, when the app was placed here, covers nobody.
TEST_F(instances, an_evacuated_node_serves_until_others_do) {
  serve(1);
  facts.evacuated = true; // placed, and so covered, as was found before
  for (int s = 0; s < 60; ++s)
    EXPECT_EQ(tick(), "") << s;
  facts.placed = facts.covered = false; // others are chosen and don't serve
  for (int s = 0; s < 60; ++s)
    EXPECT_EQ(tick(), "") << s;
  facts.covered = true;
  EXPECT_EQ(tick(), "down 1") << "at once";
  EXPECT_EQ(why, instance_end::leaving);
}

TEST_F(instances, what_an_operator_drains_leaves_whoever_serves) {
  serve(1);
  facts.covered = false;
  facts.leaving = true;
  EXPECT_EQ(tick(), "down 1");
}

/// Nine members; which of them serve, and what the policy says of them.
struct nine_members {
  nine_members() {
    for (std::uint8_t n = 1; n <= 9; ++n) {
      why_member m;
      m.as.node = node(n);
      m.as.host = "10.0.0." + std::to_string(n);
      all.push_back(m);
    }
    need.voters = 2;
  }
  static node_id node(std::uint8_t n) {
    return node_id{std::array<std::uint8_t, 32>{n}};
  }
  std::vector<node_id> chosen() {
    return place_instances(hash, need, all).nodes;
  }
  bool chooses(const node_id& n) {
    const auto all_chosen = chosen();
    return std::count(all_chosen.begin(), all_chosen.end(), n) != 0;
  }
  void everybody(away a) {
    for (auto& m : all)
      m.away = a;
  }
  why_member& of(const node_id& n) {
    for (auto& m : all)
      if (m.as.node == n)
        return m;
    return all.front();
  }
  bool covered(const node_id& n) {
    return is_covered(hash, need, all, n, of(n).serves);
  }
  /// Those that serve once nothing changes: they come up one by one, and each
  /// changes who is chosen.
  std::vector<node_id> settle() {
    for (std::size_t round = 0; round < all.size(); ++round)
      for (const auto& n : chosen())
        if (!of(n).serves) {
          of(n).serves = true;
          break;
        }
    std::vector<node_id> out;
    for (const auto& m : all)
      if (m.serves)
        out.push_back(m.as.node);
    return out;
  }

  digest hash{std::array<std::uint8_t, 32>{5}};
  placement_need need;
  std::vector<why_member> all;
};

TEST(instance_places, on_hold_who_serves_goes_on_and_nobody_begins) {
  nine_members w;
  const auto born = w.chosen();
  ASSERT_EQ(born.size(), 2U);
  for (const auto hold : {away::held, away::unproven}) {
    w.of(born[0]).serves = true;
    w.of(born[0]).away = hold;
    EXPECT_EQ(w.chosen(), born);
    w.of(born[0]).serves = false;
    EXPECT_FALSE(w.chooses(born[0]));
    EXPECT_EQ(w.chosen().size(), 2U);
  }
}

// Never a last copy: served from a node on hold is better than not at all.
TEST(instance_places, where_all_are_held_or_evacuated_the_app_begins_anew) {
  for (const auto kept : {away::held, away::unproven, away::evacuated}) {
    nine_members w;
    w.everybody(kept);
    EXPECT_EQ(w.settle().size(), 2U) << to_string(kept);
  }
}

TEST(instance_places, evacuated_ones_are_the_last_resort) {
  nine_members w;
  w.everybody(away::evacuated);
  w.all[3].away = away::held;
  EXPECT_EQ(w.chosen(), std::vector<node_id>{w.all[3].as.node});
  w.all[7].away = away::none;
  EXPECT_EQ(w.chosen(), std::vector<node_id>{w.all[7].as.node});
  w.all[7].as.weight = 0; // it doesn't fit: it is nobody's choice
  EXPECT_EQ(w.chosen(), std::vector<node_id>{w.all[3].as.node});
  w.everybody(away::dead);
  EXPECT_TRUE(w.chosen().empty());
}

TEST(instance_places, where_nobody_takes_new_ones_who_serves_stays) {
  nine_members w;
  w.everybody(away::held);
  const auto first = w.chosen();
  std::vector<node_id> serve; // two that placement would not choose
  for (const auto& m : w.all)
    if (serve.size() < 2
        && std::count(first.begin(), first.end(), m.as.node) == 0)
      serve.push_back(m.as.node);
  for (const auto& n : serve)
    w.of(n).serves = true;
  auto now = w.chosen();
  std::sort(now.begin(), now.end());
  EXPECT_EQ(now, serve);
  w.of(serve[0]).serves = false; // its place is filled
  now = w.chosen();
  EXPECT_EQ(now.size(), 2U);
  EXPECT_EQ(std::count(now.begin(), now.end(), serve[1]), 1);
}

TEST(instance_places, a_held_node_whose_host_is_down_is_needed_until_n_serve) {
  nine_members w;
  const auto born = w.chosen();
  const auto held = born[0];
  w.of(held).away = away::held;
  w.of(born[1]).serves = true;
  EXPECT_FALSE(w.covered(held)); // its host is down, and one other's is up
  for (const auto& n : w.chosen())
    w.of(n).serves = true;
  EXPECT_TRUE(w.covered(held)); // two others serve
  // One that isn't on hold and doesn't serve is nobody's stand-in.
  for (const auto& m : w.all) {
    if (m.serves || m.away != away::none)
      continue;
    EXPECT_TRUE(w.covered(m.as.node));
  }
}

TEST(instance_places, the_evacuated_are_covered_once_any_other_serves) {
  nine_members w;
  const auto born = w.chosen();
  for (const auto& n : born) {
    w.of(n).serves = true;
    w.of(n).away = away::evacuated;
    EXPECT_FALSE(w.chooses(n));
  }
  for (const auto& n : born)
    EXPECT_FALSE(w.covered(n));
  w.of(w.chosen().front()).serves = true;
  for (const auto& n : born)
    EXPECT_TRUE(w.covered(n));
  // Its own host is down: others serve all the same.
  w.of(born[0]).serves = false;
  EXPECT_TRUE(w.covered(born[0]));
}

TEST(instance_places, a_surplus_is_covered_by_those_before_it) {
  nine_members w;
  for (auto& m : w.all)
    m.serves = true;
  const auto first = w.chosen();
  for (const auto& m : w.all)
    EXPECT_EQ(w.covered(m.as.node),
              std::count(first.begin(), first.end(), m.as.node) == 0);
}

} // namespace
} // namespace banyan
