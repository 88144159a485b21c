// `banyan call`, `query` and the looks, against a peer that is played.
#include "base/codec.hpp"
#include "played_peer.hpp"

#include <thread>

namespace banyan::cli {
namespace {

using banyan::test::contains;
using Program = test::played_peer;

std::string key_of(const io::http_request& q) {
  return std::string{q.header("idempotency-key")};
}

void send_msgpack(io::http_responder& r, const bytes& b) {
  r.send({200, to_text(b), "application/msgpack"});
}

bytes balance() {
  bytes b;
  writer{b}
      .map(3)
      .text("result")
      .uint(12)
      .text("term")
      .uint(1)
      .text("index")
      .uint(9);
  return b;
}

TEST_F(Program, CallSendsTheArgumentAndAKeyOfItsOwn) {
  play([](const io::http_request&, io::http_responder& r) {
    send_msgpack(r, balance());
  });
  const auto a =
      banyan({"call", "ledger/a b/\xC3\xA9", "deposit", "{\"cents\":5}"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(a.out, "12\n");
  banyan({"call", "ledger/alice", "deposit", "{\"cents\":5}"});
  const auto q = seen();
  ASSERT_EQ(q.size(), 2u);
  EXPECT_EQ(q[0].method, "POST");
  EXPECT_EQ(q[0].path,
            (std::vector<std::string>{"v1", "apps", "ledger", "actors",
                                      "a b/\xC3\xA9", "deposit"}));
  EXPECT_EQ(q[0].body, "{\"cents\":5}");
  EXPECT_GE(key_of(q[0]).size(), 26u);
  EXPECT_NE(key_of(q[0]), key_of(q[1]));
}

TEST_F(Program, ACallThatNamesAnAppAloneIsAStatelessOnesAndHasNoKey) {
  play([](const io::http_request&, io::http_responder& r) {
    bytes b;
    writer{b}.map(1).text("result").text("hello, Ann");
    send_msgpack(r, b);
  });
  const auto a = banyan({"call", "hello", "greet", R"({"name":"Ann"})"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(a.out, "\"hello, Ann\"\n");
  const auto q = seen();
  ASSERT_EQ(q.size(), 1u);
  EXPECT_EQ(q[0].path,
            (std::vector<std::string>{"v1", "apps", "hello", "call", "greet"}));
  EXPECT_EQ(key_of(q[0]), "");
}

TEST_F(Program, CallWithJsonPrintsTheAnswerAsItIs) {
  play_json(200, "{\"result\":12,\"term\":1,\"index\":9}\n");
  const auto a = banyan({"--json", "call", "ledger/alice", "deposit"});
  EXPECT_EQ(a.code, 0);
  EXPECT_EQ(a.out, "{\"result\":12,\"term\":1,\"index\":9}\n");
}

TEST_F(Program, AnUnknownOutcomeIsExit3AndRepeatsWithTheSameKey) {
  play([](const io::http_request&, io::http_responder&) {}); // 504 unknown
  const auto a = banyan({"call", "ledger/alice", "deposit", "{\"cents\":5}"});
  EXPECT_EQ(a.code, 3);
  const auto key = key_of(seen().at(0));
  EXPECT_TRUE(contains(a.err, "repeat with --key " + key)) << a.err;
  const auto again = banyan(
      {"call", "ledger/alice", "deposit", "{\"cents\":5}", "--key", key});
  EXPECT_EQ(again.code, 3);
  EXPECT_EQ(key_of(seen().at(1)), key);
  const auto json = banyan({"--json", "call", "ledger/alice", "deposit"});
  EXPECT_TRUE(contains(json.out, "\"key\":\"" + key_of(seen().at(2)) + "\""))
      << json.out;
}

TEST_F(Program, ALostAnswerIsExit3Too) {
  std::mutex m;
  std::condition_variable arrived;
  std::vector<io::http_responder> waiting;
  play([&](const io::http_request&, io::http_responder& r) {
    const std::lock_guard lock{m};
    waiting.push_back(r);
    arrived.notify_one();
  });
  std::thread cut{[&] {
    std::unique_lock lock{m};
    arrived.wait(lock, [&] { return !waiting.empty(); });
    lock.unlock();
    hang_up();
  }};
  const auto a = banyan({"call", "ledger/alice", "deposit"});
  cut.join();
  EXPECT_EQ(a.code, 3);
  EXPECT_TRUE(contains(a.err, "repeat with --key")) << a.err;
}

TEST_F(Program, ARejectionIsExit1AndNamesTheAppsCode) {
  play_json(422, R"({"error":"rejected","code":"insufficient_funds",)"
                 R"("message":"balance 3"})");
  const auto a = banyan({"call", "ledger/alice", "withdraw"});
  EXPECT_EQ(a.code, 1);
  EXPECT_EQ(a.out, "");
  EXPECT_EQ(a.err, "banyan: rejected (insufficient_funds): balance 3\n");
  const auto json = banyan({"--json", "call", "ledger/alice", "withdraw"});
  EXPECT_EQ(json.code, 1);
  EXPECT_TRUE(contains(json.out, "\"insufficient_funds\""));
}

TEST_F(Program, WithoutAPeerEverythingIsExit4) {
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"status"},
           {"call", "ledger/alice", "deposit"},
           {"query", "ledger/alice", "balance"},
           {"remove", "ledger", "--yes"}}) {
    const auto a = banyan(args);
    EXPECT_EQ(a.code, 4) << args[0];
    EXPECT_TRUE(contains(a.err, "control.sock")) << a.err;
    EXPECT_TRUE(contains(a.err, "banyan-peer --data")) << a.err;
  }
}

TEST_F(Program, BadArgumentsAreExit2AndReachNobody) {
  play_json(200, "{}");
  for (const auto& args : std::vector<std::vector<std::string>>{
           {},
           {"frobnicate"},
           {"status", "--frobnicate"},
           {"status", "extra"},
           {"call", "ledger/alice"},
           {"call", "Alice", "deposit"},
           {"query", "alice", "balance"},
           {"call", "../alice", "deposit"},
           {"call", "ledger/" + std::string(5000, 'k'), "deposit"},
           {"call", "ledger/alice", "deposit", "{cents:5}"},
           {"call", "ledger/alice", "deposit", "--key", "a b"},
           {"query", "ledger/alice", "balance", "--stale", "soon"},
           {"--http", "ftp://x", "status"},
           {"--token", "t", "status"},
           {"remove", "..", "--yes"},
           {"keygen"},
           {"keygen", "owner"}}) {
    const auto a = banyan(args);
    EXPECT_EQ(a.code, 2) << ::testing::PrintToString(args) << a.err;
    EXPECT_EQ(a.out, "");
    EXPECT_FALSE(a.err.empty());
  }
  EXPECT_TRUE(seen().empty());
}

TEST_F(Program, ACommandThatDoesNotExistListsThoseThatDo) {
  const auto a = banyan({"frobnicate"});
  EXPECT_TRUE(contains(a.err, "'frobnicate'")) << a.err;
  for (const auto* name : {"init", "keygen", "status", "nodes", "apps", "plan",
                           "deploy", "remove", "call", "query", "failovers"})
    EXPECT_TRUE(contains(a.err, name)) << name;
}

TEST_F(Program, QueriesAskWithoutAKey) {
  play([](const io::http_request&, io::http_responder& r) {
    send_msgpack(r, balance());
  });
  EXPECT_EQ(banyan({"query", "ledger/alice", "balance"}).out, "12\n");
  EXPECT_EQ(banyan({"query", "ledger/alice", "balance", "{\"a\":1}", "--stale",
                    "250"})
                .out,
            "12\n");
  const auto q = seen();
  ASSERT_EQ(q.size(), 2u);
  EXPECT_EQ(q[0].method, "GET");
  EXPECT_EQ(key_of(q[0]), "");
  EXPECT_EQ(*q[0].parameter("consistency"), "linearizable");
  EXPECT_EQ(*q[1].parameter("consistency"), "stale");
  EXPECT_EQ(*q[1].parameter("max_staleness_ms"), "250");
  EXPECT_EQ(*q[1].parameter("arg"), "{\"a\":1}");
}

TEST_F(Program, ALongQueryArgumentGoesIntoTheBody) {
  play([](const io::http_request&, io::http_responder& r) {
    send_msgpack(r, balance());
  });
  const auto argument = "\"" + std::string(20'000, 'x') + "\"";
  EXPECT_EQ(banyan({"query", "ledger/alice", "balance", argument}).code, 0);
  const auto q = seen();
  ASSERT_EQ(q.size(), 1u);
  EXPECT_EQ(q[0].method, "POST");
  EXPECT_EQ(q[0].body, argument);
  EXPECT_NE(q[0].parameter("consistency"), nullptr);
}

TEST_F(Program, ALookShowsATableOrTheJsonAsItIs) {
  play([](const io::http_request& q, io::http_responder& r) {
    if (!contains(std::string{q.header("accept")}, "msgpack"))
      return void(r.send({200, "[{\"node\":\"x\"}]\n"}));
    bytes b;
    writer w{b};
    w.array(1)
        .map(3)
        .text("node")
        .text("abcdefghij")
        .text("state")
        .text("alive");
    w.text("groups").uint(3);
    send_msgpack(r, b);
  });
  const auto table = banyan({"nodes"});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_TRUE(contains(table.out, "abcdefgh ")) << table.out;
  EXPECT_TRUE(contains(table.out, "alive"));
  EXPECT_EQ(banyan({"nodes", "--json"}).out, "[{\"node\":\"x\"}]\n");
}

TEST_F(Program, StatusShowsHowFarAJoiningIs) {
  std::uint64_t total = 10'000;
  bool joining = true;
  play([&](const io::http_request&, io::http_responder& r) {
    bytes b;
    writer w{b};
    w.map(2).text("node").text("abc").text("join");
    if (joining) {
      w.map(3).text("from").nil().text("have").uint(4480);
      w.text("total").uint(total);
    } else {
      w.nil();
    }
    send_msgpack(r, b);
  });
  EXPECT_TRUE(contains(banyan({"status"}).out, "4480 of 10000 members"));
  total = 0;
  EXPECT_TRUE(contains(banyan({"status"}).out, "4480 of ? members"));
  joining = false;
  EXPECT_FALSE(contains(banyan({"status"}).out, "joining"));
}

TEST_F(Program, AppsShowHowFarAnUpdateIs) {
  play([](const io::http_request&, io::http_responder& r) {
    bytes b;
    writer w{b};
    const auto app = [&](const char* name, int n, const char* state,
                         const char* why) {
      w.map(4).text("name").text(name).text("version").sint(n);
      w.text("groups").array(0).text("update").map(3).text("number").sint(n);
      w.text("state").text(state).text("why").text(why);
    };
    w.array(2);
    app("ledger", 3, "rolled_back", "3 of 10 turns failed");
    app("quiet", 1, "done", "");
    send_msgpack(r, b);
  });
  const auto a = banyan({"apps"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "ledger: update: version 3 rolled back: 3 of 10 "
                              "turns failed\n"))
      << a.out;
  EXPECT_FALSE(contains(a.out, "quiet: update")) << a.out;
}

TEST_F(Program, AnAnswerThatMakesNoSenseIsExit1) {
  play_json(200, "not msgpack");
  for (const auto* look : {"status", "nodes", "apps", "failovers"}) {
    const auto a = banyan({look});
    EXPECT_EQ(a.code, 1) << look;
    EXPECT_TRUE(contains(a.err, "same version")) << a.err;
  }
  EXPECT_EQ(banyan({"call", "ledger/alice", "deposit"}).code, 1);
}

TEST_F(Program, AnAppThatIsNotThereIsExit1) {
  play_json(404, R"({"error":"not_found","message":"no app named 'x'"})");
  const auto a = banyan({"apps", "x", "--json"});
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.out, "not_found"));
  EXPECT_TRUE(contains(a.err, "no app named 'x'"));
}

} // namespace
} // namespace banyan::cli
