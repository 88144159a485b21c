// Secrets of apps: seen by the app's code on its voters, and nowhere else.
#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"
#include "tests/integration/integration.hpp"

#include <filesystem>
#include <fstream>
#include <set>

namespace banyan::test {
namespace {

const std::string password = "correct-horse-battery-staple";
const std::string newer = "tr0ub4dor-and-3-more-words";

class secrets : public ::testing::Test {
protected:
  void start(std::size_t peers) {
    system_random random;
    ASSERT_TRUE(init_mesh(dir.path(), "orchard", random).ok());
    mesh_options o;
    o.mesh_file = dir.path() / "orchard.mesh";
    o.flags = {"--apps", BANYAN_TEST_APPS_DIR};
    mesh = std::make_unique<process_mesh>(std::vector<peer_place>(peers), o);
    mesh->start_all();
    mesh->wait_members(peers);
    write("spec.toml", "name = \"speaker\"\nmodule = \"speaker\"\n"
                       "shards = 1\nreplicas = 3\nreplace_after = \"2s\"\n"
                       "update_watch = \"100ms\"\n"
                       "secrets = [\"db_password\"]\n");
    write("password", password + "\n");
  }
  void TearDown() override {
    if (HasFailure() && mesh)
      std::cout << mesh->last_words() << std::flush;
  }
  std::string file(const std::string& name) const { return dir.path() / name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream{file(name)} << text;
    std::filesystem::permissions(file(name),
                                 std::filesystem::perms::owner_read
                                     | std::filesystem::perms::owner_write);
  }
  run_result banyan(std::vector<std::string> more, std::size_t peer = 0) const {
    more.insert(more.begin(),
                {BANYAN_CLI_BINARY, "--data", mesh->data(peer).string()});
    return run_program(more, 40s);
  }
  run_result deploy(std::vector<std::string> more) const {
    more.insert(more.begin(), {"deploy", file("spec.toml"), "--owner",
                               file("orchard.owner")});
    return banyan(std::move(more));
  }
  std::string asked(std::size_t peer = 0,
                    const std::string& name = "db_password") const {
    return banyan(
               {"query", "speaker/a", "secret", "{\"text\":\"" + name + "\"}"},
               peer)
        .out;
  }
  /// Files of the peers' directories, and what they said, that hold the text.
  std::string found_in_clear(const std::string& text) const {
    std::string all;
    for (const auto& f :
         std::filesystem::recursive_directory_iterator{mesh->dir()}) {
      if (!f.is_regular_file())
        continue;
      std::ifstream in{f.path(), std::ios::binary};
      const std::string content{std::istreambuf_iterator<char>{in}, {}};
      if (content.find(text) != std::string::npos)
        all += f.path().string() + "\n";
    }
    return all;
  }

  /// Processes whose arguments or environment hold the text.
  static std::string processes_that_show(const std::string& text) {
    std::string all;
    for (const auto& p : std::filesystem::directory_iterator{"/proc"})
      for (const auto* what : {"cmdline", "environ"}) {
        std::ifstream in{p.path() / what, std::ios::binary};
        const std::string content{std::istreambuf_iterator<char>{in}, {}};
        if (content.find(text) != std::string::npos)
          all += (p.path() / what).string() + "\n";
      }
    return all;
  }

  temporary_directory dir;
  std::unique_ptr<process_mesh> mesh;
};

TEST_F(secrets, that_a_spec_names_without_a_value_are_refused_before_anything) {
  start(3);
  const auto none = deploy({});
  EXPECT_EQ(none.end.code, 1);
  EXPECT_NE(none.err.find("secrets: no value for 'db_password': give --secret "
                          "db_password=FILE"),
            std::string::npos)
      << none.err;
  EXPECT_TRUE(mesh->get(0, "/v1/apps").list.empty());
  const auto other = deploy({"--secret", "other=" + file("password")});
  EXPECT_EQ(other.end.code, 2);
  EXPECT_NE(other.err.find("not among the spec's secrets"), std::string::npos);
  EXPECT_EQ(deploy({"--secret", "db_password=" + password}).end.code, 2);
  std::filesystem::permissions(file("password"),
                               std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  const auto open = deploy({"--secret", "db_password=" + file("password")});
  EXPECT_EQ(open.end.code, 2);
  EXPECT_NE(open.err.find("chmod 600"), std::string::npos) << open.err;
}

TEST_F(secrets, reach_the_app_on_every_voter_and_no_file_in_clear) {
  start(3);
  const auto done = deploy({"--secret", "db_password=" + file("password")});
  ASSERT_EQ(done.end.code, 0) << done.err;
  mesh->wait_healthy("speaker", 3);
  const auto quoted = "\"" + password + "\"\n";
  EXPECT_EQ(asked(), quoted);
  EXPECT_EQ(asked(0, "other"), "");
  const auto leader = mesh->leader_of("speaker");
  ASSERT_TRUE(leader);
  mesh->kill(*leader);
  EXPECT_TRUE(wait_until([&] { return asked((*leader + 1) % 3) == quoted; },
                         20s, 200ms));
  mesh->start(*leader);
  EXPECT_EQ(found_in_clear(password), "");
  EXPECT_EQ(processes_that_show(password), "");
}

TEST_F(secrets, come_to_a_new_voter_and_to_nobody_else) {
  start(5);
  ASSERT_EQ(deploy({"--secret", "db_password=" + file("password")}).end.code,
            0);
  mesh->wait_healthy("speaker", 3);
  const auto before = mesh->app(0, "speaker");
  ASSERT_TRUE(before);
  std::set<std::string> voters;
  for (const auto& v : before->groups[0].voters)
    voters.insert(v.node);
  ASSERT_EQ(voters.size(), 3U);
  std::size_t victim = 0;
  while (voters.count(mesh->node(victim)) == 0)
    ++victim;
  mesh->kill(victim);
  const auto asker = (victim + 1) % 5;
  std::optional<std::size_t> newcomer;
  ASSERT_TRUE(wait_until(
      [&] {
        const auto a = mesh->app(asker, "speaker");
        if (!a || a->groups[0].voters.size() != 3)
          return false;
        for (const auto& v : a->groups[0].voters)
          if (voters.count(v.node) == 0)
            newcomer = mesh->index_of(v.node);
        return newcomer.has_value();
      },
      60s));
  // Only the newcomer is left to lead once one of the others is frozen too.
  const auto quoted = "\"" + password + "\"\n";
  ASSERT_TRUE(wait_until(
      [&] {
        const auto leader = mesh->leader_of("speaker");
        return leader && asked(asker) == quoted;
      },
      30s, 200ms));
  for (int round = 0; round < 3; ++round) {
    const auto leader = mesh->leader_of("speaker");
    if (leader == newcomer)
      break;
    ASSERT_TRUE(leader);
    mesh->freeze(*leader);
    EXPECT_TRUE(wait_until(
        [&] {
          const auto next = mesh->leader_of("speaker");
          return next && next != leader;
        },
        20s));
    EXPECT_TRUE(
        wait_until([&] { return asked(*newcomer) == quoted; }, 20s, 200ms));
    mesh->thaw(*leader);
    mesh->wait_members(4);
  }
  EXPECT_TRUE(wait_until(
      [&] {
        std::ifstream in{mesh->dir()
                         / ("p" + std::to_string(*newcomer) + ".log")};
        const std::string said{std::istreambuf_iterator<char>{in}, {}};
        return said.find("the key of its secrets has come")
               != std::string::npos;
      },
      20s));
  EXPECT_EQ(found_in_clear(password), "");
}

TEST_F(secrets, are_sealed_anew_with_every_change_and_kept_without_one) {
  start(3);
  ASSERT_EQ(deploy({"--secret", "db_password=" + file("password")}).end.code,
            0);
  mesh->wait_healthy("speaker", 3);
  EXPECT_EQ(asked(), "\"" + password + "\"\n");
  write("secrets.toml", "db_password = \"" + newer + "\"\n");
  const auto changed = deploy({"--secrets", file("secrets.toml")});
  ASSERT_EQ(changed.end.code, 0) << changed.err;
  EXPECT_NE(changed.out.find("version 2"), std::string::npos) << changed.out;
  EXPECT_TRUE(
      wait_until([&] { return asked() == "\"" + newer + "\"\n"; }, 20s, 200ms))
      << asked();
  std::ofstream{file("spec.toml"), std::ios::app} << "min_tier = 0\n[config]\n"
                                                     "times = 3\n";
  const auto kept = deploy({});
  ASSERT_EQ(kept.end.code, 0) << kept.err;
  EXPECT_NE(kept.out.find("version 3"), std::string::npos) << kept.out;
  mesh->kill(1); // and after a start
  mesh->start(1);
  EXPECT_TRUE(
      wait_until([&] { return asked() == "\"" + newer + "\"\n"; }, 20s, 200ms))
      << asked();
  EXPECT_EQ(found_in_clear(password) + found_in_clear(newer), "");
}

} // namespace
} // namespace banyan::test
