// Disks that rot while their peer is down, or under it: it serves, nothing is
// lost, and what was lost here comes back from the others.
#include "tests/integration/damage.hpp"
#include "tests/integration/integration.hpp"

namespace banyan::test {
namespace {

namespace fs = std::filesystem;

class damage : public ::testing::Test {
protected:
  damage() {
    mesh.start_all();
    mesh.wait_members(3);
    mesh.deploy("ledger", ledger_of_three);
    mesh.wait_healthy("ledger", 3);
    for (int i = 0; i < 60; ++i)
      deposit("account-" + std::to_string(i) + std::string(100, 'x'));
    deposit("marked-one");
    load.start();
    more(200);
  }

  void deposit(const std::string& account) {
    const auto r = mesh.command(
        0, "/v1/apps/ledger/actors/" + account + "/deposit", R"({"cents":7})");
    ASSERT_EQ(r.status, 200) << r.body;
  }
  void more(std::uint64_t transfers) {
    const auto goal = load.acknowledged() + transfers;
    ASSERT_TRUE(wait_until([&] { return load.acknowledged() >= goal; }, 30s));
  }
  double metric(std::size_t i, const std::string& name) const {
    io::http_call c;
    c.target = "/metrics";
    const auto r = mesh.call(mesh.control(i), std::move(c));
    const auto at = r.body.find("\nbanyan_" + name + " ");
    return at == std::string::npos
               ? -1
               : std::stod(r.body.substr(at + name.size() + 9));
  }
  std::string check_word(std::size_t i) const {
    return mesh.get(i, "/v1/status")["state"]["check"].text;
  }
  fs::path state(std::size_t i) const {
    return mesh.data(i) / "state" / "data.mdb";
  }
  /// A state commit of what was acknowledged so far, on every peer.
  void settle() {
    std::vector<double> before;
    for (std::size_t i = 0; i < mesh.size(); ++i)
      before.push_back(metric(i, "state_commits_total"));
    for (std::size_t i = 0; i < mesh.size(); ++i)
      ASSERT_TRUE(wait_until(
          [&] { return metric(i, "state_commits_total") >= before[i] + 2; },
          30s));
  }
  std::size_t follower() const {
    return (mesh.leader_of("ledger").value_or(0) + 1) % mesh.size();
  }
  bool nothing_aside(std::size_t i, const std::string& prefix) const {
    for (const auto& e : fs::directory_iterator(mesh.data(i) / "aside"))
      if (e.path().filename().string().rfind(prefix, 0) == 0)
        return false;
    return true;
  }
  void check() {
    mesh.wait_healthy("ledger", 3, 60s);
    more(50);
    load.stop();
    const auto report = load.audit();
    std::cout << report.text();
    EXPECT_TRUE(report.clean()) << report.text();
    EXPECT_EQ(mesh.casualties(), "");
    const auto r = mesh.command(0, "/v1/apps/ledger/actors/marked-one/deposit",
                                R"({"cents":0})");
    EXPECT_EQ(parse_value(r.body)["result"].integer, 7) << r.status;
  }
  /// Kills a peer, harms its disk and starts it again.
  template <class Harm>
  void harm(std::size_t i, Harm how) {
    settle();
    mesh.kill(i);
    how();
    mesh.start(i);
  }
  void expect_rebuilt(std::size_t i) {
    mesh.wait_healthy("ledger", 3, 60s);
    EXPECT_EQ(check_word(i), "set_aside");
    EXPECT_TRUE(wait_until(
        [&] {
          return metric(i, "states_unready") == 0
                 && metric(i, "states_rebuilt_total")
                        == metric(i, "states_lost_total");
        },
        30s));
    EXPECT_TRUE(wait_until([&] { return nothing_aside(i, "state-"); }, 20s))
        << "kept after every group had all its voters again";
  }

  process_mesh mesh{{{"here"}, {"here"}, {"here"}}};
  words_on_failure words{mesh};
  ledger_load load{mesh, {"ledger", 4, 8, 0ms, 40s}};
};

TEST_F(damage, a_state_with_zeroed_pages_is_rebuilt) {
  const auto i = follower();
  harm(i, [&] {
    victim_file f{state(i)};
    std::size_t harmed = 0;
    for (const auto page : lmdb_page::with(f.content(), lmdb_page::leaf)) {
      f.zero(page * lmdb_page::bytes_each, lmdb_page::bytes_each);
      ++harmed;
    }
    EXPECT_GT(harmed, 0U);
  });
  expect_rebuilt(i);
  check();
}

TEST_F(damage, a_state_with_flipped_branch_pages_is_rebuilt) {
  const auto i = mesh.leader_of("ledger").value_or(0);
  harm(i, [&] {
    victim_file f{state(i)};
    const auto pages = lmdb_page::with(f.content(), lmdb_page::branch);
    EXPECT_FALSE(pages.empty());
    for (const auto page : pages) // the first node's offset
      f.flip(page * lmdb_page::bytes_each + 16, 0x40);
  });
  expect_rebuilt(i);
  check();
}

TEST_F(damage, a_state_without_its_meta_pages_is_rebuilt) {
  const auto i = follower();
  harm(i, [&] {
    victim_file f{state(i)};
    f.zero(0, 2 * lmdb_page::bytes_each);
  });
  expect_rebuilt(i);
  check();
}

// The ledger's logs still hold everything. This one has lost its beginning, and
// its state comes from another voter.
TEST_F(damage, a_state_whose_log_begins_later_is_rebuilt_from_another_voter) {
  mesh.deploy("kv", "name = \"kv\"\nmodule = \"kv\"\nshards = 1\n"
                    "replicas = 3\n");
  mesh.wait_healthy("kv", 3);
  const std::string value(900'000, 'v');
  const auto put = [&](int n) {
    const auto r =
        mesh.command(0, "/v1/apps/kv/actors/key-" + std::to_string(n) + "/put",
                     "{\"value\":\"" + std::to_string(n) + value + "\"}");
    ASSERT_EQ(r.status, 200) << r.body.substr(0, 200);
  };
  const auto i = follower();
  const auto first = mesh.data(i) / "log" / "0000000000000001.seg";
  int n = 0;
  while (n < 300 && fs::exists(first)) // some 64 MiB of entries are kept
    put(n++);
  ASSERT_FALSE(fs::exists(first)) << n;
  harm(i, [&] {
    victim_file f{state(i)};
    for (const auto page : lmdb_page::with(f.content(), lmdb_page::leaf))
      f.zero(page * lmdb_page::bytes_each, lmdb_page::bytes_each);
  });
  mesh.wait_healthy("kv", 3, 60s);
  expect_rebuilt(i);
  EXPECT_GE(metric(i, "states_lost_total"), 1);
  put(n);
  for (std::size_t k = 0; k < mesh.size(); ++k) {
    const auto got = mesh.get(k, "/v1/apps/kv/actors/key-5/get", 10s);
    EXPECT_EQ(got["result"].text, "5" + value) << "peer " << k;
  }
  check();
}

TEST_F(damage, a_row_that_rotted_while_its_peer_was_down_is_fetched) {
  const auto i = follower();
  harm(i, [&] {
    victim_file f{state(i)};
    const auto places = lmdb_page::data_of(f.content(), "marked-one");
    EXPECT_FALSE(places.empty());
    for (const auto at : places)
      f.flip(at);
  });
  mesh.wait_healthy("ledger", 3, 60s);
  EXPECT_TRUE(
      wait_until([&] { return metric(i, "rows_mended_total") >= 1; }, 20s));
  EXPECT_EQ(check_word(i), "whole") << "one row is no reason to rebuild all";
  check();
}

TEST_F(damage, a_damaged_log_comes_back_under_a_new_replica_id) {
  const auto i = follower();
  harm(i, [&] {
    fs::path segment;
    for (const auto& e : fs::directory_iterator(mesh.data(i) / "log"))
      if (e.path().extension() == ".seg"
          && (segment.empty() || e.path() < segment))
        segment = e.path();
    victim_file f{segment};
    f.flip(6000); // an early batch: inside what was synced
  });
  EXPECT_TRUE(
      wait_until([&] { return metric(i, "logs_given_up_total") >= 1; }, 10s));
  check();
}

TEST_F(damage, damaged_documents_give_up_the_replicas) {
  const auto i = follower();
  harm(i, [&] { victim_file{mesh.data(i) / "documents"}.flip(512 + 100); });
  check();
  EXPECT_FALSE(nothing_aside(i, "documents")) << "the bad file is kept";
  EXPECT_FALSE(nothing_aside(i, "log-given-up"));
}

TEST_F(damage, a_copied_directory_is_given_up_and_rebuilt) {
  const auto i = follower();
  harm(i, [&] {
    const auto copy = mesh.data(i).string() + ".copy";
    copy_directory(mesh.data(i), copy);
    fs::remove_all(mesh.data(i));
    fs::rename(copy, mesh.data(i));
  });
  check();
  EXPECT_FALSE(nothing_aside(i, "log-given-up"));
}

// The image keeps the identity file's inode and is of a stopped peer: only the
// others know that it is old. The peer halts, and its runner starts it again.
TEST_F(damage, a_restored_image_halts_once_and_is_rebuilt) {
  const auto i = follower();
  const auto image = mesh.data(i).string() + ".image";
  const auto copy = mesh.data(i).string() + ".copy";
  ASSERT_EQ(mesh.terminate(i), 0);
  copy_directory(mesh.data(i), copy);
  fs::rename(mesh.data(i), image);
  fs::rename(copy, mesh.data(i));
  mesh.start(i);
  mesh.wait_healthy("ledger", 3, 60s);
  more(50);
  mesh.kill(i);
  fs::remove_all(mesh.data(i));
  fs::rename(image, mesh.data(i));
  mesh.start(i);
  EXPECT_TRUE(wait_until([&] { return !mesh.casualties().empty(); }, 20s))
      << "it halts";
  EXPECT_NE(mesh.last_words().find("restored from an image"),
            std::string::npos);
  mesh.start(i);
  check();
  EXPECT_FALSE(nothing_aside(i, "log-given-up"));
}

#ifdef BANYAN_CLI_BINARY
TEST_F(damage, verify_finds_and_mends_what_rots_under_a_running_peer) {
  const auto i = follower();
  settle();
  run_result ran;
  // A commit of the load may have moved the row elsewhere just before: again.
  for (int tries = 0; tries < 10; ++tries) {
    victim_file f{state(i)}; // what LMDB has mapped
    const auto places = lmdb_page::data_of(f.content(), "marked-one");
    ASSERT_FALSE(places.empty());
    for (const auto at : places)
      f.flip(at);
    ran = run_program(
        {BANYAN_CLI_BINARY, "--data", mesh.data(i).string(), "verify"}, 60s);
    if (ran.out.find("1 damaged") != std::string::npos)
      break;
  }
  std::cout << ran.out << ran.err;
  EXPECT_EQ(ran.end.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("1 damaged, 1 mended"), std::string::npos) << ran.out;
  const auto again = run_program(
      {BANYAN_CLI_BINARY, "--data", mesh.data(i).string(), "--json", "verify"},
      60s);
  EXPECT_EQ(again.end.code, 0) << again.err;
  EXPECT_NE(again.out.find("\"found\":0"), std::string::npos) << again.out;
  check();
}
#endif

} // namespace
} // namespace banyan::test
