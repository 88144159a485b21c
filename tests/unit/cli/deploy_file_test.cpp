#include "../docs/folder.hpp"
#include "actors/bin/cli/deploy_file.hpp"
#include "papers.hpp"

namespace banyan::cli {
namespace {

using banyan::test::folder;

struct DeployFile : ::testing::Test, test::orchard {
  app_papers papers = *sign_birth(owner, mesh, spec, where, random);
  folder dir;
};

TEST_F(DeployFile, StandsBesideTheSpec) {
  EXPECT_EQ(deploy_file::path_of("specs/l.toml", "ledger"),
            "specs/ledger.deploy");
  EXPECT_EQ(deploy_file::path_of("l.toml", "ledger"), "ledger.deploy");
}

TEST_F(DeployFile, GivesBackTheSameBytesAndIsForItsOwnerAlone) {
  const auto file = dir / "ledger.deploy";
  ASSERT_TRUE(deploy_file::store(file, papers).ok());
  struct stat st = {};
  ASSERT_EQ(::stat(file.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0600U);
  const auto back = deploy_file::load(file);
  ASSERT_TRUE(back.ok());
  ASSERT_TRUE(back->has_value());
  EXPECT_EQ((*back)->encode(), papers.encode());
  deploy_file::remove(file);
  EXPECT_FALSE(deploy_file::load(file)->has_value());
}

TEST_F(DeployFile, IsReplacedWhole) {
  const auto file = dir / "ledger.deploy";
  ASSERT_TRUE(deploy_file::store(file, papers).ok());
  const auto old = open(papers);
  const auto next = sign_update(owner, mesh, *old, spec, 2);
  ASSERT_TRUE(deploy_file::store(file, next).ok());
  EXPECT_EQ((*deploy_file::load(file))->encode(), next.encode());
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& e :
       std::filesystem::directory_iterator{dir.path()})
    ++files;
  EXPECT_EQ(files, 1u);
}

TEST_F(DeployFile, OtherContentIsNeverTakenForADeploy) {
  const auto file = dir / "ledger.deploy";
  banyan::test::put(file, "name = \"ledger\"\n");
  const auto read = deploy_file::load(file);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, exit_code::usage);
  EXPECT_NE(read.error().message.find("delete it"), std::string::npos);
}

TEST_F(DeployFile, AFolderThatIsNotThereIsNamed) {
  const auto stored = deploy_file::store(dir / "no/ledger.deploy", papers);
  ASSERT_FALSE(stored.ok());
  EXPECT_EQ(stored.error().code, exit_code::failed);
  EXPECT_NE(stored.error().message.find("nothing was sent"), std::string::npos);
}

} // namespace
} // namespace banyan::cli
