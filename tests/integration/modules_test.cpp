// Apps' code that no peer had: uploaded by a deploy, fetched by the others, and
// what each kind of bad module gets.
#include "actors/docs/app_documents.hpp"
#include "actors/docs/key_files.hpp"
#include "actors/docs/sign_app.hpp"
#include "base/target.hpp"
#include "crypto/hash.hpp"
#include "crypto/system_random.hpp"
#include "tests/integration/integration.hpp"

#include <fstream>
#include <iterator>

namespace banyan::test {
namespace {

namespace fs = std::filesystem;

bytes content_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return to_bytes(std::string{std::istreambuf_iterator<char>{in}, {}});
}

/// Peers without any --apps, of a mesh with an owner.
class modules : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_TRUE(init_mesh(keys_.path(), "orchard", random_).ok());
    fs::copy_file(fs::path{BANYAN_APPS_DIR} / "ledger.so", library_);
    name_ = to_hex(hash(content_of(library_)).view());
  }
  void TearDown() override {
    if (HasFailure() && mesh_)
      std::cout << mesh_->last_words() << std::flush;
  }
  void make(std::vector<peer_place> places, std::size_t started) {
    mesh_options o;
    o.mesh_file = mesh_file_;
    o.apps = false;
    mesh_ = std::make_unique<process_mesh>(std::move(places), o);
    for (std::size_t i = 0; i < started; ++i)
      mesh_->start(i);
    mesh_->wait_members(started);
  }
  run_result banyan(std::vector<std::string> words, std::size_t by = 0) {
    words.insert(words.begin(),
                 {BANYAN_CLI_BINARY, "--data", mesh_->data(by).string()});
    return run_program(words, 60s);
  }
  run_result deploy(const std::string& app, const std::string& more = "",
                    const std::string& owner = "orchard.owner") {
    const auto spec = keys_.path() / (app + ".toml");
    std::ofstream{spec} << "name = \"" << app
                        << "\"\nshards = 2\naccess = \"public\"\n"
                        << more << "[module]\n"
                        << target_here() << " = \"ledger.so\"\n";
    return banyan(
        {"deploy", spec.string(), "--owner", (keys_.path() / owner).string()});
  }
  io::http_reply put(std::size_t i, const std::string& hash_text,
                     const std::string& query, const_bytes piece) {
    io::http_call c;
    c.method = "PUT";
    c.target = "/v1/modules/" + hash_text + query;
    c.body = to_text(piece);
    return mesh_->call(mesh_->control(i), std::move(c));
  }
  /// What is in `modules/` of that peer.
  std::vector<std::string> files(std::size_t i) const {
    std::vector<std::string> out;
    for (const auto& f : fs::directory_iterator{mesh_->data(i) / "modules"})
      out.push_back(f.path().filename().string());
    return out;
  }
  bool has_it(std::size_t i) const {
    return files(i) == std::vector<std::string>{name_ + ".so"};
  }
  static void expect(const io::http_reply& r, int status, const char* code,
                     const char* words) {
    EXPECT_EQ(r.status, status) << r.body;
    EXPECT_NE(r.body.find("\"" + std::string{code} + "\""), std::string::npos)
        << r.body;
    EXPECT_NE(r.body.find(words), std::string::npos) << r.body;
  }

  system_random random_;
  temporary_directory keys_;
  const std::string mesh_file_ = keys_.path() / "orchard.mesh";
  const fs::path library_ = keys_.path() / "ledger.so";
  std::string name_; ///< of that library
  std::unique_ptr<process_mesh> mesh_;
};

TEST_F(modules, a_peer_that_never_saw_the_so_takes_over_the_app) {
  make(std::vector<peer_place>(4), 3);
  const auto deployed = deploy("ledger", "replace_after = \"1s\"\n");
  ASSERT_EQ(deployed.end.code, 0) << deployed.err;
  EXPECT_NE(deployed.err.find(": 100 % of"), std::string::npos) << deployed.err;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(wait_until([&] { return has_it(i); }, 10s)) << i;
    const auto list = mesh_->get(i, "/v1/modules").list;
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0]["hash"].text, name_);
    EXPECT_EQ(list[0]["state"].text, "here");
    EXPECT_EQ(list[0]["apps"].list[0].text, "ledger");
  }
  mesh_->wait_healthy("ledger", 3);
  for (int n = 0; n < 5; ++n)
    expect_serves(*mesh_);
  mesh_->start(3); // with an empty directory
  mesh_->wait_members(4);
  // Not the one that the module was brought to: nobody needs that any more.
  mesh_->kill(0);
  mesh_->wipe(0);
  mesh_->wait_healthy("ledger", 3, 40s);
  EXPECT_TRUE(has_it(3));
  const auto row = mesh_->app(1, "ledger");
  ASSERT_TRUE(row);
  for (const auto& g : row->groups)
    EXPECT_TRUE(std::any_of(g.voters.begin(), g.voters.end(),
                            [&](auto& v) { return v.node == mesh_->node(3); }));
  EXPECT_EQ(mesh_->get(3, "/v1/apps/ledger")["host"].text, "up");
  mesh_->kill(1); // the newcomer and one more are the majority
  expect_serves(*mesh_, 3);
  const auto balance =
      mesh_->get(3, "/v1/apps/ledger/actors/still-there/balance", 10s);
  EXPECT_EQ(balance["result"].integer, 6);
  EXPECT_EQ(mesh_->casualties(), "");
}

TEST_F(modules, an_upload_goes_on_after_the_peer_was_killed) {
  make(std::vector<peer_place>(1), 1);
  const auto all = content_of(library_);
  const auto half = all.size() / 2;
  const auto size = "&size=" + std::to_string(all.size());
  auto r = put(0, name_, "?offset=0" + size, const_bytes{all}.first(half));
  ASSERT_EQ(r.status, 200) << r.body;
  mesh_->kill(0);
  mesh_->start(0);
  const auto there = mesh_->get(0, "/v1/modules/" + name_);
  EXPECT_EQ(there["have"].integer, static_cast<std::int64_t>(half));
  EXPECT_FALSE(there["complete"].integer != 0);
  expect(put(0, name_, "?offset=0" + size, const_bytes{all}.first(half)), 409,
         "conflict", "go on there");
  r = put(0, name_, "?offset=" + std::to_string(half) + size,
          const_bytes{all}.from(half));
  EXPECT_EQ(r.status, 200) << r.body;
  EXPECT_NE(r.body.find("\"complete\":true"), std::string::npos) << r.body;
  EXPECT_TRUE(has_it(0));
}

// ---- bad input --------------------------------------------------------------

TEST_F(modules, with_a_wrong_hash_are_refused_and_nothing_is_kept) {
  make(std::vector<peer_place>(1), 1);
  auto all = content_of(library_);
  all[all.size() / 2] ^= 1;
  expect(put(0, name_, "?offset=0&size=" + std::to_string(all.size()), all),
         400, "invalid_argument", "don't have that hash");
  EXPECT_TRUE(files(0).empty());
  EXPECT_EQ(deploy("ledger").end.code, 0); // the right ones
}

TEST_F(modules, of_600_MB_are_refused_before_bytes_are_taken) {
  make(std::vector<peer_place>(1), 1);
  expect(put(0, name_, "?offset=0&size=600000000", bytes(1000)), 413,
         "too_large", "at most 512 MiB");
  EXPECT_TRUE(files(0).empty());
  expect(put(0, name_, "?offset=5&size=4", bytes(1)), 400, "invalid_argument",
         "offset");
  expect(put(0, "nonsense", "?offset=0&size=4", bytes(4)), 400,
         "invalid_argument", "b2sum");
  expect(put(0, name_, "", bytes(4)), 400, "invalid_argument", "?offset=");
  EXPECT_EQ(mesh_->casualties(), "");
}

TEST_F(modules, of_another_target_are_refused_by_command_line_and_peer) {
  make(std::vector<peer_place>(1), 1);
  auto foreign = content_of(library_);
  foreign[18] = target_here() == std::string{"aarch64-linux"} ? 62 : 183;
  const auto other = target_of_library(foreign);
  std::ofstream{library_, std::ios::binary} << to_text(foreign);
  const auto refused = deploy("ledger");
  EXPECT_EQ(refused.end.code, 2);
  EXPECT_NE(refused.err.find("is a library for " + other), std::string::npos)
      << refused.err;
  EXPECT_TRUE(files(0).empty());
  // What a careless tool would send all the same.
  const auto hash_text = to_hex(hash(foreign).view());
  ASSERT_EQ(put(0, hash_text,
                "?offset=0&size=" + std::to_string(foreign.size()), foreign)
                .status,
            200);
  const auto owner = owner_file::load(keys_.path() / "orchard.owner").value();
  app_spec spec;
  spec.name = spec.module = "ledger";
  spec.shards = 1;
  spec.replicas = 1;
  spec.modules = {{target_here(), hash(foreign), foreign.size()}};
  bytes id;
  node_id self;
  ASSERT_TRUE(from_base32(mesh_->node(0), id) && node_id::from(id, self));
  const auto papers = sign_birth(
      owner.key, owner.mesh, spec,
      {{}, {{{self, replica_id{std::array<std::uint8_t, 16>{1}}}}}}, random_);
  ASSERT_TRUE(papers.ok());
  io::http_call c;
  c.method = "PUT";
  c.target = "/v1/apps/ledger";
  c.body = to_text(papers->encode());
  c.headers = {{"content-type", "application/msgpack"}};
  expect(mesh_->call(mesh_->control(0), c), 400, "invalid_argument",
         ("is compiled for " + other).c_str());
  EXPECT_EQ(mesh_->get(0, "/v1/apps").list.size(), 0U);
  EXPECT_EQ(mesh_->casualties(), "");
}

TEST_F(modules, that_hold_another_app_are_refused_before_the_papers_count) {
  make(std::vector<peer_place>(1), 1);
  const auto refused = deploy("bank");
  EXPECT_EQ(refused.end.code, 1);
  EXPECT_NE(refused.err.find("holds the app `ledger`, not `bank`"),
            std::string::npos)
      << refused.err;
  EXPECT_EQ(mesh_->get(0, "/v1/apps").list.size(), 0U);
}

TEST_F(modules, from_an_untrusted_owner_fail_at_the_deployer) {
  // An owner that peers 0 and 1 trust, and peer 2 doesn't.
  auto mesh = mesh_file::load(mesh_file_).value();
  const auto second = identity::generate(random_);
  const auto stranger = identity::generate(random_);
  const auto as_owner = [&](const identity& key, const char* file) {
    ASSERT_TRUE((owner_file{mesh.name, mesh.id, key.clone()}
                     .save(keys_.path() / file)
                     .ok()));
  };
  as_owner(second, "second.owner");
  as_owner(stranger, "stranger.owner");
  mesh.owners.push_back(second.owner());
  const auto wide = keys_.path() / "wide.mesh";
  ASSERT_TRUE(mesh.save(wide).ok());
  std::vector<peer_place> places(3);
  places[0].mesh_file = places[1].mesh_file = wide;
  make(std::move(places), 3);

  const auto by_second = deploy("ledger", "", "second.owner");
  EXPECT_EQ(by_second.end.code, 1);
  EXPECT_NE(by_second.err.find("forbidden"), std::string::npos)
      << by_second.err;
  EXPECT_NE(by_second.err.find("by node " + mesh_->node(2).substr(0, 8) + ":"),
            std::string::npos)
      << by_second.err;
  fs::remove(keys_.path() / "ledger.deploy");
  const auto by_stranger = deploy("ledger", "", "stranger.owner");
  EXPECT_EQ(by_stranger.end.code, 1);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NE(by_stranger.err.find(mesh_->node(i).substr(0, 8)),
              std::string::npos)
        << by_stranger.err;
  EXPECT_EQ(mesh_->get(0, "/v1/apps").list.size(), 0U);
  EXPECT_EQ(files(1).size() + files(2).size(), 0U); // nobody fetched it
  fs::remove(keys_.path() / "ledger.deploy");
  EXPECT_EQ(deploy("ledger").end.code, 0); // by whom all of them trust
}

TEST_F(modules, in_the_mesh_local_come_only_from_apps) {
  mesh_ = std::make_unique<process_mesh>(std::vector<peer_place>(1));
  mesh_->start(0);
  expect(put(0, name_, "?offset=0&size=4", bytes(4)), 403, "forbidden",
         "--apps");
  io::http_call c;
  c.method = "PUT";
  c.target = "/v1/apps/ledger";
  c.body = R"({"name":"ledger","modules":{")" + std::string{target_here()}
           + R"(":{"hash":")" + name_ + R"(","size":5}}})";
  expect(mesh_->call(mesh_->control(0), c), 403, "forbidden", "--apps");
  EXPECT_TRUE(files(0).empty());
}

} // namespace
} // namespace banyan::test
