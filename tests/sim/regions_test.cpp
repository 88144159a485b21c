// A machine that isn't where it says it is, among whole nodes.
#include "actors/node/placing.hpp"
#include "actors/testing/sim/harm.hpp"
#include "sim/apps.hpp"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

struct regions : ::testing::TestWithParam<std::uint64_t> {
  static world_options options(std::vector<std::string> claims,
                               std::vector<std::string> places) {
    world_options o;
    o.seed = 5000 + GetParam();
    o.machines = claims.size();
    o.regions = std::move(claims);
    o.places = std::move(places);
    o.between.delay_low = 10ms;
    o.between.delay_high = 15ms;
    return o;
  }
  static std::set<std::size_t> found(world& w, std::size_t by) {
    std::set<std::size_t> out;
    const auto& all = w.at(by).peer().context().region_claims.unverified();
    for (std::size_t n = 0; n < w.machines.size(); ++n)
      if (all.count(w.at(n).id()) != 0)
        out.insert(n);
    return out;
  }
  static bool all_find(world& w, const std::set<std::size_t>& these) {
    for (std::size_t n = 0; n < w.machines.size(); ++n)
      if (found(w, n) != these)
        return false;
    return true;
  }
};

TEST_P(regions, a_false_claim_is_found_by_every_node) {
  world w{options({"eu", "eu", "eu", "us", "us", "us", "us"},
                  {"eu", "eu", "eu", "us", "us", "us", "eu"})};
  for (const auto& m : w.machines)
    m->boot();
  w.run_for(40s); // not at once: a minute of contradiction is asked for
  EXPECT_TRUE(all_find(w, {}));
  EXPECT_TRUE(w.run_until([&] { return all_find(w, {6}); }, 3min));
  const auto members = actors::members_for(w.at(0).peer().context(), nullptr);
  for (const auto& m : members)
    EXPECT_EQ(m.as.unverified, m.as.node == w.at(6).id());
  EXPECT_TRUE(w.problems.empty());
}

TEST_P(regions, honest_ones_and_one_building_are_left_in_peace) {
  for (const bool building : {false, true}) {
    const std::vector<std::string> claims{"eu", "eu", "us", "us", "ap"};
    world w{options(claims, building ? std::vector<std::string>{"here"}
                                     : std::vector<std::string>{})};
    for (const auto& m : w.machines)
      m->boot();
    for (int n = 0; n < 10; ++n) {
      w.run_for(30s);
      EXPECT_TRUE(all_find(w, {}));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(seeds, regions, ::testing::Range<std::uint64_t>(0, 2));

} // namespace
} // namespace banyan::sim
