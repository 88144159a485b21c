#pragma once
#include "tests/integration/netns_world.hpp"

namespace banyan::test {

struct scenario {
  const char* name;
  const char* what;
  int (*run)(const netns_world::settings&);
};

int netns_cuts(const netns_world::settings& s);
int netns_kill_and_pause(const netns_world::settings& s);

inline constexpr scenario scenarios[] = {
    {"cuts", "symmetric, one-way, partial and flapping cuts, resets",
     netns_cuts},
    {"kill_and_pause", "kill -9, SIGSTOP, alone and under cuts",
     netns_kill_and_pause},
};

} // namespace banyan::test
