#pragma once
#include "base/planted.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Which test notices which planted bug. tests/sim/planted_test.cpp runs it.
namespace banyan::test {

/// Tests of this program, and for the seeded ones the seed (0: not seeded).
struct finder {
  std::string_view suite; ///< see `suites`
  std::uint64_t seed = 0;
};

struct planted_row {
  planted_bug bug;
  std::string_view name; ///< as in the enum
  std::vector<finder> found_by;
};

/// The whole table, in the enum's order.
const std::vector<planted_row>& planted_table();

/// A short name for a gtest filter.
struct suite {
  std::string_view name;
  std::string_view filter;
  bool seeded = true;
};
const suite& suite_of(std::string_view name);

/// How one run in a process of its own ended.
struct run_end {
  bool failed = false;
  std::string said; ///< the first thing that the test had to say about it
  double seconds = 0;
};
run_end run_planted(planted_bug b, const suite& s, std::uint64_t seed);

} // namespace banyan::test
