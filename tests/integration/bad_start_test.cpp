// What a peer or the command line refuses at its start: exit code, cause, next
// step. No mesh is needed for it.
#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"
#include "tests/integration/integration.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

namespace banyan::test {
namespace {

class bad_start : public ::testing::Test {
protected:
  run_result peer(std::vector<std::string> flags,
                  const std::vector<std::string>& environment = {}) {
    std::vector<std::string> argv{BANYAN_PEER_BINARY, "--data",
                                  (dir.path() / "data").string()};
    if (std::find(flags.begin(), flags.end(), "--listen") == flags.end())
      argv.insert(argv.end(), {"--listen", "127.0.0.1:0"});
    argv.insert(argv.end(), flags.begin(), flags.end());
    return run_program(argv, 10s, environment);
  }
  std::string file(const std::string& name, const std::string& text) {
    const auto path = dir.path() / name;
    std::ofstream{path} << text;
    return path.string();
  }
  static void expect(const run_result& r, int code,
                     const std::vector<std::string>& words) {
    EXPECT_EQ(r.end.code, code) << r.out << r.err;
    for (const auto& w : words)
      EXPECT_NE((r.err + r.out).find(w), std::string::npos)
          << "'" << w << "' is not in: " << r.out << r.err;
  }

  temporary_directory dir;
};

TEST_F(bad_start, an_unknown_flag) {
  expect(peer({"--frobnicate", "7"}), 2, {"--frobnicate", "--help"});
}

TEST_F(bad_start, a_configuration_that_is_no_toml) {
  const auto config =
      file("peer.toml", "listen = \"127.0.0.1:0\"\nregion = = 1\n");
  expect(peer({"--config", config}), 2, {"peer.toml:2"});
}

TEST_F(bad_start, a_configuration_with_an_unknown_field) {
  const auto config = file("peer.toml", "lisen = \"127.0.0.1:0\"\n");
  expect(peer({"--config", config}), 2, {"peer.toml:1", "lisen"});
}

TEST_F(bad_start, a_configuration_that_is_not_there) {
  expect(peer({"--config", (dir.path() / "none.toml").string()}), 2,
         {"none.toml"});
}

TEST_F(bad_start, a_mesh_file_that_others_can_read) {
  system_random random;
  const auto made = init_mesh(dir.path(), "orchard", random);
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(chmod(made->mesh.c_str(), 0644), 0);
  expect(peer({"--mesh-file", made->mesh.string()}), 2,
         {"orchard.mesh", "chmod 600"});
}

TEST_F(bad_start, a_node_key_that_others_can_read) {
  std::filesystem::create_directory(dir.path() / "data");
  system_random random;
  ASSERT_TRUE(
      identity::generate(random).save(dir.path() / "data" / "node.key").ok());
  ASSERT_EQ(chmod((dir.path() / "data" / "node.key").c_str(), 0640), 0);
  expect(peer({}), 2, {"node.key", "chmod 600"});
}

TEST_F(bad_start, a_listen_address_off_loopback_without_a_mesh_file) {
  expect(peer({"--listen", "0.0.0.0:0"}), 2,
         {"mesh file", "banyan init", "--mesh-file"});
}

TEST_F(bad_start, an_http_door_off_loopback_without_a_certificate) {
  expect(peer({"--http", "0.0.0.0:0"}), 2, {"--http"});
}

TEST_F(bad_start, a_data_directory_on_a_network_file_system) {
  expect(peer({}, {"LD_PRELOAD=" BANYAN_NETWORK_DISK}), 3,
         {"network file system", "local disk"});
}

TEST_F(bad_start, a_data_directory_that_is_a_file) {
  file("data", "");
  expect(peer({}), 3, {"data", "directory"});
}

TEST_F(bad_start, a_data_directory_in_use) {
  process_mesh mesh{{{"here"}}};
  mesh.start_all();
  expect(run_program({BANYAN_PEER_BINARY, "--data", mesh.data(0).string(),
                      "--listen", "127.0.0.1:0"}),
         3, {"in use"});
  EXPECT_EQ(mesh.casualties(), "");
}

TEST_F(bad_start, a_port_in_use) {
  process_mesh mesh{{{"here"}}};
  mesh.start_all();
  expect(peer({"--listen", mesh.listening(0)}), 2, {"--listen", "in use"});
  expect(peer({"--http", "127.0.0.1:" + std::to_string(mesh.http(0).port)}), 2,
         {"--http", "in use"});
  EXPECT_EQ(mesh.casualties(), "");
}

TEST_F(bad_start, none_of_it_when_all_is_well) {
  process p{{BANYAN_PEER_BINARY, "--data", (dir.path() / "data").string(),
             "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"},
            dir.path() / "log"};
  const auto line = p.line(now() + 10s);
  ASSERT_TRUE(line) << tail_of(dir.path() / "log");
  EXPECT_EQ(line->rfind("ready node=", 0), 0U) << *line;
  EXPECT_NE(line->find(" listen=127.0.0.1:"), std::string::npos) << *line;
  EXPECT_NE(line->find(" http=127.0.0.1:"), std::string::npos) << *line;
  EXPECT_EQ(line->find(":0 "), std::string::npos) << *line;
  EXPECT_NE(line->find(" data=" + (dir.path() / "data").string()),
            std::string::npos)
      << *line;
  p.signal(SIGTERM);
  const auto end = p.wait(now() + 30s);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 0) << tail_of(dir.path() / "log");
}

#ifdef BANYAN_CLI_BINARY
TEST_F(bad_start, of_the_command_line) {
  const auto cli = [](std::vector<std::string> words) {
    words.insert(words.begin(), BANYAN_CLI_BINARY);
    return run_program(words);
  };
  expect(cli({"--frobnicate"}), 2, {"--frobnicate"});
  expect(cli({"frobnicate"}), 2, {"frobnicate"});
  expect(cli({}), 2, {});
  expect(cli({"--data", (dir.path() / "none").string(), "status"}), 4,
         {"none"});
  expect(cli({"--http", "http://127.0.0.1:1", "status"}), 4, {"127.0.0.1:1"});
  expect(cli({"deploy", (dir.path() / "none.toml").string()}), 2,
         {"none.toml"});
  expect(cli({"deploy", file("app.toml", "name = \"..\"\nmodule = \"kv\"\n")}),
         2, {"app.toml:1", ".."});
}
#endif

} // namespace
} // namespace banyan::test
