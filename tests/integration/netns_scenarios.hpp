#pragma once
#include "tests/integration/netns_world.hpp"

namespace banyan::test {

struct scenario {
  const char* name;
  const char* what;
  int (*run)(netns_world::settings);
};

int netns_cuts(netns_world::settings s);
int netns_kill_and_pause(netns_world::settings s);
int netns_slow_links(netns_world::settings s);
int netns_full_disk(netns_world::settings s);
int netns_replace(netns_world::settings s);
int netns_bit_flips(netns_world::settings s);
int netns_regions(netns_world::settings s);
int netns_names(netns_world::settings s);

inline constexpr scenario scenarios[] = {
    {"cuts", "symmetric, one-way, partial and flapping cuts, resets",
     netns_cuts},
    {"kill_and_pause", "kill -9, SIGSTOP, alone and under cuts",
     netns_kill_and_pause},
    {"slow_links", "late, narrow, stuck lines and resets, through a proxy",
     netns_slow_links},
    {"full_disk", "disks of a fixed size that fill up and are emptied again",
     netns_full_disk},
    {"replace", "hosts that stay away are replaced, and come back",
     netns_replace},
    {"bit_flips", "stopped stores with flipped bits that come back",
     netns_bit_flips},
    {"regions", "whole regions of three that are cut off, and come back",
     netns_regions},
    {"names", "a name with several addresses, one of them a member's",
     netns_names},
};

} // namespace banyan::test
