// What a running mesh is sent and must refuse: the right status, the cause, the
// next step, and the mesh goes on serving.
#include "actors/docs/key_files.hpp"
#include "actors/pure/replica_wire.hpp"
#include "base/codec.hpp"
#include "crypto/system_random.hpp"
#include "tests/integration/integration.hpp"
#include "tests/support/hand_link.hpp"

#include <fstream>

namespace banyan::test {
namespace {

class bad_input : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    mesh_options options;
    options.flags = {"--apps", BANYAN_TEST_APPS_DIR};
    mesh = std::make_unique<process_mesh>(
        std::vector<peer_place>{{"here"}, {"here"}, {"here"}}, options);
    mesh->start_all();
    mesh->wait_members(3);
    mesh->deploy("ledger", ledger_of_three);
    mesh->wait_healthy("ledger", 3);
  }
  static void TearDownTestSuite() { mesh.reset(); }

  void TearDown() override {
    for (std::size_t i = 0; i < mesh->size(); ++i)
      expect_serves(*mesh, i);
    EXPECT_EQ(mesh->casualties(), "");
    if (HasFailure())
      std::cout << mesh->last_words();
  }

  static io::http_reply http(const std::string& method,
                             const std::string& target, const std::string& body,
                             const std::string& type = "application/json") {
    io::http_call c;
    c.method = method;
    c.target = target;
    c.body = body;
    c.headers = {{"content-type", type}};
    return mesh->call(mesh->control(0), c);
  }
  static void expect(const io::http_reply& r, int status,
                     const std::string& code,
                     const std::vector<std::string>& words) {
    EXPECT_EQ(r.status, status) << r.body;
    EXPECT_NE(r.body.find("\"error\":\"" + code + "\""), std::string::npos)
        << r.body;
    for (const auto& w : words)
      EXPECT_NE(r.body.find(w), std::string::npos)
          << "'" << w << "' is not in: " << r.body;
  }
  /// A counter of peer `i` in /metrics.
  static double metric(const std::string& name, std::size_t i = 0) {
    io::http_call c;
    c.target = "/metrics";
    const auto r = mesh->call(mesh->http(i), c);
    const auto at = r.body.find("\n" + name + " ");
    return at == std::string::npos
               ? -1
               : std::strtod(r.body.c_str() + at + name.size() + 2, nullptr);
  }
  static bool grows(const std::string& name, double from) {
    return wait_until([&] { return metric(name) > from; }, 10s);
  }

  static std::unique_ptr<process_mesh> mesh;
};
std::unique_ptr<process_mesh> bad_input::mesh;

const std::string alice = "/v1/apps/ledger/actors/alice/";

TEST_F(bad_input, a_spec_that_is_no_toml) {
  expect(http("PUT", "/v1/apps/broken", "name = \"broken\"\nshards = = 1\n",
              "application/toml"),
         400, "invalid_argument", {":2"});
}

TEST_F(bad_input, a_spec_with_an_unknown_field) {
  expect(http("PUT", "/v1/apps/broken",
              "name = \"broken\"\nmodule = \"kv\"\nshrads = 1\n",
              "application/toml"),
         400, "invalid_argument", {"shrads"});
}

TEST_F(bad_input, a_module_that_nobody_has) {
  expect(http("PUT", "/v1/apps/broken",
              "name = \"broken\"\nmodule = \"broken\"\n", "application/toml"),
         400, "invalid_argument", {"broken", "--apps"});
}

TEST_F(bad_input, a_module_with_another_table_version) {
  expect(http("PUT", "/v1/apps/other_table",
              "name = \"other_table\"\nmodule = \"other_table\"\nshards = 1\n",
              "application/toml"),
         400, "invalid_argument", {"other_table", "table version 2"});
}

TEST_F(bad_input, a_spec_that_cant_be_placed_with_strict) {
  expect(http("PUT", "/v1/apps/kv?strict=1",
              "name = \"kv\"\nmodule = \"kv\"\nreplicas = 7\n",
              "application/toml"),
         409, "conflict", {"of 7 voters", "--strict"});
}

TEST_F(bad_input, a_spec_for_a_region_that_isnt_there) {
  expect(http("PUT", "/v1/apps/kv",
              "name = \"kv\"\nmodule = \"kv\"\nregions = [\"moon\"]\n",
              "application/toml"),
         400, "invalid_argument", {"regions"});
}

TEST_F(bad_input, an_app_name_with_dots) {
  expect(http("PUT", "/v1/apps/..", "name = \"..\"\nmodule = \"kv\"\n",
              "application/toml"),
         400, "invalid_argument", {"name"});
  expect(http("POST", "/v1/apps/%2e%2e/actors/alice/deposit", "{}"), 400,
         "invalid_argument", {"'..'"});
  expect(http("GET", "/v1/apps/..%2f..%2fetc", ""), 404, "not_found", {});
}

TEST_F(bad_input, an_app_that_doesnt_exist) {
  expect(http("POST", "/v1/apps/nothing/actors/alice/deposit", "{}"), 404,
         "not_found", {"nothing"});
}

TEST_F(bad_input, a_command_that_doesnt_exist) {
  expect(http("POST", alice + "launder", R"({"cents":1})"), 404, "not_found",
         {"launder"});
}

TEST_F(bad_input, a_command_by_get) {
  expect(http("GET", alice + "deposit", ""), 400, "invalid_argument",
         {"deposit"});
}

TEST_F(bad_input, an_argument_of_the_wrong_type) {
  expect(http("POST", alice + "deposit", R"({"cents":"many"})"), 400,
         "invalid_argument", {"deposit: argument.cents: expected integer"});
}

TEST_F(bad_input, an_argument_with_a_field_too_many_or_too_few) {
  expect(http("POST", alice + "deposit", R"({"cents":1,"dollars":2})"), 400,
         "invalid_argument", {"dollars"});
  expect(http("POST", alice + "transfer", R"({"cents":1})"), 400,
         "invalid_argument", {"to"});
}

TEST_F(bad_input, an_argument_that_is_no_json) {
  expect(http("POST", alice + "deposit", "{\"cents\":"), 400,
         "invalid_argument", {"deposit"});
}

TEST_F(bad_input, an_argument_nested_a_million_deep) {
  expect(http("POST", alice + "deposit", std::string(1'000'000, '[')), 400,
         "invalid_argument", {});
}

TEST_F(bad_input, a_key_of_5000_bytes) {
  expect(http("POST",
              "/v1/apps/ledger/actors/" + std::string(5000, 'k') + "/deposit",
              R"({"cents":1})"),
         400, "invalid_argument", {"5000", "255"});
}

TEST_F(bad_input, a_key_that_is_no_utf8) {
  expect(
      http("POST", "/v1/apps/ledger/actors/%ff%fe/deposit", R"({"cents":1})"),
      400, "invalid_argument", {"UTF-8"});
}

TEST_F(bad_input, a_body_over_1_mib) {
  expect(http("POST", alice + "deposit", std::string(1'100'000, ' ')), 413,
         "too_large", {});
}

TEST_F(bad_input, another_body_under_the_same_idempotency_key) {
  io::http_call c;
  c.method = "POST";
  c.target = alice + "deposit";
  c.body = R"({"cents":1})";
  c.headers = {{"idempotency-key", "twice"}};
  EXPECT_EQ(mesh->call(mesh->control(0), c).status, 200);
  c.body = R"({"cents":2})";
  expect(mesh->call(mesh->control(1), c), 409, "conflict", {});
}

TEST_F(bad_input, a_deploy_without_the_admin_token) {
  io::http_call c;
  c.method = "PUT";
  c.target = "/v1/apps/kv";
  c.body = "name = \"kv\"\nmodule = \"kv\"\n";
  c.headers = {{"content-type", "application/toml"}};
  expect(mesh->call(mesh->http(0), c), 401, "unauthorized", {"admin.token"});
}

TEST_F(bad_input, a_foreign_origin) {
  io::http_call c;
  c.method = "POST";
  c.target = alice + "deposit";
  c.body = R"({"cents":1})";
  c.headers = {{"origin", "https://evil.example"}};
  expect(mesh->call(mesh->http(0), c), 403, "forbidden", {});
}

TEST_F(bad_input, random_bytes_on_the_link_port) {
  const auto before = metric("banyan_link_strangers_total");
  raw_socket s{mesh->link_port(0)};
  system_random random;
  bytes noise(4096);
  random.fill(noise.data(), noise.size());
  s.write(noise);
  EXPECT_TRUE(s.ends(8s));
  EXPECT_TRUE(grows("banyan_link_strangers_total", before));
}

TEST_F(bad_input, a_stranger_without_the_mesh_key) {
  const auto before = metric("banyan_link_strangers_total");
  hand_link_as as;
  system_random random;
  as.key = mesh_key{random};
  hand_link link{mesh->link_port(0), as};
  EXPECT_FALSE(link.up());
  EXPECT_TRUE(grows("banyan_link_strangers_total", before));
}

TEST_F(bad_input, a_peer_of_another_mesh_that_joins) {
  const temporary_directory dir;
  system_random random;
  const auto other = init_mesh(dir.path(), "other", random);
  ASSERT_TRUE(other.ok());
  const auto before = metric("banyan_link_strangers_total");
  process p{{BANYAN_PEER_BINARY, "--data", (dir.path() / "data").string(),
             "--listen", "127.0.0.1:0", "--join", mesh->listening(0),
             "--mesh-file", other->mesh.string()},
            dir.path() / "log"};
  EXPECT_TRUE(grows("banyan_link_strangers_total", before));
  EXPECT_TRUE(wait_until(
      [&] {
        return tail_of(dir.path() / "log").find("mesh") != std::string::npos;
      },
      30s))
      << "it doesn't say why: " << tail_of(dir.path() / "log");
  EXPECT_EQ(mesh->get(0, "/v1/status")["members"]["alive"].integer, 3);
}

TEST_F(bad_input, a_client_key_that_gossips) {
  const auto before = metric("banyan_link_client_violations_total");
  hand_link_as as;
  as.role = link_role::client;
  hand_link link{mesh->link_port(0), as};
  ASSERT_TRUE(link.up());
  bytes gossip;
  writer{gossip}.array(1).uint(1);
  link.send(net::channel::membership, gossip);
  EXPECT_TRUE(link.ends(5s));
  EXPECT_TRUE(grows("banyan_link_client_violations_total", before));
}

TEST_F(bad_input, a_node_without_the_group_secret_that_speaks_raft) {
  const auto before = metric("banyan_frames_unproven_total");
  const auto was = mesh->app(0, "ledger");
  ASSERT_TRUE(was);
  group_frame f;
  ASSERT_TRUE(
      parse_id(mesh->get(0, "/v1/apps/ledger")["id"].text, f.group.app));
  f.payload = bytes(40, 0x5a);
  bytes frame;
  encode(f, frame);
  hand_link link{mesh->link_port(0), {}};
  ASSERT_TRUE(link.up());
  link.send(net::channel::raft, frame);
  EXPECT_TRUE(grows("banyan_frames_unproven_total", before));
  const auto is = mesh->app(0, "ledger");
  ASSERT_TRUE(is);
  EXPECT_EQ(is->groups.front().term, was->groups.front().term);
  EXPECT_EQ(is->groups.front().leader, was->groups.front().leader);
}

TEST_F(bad_input, a_member_that_sends_garbage_on_every_channel) {
  system_random random;
  for (const auto c :
       {net::channel::membership, net::channel::beat, net::channel::raft,
        net::channel::group, net::channel::request, net::channel::reply,
        net::channel::outbox, net::channel::bulk}) {
    hand_link link{mesh->link_port(0), {}};
    ASSERT_TRUE(link.up());
    for (int i = 0; i < 20; ++i) {
      bytes garbage(random.below(300));
      random.fill(garbage.data(), garbage.size());
      link.send(c, garbage);
    }
    expect_serves(*mesh);
  }
}

#ifdef BANYAN_CLI_BINARY
TEST_F(bad_input, by_the_command_line) {
  const temporary_directory dir;
  const auto cli = [](std::vector<std::string> words) {
    words.insert(words.begin(),
                 {BANYAN_CLI_BINARY, "--data", mesh->data(0).string()});
    return run_program(words);
  };
  const auto fails = [](const run_result& r, int code, const char* word) {
    EXPECT_EQ(r.end.code, code) << r.out << r.err;
    EXPECT_NE(r.err.find(word), std::string::npos) << r.out << r.err;
  };
  const auto spec = dir.path() / "kv.toml";
  std::ofstream{spec} << "name = \"kv\"\nmodule = \"kv\"\nreplicas = 7\n";
  fails(cli({"deploy", spec.string(), "--strict"}), 1, "of 7 voters");
  fails(cli({"call", "ledger/alice", "launder"}), 1, "launder");
  fails(cli({"call", "nothing/alice", "deposit"}), 1, "nothing");
  // An app without a key may be a stateless one: the peer knows.
  fails(cli({"call", "ledger", "deposit"}), 1, "actors/KEY/deposit");
  fails(cli({"query", "ledger", "balance"}), 2, "APP/KEY");
  fails(cli({"call", "ledger/alice", "deposit", R"({"cents":"many"})"}), 1,
        "argument.cents");
  fails(cli({"call", "ledger/alice", "withdraw", R"({"cents":999999999})"}), 1,
        "insufficient_funds");
  const auto good = cli({"call", "ledger/alice", "deposit", R"({"cents":5})"});
  EXPECT_EQ(good.end.code, 0) << good.err;
}
#endif

TEST(cloned, data_directory_stops_both_copies_and_the_mesh_serves) {
  process_mesh mesh{{{"here"}, {"here"}, {"here"}}};
  const words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(3);
  mesh.deploy("ledger", ledger_of_three);
  mesh.wait_healthy("ledger", 3);
  ASSERT_EQ(mesh.terminate(2), 0);
  const auto copy = mesh.dir() / "copy";
  std::filesystem::copy(mesh.data(2), copy,
                        std::filesystem::copy_options::recursive);
  mesh.start(2);
  process clone{{BANYAN_PEER_BINARY, "--data", copy.string(), "--listen",
                 "127.0.0.1:" + std::to_string(free_port()), "--join",
                 mesh.listening(0), "--apps", BANYAN_APPS_DIR},
                mesh.dir() / "copy.log"};
  const auto end = clone.wait(now() + 20s);
  ASSERT_TRUE(end) << "the clone runs on\n" << tail_of(mesh.dir() / "copy.log");
  EXPECT_EQ(end->code, 3);
  const auto said = tail_of(mesh.dir() / "copy.log");
  EXPECT_NE(said.find("another process runs with this node's key"),
            std::string::npos)
      << said;
  std::string fallen;
  EXPECT_TRUE(wait_until(
      [&] {
        fallen += mesh.casualties();
        return !fallen.empty();
      },
      20s));
  EXPECT_NE(fallen.find("peer 2 exited with 3"), std::string::npos) << fallen;
  expect_serves(mesh, 0);
  expect_serves(mesh, 1);
}

} // namespace
} // namespace banyan::test
