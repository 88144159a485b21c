// Whole nodes from one seed (DESIGN section 13). Many seeds: sim_seeds. On
// failure: bin/sim_seeds --log --seed N
#include "sim/run.hpp"
#include "sim/table.hpp"
#include "sim/workers.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace banyan::sim {
namespace {

void expect_clean(const outcome& o) {
  for (const auto& p : o.problems)
    ADD_FAILURE() << "seed " << o.seed << ": " << p
                  << "\nreplay: " << replay_command(o.seed);
}

/// Seeds that once found a bug: `seed what it found`, one per line.
std::vector<std::uint64_t> kept_seeds() {
  std::vector<std::uint64_t> out;
  std::ifstream in{BANYAN_SOURCE_DIR "/tests/sim/seeds.txt"};
  for (std::string line; std::getline(in, line);) {
    std::istringstream words{line};
    std::uint64_t seed = 0;
    if (words >> seed)
      out.push_back(seed);
  }
  return out;
}

} // namespace

TEST(sim, seeds_that_found_bugs) {
  for (const auto seed : kept_seeds())
    expect_clean(workers::run_one(plan_for(seed)));
}

TEST(sim, the_same_seed_gives_the_same_trace) {
  for (const std::uint64_t seed : {1, 2, 3})
    EXPECT_EQ(run_seed(seed).hash, run_seed(seed).hash) << "seed " << seed;
}

TEST(sim, the_same_seed_gives_the_same_trace_in_another_process) {
  for (const std::uint64_t seed : {4, 5})
    EXPECT_EQ(run_seed(seed).hash, workers::run_one(plan_for(seed)).hash)
        << "seed " << seed;
}

TEST(sim, a_schedule_with_faults_left_out_is_one_as_well) {
  auto p = plan_for(6);
  for (std::size_t i = 0; i < p.faults(); ++i)
    p.skipped.insert(i);
  const auto none = run(p);
  expect_clean(none);
  EXPECT_TRUE(none.faults.empty());
  p.skipped.erase(2);
  EXPECT_LE(run(p).faults.size(), 1U);
}

TEST(sim, an_outcome_survives_the_pipe) {
  outcome o;
  o.seed = 7;
  o.hash = 0xfedcba9876543210;
  o.acknowledged = 11;
  o.settled_s = 1.5;
  o.faults = {{"one-way cut", 3}, {"kill", 2}};
  o.problems = {"one thing", "another\tthing"};
  outcome back;
  ASSERT_TRUE(from_line(to_line(o), back));
  EXPECT_EQ(back.hash, o.hash);
  EXPECT_EQ(back.faults, o.faults);
  EXPECT_EQ(back.settled_s, o.settled_s);
  EXPECT_EQ(back.problems,
            (std::vector<std::string>{"one thing", "another thing"}));
}

} // namespace banyan::sim
