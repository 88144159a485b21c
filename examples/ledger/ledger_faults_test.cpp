// How an app's developer tests against everything that can go wrong: the app
// on simulated peers, clients that pay each other, faults drawn from a seed.
// A failure names its seed; BANYAN_SEED=N replays it, BANYAN_SIM_LOG=1 shows
// what happened.
#include "ledger.hpp"

#include <banyan/testing.hpp>
#include <gtest/gtest.h>

namespace {

using banyan::testing::sim_mesh;
using banyan::testing::sim_options;
using namespace std::chrono_literals;

/// Pays 1 cent to the next one, again and again. A payment whose outcome isn't
/// known is asked again under its key: so it happens once.
class payer {
public:
  payer(sim_mesh& mesh, std::string name, std::string to)
      : mesh_{mesh}, name_{std::move(name)}, to_{std::move(to)} {}

  void pay() {
    if (stopped)
      return;
    banyan::call_options options;
    options.deadline = 2s;
    options.idempotency_key = name_ + " " + std::to_string(paid);
    mesh_.begin<&ledger::transfer>(
        name_, {to_, 1},
        [this](const banyan::call_result<std::int64_t>& left) {
          using banyan::call_errc;
          if (left.ok())
            ++paid;
          else // the app says no only if the money is gone
            EXPECT_NE(left.error().error, call_errc::rejected);
          mesh_.after(50ms, [this] { pay(); });
        },
        options);
  }
  std::int64_t paid = 0;
  bool stopped = false;

private:
  sim_mesh& mesh_;
  std::string name_;
  std::string to_;
};

std::int64_t pay_under_faults(std::uint64_t seed) {
  sim_mesh mesh{sim_options{5, seed}};
  mesh.add_app<ledger>();
  banyan::testing::app_options app;
  app.shards = 2;
  app.replace_after = 2s; // peers that are lost are replaced within the test
  mesh.deploy("ledger", app);
  EXPECT_TRUE(mesh.call<&ledger::deposit>("ann", {10'000}).ok());
  EXPECT_TRUE(mesh.call<&ledger::deposit>("ben", {10'000}).ok());

  payer ann{mesh, "ann", "ben"};
  payer ben{mesh, "ben", "cay"};
  ann.pay();
  ben.pay();
  mesh.trouble(20s); // of every kind
  mesh.harm("power cut", mesh.leader_of("ledger", "ann", 30s));
  mesh.run_for(2s);
  mesh.end_faults();
  mesh.run_for(5s);
  ann.stopped = ben.stopped = true;
  mesh.run_for(5s);
  mesh.wait_healthy(20s);

  EXPECT_EQ(*mesh.call<&ledger::balance>("ann"), 10'000 - ann.paid);
  EXPECT_EQ(*mesh.call<&ledger::balance>("ben"), 10'000 + ann.paid - ben.paid);
  EXPECT_EQ(*mesh.call<&ledger::balance>("cay"), ben.paid);
  for (const auto& p : mesh.problems())
    ADD_FAILURE() << p;
  return ann.paid + ben.paid;
}

TEST(ledger_faults, every_payment_takes_place_once) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    EXPECT_GT(pay_under_faults(seed), 50);
  }
}

// One fault at a time, by name, and what the app promises then.
TEST(ledger_faults, a_cut_off_leader_pays_nothing_twice) {
  sim_mesh mesh{sim_options{3, 7}};
  mesh.add_app<ledger>();
  mesh.deploy("ledger");
  ASSERT_TRUE(mesh.call<&ledger::deposit>("ann", {100}).ok());
  const auto old = mesh.leader_of("ledger", "ann");
  ASSERT_TRUE(mesh.harm("isolate", old, mesh.any, 3s));
  banyan::call_options options;
  options.deadline = 500ms;
  options.idempotency_key = "rent";
  const auto lost = mesh.call_at<&ledger::withdraw>(old, "ann", {30}, options);
  EXPECT_FALSE(lost.ok());
  options.deadline = 5s;
  const auto other = (old + 1) % 3;
  EXPECT_EQ(*mesh.call_at<&ledger::withdraw>(other, "ann", {30}, options), 70);
  mesh.run_for(4s);
  EXPECT_EQ(*mesh.call_at<&ledger::withdraw>(old, "ann", {30}, options), 70);
  EXPECT_EQ(*mesh.call<&ledger::balance>("ann"), 70);
  EXPECT_TRUE(mesh.problems().empty());
}

} // namespace
