// `banyan init` and `keygen`: files, and no peer.
#include "actors/bin/cli/bench.hpp"
#include "actors/docs/key_files.hpp"
#include "played_peer.hpp"
#include "store/data_dir.hpp"

#include <algorithm>
#include <fstream>

namespace banyan::cli {
namespace {

using banyan::test::contains;
using ProgramSetup = test::played_peer;

TEST_F(ProgramSetup, InitMakesAMeshOnce) {
  const auto a = banyan({"init", "orchard"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "orchard.mesh"));
  EXPECT_TRUE(contains(a.out, "next: banyan-peer")) << a.out;
  const auto mesh = mesh_file::load(dir / "orchard.mesh");
  const auto owner = owner_file::load(dir / "orchard.owner");
  ASSERT_TRUE(mesh.ok());
  ASSERT_TRUE(owner.ok());
  EXPECT_EQ(mesh->id, owner->mesh);
  const auto again = banyan({"init", "orchard"});
  EXPECT_EQ(again.code, 1);
  EXPECT_TRUE(contains(again.err, "won't be overwritten")) << again.err;
  EXPECT_EQ(mesh_file::load(dir / "orchard.mesh")->id, mesh->id);
}

TEST_F(ProgramSetup, ABadMeshNameIsUsage) {
  for (const auto* name : {"local", "Orchard", "../x", ""})
    EXPECT_EQ(banyan({"init", name}).code, 2) << name;
}

TEST_F(ProgramSetup, AClientKeyComesFromTheOnlyMeshFileHere) {
  EXPECT_EQ(banyan({"keygen", "client"}).code, 2);
  ASSERT_EQ(banyan({"init", "orchard"}).code, 0);
  EXPECT_EQ(banyan({"keygen", "client"}).code, 0);
  EXPECT_TRUE(client_file::load(dir / "orchard.client").ok());
  ASSERT_EQ(banyan({"init", "meadow"}).code, 0);
  const auto two = banyan({"keygen", "client"});
  EXPECT_EQ(two.code, 2);
  EXPECT_TRUE(contains(two.err, "--mesh-file")) << two.err;
  EXPECT_EQ(banyan({"keygen", "client", "--mesh-file", "meadow.mesh"}).code, 0);
  EXPECT_TRUE(client_file::load(dir / "meadow.client").ok());
}

TEST_F(ProgramSetup, AMeshFileThatOthersCanReadIsRefused) {
  ASSERT_EQ(banyan({"init", "orchard"}).code, 0);
  ASSERT_EQ(::chmod((dir / "orchard.mesh").c_str(), 0644), 0);
  const auto a = banyan({"keygen", "client"});
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.err, "chmod 600")) << a.err;
}

TEST_F(ProgramSetup, ANodeKeyIsMadeAndNamed) {
  const auto a = banyan({"keygen", "node", "--json"});
  EXPECT_EQ(a.code, 0) << a.err;
  const auto key = identity::load(dir / "node.key");
  ASSERT_TRUE(key.ok());
  EXPECT_TRUE(contains(a.out, "\"node\":\"" + to_string(key->id()) + "\""))
      << a.out;
  EXPECT_EQ(banyan({"keygen", "node"}).code, 1);
  EXPECT_EQ(banyan({"keygen", "node", "second.key"}).code, 0);
}

TEST_F(ProgramSetup, HelpAndVersionAreDone) {
  EXPECT_EQ(banyan({"--help"}).code, 0);
  EXPECT_EQ(banyan({"--version"}).code, 0);
  EXPECT_EQ(banyan({"deploy", "--help"}).code, 0);
}

TEST_F(ProgramSetup, BenchNeedsNoPeerAndNamesTheTier) {
  const auto a = banyan({"bench"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(a.out.rfind("TIER ", 0), 0U) << a.out;
  for (const auto* what : {"cores", "memory", "fsync", "write", "crypto"})
    EXPECT_TRUE(contains(a.out, what)) << a.out;
  EXPECT_TRUE(contains(a.err, "measuring: fsync")) << a.err; // no terminal
  EXPECT_EQ(a.err.find('\r'), std::string::npos);
  const auto json = banyan({"bench", "--json"});
  EXPECT_EQ(json.code, 0) << json.err;
  for (const auto* name : {"tier", "fsync_p99_us", "crypto_mb_s", "missing"})
    EXPECT_TRUE(contains(json.out, std::string{"\""} + name + "\":"))
        << json.out;
}

TEST_F(ProgramSetup, BenchLeavesNothingBehind) {
  data = dir / "empty";
  std::filesystem::create_directory(data);
  ASSERT_EQ(banyan({"bench"}).code, 0);
  EXPECT_TRUE(std::filesystem::is_empty(data));
}

TEST_F(ProgramSetup, BenchNamesABadDirectoryAndTheNextStep) {
  for (const auto& bad : {dir / "nowhere", dir / "file"}) {
    std::ofstream{dir / "file"} << "x";
    data = bad;
    const auto a = banyan({"bench"});
    EXPECT_EQ(a.code, 2) << a.err;
    EXPECT_TRUE(contains(a.err, bad.string())) << a.err;
    EXPECT_TRUE(contains(a.err, "--data")) << a.err;
  }
}

TEST_F(ProgramSetup, BenchSaysThatAPeerRunsThere) {
  data = dir / "peer";
  const auto running = store::data_dir::open(data);
  ASSERT_TRUE(running.ok());
  const auto a = banyan({"bench"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.err, "a peer runs with this directory")) << a.err;
}

TEST(BenchScreen, SaysWhichThresholdKeepsItFromTheNextTier) {
  hardware_figures f;
  f.machine = {4, 8'000, "a processor"};
  f.fsync_p99_us = 30'000;
  f.disk_write_mb_s = 500;
  f.crypto_mb_s = 1'000;
  const auto v = tier_of(f, mesh_policy{});
  const auto text = bench_screen(f, v, "/data");
  EXPECT_TRUE(contains(text, "TIER 1")) << text;
  EXPECT_TRUE(contains(text, "what keeps it from tier 2:\n"
                             "  fsync p99: 30 ms, wanted at most 20 ms\n"))
      << text;
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 24) << text;
  f.machine = {64, 64'000, "a processor"};
  f.fsync_p99_us = 100;
  EXPECT_TRUE(contains(bench_screen(f, tier_of(f, mesh_policy{}), "/data"),
                       "no tier asks for more"));
}

} // namespace
} // namespace banyan::cli
