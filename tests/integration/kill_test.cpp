// The promise of the whole project: peers die by kill -9 under load and no
// acknowledged transfer is lost or applied twice.
#include "tests/integration/integration.hpp"

#include <random>

namespace banyan::test {
namespace {

TEST(kill, a_peer_every_2_s_for_20_s_loses_and_doubles_nothing) {
  process_mesh mesh{{{"here"}, {"here"}, {"here"}, {"here"}, {"here"}}};
  const words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(5);
  mesh.deploy("ledger", ledger_of_three);
  mesh.wait_healthy("ledger", 3);

  ledger_load load{mesh};
  load.start();
  std::random_device seed;
  std::mt19937 random{seed()};
  const auto begun = now();
  std::uint64_t before = 0;
  for (int round = 1; round <= 10; ++round) {
    // The next peer dies when its time has come and somebody was served since
    // the last one.
    ASSERT_TRUE(wait_until(
        [&] {
          return now() >= begun + round * 2s && load.acknowledged() > before;
        },
        30s))
        << "nothing was acknowledged after kill " << round - 1 << "\n"
        << mesh.last_words();
    before = load.acknowledged();
    const auto victim = random() % mesh.size();
    mesh.kill(victim);
    mesh.start(victim);
    std::cout << "peer " << victim << " killed and back, " << before
              << " transfers acknowledged" << std::endl;
  }
  load.stop();
  const auto report = load.audit();
  std::cout << report.text();
  EXPECT_GT(report.acknowledged, 100U);
  EXPECT_TRUE(report.clean()) << report.text();
  EXPECT_EQ(mesh.casualties(), "");
  EXPECT_NO_THROW(mesh.wait_healthy("ledger", 3));
}

} // namespace
} // namespace banyan::test
