// `banyan init` and `keygen`: files, and no peer.
#include "actors/docs/key_files.hpp"
#include "played_peer.hpp"

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

} // namespace
} // namespace banyan::cli
