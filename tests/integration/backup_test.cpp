// A mesh that is lost with all its machines comes back from a backup; a shard
// that lost its majority goes on from a survivor; an app that was removed is
// taken back.
#include "actors/docs/key_files.hpp"
#include "actors/pure/backup/file.hpp"
#include "base/codec.hpp"
#include "crypto/system_random.hpp"
#include "integration.hpp"

#include <array>
#include <fstream>
#include <thread>

namespace banyan::test {
namespace {

using namespace std::chrono_literals;

constexpr int accounts = 12;
constexpr std::int64_t at_first = 1000;

std::string account(int i) {
  return "account-" + std::to_string(i);
}

run_result banyan(const process_mesh& mesh, std::size_t i,
                  std::vector<std::string> words) {
  words.insert(words.begin(),
               {BANYAN_CLI_BINARY, "--data", mesh.data(i).string()});
  return run_program(words, 60s);
}

run_result backup_to(const process_mesh& mesh, std::size_t i,
                     const std::string& app, const std::string& file) {
  return run_program({"/bin/sh", "-c",
                      std::string{BANYAN_CLI_BINARY} + " --data "
                          + mesh.data(i).string() + " backup " + app + " > "
                          + file},
                     60s);
}

std::int64_t number_in(const io::http_reply& r) {
  const auto at = r.body.find("\"result\":");
  return at == std::string::npos ? INT64_MIN
                                 : std::atoll(r.body.c_str() + at + 9);
}

struct answered {
  int status = 0;
  std::int64_t result = INT64_MIN;
  std::uint64_t index = 0;
};
answered call(const process_mesh& mesh, std::size_t by, const std::string& app,
              const std::string& key, const std::string& command,
              const std::string& body, const std::string& idempotency = {}) {
  io::http_call c;
  c.method = "POST";
  c.target = "/v1/apps/" + app + "/actors/" + key + "/" + command;
  c.body = body;
  c.timeout = 10s;
  if (!idempotency.empty())
    c.headers.emplace_back("Idempotency-Key", idempotency);
  const auto r = mesh.call(mesh.http(by), c);
  answered a{r.status, number_in(r), 0};
  if (const auto at = r.body.find("\"index\":"); at != std::string::npos)
    a.index = std::strtoull(r.body.c_str() + at + 8, nullptr, 10);
  return a;
}

std::int64_t balance(const process_mesh& mesh, const std::string& app,
                     const std::string& key, std::size_t by = 0) {
  for (int i = 0; i < 100; ++i) {
    const auto a = call(mesh, by, app, key, "balance", "");
    if (a.status == 200)
      return a.result;
    std::this_thread::sleep_for(100ms);
  }
  return INT64_MIN;
}

std::int64_t all_money(const process_mesh& mesh, const std::string& app) {
  std::int64_t sum = 0;
  for (int i = 0; i < accounts; ++i)
    sum += balance(mesh, app, account(i));
  return sum;
}

/// Pays from one account to the next, from several threads, each for accounts
/// of its own; knows what every account must hold in the end.
class payments {
public:
  explicit payments(const process_mesh& mesh) : mesh_{mesh} {
    for (auto& a : expected_)
      a = at_first;
  }
  void start() {
    for (int t = 0; t < 3; ++t)
      threads_.emplace_back([this, t] { run(t); });
  }
  void stop() {
    stopping_ = true;
    for (auto& t : threads_)
      t.join();
    threads_.clear();
  }
  [[nodiscard]] std::int64_t made() const { return made_; }
  [[nodiscard]] std::int64_t expected(int i) const {
    return expected_[static_cast<std::size_t>(i)];
  }

private:
  void run(int t) {
    for (int n = 0; !stopping_; ++n) {
      const int from = t + 3 * (n % (accounts / 3));
      const int to = (from + 1 + n % 5) % accounts;
      const auto key = std::to_string(t) + "-" + std::to_string(n);
      answered a;
      do
        a = call(mesh_, static_cast<std::size_t>(n) % mesh_.size(), "ledger",
                 account(from), "transfer",
                 R"({"to":")" + account(to) + R"(","cents":1})", key);
      while (a.status != 200 && a.status != 422);
      if (a.status != 200)
        continue;
      ++made_;
      expected_[static_cast<std::size_t>(from)] -= 1;
      expected_[static_cast<std::size_t>(to)] += 1;
    }
  }
  const process_mesh& mesh_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> made_{0};
  std::array<std::atomic<std::int64_t>, accounts> expected_{};
};

void open_accounts(const process_mesh& mesh) {
  for (int i = 0; i < accounts; ++i)
    ASSERT_EQ(call(mesh, 0, "ledger", account(i), "deposit",
                   R"({"cents":)" + std::to_string(at_first) + "}",
                   "open-" + account(i))
                  .status,
              200);
}

TEST(backup, all_peers_lost_and_every_account_is_right_in_a_new_mesh) {
  temporary_directory files;
  const std::string busy = files.path() / "busy.backup";
  const std::string quiet = files.path() / "quiet.backup";
  std::array<std::int64_t, accounts> expected{};
  {
    process_mesh mesh{std::vector<peer_place>(5)};
    words_on_failure words{mesh};
    mesh.start_all();
    mesh.wait_members(5);
    mesh.deploy("ledger", ledger_of_three);
    mesh.wait_healthy("ledger", 3);
    open_accounts(mesh);
    payments load{mesh};
    load.start();
    ASSERT_TRUE(wait_until([&] { return load.made() > 300; }, 30s));
    const auto taken = backup_to(mesh, 1, "ledger", busy);
    EXPECT_EQ(taken.end.code, 0) << taken.err;
    ASSERT_TRUE(wait_until([&] { return load.made() > 600; }, 30s));
    load.stop();
    ASSERT_TRUE(wait_until(
        [&] { return all_money(mesh, "ledger") == accounts * at_first; }, 20s));
    const auto last = backup_to(mesh, 4, "ledger", quiet);
    ASSERT_EQ(last.end.code, 0) << last.err;
    for (int i = 0; i < accounts; ++i) {
      expected[static_cast<std::size_t>(i)] = load.expected(i);
      EXPECT_EQ(balance(mesh, "ledger", account(i)), load.expected(i));
    }
    for (std::size_t i = 0; i < mesh.size(); ++i) {
      mesh.kill(i);
      mesh.wipe(i);
    }
  }
  const auto seen = run_program({BANYAN_CLI_BINARY, "verify", busy});
  ASSERT_EQ(seen.end.code, 0) << seen.err;
  std::cout << seen.out;

  process_mesh mesh{std::vector<peer_place>(5)};
  words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(5);
  const auto restored = banyan(mesh, 0, {"restore", quiet});
  ASSERT_EQ(restored.end.code, 0) << restored.err;
  std::cout << restored.out;
  for (int i = 0; i < accounts; ++i)
    EXPECT_EQ(balance(mesh, "ledger", account(i), 2),
              expected[static_cast<std::size_t>(i)])
        << account(i);
  // A key that was answered before the loss is not paid twice.
  const auto again = call(mesh, 3, "ledger", account(0), "deposit",
                          R"({"cents":1000})", "open-" + account(0));
  EXPECT_EQ(again.result, at_first);
  EXPECT_EQ(balance(mesh, "ledger", account(0)), expected[0]);

  // The one that was taken while payments were made, beside it: each payment
  // is there once, or not at all.
  const auto beside = banyan(mesh, 2, {"restore", busy, "--as", "early"});
  ASSERT_EQ(beside.end.code, 0) << beside.err;
  std::cout << beside.out;
  EXPECT_TRUE(wait_until(
      [&] { return all_money(mesh, "early") == accounts * at_first; }, 20s))
      << all_money(mesh, "early");
  const auto twice = banyan(mesh, 0, {"restore", busy});
  EXPECT_EQ(twice.end.code, 1);
  EXPECT_NE(twice.err.find("--as"), std::string::npos) << twice.err;
}

TEST(backup, bad_files_are_refused_with_their_place_and_nothing_is_made) {
  temporary_directory files;
  const auto file = files.path() / "ledger.backup";
  process_mesh mesh{std::vector<peer_place>(1)};
  words_on_failure words{mesh};
  mesh.start_all();
  mesh.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\nshards = 2\n"
                        "replicas = 1\n");
  open_accounts(mesh);
  ASSERT_EQ(backup_to(mesh, 0, "ledger", file).end.code, 0);
  std::string good;
  {
    std::ifstream in{file, std::ios::binary};
    good.assign(std::istreambuf_iterator<char>{in}, {});
  }
  const auto write = [&](const std::string& content) {
    std::ofstream{file, std::ios::binary | std::ios::trunc} << content;
  };
  for (const auto cut : {good.size() - 1, good.size() / 2, std::size_t{20}}) {
    write(good.substr(0, cut));
    for (const auto& words_of : std::vector<std::vector<std::string>>{
             {"verify", file}, {"restore", file, "--as", "other"}}) {
      const auto r = banyan(mesh, 0, words_of);
      EXPECT_EQ(r.end.code, 1);
      EXPECT_NE(r.err.find("byte "), std::string::npos) << r.err;
      EXPECT_NE(r.err.find("cut short"), std::string::npos) << r.err;
    }
  }
  for (const auto at : {good.size() / 3, good.size() - 30, std::size_t{40}}) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write(bad);
    const auto r = banyan(mesh, 0, {"restore", file, "--as", "other"});
    EXPECT_EQ(r.end.code, 1);
    EXPECT_NE(r.err.find("byte "), std::string::npos) << r.err;
  }
  EXPECT_TRUE(mesh.get(0, "/v1/apps/other").is_nil());
  EXPECT_EQ(backup_to(mesh, 0, "nothere", file).end.code, 1);
}

// Whole, every checksum right, put together from the backups of two apps.
TEST(backup, of_another_app_is_refused_wherever_that_is_hidden) {
  temporary_directory files;
  process_mesh mesh{std::vector<peer_place>(1)};
  words_on_failure words{mesh};
  mesh.start_all();
  const auto frames_of = [&](const std::string& app) {
    mesh.deploy(app, "name = \"" + app + "\"\nmodule = \"ledger\"\n"
                         + "shards = 1\nreplicas = 1\n");
    EXPECT_EQ(call(mesh, 0, app, "alice", "deposit", R"({"cents":5})").status,
              200);
    const std::string file = files.path() / (app + ".backup");
    EXPECT_EQ(backup_to(mesh, 0, app, file).end.code, 0);
    std::ifstream in{file, std::ios::binary};
    const std::string all{std::istreambuf_iterator<char>{in}, {}};
    backup::file_reader reader;
    reader.add(as_bytes(all));
    std::vector<backup::frame> out;
    while (auto f = reader.next())
      out.push_back(std::move(*f));
    EXPECT_GE(out.size(), 4U); // header, begin, parts, end
    return out;
  };
  const auto mine = frames_of("ledger");
  const auto theirs = frames_of("other");
  const auto refused = [&](const std::vector<backup::frame>& frames,
                           const std::string& why) {
    const std::string file = files.path() / "spliced.backup";
    backup::file_writer writer;
    bytes out;
    for (const auto& f : frames)
      if (!std::holds_alternative<backup::end>(f))
        append(out, writer.put(f));
    append(out, writer.finish());
    std::ofstream{file, std::ios::binary | std::ios::trunc} << to_text(out);
    for (const auto& line : std::vector<std::vector<std::string>>{
             {"verify", file}, {"restore", file, "--as", "third"}}) {
      const auto r = banyan(mesh, 0, line);
      EXPECT_EQ(r.end.code, 1);
      EXPECT_NE(r.err.find(why), std::string::npos) << r.err;
    }
  };
  auto spliced = theirs;
  spliced[0] = mine[0];
  refused(spliced, "it was made for another owner, app or backup");
  spliced[1] = mine[1];
  refused(spliced, "changed, put elsewhere, or of another app");
  spliced = mine;
  std::get<backup::header>(spliced[0]).app = "other";
  refused(spliced, "its header and the documents in it are of two apps");
  EXPECT_FALSE(mesh.app(0, "third"));
}

TEST(recover, goes_on_from_a_survivor_and_says_exactly_what_it_kept) {
  process_mesh mesh{std::vector<peer_place>(5)};
  words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(5);
  mesh.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\nshards = 1\n"
                        "replicas = 3\n");
  mesh.wait_healthy("ledger", 3);
  const auto early =
      banyan(mesh, 0, {"recover", "ledger", "--accept-loss", "--yes"});
  EXPECT_EQ(early.end.code, 1);
  EXPECT_NE(early.err.find("nothing is lost"), std::string::npos) << early.err;

  std::map<std::uint64_t, std::int64_t> at; // balance by index
  for (int i = 1; i <= 40; ++i) {
    const auto a = call(mesh, 0, "ledger", "alice", "deposit", R"({"cents":1})",
                        std::to_string(i));
    ASSERT_EQ(a.status, 200);
    at[a.index] = a.result;
  }
  const auto row = mesh.app(0, "ledger");
  ASSERT_TRUE(row && row->groups.size() == 1);
  std::vector<std::size_t> voters;
  for (const auto& v : row->groups[0].voters)
    voters.push_back(*mesh.index_of(v.node));
  ASSERT_EQ(voters.size(), 3U);
  // One voter's disk is lost; the other one's machine will come back late.
  mesh.kill(voters[0]);
  mesh.wipe(voters[0]);
  mesh.kill(voters[1]);
  std::size_t asker = 0;
  while (asker == voters[0] || asker == voters[1])
    ++asker;
  ASSERT_TRUE(wait_until(
      [&] {
        const auto a = mesh.app(asker, "ledger");
        return a && a->health == "no_quorum";
      },
      20s));
  // A stranger's word, and then what the owner signs, with another one kept
  // back for later.
  const auto prepared = [&] {
    io::http_call c;
    c.method = "POST";
    c.target = "/v1/apps/ledger/recover?prepare=1";
    c.timeout = 10s;
    c.headers.emplace_back("Accept", "application/msgpack");
    const auto v = parse_value(mesh.call(mesh.control(asker), c).body);
    const auto& shards = v["shards"].list;
    return shards.empty() ? std::string{} : shards[0]["document"].text;
  };
  std::string document;
  ASSERT_TRUE(
      wait_until([&] { return !(document = prepared()).empty(); }, 20s, 500ms));
  const auto put = [&](const identity& by, const std::string& body) {
    bytes list;
    writer{list}.array(1).blob(signed_document::make(by, sign_kind::recovery,
                                                     owner_file::local().mesh,
                                                     1, to_bytes(body))
                                   .encode());
    io::http_call c;
    c.method = "PUT";
    c.target = "/v1/apps/ledger/recover";
    c.body = to_text(list);
    c.timeout = 10s;
    return mesh.call(mesh.control(asker), c);
  };
  system_random random;
  const auto stranger = put(identity::generate(random), document);
  EXPECT_EQ(stranger.status, 403) << stranger.body;
  EXPECT_NE(stranger.body.find("owner"), std::string::npos) << stranger.body;
  run_result recovered; // a leader of before notices first that it is alone
  ASSERT_TRUE(wait_until(
      [&] {
        recovered = banyan(mesh, asker,
                           {"recover", "ledger", "--accept-loss", "--yes"});
        return recovered.end.code == 0;
      },
      20s, 500ms))
      << recovered.err;
  ASSERT_EQ(recovered.end.code, 0) << recovered.err;
  std::cout << recovered.out;
  const auto word = recovered.out.find("index ");
  ASSERT_NE(word, std::string::npos);
  const auto kept =
      std::strtoull(recovered.out.c_str() + word + 6, nullptr, 10);
  EXPECT_NE(recovered.out.find(mesh.node(voters[2]).substr(0, 8)),
            std::string::npos);
  for (const auto gone : {voters[0], voters[1]})
    EXPECT_NE(recovered.out.find(mesh.node(gone).substr(0, 8)),
              std::string::npos);
  std::int64_t must = 0;
  for (const auto& [index, value] : at)
    if (index <= kept)
      must = value;
  EXPECT_EQ(balance(mesh, "ledger", "alice", asker), must);
  EXPECT_EQ(
      call(mesh, asker, "ledger", "alice", "deposit", R"({"cents":5})", "after")
          .result,
      must + 5);
  // Another recovery of the same parent is refused: one went on from it.
  const auto second = put(owner_file::local().key, document);
  EXPECT_EQ(second.status, 409) << second.body;
  // The one that comes back with the lineage that was given up is no voter of
  // the new one by that; the group grows by itself.
  mesh.start(voters[1]);
  ASSERT_TRUE(wait_until(
      [&] {
        const auto a = mesh.app(asker, "ledger");
        return a && a->groups[0].voters.size() == 3 && a->health == "healthy";
      },
      60s));
  EXPECT_EQ(balance(mesh, "ledger", "alice", voters[1]), must + 5);
  // And a start of the survivor does not begin the lineage anew.
  mesh.kill(voters[2]);
  mesh.start(voters[2]);
  EXPECT_EQ(balance(mesh, "ledger", "alice", voters[2]), must + 5);
}

// Two machines that were never up together go on alone, each from what it has.
TEST(recover, twice_from_one_parent_is_a_conflict_until_the_owner_decides) {
  process_mesh mesh{std::vector<peer_place>(3)};
  words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(3);
  mesh.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\nshards = 1\n"
                        "replicas = 3\n");
  mesh.wait_healthy("ledger", 3);
  const auto deposit = [&](std::size_t by, int cents) {
    return call(mesh, by, "ledger", "alice", "deposit",
                R"({"cents":)" + std::to_string(cents) + "}",
                std::to_string(cents));
  };
  ASSERT_EQ(deposit(0, 100).status, 200);
  const auto recovered = [&](std::size_t by) {
    return wait_until(
        [&] {
          return banyan(mesh, by,
                        {"recover", "ledger", "--accept-loss", "--yes"})
                     .end.code
                 == 0;
        },
        30s, 200ms);
  };
  mesh.kill(2);
  mesh.wipe(2);
  mesh.kill(1);
  ASSERT_TRUE(recovered(0));
  EXPECT_EQ(deposit(0, 1).result, 101);
  mesh.kill(0);
  mesh.start(1);
  ASSERT_TRUE(recovered(1));
  const auto there = balance(mesh, "ledger", "alice", 1);
  EXPECT_EQ(deposit(1, 2).result, there + 2);
  mesh.start(0);
  const auto conflict = [&](std::size_t by) {
    const auto a = mesh.app(by, "ledger");
    return a && a->health == "conflict";
  };
  ASSERT_TRUE(wait_until([&] { return conflict(0) && conflict(1); }, 30s));
  for (const std::size_t by : {0, 1}) {
    EXPECT_NE(deposit(by, 1000).status, 200);
    const auto shown = banyan(mesh, by, {"apps", "ledger"});
    EXPECT_NE(shown.out.find("conflict"), std::string::npos) << shown.out;
  }
  ASSERT_TRUE(recovered(0));
  ASSERT_TRUE(wait_until([&] { return !conflict(0) && !conflict(1); }, 30s));
  const auto kept = balance(mesh, "ledger", "alice", 0);
  EXPECT_TRUE(kept == 101 || kept == there + 2) << kept;
  EXPECT_EQ(balance(mesh, "ledger", "alice", 1), kept);
  EXPECT_EQ(deposit(1, 7).result, kept + 7);
}

// A backup of one owner's mesh, restored into the mesh of another owner.
TEST(backup, is_opened_by_the_owner_it_was_sealed_for_and_restored_by_another) {
  temporary_directory files;
  system_random random;
  for (const char* name : {"orchard", "garden"})
    ASSERT_TRUE(init_mesh(files.path(), name, random).ok());
  const auto at = [&](const std::string& name) -> std::string {
    return files.path() / name;
  };
  const auto file = at("ledger.backup");
  const auto in_mesh = [&](const std::string& name) {
    mesh_options o;
    o.mesh_file = at(name + ".mesh");
    return o;
  };
  {
    process_mesh mesh{std::vector<peer_place>(1), in_mesh("orchard")};
    words_on_failure words{mesh};
    mesh.start_all();
    std::ofstream{at("spec.toml")}
        << "name = \"ledger\"\nmodule = \"ledger\"\nshards = 2\n"
           "replicas = 1\naccess = \"public\"\n";
    const auto deployed = banyan(
        mesh, 0, {"deploy", at("spec.toml"), "--owner", at("orchard.owner")});
    ASSERT_EQ(deployed.end.code, 0) << deployed.err;
    mesh.wait_healthy("ledger", 1);
    open_accounts(mesh);
    ASSERT_EQ(backup_to(mesh, 0, "ledger", file).end.code, 0);
  }
  const auto says = [](const run_result& r, int code, const std::string& what) {
    EXPECT_EQ(r.end.code, code) << r.err;
    EXPECT_NE(r.err.find(what), std::string::npos) << r.err;
  };
  const auto verify = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {BANYAN_CLI_BINARY, "verify", file});
    return run_program(more, 60s);
  };
  says(verify({}), 2, "give --owner NAME.owner of mesh 'orchard'");
  says(verify({"--owner", at("garden.owner")}), 2, "use that owner's file");
  EXPECT_EQ(verify({"--owner", at("orchard.owner")}).end.code, 0);

  process_mesh mesh{std::vector<peer_place>(1), in_mesh("garden")};
  words_on_failure words{mesh};
  mesh.start_all();
  const auto restore = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"restore", file});
    return banyan(mesh, 0, more);
  };
  says(restore({}), 2, "give --owner NAME.owner of mesh 'orchard'");
  // The file opens, but this mesh takes nothing that its owner signs.
  says(restore({"--owner", at("orchard.owner")}), 1,
       "this peer is of mesh 'garden'");
  says(restore({"--owner", at("garden.owner")}), 2, "use that owner's file");
  says(restore({"--owner", at("orchard.owner"), "--from-owner",
                at("garden.owner")}),
       2, "use that owner's file");
  EXPECT_FALSE(mesh.app(0, "ledger"));
  const auto done = restore(
      {"--owner", at("garden.owner"), "--from-owner", at("orchard.owner")});
  ASSERT_EQ(done.end.code, 0) << done.err;
  EXPECT_NE(done.out.find("of mesh 'orchard'"), std::string::npos) << done.out;
  EXPECT_EQ(all_money(mesh, "ledger"), accounts * at_first);
}

TEST(undelete, brings_back_what_was_removed_also_after_a_restart) {
  process_mesh mesh{std::vector<peer_place>(3)};
  words_on_failure words{mesh};
  mesh.start_all();
  mesh.wait_members(3);
  mesh.deploy("ledger", ledger_of_three);
  mesh.wait_healthy("ledger", 3);
  open_accounts(mesh);
  for (const bool restart : {false, true}) {
    ASSERT_EQ(banyan(mesh, 0, {"remove", "ledger", "--yes"}).end.code, 0);
    EXPECT_EQ(call(mesh, 0, "ledger", account(0), "balance", "").status, 404);
    const auto listed = banyan(mesh, 0, {"apps"});
    EXPECT_NE(listed.out.find("ledger"), std::string::npos) << listed.out;
    EXPECT_NE(listed.out.find("undelete"), std::string::npos) << listed.out;
    if (restart)
      for (std::size_t i = 0; i < mesh.size(); ++i) {
        mesh.terminate(i);
        mesh.start(i);
      }
    mesh.wait_members(3);
    const auto back = banyan(mesh, 1, {"undelete", "ledger"});
    ASSERT_EQ(back.end.code, 0) << back.err;
    mesh.wait_healthy("ledger", 3);
    EXPECT_EQ(all_money(mesh, "ledger"), accounts * at_first);
    EXPECT_EQ(banyan(mesh, 2, {"undelete", "ledger"}).end.code, 1);
  }
}

} // namespace
} // namespace banyan::test
