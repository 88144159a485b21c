#include "counter/counter.hpp"
#include "kv/kv.hpp"

#include <banyan/testing.hpp>
#include <gtest/gtest.h>

#include <thread>

namespace {

using banyan::testing::local_mesh;
using steady = std::chrono::steady_clock;

double ms_since(steady::time_point t) {
  return std::chrono::duration<double, std::milli>(steady::now() - t).count();
}

TEST(local_mesh, five_peers_up_and_down) {
  const auto begin = steady::now();
  double up = 0;
  {
    local_mesh mesh{5};
    up = ms_since(begin);
    for (std::size_t i = 0; i < 5; ++i)
      EXPECT_EQ(mesh.members(i).size(), 5U);
  }
  const double all = ms_since(begin);
  std::printf("five peers: up in %.0f ms, up and down in %.0f ms\n", up, all);
  RecordProperty("up_ms", static_cast<int>(up));
  EXPECT_LT(all, 5000); // below 1,000 on an idle machine
}

TEST(local_mesh, an_app_serves_through_every_peer) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter");
  for (std::size_t i = 0; i < 3; ++i) {
    const auto sum = mesh.call_at<&counter::add>(i, "hits", {1});
    ASSERT_TRUE(sum.ok()) << sum.error().message;
    EXPECT_EQ(*sum, static_cast<std::int64_t>(i) + 1);
  }
  EXPECT_EQ(*mesh.call<&counter::get>("hits"), 3);
  EXPECT_EQ(*mesh.call<&counter::get>("nothing yet"), 0);
  EXPECT_EQ(*mesh.call(0, "counter/hits", "add", R"({"n": 4})"), "7");
  EXPECT_EQ(*mesh.query(1, "counter/hits", "get"), "7");
}

TEST(local_mesh, errors_have_their_words) {
  local_mesh mesh{1};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 1});
  const auto code = [&](const char* actor, const char* command,
                        const char* json) {
    const auto r = mesh.call(0, actor, command, json);
    return r.ok() ? "ok" : r.error().code;
  };
  EXPECT_EQ(code("counter/a", "add", R"({"n": "x"})"), "invalid_argument");
  EXPECT_EQ(code("counter/a", "add", "{"), "invalid_argument");
  EXPECT_EQ(code("counter/a", "explode", "{}"), "not_found");
  EXPECT_EQ(code("nothing/a", "add", "{}"), "not_found");
  EXPECT_EQ(code("counter", "add", "{}"), "invalid_argument");
  EXPECT_EQ(code("counter/a", "add", R"({"n": 9223372036854775807})"), "ok");
  EXPECT_EQ(code("counter/a", "add", R"({"n": 1})"), "overflow");
}

TEST(local_mesh, a_mesh_file_makes_a_mesh_of_its_own) {
  banyan::testing::mesh_options o;
  o.with_mesh_file = true;
  local_mesh mesh{o};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 2, 3});
  EXPECT_EQ(*mesh.call<&counter::add>("hits", {2}), 2);
  EXPECT_FALSE(mesh.client_key_file().empty());
}

TEST(local_mesh, a_voter_may_answer_a_stale_query) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 3});
  ASSERT_TRUE(mesh.call<&counter::add>("hits", {1}).ok());
  banyan::call_options stale;
  stale.max_staleness = std::chrono::seconds{60};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto seen = mesh.call_at<&counter::get>(i, "hits", {}, stale);
    ASSERT_TRUE(seen.ok()) << seen.error().message;
    EXPECT_TRUE(*seen == 0 || *seen == 1);
  }
}

TEST(local_mesh, an_idempotency_key_is_one_call) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 3});
  banyan::call_options once;
  once.idempotency_key = "order-1";
  EXPECT_EQ(*mesh.call_at<&counter::add>(0, "hits", {1}, once), 1);
  EXPECT_EQ(*mesh.call_at<&counter::add>(1, "hits", {1}, once), 1);
  const auto other = mesh.call_at<&counter::add>(2, "hits", {2}, once);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().error, banyan::call_errc::conflict);
}

TEST(local_mesh, spread_regions_puts_voters_in_two_regions) {
  local_mesh mesh{{5, {"east", "east", "west"}}};
  mesh.add_app<counter>();
  banyan::testing::app_options o;
  o.shards = 4;
  o.spread_regions = true;
  mesh.deploy("counter", o);
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    bool east = false, west = false;
    for (const auto v : mesh.voters_of("counter", key))
      (v < 2 ? east : west) = true;
    EXPECT_TRUE(east && west) << key;
  }
}

TEST(local_mesh, many_threads_call) {
  local_mesh mesh{3};
  mesh.add_app<counter>();
  mesh.deploy("counter", {"", 1, 3});
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 6; ++t)
    threads.emplace_back([&mesh, t] {
      for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(mesh.call_at<&counter::add>(t % 3, "hits", {1}).ok());
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(*mesh.call<&counter::get>("hits"), 120);
}

} // namespace
