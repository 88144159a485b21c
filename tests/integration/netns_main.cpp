// Real peers on hosts of their own, and faults of a real network under them.
//
//   netns_test SCENARIO [--seconds N] [--seed S] [--goal MS]
//
// --goal: what the scenario measures may take no longer (regions: until every
// app serves again).
// Exit code: 0 all held, 1 something didn't, 2 usage, 77 not run here.
#include "tests/integration/netns_scenarios.hpp"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  using namespace banyan::test;
  netns_world::settings s;
  const scenario* chosen = nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool more = i + 1 < argc;
    if (word == "--seconds" && more)
      s.seconds = std::atof(argv[++i]);
    else if (word == "--goal" && more)
      s.goal_ms = std::atof(argv[++i]);
    else if (word == "--seed" && more)
      s.seed = std::strtoull(argv[++i], nullptr, 10);
    else
      for (const auto& known : scenarios)
        if (word == known.name)
          chosen = &known;
  }
  if (chosen == nullptr) {
    std::fprintf(stderr, "usage: netns_test SCENARIO [--seconds N] [--seed S] "
                         "[--goal MS]\nscenarios:\n");
    for (const auto& known : scenarios)
      std::fprintf(stderr, "  %-16s %s\n", known.name, known.what);
    return 2;
  }
  try {
    return chosen->run(s);
  } catch (const not_here& e) {
    std::printf("NOT RUN: %s\n", e.what());
    return not_run;
  } catch (const std::exception& e) {
    std::printf("FAILED: %s\n", e.what());
    return 1;
  }
}
