// When a stateless app starts, serves and ends on one node.
#include "actors/pure/instances.hpp"

#include <gtest/gtest.h>

#include <string>

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

} // namespace
} // namespace banyan
