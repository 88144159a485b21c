// What sim_mesh promises beside the surface that it shares with local_mesh.
#include "counter/counter.hpp"

#include <banyan/testing.hpp>
#include <gtest/gtest.h>

#include <stdexcept>

namespace {

using banyan::testing::sim_mesh;
using banyan::testing::sim_options;
using namespace std::chrono_literals;

std::uint64_t some_work(std::uint64_t seed) {
  sim_mesh mesh{sim_options{4, seed, {"here", "there"}}};
  mesh.add_app<counter>();
  mesh.deploy("counter");
  int done = 0;
  std::function<void()> again = [&] {
    mesh.begin<&counter::add>("hits", {1}, [&](const auto&) {
      ++done;
      mesh.after(20ms, again);
    });
  };
  again();
  mesh.trouble(5s);
  mesh.end_faults();
  mesh.run_for(2s);
  EXPECT_GT(done, 0);
  EXPECT_TRUE(mesh.problems().empty());
  return mesh.trace_hash();
}

TEST(sim_mesh, the_same_seed_gives_the_same_run) {
  EXPECT_EQ(some_work(3), some_work(3));
  EXPECT_NE(some_work(3), some_work(4));
}

TEST(sim_mesh, time_passes_only_where_it_waits) {
  sim_mesh mesh{3};
  const auto before = mesh.elapsed();
  mesh.run_for(60s);
  EXPECT_EQ(mesh.elapsed() - before, 60s);
  int called = 0;
  mesh.after(1s, [&] { ++called; });
  EXPECT_EQ(called, 0);
  mesh.run_for(2s);
  EXPECT_EQ(called, 1);
}

TEST(sim_mesh, names_every_fault) {
  const auto names = sim_mesh::fault_names();
  EXPECT_GE(names.size(), 40U);
  sim_mesh mesh{3};
  for (const auto& n : names)
    EXPECT_FALSE(n.meaning.empty()) << n.name;
  EXPECT_THROW(mesh.harm("bad luck", 0), std::runtime_error);
  EXPECT_THROW(mesh.harm("kill", 9), std::runtime_error);
  EXPECT_TRUE(mesh.harm("kill", 0, mesh.any, 500ms));
  EXPECT_FALSE(mesh.running(0));
  EXPECT_FALSE(mesh.harm("pause", 0)); // it is down
  mesh.run_for(1s);
  EXPECT_TRUE(mesh.running(0));
  EXPECT_EQ(mesh.faults().at("kill"), 1U);
}

TEST(sim_mesh, a_partition_leaves_the_majority_at_work) {
  sim_mesh mesh{5};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 5});
  ASSERT_TRUE(mesh.call<&counter::add>("hits", {1}).ok());
  mesh.partition({{0, 1}, {2, 3, 4}});
  mesh.run_for(3s);
  EXPECT_EQ(*mesh.call_at<&counter::add>(3, "hits", {1}), 2);
  banyan::call_options soon;
  soon.deadline = 1s;
  EXPECT_FALSE(mesh.call_at<&counter::add>(0, "hits", {1}, soon).ok());
  mesh.heal();
  mesh.wait_healthy();
  EXPECT_EQ(*mesh.call_at<&counter::get>(0, "hits"), 2);
  EXPECT_TRUE(mesh.problems().empty());
}

TEST(sim_mesh, a_wiped_peer_comes_back_as_a_new_member) {
  sim_mesh mesh{4};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 2, 3, 2s});
  ASSERT_TRUE(mesh.call<&counter::add>("hits", {1}).ok());
  const auto victim = mesh.leader_of("counter", "hits");
  const auto before = mesh.id(victim);
  mesh.wipe(victim);
  mesh.restart(victim);
  EXPECT_NE(mesh.id(victim), before);
  mesh.wait_healthy(30s);
  EXPECT_EQ(*mesh.call<&counter::get>("hits"), 1);
  EXPECT_TRUE(mesh.problems().empty());
}

TEST(sim_mesh, who_is_told_of_a_call_can_begin_another_but_not_wait) {
  sim_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter");
  bool refused = false;
  mesh.begin<&counter::add>("hits", {1}, [&](const auto& first) {
    EXPECT_TRUE(first.ok());
    try {
      static_cast<void>(mesh.call<&counter::get>("hits"));
    } catch (const std::runtime_error&) {
      refused = true;
    }
  });
  mesh.run_for(1s);
  EXPECT_TRUE(refused);
}

TEST(sim_mesh, a_peer_that_dies_with_a_call_leaves_it_unknown) {
  sim_mesh mesh{1};
  mesh.add_app<counter>();
  mesh.deploy("counter");
  banyan::call_options soon;
  soon.deadline = 1s;
  std::string got;
  mesh.begin<&counter::add>(
      "hits", {1}, [&](const auto& r) { got = r.ok() ? "ok" : r.error().code; },
      soon);
  mesh.kill(0);
  mesh.run_for(3s);
  EXPECT_EQ(got, "unknown");
  EXPECT_EQ(mesh.call<&counter::get>("hits").error().error,
            banyan::call_errc::unreachable);
}

} // namespace
