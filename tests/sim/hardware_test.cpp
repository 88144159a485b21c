// Machines that say they are better than they are, among whole nodes.
#include "actors/node/hardware.hpp"
#include "actors/node/placing.hpp"
#include "actors/testing/sim/world.hpp"
#include "sim/apps.hpp"

#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

struct hardware : ::testing::TestWithParam<std::uint64_t> {
  /// Of tier 2; what it claims it has.
  static sim_hardware honest() {
    sim_hardware h;
    h.says.machine = {4, 8'000, "simulated"};
    h.says.fsync_p99_us = 9'000;
    h.says.disk_write_mb_s = 200;
    h.says.crypto_mb_s = 600;
    h.rhythm.first_within = 60s;
    h.rhythm.again = 20s;
    h.rhythm.later = 20s;
    h.rhythm.period = 5min;
    return h;
  }
  static world_options options(std::vector<sim_hardware> all) {
    world_options o;
    o.seed = 7000 + GetParam();
    o.machines = all.size();
    for (auto& h : all)
      o.hardware.push_back(std::make_shared<sim_hardware>(std::move(h)));
    return o;
  }
  static std::uint8_t tier(world& w, std::size_t by, std::size_t of) {
    auto& ctx = w.at(by).peer().context();
    const auto m = ctx.members->find(w.at(of).id());
    return m ? actors::tier_of(ctx, m->record) : UINT8_MAX;
  }
  /// Every node thinks that of every node.
  static bool all_think(world& w, const std::vector<std::uint8_t>& tiers) {
    for (std::size_t by = 0; by < tiers.size(); ++by)
      for (std::size_t of = 0; of < tiers.size(); ++of)
        if (tier(w, by, of) != tiers[of])
          return false;
    return true;
  }
  static void boot(world& w) {
    for (const auto& m : w.machines)
      m->boot();
  }
};

TEST_P(hardware, a_false_tier_is_found_by_every_node_and_no_other_is_lowered) {
  auto liar = honest();
  liar.real_mib = 60; // tier 2 is asked for 218
  world w{options({honest(), honest(), honest(), liar})};
  boot(w);
  EXPECT_TRUE(w.run_until([&] { return all_think(w, {2, 2, 2, 2}); }, 1min));
  EXPECT_TRUE(w.run_until([&] { return all_think(w, {2, 2, 2, 1}); }, 10min));
  auto& ctx = w.at(0).peer().context();
  EXPECT_GE(ctx.hardware->doubted_by(w.at(3).id()), 2U);
  placement_need need;
  need.min_tier = 2;
  for (const auto& m : actors::members_for(ctx, nullptr))
    EXPECT_EQ(why_unfit(m.as, need),
              m.as.node == w.at(3).id() ? unfit::tier : unfit::none);
  for (int n = 0; n < 2; ++n) { // it stays so
    w.run_for(1min);
    EXPECT_TRUE(all_think(w, {2, 2, 2, 1}));
  }
  EXPECT_TRUE(w.problems.empty());
}

TEST_P(hardware, wrong_answers_prove_nothing) {
  auto liar = honest();
  liar.wrong = true; // and so it finds everybody else wrong
  world w{options({honest(), honest(), honest(), liar})};
  boot(w);
  EXPECT_TRUE(w.run_until([&] { return all_think(w, {2, 2, 2, 0}); }, 15min));
  auto& by_liar = w.at(3).peer().context();
  EXPECT_TRUE(w.run_until(
      [&] { return by_liar.hardware->findings().doubts().size() == 3; },
      15min));
  w.run_for(1min);
  EXPECT_TRUE(all_think(w, {2, 2, 2, 0})); // one lying observer lowers nobody
  EXPECT_TRUE(w.problems.empty());
}

TEST_P(hardware, the_claim_is_kept_over_a_restart) {
  world w{options({honest(), honest()})};
  boot(w);
  ASSERT_TRUE(w.run_until([&] { return all_think(w, {2, 2}); }, 1min));
  w.at(1).kill(machine::end::process);
  w.run_for(1s);
  w.at(1).boot();
  EXPECT_TRUE(w.run_until([&] { return tier(w, 1, 1) == 2; }, 3s));
}

INSTANTIATE_TEST_SUITE_P(seeds, hardware,
                         ::testing::Range<std::uint64_t>(0, 1));

} // namespace
} // namespace banyan::sim
