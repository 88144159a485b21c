// One seed of the whole-node simulator, for tests/sim/planted_test.cpp.
#include "sim/run.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace banyan::sim {
namespace {

TEST(planted_node, whole_nodes) {
  const char* seed =
      std::getenv("BANYAN_SEED"); // NOLINT(concurrency-mt-unsafe)
  const auto o =
      run_seed(seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10));
  for (const auto& p : o.problems)
    ADD_FAILURE() << p;
}

} // namespace
} // namespace banyan::sim
