// The same tests on real peers and on simulated ones.
#include "eventually.hpp"
#include "ledger.hpp"

namespace {

using namespace std::chrono_literals;

template <class Mesh>
struct ledger_mesh : ::testing::Test {
  ledger_mesh() {
    mesh.template add_app<ledger>();
    mesh.deploy("ledger");
  }
  banyan::call_result<std::int64_t> deposit(const std::string& who,
                                            std::int64_t cents) {
    return mesh.template call<&ledger::deposit>(who, {cents});
  }
  banyan::call_result<std::int64_t>
  transfer(const std::string& from, const std::string& to, std::int64_t cents) {
    return mesh.template call<&ledger::transfer>(from, {to, cents}, {20s});
  }
  std::int64_t balance(const std::string& who) {
    return mesh.template call<&ledger::balance>(who).value();
  }
  Mesh mesh{3};
};
TYPED_TEST_SUITE(ledger_mesh, meshes);

TYPED_TEST(ledger_mesh, moves_money) {
  EXPECT_EQ(*this->deposit("alice", 100), 100);
  EXPECT_EQ(*this->transfer("alice", "bob", 30), 70);
  eventually(
      this->mesh, [&] { return this->balance("bob"); }, 30);
  const auto poor = this->transfer("bob", "alice", 31);
  EXPECT_EQ(poor.error().error, banyan::call_errc::rejected);
  EXPECT_EQ(poor.error().code, "insufficient_funds");
}

TYPED_TEST(ledger_mesh, refunds_what_is_refused) {
  ASSERT_TRUE(this->deposit("rich", INT64_MAX).ok());
  ASSERT_TRUE(this->deposit("alice", 100).ok());
  EXPECT_EQ(*this->transfer("alice", "rich", 40), 60);
  eventually(
      this->mesh, [&] { return this->balance("alice"); }, 100);
  EXPECT_EQ(this->balance("rich"), INT64_MAX);
}

TYPED_TEST(ledger_mesh, loses_nothing_as_leaders_die) {
  const std::vector<std::string> who{"ann", "ben", "cay", "dan", "eve"};
  for (const auto& w : who)
    ASSERT_TRUE(this->deposit(w, 1000).ok());
  for (std::size_t i = 0; i < 30; ++i) {
    const auto& from = who[i % who.size()];
    const auto& to = who[(i * 3 + 1) % who.size()];
    if (i % 10 != 5) {
      EXPECT_TRUE(this->transfer(from, to, 7).ok());
      continue;
    }
    const auto victim = this->mesh.leader_of("ledger", from);
    this->mesh.kill(victim);
    EXPECT_TRUE(this->transfer(from, to, 7).ok());
    this->mesh.restart(victim);
    this->mesh.wait_healthy();
  }
  eventually(
      this->mesh,
      [&] {
        std::int64_t sum = 0;
        for (const auto& w : who)
          sum += this->balance(w);
        return sum;
      },
      5000);
}

TYPED_TEST(ledger_mesh, a_standing_order_outlives_its_leader) {
  ASSERT_TRUE(this->deposit("alice", 100).ok());
  const standing_order rent{{"bob", 10}, 1};
  ASSERT_TRUE(this->mesh.template call<&ledger::order>("alice", rent).ok());
  this->mesh.kill(this->mesh.leader_of("ledger", "alice"));
  eventually(
      this->mesh, [&] { return this->balance("bob") >= 20; }, true);
  const standing_order end{{"bob", 10}, 0};
  ASSERT_TRUE(this->mesh.template call<&ledger::order>("alice", end).ok());
}

} // namespace
