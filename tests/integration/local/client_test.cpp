#include "counter/counter.hpp"
#include "kv/kv.hpp"

#include <banyan/client.hpp>
#include <banyan/testing.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace {

using banyan::call_errc;
using banyan::client;
using banyan::testing::local_mesh;
using namespace std::chrono_literals;

client connected(const local_mesh& mesh) {
  auto c = client::connect({mesh.addresses(), mesh.client_key_file()});
  if (!c.ok())
    throw std::runtime_error{c.error().message};
  return std::move(*c);
}

TEST(client, calls_and_queries) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.add_app<kv>();
  mesh.deploy("counter");
  mesh.deploy("kv");
  auto c = connected(mesh);
  EXPECT_EQ(*c.call<&counter::add>("hits", {5}), 5);
  EXPECT_EQ(*c.call<&counter::get>("hits"), 5);
  auto later = c.call_future<&counter::add>("hits", {1});
  EXPECT_EQ(*later.get(), 6);
  banyan::call_options stale;
  stale.max_staleness = 60s;
  EXPECT_GE(*c.call_future<&counter::get>("hits", {}, stale).get(), 0);
  EXPECT_TRUE(c.call<&kv::put>("k", {"v"}).ok());
  EXPECT_EQ(*c.call<&kv::get>("k"), "v");
  EXPECT_EQ(*c.call<&kv::get>("nothing"), std::nullopt);
  EXPECT_EQ(*c.call("kv", "k", "append", R"({"value": "w"})"), "null");
  EXPECT_EQ(*c.query("kv", "k", "get"), R"("vw")");
}

TEST(client, a_client_key_opens_a_mesh_with_a_file) {
  banyan::testing::mesh_options o;
  o.with_mesh_file = true;
  local_mesh mesh{o};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 2, 3});
  auto c = connected(mesh);
  EXPECT_EQ(*c.call<&counter::add>("hits", {1}), 1);
  const auto stranger = client::connect({mesh.addresses(), "", 300ms});
  ASSERT_FALSE(stranger.ok());
  EXPECT_EQ(stranger.error().error, call_errc::unreachable);
}

TEST(client, errors_have_their_words) {
  EXPECT_EQ(client::connect({{}}).error().error, call_errc::invalid_argument);
  EXPECT_EQ(client::connect({{"nonsense"}}).error().error,
            call_errc::invalid_argument);
  EXPECT_EQ(client::connect({{"127.0.0.1:1"}, "", 200ms}).error().error,
            call_errc::unreachable);
  EXPECT_EQ(client::connect({{"127.0.0.1:1"}, "/no/such.client"}).error().error,
            call_errc::invalid_argument);
  local_mesh mesh{1};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 1});
  auto c = connected(mesh);
  EXPECT_EQ(c.call("counter", "a", "explode").error().code, "not_found");
  EXPECT_EQ(c.call("nothing", "a", "add").error().code, "not_found");
  EXPECT_EQ(c.call("counter", "", "add").error().code, "invalid_argument");
}

TEST(client, many_at_once_and_in_callbacks) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 3});
  auto c = connected(mesh);
  constexpr int calls = 2500; // more than a session may have outstanding
  std::atomic<int> ok{0}, ended{0};
  std::promise<void> all;
  for (int i = 0; i < calls; ++i)
    c.call_async<&counter::add>("hits", {1},
                                [&](auto r) {
                                  ok += r.ok();
                                  if (++ended == calls)
                                    all.set_value();
                                },
                                {30s});
  all.get_future().wait();
  EXPECT_EQ(ok, calls);
  EXPECT_EQ(*c.call<&counter::get>("hits"), calls);
  EXPECT_EQ(c.counters().sessions, 1U);
}

TEST(client, counts_once_through_kills) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 3});
  auto c = connected(mesh);
  std::atomic<bool> over{false};
  std::atomic<std::int64_t> done{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      while (!over) {
        const auto r = c.call<&counter::add>("hits", {1}, {20s});
        EXPECT_TRUE(r.ok()) << r.error().code << ": " << r.error().message;
        done += r.ok();
      }
    });
  for (int round = 0; round < 4; ++round) {
    const auto before = done.load();
    const auto victim = mesh.leader_of("counter", "hits");
    mesh.kill(victim);
    while (done < before + 20 && !HasFailure()) // it goes on without it
      std::this_thread::yield();
    mesh.restart(victim);
    mesh.wait_healthy();
  }
  over = true;
  for (auto& t : callers)
    t.join();
  EXPECT_EQ(*c.call<&counter::get>("hits"), done);
  const auto n = c.counters();
  std::printf("%lld increments through 4 kills, each once; %llu repeated, "
              "%llu links lost\n",
              static_cast<long long>(done.load()),
              static_cast<unsigned long long>(n.repeated),
              static_cast<unsigned long long>(n.links_lost));
}

TEST(client, leaves_a_frozen_peer) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 3});
  auto c = connected(mesh);
  for (std::size_t i = 0; i < 3; ++i) {
    mesh.freeze(i);
    const auto r = c.call<&counter::add>("hits", {1}, {20s});
    EXPECT_TRUE(r.ok()) << r.error().code << ": " << r.error().message;
    mesh.thaw(i);
    mesh.wait_healthy();
  }
  EXPECT_EQ(*c.call<&counter::get>("hits"), 3);
}

TEST(client, ends_its_calls_with_itself) {
  local_mesh mesh{1};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 1});
  auto answer =
      std::make_shared<std::promise<banyan::call_result<std::int64_t>>>();
  {
    auto c = connected(mesh);
    EXPECT_TRUE(c.call<&counter::add>("hits", {1}).ok());
    mesh.freeze(0);
    c.call_async<&counter::add>(
        "hits", {1}, [answer](auto r) { answer->set_value(std::move(r)); });
    while (c.counters().calls < 2)
      std::this_thread::yield();
  }
  const auto r = answer->get_future().get();
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().error, call_errc::unknown);
}

} // namespace
