#include "network.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

namespace banyan::raft_test {
namespace {

/// One whole life of a group from one seed: disturbances, then peace.
std::string live(std::uint64_t seed, network::totals& sum) {
  set_assert_context(("seed=" + std::to_string(seed)).c_str());
  seeded_random dice{seed * 7919 + 1};
  raft::options opts;
  opts.sleep_after = dice.chance(0.5) ? 400ms : duration::max();
  if (dice.chance(0.3)) { // a narrow window
    opts.flow.append_entries = 2;
    opts.flow.window_appends = 2;
    opts.flow.append_bytes = 8;
  }
  weather w;
  w.loss = dice.chance(0.3) ? 0.0 : 0.1 * static_cast<double>(dice.below(3));
  w.restless = dice.chance(0.4);
  w.slow_max = dice.chance(0.2) ? 400ms : 40ms;
  if (w.restless) { // leaderships as short as messages
    opts.election_min = 8ms;
    opts.election_max = 24ms;
    opts.beat_interval = 4ms;
    opts.quorum_timeout = 24ms;
    opts.pre_vote_hold = 6ms;
    opts.transfer_timeout = 30ms;
    opts.rank_step = 1ms;
    w.slow = 0.05;
  }
  const unsigned voters = dice.chance(0.5) ? 3 : 5;
  network net{seed, voters, static_cast<unsigned>(dice.below(3)), opts, w};
  const auto disturbances = (w.restless ? 1200 : 300) + dice.below(300);
  for (std::uint64_t i = 0; i < disturbances && net.complaint().empty(); ++i) {
    net.run(w.restless && !dice.chance(0.02)
                ? dice.between(0ms, 4ms)
                : dice.between(0ms, dice.chance(0.1) ? 600ms : 20ms));
    net.disturb();
    if (i % 8 == 0)
      net.check();
  }
  net.heal();
  net.expect_convergence(20s);
  net.check();
  const auto& c = net.count;
  sum.messages += c.messages;
  sum.commits += c.commits;
  sum.reads += c.reads;
  sum.fresh += c.fresh;
  sum.changes += c.changes;
  sum.elections += c.elections;
  sum.crashes += c.crashes;
  sum.snapshots += c.snapshots;
  sum.transfers += c.transfers;
  sum.sleeps += c.sleeps;
  sum.pending += c.pending;
  return net.complaint();
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe): alone
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(raft_simulation, nothing_committed_is_lost_and_no_read_is_stale) {
  const auto first = from_environment("BANYAN_SEED", 1);
  const auto seeds = from_environment("BANYAN_SEEDS", 600);
  network::totals sum;
  for (auto seed = first; seed < first + seeds; ++seed) {
    const auto complaint = live(seed, sum);
    ASSERT_EQ(complaint, "") << "replay: BANYAN_SEED=" << seed
                             << " BANYAN_SEEDS=1 raft_simulation_test";
  }
  std::cout << seeds << " seeds: " << sum.messages << " messages, "
            << sum.commits << " commits, " << sum.elections << " elections, "
            << sum.crashes << " crashes, " << sum.reads << " reads, "
            << sum.fresh << " confirmations, " << sum.changes
            << " configurations, " << sum.snapshots << " snapshots, "
            << sum.transfers << " transfers, " << sum.sleeps << " sleeps, "
            << sum.pending << " states found late\n";
  if (seeds >= 100) {
    EXPECT_GT(sum.commits, 0u);
    EXPECT_GT(sum.reads, 0u);
    EXPECT_GT(sum.fresh, 0u);
    EXPECT_GT(sum.changes, 0u);
    EXPECT_GT(sum.snapshots, 0u);
    EXPECT_GT(sum.transfers, 0u);
    EXPECT_GT(sum.sleeps, 0u);
    EXPECT_GT(sum.pending, 0u);
  }
}

} // namespace
} // namespace banyan::raft_test
