// What those who run a mesh see of it, with the command line, on real peers.
#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"
#include "tests/integration/integration.hpp"

#include <csignal>
#include <fstream>

namespace banyan::test {
namespace {

class operators : public ::testing::Test {
protected:
  operators() : mesh{{{"here"}, {"here"}, {"here"}}, options()} {
    mesh.start_all();
    mesh.wait_members(3);
  }
  static mesh_options options() {
    mesh_options o;
    o.flags = {"--apps", BANYAN_TEST_APPS_DIR};
    return o;
  }
  static std::string spec(const std::string& more = "") {
    return "name = \"speaker\"\nmodule = \"speaker\"\nshards = 2\n"
           "replicas = 3\n"
           + more;
  }
  std::vector<std::string> words(std::size_t i,
                                 std::vector<std::string> more) const {
    more.insert(more.begin(),
                {BANYAN_CLI_BINARY, "--data", mesh.data(i).string()});
    return more;
  }
  run_result banyan(std::size_t i, std::vector<std::string> more) const {
    return run_program(words(i, std::move(more)), 30s);
  }
  void say(const std::string& key, const std::string& text,
           std::size_t by = 0) const {
    const auto r = mesh.command(by, "/v1/apps/speaker/actors/" + key + "/say",
                                "{\"text\":\"" + text + "\"}");
    EXPECT_EQ(r.status, 200) << r.body;
  }
  /// What follows until it has the words; empty: not in time.
  static std::string await(process& p, const std::string& words) {
    const auto until = now() + 20s;
    std::string all;
    while (const auto line = p.line(until)) {
      all += *line + "\n";
      if (line->find(words) != std::string::npos)
        return all;
    }
    ADD_FAILURE() << "no '" << words << "' in:\n" << all;
    return {};
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  process_mesh mesh;
  words_on_failure last_words{mesh};
};

TEST_F(operators, config_reaches_the_app) {
  mesh.deploy("speaker", spec("[config]\ngreeting = \"hi\"\ntimes = 2\n"));
  mesh.wait_healthy("speaker", 3);
  EXPECT_EQ(banyan(0, {"query", "speaker/a", "greeting"}).out, "\"hihi\"\n");
}

TEST_F(operators, logs_of_an_app_are_merged_from_all_nodes) {
  mesh.deploy("speaker", spec());
  mesh.wait_healthy("speaker", 3);
  for (int i = 0; i < 8; ++i) // of both groups, which may be led by two nodes
    say("k" + std::to_string(i), "early" + std::to_string(i));
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    run_result r;
    EXPECT_TRUE(wait_until(
        [&] {
          r = banyan(i, {"logs", "speaker"});
          return has(r.out, "printed early7") && has(r.out, "complained of");
        },
        30s))
        << r.out << r.err;
    EXPECT_EQ(r.end.code, 0);
    for (int k = 0; k < 8; ++k)
      EXPECT_TRUE(has(r.out, "log  k" + std::to_string(k) + ": logged early"
                                 + std::to_string(k)))
          << r.out;
  }
  EXPECT_EQ(banyan(0, {"logs", "speaker", "-n", "2"}).out.substr(0, 2), "20");
  EXPECT_EQ(banyan(1, {"logs", "nobody"}).end.code, 1);

  process follower{words(2, {"logs", "speaker", "-f"}),
                   mesh.dir() / "logs.err"};
  await(follower, "logged early7");
  for (int i = 0; i < 8; ++i)
    say("k" + std::to_string(i), "late" + std::to_string(i), 1);
  const auto all = await(follower, "logged late7");
  // Its own words are not repeated.
  EXPECT_FALSE(has(all, "early0")) << all;
}

TEST_F(operators, logs_name_a_node_that_does_not_answer) {
  mesh.deploy("speaker", spec());
  mesh.wait_healthy("speaker", 3);
  say("a", "words");
  const auto leader = mesh.leader_of("speaker");
  ASSERT_TRUE(leader);
  const auto frozen = (*leader + 1) % mesh.size();
  const auto asked = (*leader + 2) % mesh.size();
  mesh.freeze(frozen);
  const auto r = banyan(asked, {"logs", "speaker"});
  mesh.thaw(frozen);
  EXPECT_EQ(r.end.code, 0) << r.err;
  EXPECT_TRUE(has(r.err, mesh.node(frozen).substr(0, 8))) << r.err;
}

TEST_F(operators, events_of_the_mesh_are_seen_on_any_peer) {
  process follower{words(0, {"events", "-f"}), mesh.dir() / "events.err"};
  mesh.deploy("speaker", spec(), 1);
  EXPECT_TRUE(has(await(follower, "deployed  speaker"), "member_joined"));
  mesh.wait_healthy("speaker", 3);
  const auto leader = mesh.leader_of("speaker");
  ASSERT_TRUE(leader);
  const auto victim = *leader == 0 ? (*leader + 1) % 3 : *leader;
  mesh.kill(victim);
  await(follower, "member_dead  " + mesh.node(victim).substr(0, 8));
  if (*leader != 0) {
    EXPECT_TRUE(wait_until(
        [&] { return has(banyan(0, {"events"}).out, "failover  speaker/"); },
        30s));
  }
  mesh.start(victim);
  await(follower, "member_alive  " + mesh.node(victim).substr(0, 8));
  const auto json = banyan(0, {"events", "--json", "-n", "1"});
  EXPECT_EQ(json.out.substr(0, 10), "{\"number\":") << json.out;
  EXPECT_EQ(banyan(0, {"events", "--since", "soon"}).end.code, 2);
}

TEST_F(operators, states_are_shown_listed_and_watched) {
  mesh.deploy("speaker", spec());
  mesh.wait_healthy("speaker", 3);
  for (const auto* key : {"b", "a", "c"})
    say(key, std::string{"of "} + key);
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    EXPECT_EQ(banyan(i, {"get", "speaker/b"}).out,
              "{\"last\":\"of b\",\"count\":1}\n");
    EXPECT_EQ(banyan(i, {"ls", "speaker"}).out, "a\nb\nc\n");
  }
  EXPECT_EQ(banyan(0, {"ls", "speaker", "b"}).out, "b\n");
  const auto none = banyan(0, {"get", "speaker/nobody"});
  EXPECT_EQ(none.end.code, 1);
  EXPECT_TRUE(has(none.err, "banyan ls speaker")) << none.err;

  const auto leader = mesh.leader_of("speaker", 0);
  ASSERT_TRUE(leader);
  const auto asked = (*leader + 1) % mesh.size();
  process watcher{words(asked, {"get", "speaker/a", "-f"}),
                  mesh.dir() / "watch.err"};
  await(watcher, "\"count\":1");
  say("a", "twice");
  await(watcher, "\"count\":2");
  mesh.kill(*leader); // of one group or of both: a watch is only paused
  say("a", "thrice", asked);
  await(watcher, "\"count\":3");
}

} // namespace
} // namespace banyan::test
