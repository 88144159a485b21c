// The command line against real peers of a mesh with an owner.
#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"
#include "tests/support/process_mesh.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace banyan::test {
namespace {

class OwnedMesh : public ::testing::Test {
protected:
  void SetUp() override {
    system_random random;
    ASSERT_TRUE(init_mesh(dir_.path(), "orchard", random).ok());
    mesh_options o;
    o.mesh_file = dir_.path() / "orchard.mesh";
    mesh_ = std::make_unique<process_mesh>(std::vector<peer_place>(3), o);
    mesh_->start_all();
    mesh_->wait_members(3);
    write_spec("");
  }
  void TearDown() override {
    if (HasFailure() && mesh_)
      std::printf("%s\n", mesh_->last_words().c_str());
  }

  void write_spec(const std::string& more) {
    std::ofstream{spec()} << "name = \"ledger\"\nmodule = \"ledger\"\n"
                             "shards = 2\nreplicas = 3\n"
                          << more;
  }
  [[nodiscard]] std::string spec() const { return dir_.path() / "ledger.toml"; }
  [[nodiscard]] std::string owner() const {
    return dir_.path() / "orchard.owner";
  }
  run_result banyan(std::size_t peer, std::vector<std::string> words) {
    words.insert(words.begin(),
                 {BANYAN_PROGRAM, "--data", mesh_->data(peer).string()});
    return run_program(words, 30s);
  }
  [[nodiscard]] std::uint64_t version(std::size_t peer) const {
    return static_cast<std::uint64_t>(
        mesh_->get(peer, "/v1/apps/ledger")["version"].integer);
  }

  temporary_directory dir_;
  std::unique_ptr<process_mesh> mesh_;
};

TEST_F(OwnedMesh, LivesThroughDeployCallUpdateAndRemove) {
  const auto unsigned_deploy = banyan(0, {"deploy", spec()});
  EXPECT_EQ(unsigned_deploy.end.code, 1);
  EXPECT_NE(unsigned_deploy.err.find("--owner"), std::string::npos);

  const auto deployed =
      banyan(0, {"deploy", spec(), "--owner", owner(), "--strict"});
  ASSERT_EQ(deployed.end.code, 0) << deployed.err;
  EXPECT_NE(deployed.out.find("survives 1 failed node"), std::string::npos)
      << deployed.out;
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "ledger.deploy"));

  const std::vector<std::string> deposit{
      "call", "ledger/alice", "deposit", "{\"cents\":5}", "--key", "first"};
  for (const std::size_t peer : {0, 1, 0}) { // one key: one deposit
    const auto r = banyan(peer, deposit);
    EXPECT_EQ(r.end.code, 0) << r.err;
    EXPECT_EQ(r.out, "5\n");
  }
  EXPECT_EQ(banyan(2, {"query", "ledger/alice", "balance"}).out, "5\n");

  write_spec("replace_after = \"2s\"\n");
  const auto updated = banyan(1, {"deploy", spec(), "--owner", owner()});
  ASSERT_EQ(updated.end.code, 0) << updated.err;
  for (std::size_t i = 0; i < mesh_->size(); ++i)
    EXPECT_TRUE(wait_until([&] { return version(i) == 2; }, 10s)) << i;
  EXPECT_EQ(banyan(2, {"query", "ledger/alice", "balance"}).out, "5\n");

  const auto removed =
      banyan(2, {"remove", "ledger", "--yes", "--owner", owner()});
  ASSERT_EQ(removed.end.code, 0) << removed.err;
  for (std::size_t i = 0; i < mesh_->size(); ++i)
    EXPECT_TRUE(
        wait_until([&] { return mesh_->get(i, "/v1/apps").list.empty(); }, 10s))
        << i;

  const auto anew = banyan(0, {"deploy", spec(), "--owner", owner()});
  ASSERT_EQ(anew.end.code, 0) << anew.err;
  EXPECT_EQ(banyan(0, {"query", "ledger/alice", "balance"}).out, "0\n");
}

TEST_F(OwnedMesh, HasAPolicyThatAnOwnerSigns) {
  const auto shows = [&](std::size_t peer, const std::string& line) {
    return wait_until(
        [&] {
          const auto r = banyan(peer, {"policy", "show"});
          return r.end.code == 0 && r.out.find(line) != std::string::npos;
        },
        10s);
  };
  EXPECT_TRUE(shows(0, "these are the defaults"));
  EXPECT_TRUE(shows(0, "observe only"));
  EXPECT_NE(banyan(0, {"policy", "set", "enforce=true"}).end.code, 0);
  const auto wrong =
      banyan(0, {"policy", "set", "evacuate_below=99.5", "--owner", owner()});
  EXPECT_EQ(wrong.end.code, 2);
  EXPECT_NE(wrong.err.find("must not be above hold_below"), std::string::npos)
      << wrong.err;

  std::ofstream{dir_.path() / "strict"} << "hold_below = 99.5 # percent\n";
  const auto set = banyan(0, {"policy", "set", dir_.path() / "strict",
                              "enforce=true", "--owner", owner()});
  ASSERT_EQ(set.end.code, 0) << set.err;
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "orchard.policy"));
  for (const std::size_t peer : {0, 1, 2}) {
    EXPECT_TRUE(shows(peer, "version 1, signed by owner")) << peer;
    EXPECT_TRUE(shows(peer, "99.5")) << peer;
  }
  const auto again =
      banyan(1, {"policy", "set", "enforce=true", "--owner", owner()});
  EXPECT_EQ(again.end.code, 0);
  EXPECT_NE(again.out.find("says so already"), std::string::npos) << again.out;
  const auto next =
      banyan(2, {"policy", "set", "enforce=false", "--owner", owner()});
  ASSERT_EQ(next.end.code, 0) << next.err;
  for (const std::size_t peer : {0, 1, 2}) {
    EXPECT_TRUE(shows(peer, "version 2, signed by owner")) << peer;
    EXPECT_TRUE(shows(peer, "99.5")) << peer; // what isn't named stays
  }
  // It outlives the process.
  mesh_->kill(2);
  mesh_->start(2);
  EXPECT_TRUE(shows(2, "version 2, signed by owner"));

  // A mesh of a minute: nobody is judged yet.
  const auto uptime = banyan(0, {"uptime"});
  EXPECT_EQ(uptime.end.code, 0) << uptime.err;
  EXPECT_NE(uptime.out.find("not yet judged"), std::string::npos) << uptime.out;
  const auto proof = banyan(0, {"uptime", mesh_->node(1), "--proof"});
  EXPECT_EQ(proof.end.code, 0) << proof.err;
  EXPECT_NE(proof.out.find("0 documents"), std::string::npos) << proof.out;
}

TEST_F(OwnedMesh, KeepsOutWhomTheOwnersListLacksAndSaysWhyOnBothEnds) {
  const auto first = mesh_->node(0);
  const auto second = mesh_->node(1);
  // No list leaves out a member that lives, unless the owner says so.
  const auto some =
      banyan(0, {"policy", "set", "--allow", first, "--owner", owner()});
  EXPECT_EQ(some.end.code, 2);
  EXPECT_NE(some.err.find(second), std::string::npos) << some.err;
  EXPECT_NE(some.err.find("--leaving"), std::string::npos) << some.err;

  mesh_->kill(2);
  mesh_->wipe(2); // it will be another node, with the same mesh file
  EXPECT_TRUE(wait_until(
      [&] {
        return banyan(0, {"policy", "set", "--allow", first, "--allow", second,
                          "--owner", owner()})
                   .end.code
               == 0;
      },
      30s, 100ms));
  const auto lists = [&](std::size_t peer, const char* what) {
    return wait_until(
        [&] {
          return banyan(peer, {"policy", "show"}).out.find(what)
                 != std::string::npos;
        },
        20s, 50ms);
  };
  EXPECT_TRUE(lists(1, "2 nodes may be in the mesh, and no others"));

  mesh_->start(2);
  const auto stranger = mesh_->node(2);
  const auto reads = [&](std::size_t peer) {
    return banyan(peer, {"events"}).out.find("policy set --allow " + stranger)
           != std::string::npos;
  };
  EXPECT_TRUE(wait_until([&] { return reads(2); }, 30s, 100ms));
  EXPECT_TRUE(wait_until([&] { return reads(0) || reads(1); }, 30s, 100ms));
  for (const std::size_t peer : {0, 1})
    EXPECT_EQ(banyan(peer, {"nodes", "--json"}).out.find(stranger),
              std::string::npos)
        << peer;

  // It needs no restart.
  const auto more =
      banyan(1, {"policy", "set", "--allow", stranger, "--owner", owner()});
  EXPECT_EQ(more.end.code, 0) << more.err;
  mesh_->wait_members(3);
  EXPECT_TRUE(lists(2, "3 nodes may be in the mesh, and no others"));
}

/// Of what is there now: `banyan plan` said the same of the spec.
TEST(Outlook, RiskFollowsTheMeshAndWhyNamesWhoIsNext) {
  process_mesh mesh{{{"eu", "a"}, {"eu", "b"}, {"us", "a"}, {"ap", "a"}}, {}};
  mesh.start_all();
  mesh.wait_members(4);
  mesh.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\n"
                        "shards = 2\nreplicas = 3\nspread = \"regions\"\n");
  mesh.wait_healthy("ledger", 3);
  const auto banyan = [&](std::size_t peer, std::vector<std::string> words) {
    words.insert(words.begin(),
                 {BANYAN_PROGRAM, "--data", mesh.data(peer).string()});
    return run_program(words, 30s);
  };
  const auto says = [&](std::size_t peer, const std::string& line) {
    return wait_until(
        [&] {
          const auto r = banyan(peer, {"risk", "ledger"});
          return r.end.code == 0 && r.out.find(line) != std::string::npos;
        },
        20s, 100ms);
  };
  EXPECT_TRUE(says(0, "ledger: 2 shards serve now"));
  EXPECT_TRUE(says(2, "any region   3       yes       nothing is lost"))
      << banyan(2, {"risk", "ledger"}).out;
  // All of them are on this one machine.
  EXPECT_TRUE(says(3, "any machine  1       no        machine 127.0.0.1"));

  const auto why = banyan(0, {"why", "ledger/1"});
  EXPECT_EQ(why.end.code, 0) << why.err;
  EXPECT_NE(why.out.find("4 of 4 members may take a replica"),
            std::string::npos)
      << why.out;
  EXPECT_NE(why.out.find("runner-up"), std::string::npos) << why.out;
  EXPECT_NE(why.out.find("choice 1: rank 1 by score"), std::string::npos)
      << why.out;

  mesh.kill(3); // the only one of its region: each shard has a voter there
  EXPECT_TRUE(says(0, "any region   3       no        region "))
      << banyan(0, {"risk", "ledger"}).out;
  EXPECT_TRUE(wait_until(
      [&] {
        const auto r = banyan(0, {"why", "ledger"});
        return r.out.find("it is dead") != std::string::npos;
      },
      20s, 100ms));
  EXPECT_EQ(banyan(0, {"why", "nobody"}).end.code, 1);
}

} // namespace
} // namespace banyan::test
