// What an operator does with apps and machines, by the command line on real
// peers: stop and start, moves, drains.
#include "tests/integration/integration.hpp"

#include <algorithm>

namespace banyan::test {
namespace {

struct operated : ::testing::Test {
  static constexpr auto limit = 60s;

  void begin(std::size_t peers, const std::string& spec = ledger_of_three,
             std::size_t voters = 3) {
    mesh = std::make_unique<process_mesh>(std::vector<peer_place>(peers));
    last_words.emplace(*mesh);
    mesh->start_all();
    mesh->wait_members(peers);
    mesh->deploy("ledger", spec);
    if (voters == 3)
      mesh->wait_healthy("ledger", voters);
  }
  run_result banyan(std::vector<std::string> words, std::size_t by = 0) {
    std::vector<std::string> argv{BANYAN_CLI_BINARY, "--data",
                                  mesh->data(by).string()};
    argv.insert(argv.end(), words.begin(), words.end());
    auto r = run_program(argv, limit);
    std::cout << "banyan";
    for (const auto& w : words)
      std::cout << ' ' << w;
    std::cout << " -> " << r.end.code << '\n' << r.out << r.err << std::flush;
    return r;
  }
  io::http_reply deposit(std::size_t by = 0) {
    io::http_call c;
    c.method = "POST";
    c.target = "/v1/apps/ledger/actors/alice/deposit";
    c.body = R"({"cents":1})";
    c.timeout = 7s;
    return mesh->call(mesh->http(by), c);
  }
  std::vector<std::string> voters(std::uint32_t shard = 0, std::size_t by = 0) {
    std::vector<std::string> out;
    if (const auto row = mesh->app(by, "ledger"))
      for (const auto& v : row->groups[shard].voters)
        out.push_back(v.node);
    return out;
  }
  std::vector<std::string> others(std::uint32_t shard = 0) {
    const auto in = voters(shard);
    std::vector<std::string> out;
    for (std::size_t i = 0; i < mesh->size(); ++i)
      if (std::find(in.begin(), in.end(), mesh->node(i)) == in.end())
        out.push_back(mesh->node(i));
    return out;
  }
  static bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  }
  void TearDown() override { EXPECT_EQ(mesh->casualties(), ""); }

  std::unique_ptr<process_mesh> mesh;
  std::optional<words_on_failure> last_words;
};

TEST_F(operated, an_app_that_is_stopped_stays_so_until_it_is_started) {
  begin(3);
  ASSERT_EQ(deposit().status, 200);
  ASSERT_EQ(banyan({"stop", "ledger"}, 1).end.code, 0);
  auto r = deposit(2);
  EXPECT_EQ(r.status, 503);
  EXPECT_TRUE(has(r.body, "\"parked\"")) << r.body;
  EXPECT_TRUE(has(r.body, "banyan start ledger")) << r.body;
  EXPECT_TRUE(wait_until(
      [&] {
        const auto row = mesh->app(0, "ledger");
        return row && row->health == "parked";
      },
      30s));
  EXPECT_EQ(banyan({"stop", "ledger"}).end.code, 0); // twice: nothing new
  for (std::size_t i = 0; i < 3; ++i)
    mesh->kill(i);
  mesh->start_all();
  EXPECT_TRUE(
      wait_until([&] { return has(deposit().body, "banyan start"); }, 10s))
      << "it is an entry of the log";
  ASSERT_EQ(banyan({"start", "ledger"}).end.code, 0);
  EXPECT_EQ(deposit(1).status, 200);
  mesh->wait_healthy("ledger", 3);
  const auto none = banyan({"stop", "nothing"});
  EXPECT_EQ(none.end.code, 1);
  EXPECT_TRUE(has(none.err, "no app named 'nothing'"));
}

TEST_F(operated, a_replica_moves_and_what_may_not_move_stays) {
  begin(4);
  const auto leader = mesh->node(*mesh->leader_of("ledger"));
  const auto to = others().at(0);
  auto in = voters();
  const auto refused = [&](std::vector<std::string> words, const char* why) {
    const auto r = banyan(std::move(words));
    EXPECT_EQ(r.end.code, 1);
    EXPECT_TRUE(has(r.err, why)) << r.err;
  };
  refused({"move", "ledger/0", to, in[0]}, "has no voter on node");
  refused({"move", "ledger/0", in[0], in[1]}, "already");
  refused({"move", "ledger/9", in[0], to}, "4 shards");
  refused({"move", "ledger/0", "zzzz", to}, "no node 'zzzz'");
  EXPECT_EQ(banyan({"move", "ledger", in[0], to}).end.code, 2);
  // Its leader, which hands over first; named by the beginning of its id.
  const auto r = banyan({"move", "ledger/0", leader.substr(0, 10), to}, 1);
  EXPECT_EQ(r.end.code, 0) << r.err;
  EXPECT_TRUE(wait_until(
      [&] {
        in = voters();
        return in.size() == 3 && std::find(in.begin(), in.end(), to) != in.end()
               && std::find(in.begin(), in.end(), leader) == in.end();
      },
      30s));
  EXPECT_EQ(deposit().status, 200);
  // Nobody moves a healthy voter while another is missing.
  mesh->wait_healthy("ledger", 3);
  std::size_t dead = *mesh->index_of(in[0]);
  if (dead == 0)
    dead = *mesh->index_of(in[1]);
  const auto stays = in[0] == mesh->node(dead) ? in[1] : in[0];
  mesh->kill(dead);
  EXPECT_TRUE(wait_until(
      [&] {
        const auto m = banyan({"move", "ledger/0", stays, others().at(0)});
        return m.end.code == 1 && has(m.err, "quorum");
      },
      20s, 500ms));
  mesh->start(dead);
}

TEST_F(operated, a_drained_node_holds_nothing_and_gets_nothing) {
  begin(4);
  const auto victim = *mesh->leader_of("ledger");
  const auto asked = (victim + 1) % 4;
  const auto id = mesh->node(victim);
  const auto r = banyan({"drain", id.substr(0, 8)}, asked);
  ASSERT_EQ(r.end.code, 0) << r.err;
  const auto gone = [&] {
    for (std::uint32_t shard = 0; shard < 4; ++shard) {
      const auto in = voters(shard, asked);
      if (in.size() != 3 || std::find(in.begin(), in.end(), id) != in.end())
        return false;
    }
    return true;
  };
  EXPECT_TRUE(wait_until(gone, 10s));
  EXPECT_EQ(deposit(asked).status, 200);
  EXPECT_EQ(deposit(victim).status, 200); // it routes as before
  // The mark is on its disk: no replica goes there after a restart either.
  EXPECT_EQ(mesh->terminate(victim), 0);
  mesh->start(victim);
  mesh->wait_members(4);
  const auto noted = [&] {
    const auto rows = mesh->get(asked, "/v1/nodes");
    for (const auto& n : rows.list)
      if (n["node"].text == id)
        return n["draining"]["done"].integer == 1;
    return false;
  };
  EXPECT_TRUE(wait_until(noted, 10s));
  mesh->deploy("kv",
               "name = \"kv\"\nmodule = \"kv\"\nshards = 8\nreplicas = 3\n");
  mesh->wait_healthy("kv", 3);
  const auto kv = mesh->app(asked, "kv");
  ASSERT_TRUE(kv);
  for (const auto& g : kv->groups)
    for (const auto& v : g.voters)
      EXPECT_NE(v.node, id);
  // A second one: three nodes of four would be left for three voters, and the
  // drained one takes none.
  const auto second = banyan({"drain", mesh->node(asked)}, asked);
  EXPECT_EQ(second.end.code, 1);
  EXPECT_TRUE(has(second.err, "no other node may take")) << second.err;
  EXPECT_TRUE(has(second.err, "--force")) << second.err;
  EXPECT_EQ(banyan({"drain", id, "--cancel"}, asked).end.code, 0);
  EXPECT_EQ(banyan({"drain", mesh->node(asked)}, victim).end.code, 0);
}

TEST_F(operated, a_drain_of_the_last_voter_is_refused_and_force_shrinks) {
  begin(2, "name = \"ledger\"\nmodule = \"ledger\"\nshards = 1\nreplicas = 3\n",
        1);
  ASSERT_EQ(deposit().status, 200);
  const auto only = *mesh->leader_of("ledger");
  const auto other = 1 - only;
  ASSERT_TRUE(wait_until(
      [&] {
        const auto row = mesh->app(other, "ledger");
        return row && row->groups[0].learners.size() == 1;
      },
      30s));
  // Two nodes are one voter and one learner: the learner takes its place.
  EXPECT_EQ(banyan({"drain", mesh->node(only)}, other).end.code, 0);
  EXPECT_EQ(deposit(other).status, 200);
  const auto last = banyan({"drain", mesh->node(other)}, other);
  EXPECT_EQ(last.end.code, 1);
  EXPECT_TRUE(has(last.err, "last voter")) << last.err;
  const auto forced = banyan({"drain", mesh->node(other), "--force"}, other);
  EXPECT_EQ(forced.end.code, 1);
  EXPECT_TRUE(has(forced.err, "start another peer")) << forced.err;
  EXPECT_EQ(deposit().status, 200);
}

TEST_F(operated, by_force_a_group_goes_on_with_fewer_voters) {
  begin(3);
  ASSERT_EQ(deposit().status, 200);
  EXPECT_EQ(banyan({"drain", mesh->node(2)}).end.code, 1);
  const auto r = banyan({"drain", mesh->node(2), "--force"});
  EXPECT_EQ(r.end.code, 0) << r.err;
  EXPECT_EQ(deposit().status, 200);
  EXPECT_TRUE(wait_until([&] { return voters().size() == 1; }, 10s));
  // Taken back, the groups grow by themselves.
  EXPECT_EQ(banyan({"drain", mesh->node(2), "--cancel"}).end.code, 0);
  mesh->wait_healthy("ledger", 3);
  EXPECT_EQ(deposit().status, 200);
}

// SIGTERM hands over leads and keeps every replica; it doesn't wait for groups
// without another voter that can be reached.
TEST_F(operated, SIGTERM_keeps_replicas_and_waits_for_nobody_who_is_gone) {
  begin(3);
  ASSERT_EQ(deposit().status, 200);
  const auto leader = *mesh->leader_of("ledger");
  const auto id = mesh->node(leader);
  EXPECT_EQ(mesh->terminate(leader), 0);
  const auto other = (leader + 1) % 3;
  const auto in = voters(0, other);
  EXPECT_NE(std::find(in.begin(), in.end(), id), in.end());
  EXPECT_EQ(deposit(other).status, 200);
  mesh->start(leader);
  mesh->wait_members(3);
  mesh->wait_healthy("ledger", 3);
  mesh->kill(leader);
  mesh->kill(other);
  const auto last = (leader + 2) % 3;
  const auto asked = now();
  EXPECT_EQ(mesh->terminate(last), 0);
  EXPECT_LT(now() - asked, 10s);
  mesh->start_all();
  mesh->wait_healthy("ledger", 3);
  EXPECT_EQ(deposit().status, 200);
}

} // namespace
} // namespace banyan::test
