// Peers that stop and come back, all of them, and one without its disk.
#include "tests/integration/integration.hpp"

namespace banyan::test {
namespace {

/// Three peers with a ledger that has taken transfers.
struct fed_mesh {
  process_mesh mesh{{{"here"}, {"here"}, {"here"}}};
  words_on_failure words{mesh};
  ledger_load load{mesh, {"ledger", 8, 8, 0ms, 40s}};

  fed_mesh() {
    mesh.start_all();
    mesh.wait_members(3);
    mesh.deploy("ledger", ledger_of_three);
    mesh.wait_healthy("ledger", 3);
    load.start();
    more(200);
  }
  void more(std::uint64_t transfers) {
    const auto goal = load.acknowledged() + transfers;
    ASSERT_TRUE(wait_until([&] { return load.acknowledged() >= goal; }, 30s));
  }
  void check() {
    load.stop();
    const auto report = load.audit();
    std::cout << report.text();
    EXPECT_TRUE(report.clean()) << report.text();
    EXPECT_EQ(mesh.casualties(), "");
  }
};

// The checker itself: what it would say if something went wrong.
TEST(audit, tells_a_transfer_applied_twice_and_one_lost) {
  fed_mesh f;
  f.load.stop();
  const auto tamper = [&](std::size_t i, const char* command) {
    const auto r = f.mesh.command(
        0, "/v1/apps/ledger/actors/" + f.load.recipient(i) + "/" + command,
        R"({"cents":1000007})");
    EXPECT_EQ(r.status, 200) << r.body;
  };
  EXPECT_TRUE(f.load.audit().clean());
  tamper(0, "deposit");
  const auto twice = f.load.audit(1s);
  EXPECT_EQ(twice.twice, 1U);
  EXPECT_EQ(twice.lost, 0U);
  tamper(1, "withdraw");
  const auto both = f.load.audit(1s);
  EXPECT_EQ(both.twice, 1U);
  EXPECT_EQ(both.lost, 1U);
  EXPECT_FALSE(both.clean());
}

TEST(restart, all_peers_stopped_by_SIGTERM_keep_every_transfer) {
  fed_mesh f;
  f.load.stop();
  for (std::size_t i = 0; i < f.mesh.size(); ++i)
    EXPECT_EQ(f.mesh.terminate(i), 0) << "peer " << i;
  f.mesh.start_all();
  f.mesh.wait_healthy("ledger", 3);
  f.check();
}

// An impatient operator, or a service manager that repeats itself.
TEST(restart, a_second_SIGTERM_while_a_peer_stops_changes_nothing) {
  process_mesh mesh{{{"here"}, {"here"}, {"here"}}};
  for (int round = 0; round < 5; ++round) {
    mesh.start_all();
    mesh.wait_members(3);
    for (std::size_t i = 0; i < mesh.size(); ++i) {
      const auto end = now() + 100ms;
      while (now() < end)
        mesh.signal(i, SIGTERM); // to a process that ended: its zombie
      EXPECT_EQ(mesh.terminate(i), 0) << "round " << round << " peer " << i;
    }
  }
}

TEST(restart, all_peers_killed_at_once_under_load_keep_every_transfer) {
  fed_mesh f;
  for (std::size_t i = 0; i < f.mesh.size(); ++i)
    f.mesh.kill(i);
  f.mesh.start_all();
  f.mesh.wait_healthy("ledger", 3);
  f.more(50);
  f.check();
}

TEST(restart, all_peers_find_each_other_again_without_any_join) {
  fed_mesh f;
  f.load.stop();
  for (std::size_t i = 0; i < f.mesh.size(); ++i)
    f.mesh.kill(i);
  for (std::size_t i = 0; i < f.mesh.size(); ++i)
    f.mesh.start(i, false);
  f.mesh.wait_members(3);
  f.mesh.wait_healthy("ledger", 3);
  f.check();
}

TEST(restart, a_peer_at_another_address_is_the_same_node_and_its_groups_go_on) {
  fed_mesh f;
  const auto victim = f.mesh.leader_of("ledger").value_or(1);
  const auto node = f.mesh.node(victim);
  f.mesh.kill(victim);
  f.mesh.move(victim, "127.0.0.2");
  f.mesh.start(victim, false); // it knows the others, they don't know where
  EXPECT_EQ(f.mesh.node(victim), node);
  f.mesh.wait_healthy("ledger", 3);
  for (std::size_t i = 0; i < f.mesh.size(); ++i)
    EXPECT_TRUE(wait_until(
        [&] {
          const auto nodes = f.mesh.get(i, "/v1/nodes");
          for (const auto& n : nodes.list)
            if (n["node"].text == node)
              return nodes.list.size() == 3 && n["state"].text == "alive"
                     && n["address"].text == f.mesh.listening(victim);
          return false;
        },
        30s))
        << "peer " << i;
  // A majority needs it now.
  f.mesh.kill((victim + 1) % 3);
  f.more(50);
  f.mesh.start((victim + 1) % 3, false); // and dials it where it is now
  f.mesh.wait_healthy("ledger", 3);
  f.check();
}

TEST(restart, the_mesh_serves_once_any_majority_is_back) {
  fed_mesh f;
  for (std::size_t i = 0; i < f.mesh.size(); ++i)
    f.mesh.kill(i);
  f.mesh.start(2);
  f.mesh.start(1);
  f.more(50);
  f.mesh.start(0);
  f.mesh.wait_healthy("ledger", 3);
  f.check();
}

TEST(restart, a_wiped_peer_is_a_stranger_whose_replicas_are_rebuilt) {
  process_mesh mesh{{{"here"}, {"here"}, {"here"}, {"here"}}};
  const words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(4);
  mesh.deploy("ledger", ledger_of_three + "replace_after = \"2s\"\n");
  mesh.wait_healthy("ledger", 3);
  ledger_load load{mesh, {"ledger", 8, 8, 0ms, 40s}};
  load.start();
  ASSERT_TRUE(wait_until([&] { return load.acknowledged() > 200; }, 30s));
  const auto victim = mesh.leader_of("ledger").value_or(1);
  const auto old_node = mesh.node(victim);
  mesh.kill(victim);
  mesh.wipe(victim);
  mesh.start(victim);
  EXPECT_NE(mesh.node(victim), old_node);
  mesh.wait_healthy("ledger", 3, 40s);
  load.stop();
  const auto report = load.audit();
  std::cout << report.text();
  EXPECT_TRUE(report.clean()) << report.text();
  EXPECT_EQ(mesh.casualties(), "");
}

TEST(restart, a_frozen_leader_that_thaws_acknowledges_nothing_of_its_own) {
  fed_mesh f;
  const auto leader = f.mesh.leader_of("ledger");
  ASSERT_TRUE(leader);
  f.mesh.freeze(*leader);
  f.more(100);
  f.mesh.thaw(*leader);
  f.more(100);
  f.mesh.wait_healthy("ledger", 3);
  f.check();
}

} // namespace
} // namespace banyan::test
