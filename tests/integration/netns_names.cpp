#include "tests/integration/netns_scenarios.hpp"

#include <cstdio>

namespace banyan::test {

/// `--join` a name of four hosts: one says nothing, one refuses, one is the
/// newcomer itself, one is a member. Each host is each of them once: whichever
/// address a resolver puts first.
int netns_names(netns_world::settings) {
  net_hosts hosts{4};
  owned_mesh owned{hosts};
  auto& mesh = owned.peers();
  std::vector<std::string> all;
  for (std::size_t i = 0; i < hosts.size(); ++i)
    all.push_back(hosts.address(i));
  name_hosts((mesh.dir() / "hosts").string(), "mesh.test", all);
  mesh.join_by_name("mesh.test");
  for (std::size_t member = 0; member < hosts.size(); ++member) {
    const auto newcomer = (member + 1) % hosts.size();
    hosts.isolate((member + 2) % hosts.size());
    mesh.start(member, false);
    const auto begun = now();
    mesh.start(newcomer);
    mesh.wait_members(2, 10s);
    std::printf(
        "a member at %s: joined by the name after %lld ms\n",
        all[member].c_str(),
        static_cast<long long>(
            std::chrono::duration_cast<std::chrono::milliseconds>(now() - begun)
                .count()));
    for (const auto i : {member, newcomer}) {
      mesh.kill(i);
      mesh.wipe(i);
    }
    hosts.heal();
  }
  return 0;
}

} // namespace banyan::test
