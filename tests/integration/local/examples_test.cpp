// The examples, as their users would test them: on a mesh in this process.
#include "counter/counter.hpp"
#include "kv/kv.hpp"
#include "ledger/ledger.hpp"

#include <banyan/testing.hpp>
#include <gtest/gtest.h>

#include <thread>

namespace {

using banyan::testing::local_mesh;
using namespace std::chrono_literals;

/// Looks until `f` gives `wanted` or 10 s are over: what was sent arrives
/// soon, not at once.
template <class F, class T>
void eventually(F f, T wanted) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (f() != wanted && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  EXPECT_EQ(f(), wanted);
}

TEST(counter_mesh, counts_through_a_kill) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter");
  EXPECT_EQ(*mesh.call<&counter::add>("hits", {5}), 5);
  mesh.kill(mesh.leader_of("counter", "hits"));
  EXPECT_EQ(*mesh.call<&counter::add>("hits", {5}), 10);
  EXPECT_EQ(*mesh.call<&counter::get>("misses"), 0);
  const auto no = mesh.call<&counter::add>("hits", {INT64_MAX});
  EXPECT_EQ(no.error().code, "overflow");
}

TEST(kv_mesh, keeps_values_through_a_kill) {
  local_mesh mesh{3};
  mesh.add_app<kv>();
  mesh.deploy("kv");
  EXPECT_TRUE(mesh.call<&kv::put>("k", {"a"}).ok());
  EXPECT_TRUE(mesh.call<&kv::append>("k", {"b"}).ok());
  EXPECT_FALSE(*mesh.call<&kv::cas>("k", {"x", "y"}));
  mesh.kill(mesh.leader_of("kv", "k"));
  EXPECT_EQ(*mesh.call<&kv::get>("k"), "ab");
  EXPECT_TRUE(*mesh.call<&kv::cas>("k", {"ab", "c"}));
  EXPECT_EQ(*mesh.call<&kv::get>("k"), "c");
  EXPECT_TRUE(mesh.call<&kv::delete_>("k").ok());
  EXPECT_EQ(*mesh.call<&kv::get>("k"), std::nullopt);
}

TEST(ledger_mesh, moves_money) {
  local_mesh mesh{3};
  mesh.add_app<ledger>();
  mesh.deploy("ledger");
  const auto balance = [&](const char* who) {
    return mesh.call<&ledger::balance>(who).value();
  };
  EXPECT_EQ(*mesh.call<&ledger::deposit>("alice", {100}), 100);
  EXPECT_EQ(*mesh.call<&ledger::transfer>("alice", {"bob", 30}), 70);
  eventually([&] { return balance("bob"); }, 30);
  const auto poor = mesh.call<&ledger::transfer>("bob", {"alice", 31});
  EXPECT_EQ(poor.error().error, banyan::call_errc::rejected);
  EXPECT_EQ(poor.error().code, "insufficient_funds");
}

TEST(ledger_mesh, refunds_what_is_refused) {
  local_mesh mesh{3};
  mesh.add_app<ledger>();
  mesh.deploy("ledger");
  ASSERT_TRUE(mesh.call<&ledger::deposit>("rich", {INT64_MAX}).ok());
  ASSERT_TRUE(mesh.call<&ledger::deposit>("alice", {100}).ok());
  EXPECT_EQ(*mesh.call<&ledger::transfer>("alice", {"rich", 40}), 60);
  eventually([&] { return mesh.call<&ledger::balance>("alice").value(); }, 100);
  EXPECT_EQ(*mesh.call<&ledger::balance>("rich"), INT64_MAX);
}

TEST(ledger_mesh, loses_nothing_as_leaders_die) {
  local_mesh mesh{3};
  mesh.add_app<ledger>();
  mesh.deploy("ledger");
  const std::vector<std::string> who{"ann", "ben", "cay", "dan", "eve"};
  for (const auto& w : who)
    ASSERT_TRUE(mesh.call<&ledger::deposit>(w, {1000}).ok());
  for (int i = 0; i < 30; ++i) {
    const auto& from = who[static_cast<std::size_t>(i) % who.size()];
    const auto& to = who[static_cast<std::size_t>(i * 3 + 1) % who.size()];
    if (i % 10 == 5) {
      const auto victim = mesh.leader_of("ledger", from);
      mesh.kill(victim);
      EXPECT_TRUE(mesh.call<&ledger::transfer>(from, {to, 7}, {20s}).ok());
      mesh.restart(victim);
      mesh.wait_healthy();
    } else {
      EXPECT_TRUE(mesh.call<&ledger::transfer>(from, {to, 7}, {20s}).ok());
    }
  }
  eventually(
      [&] {
        std::int64_t sum = 0;
        for (const auto& w : who)
          sum += mesh.call<&ledger::balance>(w).value();
        return sum;
      },
      5000);
}

TEST(ledger_mesh, a_standing_order_outlives_its_leader) {
  local_mesh mesh{3};
  mesh.add_app<ledger>();
  mesh.deploy("ledger");
  ASSERT_TRUE(mesh.call<&ledger::deposit>("alice", {100}).ok());
  const standing_order rent{{"bob", 10}, 1};
  ASSERT_TRUE(mesh.call<&ledger::order>("alice", rent).ok());
  mesh.kill(mesh.leader_of("ledger", "alice"));
  eventually([&] { return mesh.call<&ledger::balance>("bob").value() >= 20; },
             true);
  ASSERT_TRUE(mesh.call<&ledger::order>("alice", {{"bob", 10}, 0}).ok());
}

} // namespace
