// `banyan risk` and `banyan why`, against a peer that is played.
#include "actors/host/json.hpp"
#include "base/codec.hpp"
#include "played_peer.hpp"

namespace banyan::cli {
namespace {

using banyan::test::contains;

class Outlook : public test::played_peer {
protected:
  void play_value(const std::string& json) {
    const auto b = json_to_msgpack(json);
    ASSERT_TRUE(b.ok());
    play([b = *b](const io::http_request&, io::http_responder& r) {
      r.send({200, to_text(b), "application/msgpack"});
    });
  }
};

const std::string risk_answer = R"({"name": "ledger", "kind": "durable",
  "shards": 4, "waiting_count": 1,
  "waiting": [{"shard": 2, "missing": 1, "wait_for": ["aa", "bb"],
               "copies_outside": 1, "text": "shard 2 waits for 1 of aa bb"}],
  "losses": [
    {"of": "node", "places": 3, "survives": true, "pause_ms": 275,
     "repair_after_s": 300.25, "catching_up": 0, "breaking_count": 0,
     "breaking": [], "text": "nothing is lost; and so on"},
    {"of": "zone", "places": 1, "survives": null, "pause_ms": 0,
     "repair_after_s": null, "catching_up": 0, "breaking_count": 0,
     "breaking": [], "text": "not known"},
    {"of": "region", "places": 2, "survives": false, "pause_ms": 275,
     "repair_after_s": null, "catching_up": 0, "breaking_count": 1,
     "breaking": [], "text": "region eu: shard 0 waits for 2 of\u001b[2J"}]})";

TEST_F(Outlook, RiskShowsWhatWaitsAndWhatEachLossWouldDo) {
  play_value(risk_answer);
  const auto a = banyan({"risk", "ledger"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "ledger: 1 of 4 shards can't serve now\n"
                              "  shard 2 waits for 1 of aa bb\n"))
      << a.out;
  EXPECT_TRUE(contains(a.out, "any node    3       yes       nothing is lost"))
      << a.out;
  EXPECT_TRUE(contains(a.out, "any zone    1       ?         not known"))
      << a.out;
  EXPECT_TRUE(contains(a.out, "any region  2       no        region eu: "))
      << a.out;
  EXPECT_FALSE(contains(a.out, "\x1b")); // nothing that a terminal obeys
  const auto q = seen();
  ASSERT_EQ(q.size(), 1U);
  EXPECT_EQ(q[0].path,
            (std::vector<std::string>{"v1", "apps", "ledger", "risk"}));
}

TEST_F(Outlook, JsonIsTheAnswerAsItIs) {
  play_json(200, "{\"name\":\"ledger\"}\n");
  EXPECT_EQ(banyan({"risk", "ledger", "--json"}).out,
            "{\"name\":\"ledger\"}\n");
  EXPECT_EQ(banyan({"why", "ledger", "--json"}).out, "{\"name\":\"ledger\"}\n");
}

TEST_F(Outlook, WhyShowsReplicasRunnersUpAndWhoIsOut) {
  play_value(R"({"name": "ledger", "kind": "durable", "shards": 20,
    "members": 5, "fitting": 4, "excluded_count": 3,
    "excluded": [{"node": "dddddddddd", "region": "us", "zone": "",
                  "text": "it is dead"}],
    "groups": [
      {"shard": 0, "as_placed": true, "rows": [
        {"node": "aaaaaaaaaa", "role": "leader", "region": "eu", "zone": "z1",
         "rank": 1, "score": 412.7, "text": "choice 1: rank 1 by score"},
        {"node": "bbbbbbbbbb", "role": "runner_up", "region": "eu",
         "zone": "z1", "rank": 2, "score": 99.2,
         "text": "rank 2 by score, passed over: shares zone with aaaaaaaa"}]},
      {"shard": 1, "as_placed": false, "rows": [
        {"node": "cccccccccc", "role": "voter", "region": "", "zone": "",
         "rank": null, "score": null, "text": "it is drained"}]}]})");
  const auto a = banyan({"why", "ledger"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "ledger: 4 of 5 members may take a replica"))
      << a.out;
  EXPECT_TRUE(contains(a.out, "ledger/0: as it would be placed now")) << a.out;
  EXPECT_TRUE(contains(a.out, "ledger/1: not as it would be placed now"))
      << a.out;
  EXPECT_TRUE(contains(a.out, "aaaaaaaa  leader     1     413    eu      z1"))
      << a.out;
  EXPECT_TRUE(contains(a.out, "bbbbbbbb  runner-up  2     99 ")) << a.out;
  EXPECT_TRUE(contains(a.out, "and 18 shards more; `banyan why ledger/SHARD`"))
      << a.out;
  EXPECT_TRUE(contains(a.out, "dddddddd    us")) << a.out;
  EXPECT_TRUE(contains(a.out, "and 2 more")) << a.out;
}

TEST_F(Outlook, WhyOfOneShardAsksForThatOne) {
  play_value(R"({"name": "ledger", "groups": []})");
  EXPECT_EQ(banyan({"why", "ledger/3", "-n", "7"}).code, 0);
  const auto q = seen();
  ASSERT_EQ(q.size(), 1U);
  EXPECT_EQ(q[0].path,
            (std::vector<std::string>{"v1", "apps", "ledger", "why"}));
  ASSERT_NE(q[0].parameter("shard"), nullptr);
  EXPECT_EQ(*q[0].parameter("shard"), "3");
  ASSERT_NE(q[0].parameter("runners_up"), nullptr);
  EXPECT_EQ(*q[0].parameter("runners_up"), "7");
  const auto wrong = banyan({"why", "ledger/three"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_TRUE(contains(wrong.err, "APP/SHARD"));
}

TEST_F(Outlook, WhoIsNotThereIsSaid) {
  play_json(404, R"({"error":"not_found","message":"no app named 'x'"})");
  for (const char* command : {"risk", "why"}) {
    const auto a = banyan({command, "x"});
    EXPECT_EQ(a.code, 1);
    EXPECT_TRUE(contains(a.err, "no app named 'x'")) << a.err;
  }
}

} // namespace
} // namespace banyan::cli
