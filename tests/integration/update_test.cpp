// Updates of an app on real peers with hosts in processes of their own, called
// over HTTP all the time (DESIGN sections 6 and 8).
#include "tests/integration/integration.hpp"
#include "tests/support/paced_ledger.hpp"

#include <algorithm>

namespace banyan::test {
namespace {

std::string version_of_ledger(const std::string& module,
                              const std::string& watch) {
  return "name = \"ledger\"\nmodule = \"" + module
         + "\"\nshards = 4\nreplicas = 3\nupdate_watch = \"" + watch + "\"\n";
}

struct update : ::testing::Test {
  update() {
    mesh.start_all();
    mesh.wait_members(3);
    mesh.deploy("ledger", version_of_ledger("ledger", "1s"));
    mesh.wait_healthy("ledger", 3);
    load.start();
    served_more(100);
  }
  void served_more(std::uint64_t n) {
    const auto until = load.answered() + n;
    ASSERT_TRUE(wait_until([&] { return load.answered() >= until; }, 60s));
  }
  [[nodiscard]] value shown(std::size_t i = 1) const {
    return mesh.get(i, "/v1/apps/ledger");
  }
  bool comes_to(const std::string& state, std::uint64_t number) {
    return wait_until(
        [&] {
          const auto u = shown()["update"];
          return u["state"].text == state
                 && static_cast<std::uint64_t>(u["number"].integer) == number;
        },
        30s);
  }
  /// Each group, as its leader says. That comes to another peer on its own, not
  /// with the state of the update.
  bool all_run(std::int64_t version) {
    return wait_until(
        [&] {
          const auto groups = shown()["groups"].list;
          return groups.size() == 4
                 && std::all_of(groups.begin(), groups.end(),
                                [&](const value& g) {
                                  return g["version"].integer == version;
                                });
        },
        30s);
  }

  static mesh_options options() {
    mesh_options o;
    o.flags = {"--apps", BANYAN_TEST_APPS_DIR};
    return o;
  }
  process_mesh mesh{{{"here"}, {"here"}, {"here"}}, options()};
  const words_on_failure words{mesh};
  paced_ledger load{mesh, {}};
};

TEST_F(update, to_another_state_version_has_no_failed_call_under_load) {
  mesh.deploy("ledger", version_of_ledger("ledger2", "1s"));
  ASSERT_TRUE(comes_to("done", 2)) << shown()["update"]["why"].text;
  EXPECT_TRUE(all_run(2));
  served_more(200);
  load.stop();
  EXPECT_EQ(load.failed(), 0U);
  EXPECT_EQ(load.wrong(), 0U);
  EXPECT_TRUE(load.sums_hold());
  EXPECT_GT(mesh.get(0, "/v1/apps/ledger/actors/paced-0/bookings", 6s)["result"]
                .integer,
            0);
  // Back to a module that can't read it: refused, with the reason.
  try {
    mesh.deploy("ledger", version_of_ledger("ledger", "1s"));
    ADD_FAILURE() << "an older state version was taken";
  } catch (const std::runtime_error& e) {
    EXPECT_NE(
        std::string{e.what()}.find("state version 2 was written in shard"),
        std::string::npos)
        << e.what();
  }
  EXPECT_EQ(mesh.casualties(), "");
}

TEST_F(update, that_throws_goes_back_by_itself) {
  mesh.deploy("ledger", version_of_ledger("ledger_throws", "5s"));
  ASSERT_TRUE(comes_to("rolled_back", 2)) << shown()["update"]["why"].text;
  EXPECT_NE(shown()["update"]["why"].text.find("turns failed"),
            std::string::npos);
  EXPECT_TRUE(all_run(1));
  served_more(200); // behind what was under way as it went back
  const auto failed = load.failed();
  EXPECT_LT(failed, 100U) << "only the canary's calls, until it was seen";
  served_more(200);
  // All peers know it is not to be tried again, whoever starts anew.
  for (std::size_t i = 0; i < 3; ++i) {
    mesh.kill(i);
    mesh.start(i);
    served_more(20);
  }
  mesh.wait_healthy("ledger", 3);
  EXPECT_TRUE(comes_to("rolled_back", 2));
  load.stop();
  EXPECT_EQ(load.failed(), failed);
  EXPECT_EQ(load.wrong(), 0U);
  EXPECT_TRUE(load.sums_hold());
}

} // namespace
} // namespace banyan::test
