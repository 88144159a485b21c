// Peers that nobody can dial, as real processes: what they say of their address
// is wrong, as behind a home's router. They vote, they are doors, and they are
// reached through a neighbour.
#include "tests/integration/integration.hpp"

#include <algorithm>

namespace banyan::test {
namespace {

struct hidden : ::testing::Test {
  static constexpr auto limit = 60s;
  static constexpr std::size_t peers = 4;
  static constexpr std::size_t one = 2; ///< can't be dialled
  static constexpr std::size_t two = 3; ///< neither

  hidden() : mesh{places()}, last_words{mesh} {}
  static std::vector<peer_place> places() {
    std::vector<peer_place> out(peers);
    for (const auto i : {one, two})
      out[i].flags = {"--advertise",
                      "127.0.0.1:" + std::to_string(free_port())};
    return out;
  }
  std::string banyan(std::vector<std::string> words, std::size_t by) {
    std::vector<std::string> argv{BANYAN_CLI_BINARY, "--data",
                                  mesh.data(by).string()};
    argv.insert(argv.end(), words.begin(), words.end());
    const auto r = run_program(argv, limit);
    EXPECT_EQ(r.end.code, 0) << words[0] << ": " << r.out << r.err;
    return r.out;
  }
  value row(std::size_t by, std::size_t of) {
    for (const auto& n : mesh.get(by, "/v1/nodes").list)
      if (n["node"].text == mesh.node(of))
        return n;
    return {};
  }
  /// Whom `by` reaches `to` through; empty: its link is its own, or none.
  std::string via(std::size_t by, std::size_t to) {
    return row(by, to)["via"].text;
  }
  bool all_elsewhere(std::size_t than) {
    const auto app = mesh.app(one, "ledger");
    return app
           && std::all_of(
               app->groups.begin(), app->groups.end(), [&](const group_row& g) {
                 return g.voters.size() == 3
                        && std::none_of(g.voters.begin(), g.voters.end(),
                                        [&](const replica_row& v) {
                                          return v.node == mesh.node(than);
                                        });
               });
  }
  /// To accounts of all groups, at that peer's door, until taken.
  void deposit(std::size_t by) {
    for (int account = 0; account < 8; ++account) {
      const auto r = mesh.command(
          by, "/v1/apps/ledger/actors/a" + std::to_string(account) + "/deposit",
          R"({"cents":1})", limit);
      EXPECT_EQ(r.status, 200) << "peer " << by << ": " << r.body;
    }
    ++deposited;
  }
  void expect_all_there(std::size_t by) {
    for (int account = 0; account < 8; ++account) {
      const auto r = mesh.command(
          by, "/v1/apps/ledger/actors/a" + std::to_string(account) + "/balance",
          {}, limit);
      EXPECT_GE(parse_value(r.body)["result"].integer, deposited);
    }
  }
  void TearDown() override { EXPECT_EQ(mesh.casualties(), ""); }

  process_mesh mesh;
  words_on_failure last_words;
  std::int64_t deposited = 0; ///< to each account, acknowledged
};

TEST_F(hidden, peers_vote_and_answer_through_whoever_can_be_dialled) {
  mesh.start_all();
  mesh.wait_members(peers);
  mesh.deploy("ledger", ledger_of_three);
  mesh.wait_healthy("ledger", 3);
  ASSERT_TRUE(wait_until(
      [&] { return !via(one, two).empty() && !via(two, one).empty(); }, limit));

  // They say so, and the others do.
  EXPECT_NE(banyan({"status"}, one).find("relayed"), std::string::npos);
  EXPECT_EQ(banyan({"status"}, 0).find("relayed"), std::string::npos);
  EXPECT_NE(banyan({"nodes"}, 0).find("(relayed)"), std::string::npos);
  EXPECT_TRUE(via(0, one).empty()); // a link that it dialled itself
  EXPECT_TRUE(row(0, 1)["relays"].list.empty());

  // Every group has both as voters, and each peer is a door to all of them.
  banyan({"drain", mesh.node(0)}, 1);
  ASSERT_TRUE(wait_until([&] { return all_elsewhere(0); }, limit));
  for (std::size_t by = 0; by < peers; ++by)
    deposit(by);

  // What is left of each group, if that one votes, are two hidden peers.
  const auto relay = mesh.index_of(via(one, two));
  ASSERT_TRUE(relay && *relay < one);
  mesh.kill(*relay);
  const auto other = 1 - *relay;
  for (const auto by : {one, two, other})
    deposit(by);
  EXPECT_TRUE(
      wait_until([&] { return via(one, two) == mesh.node(other); }, limit));
  for (const auto by : {one, two, other})
    expect_all_there(by);
  mesh.start(*relay);
  mesh.wait_members(peers);
  mesh.wait_healthy("ledger", 3);
  deposit(*relay);
}

} // namespace
} // namespace banyan::test
