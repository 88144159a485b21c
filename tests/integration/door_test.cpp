// The HTTP doors of a real mesh, as clients of any language meet them: what was
// begun at one goes on at another, and what they say adds up over all shards.
#include "actors/pure/replica_wire.hpp"
#include "base/codec.hpp"
#include "tests/integration/integration.hpp"
#include "tests/support/wire.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <set>

namespace banyan::test {
namespace {

using json = nlohmann::json;
using headers = std::vector<io::http_request::field>;

class doors : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    const auto config = files.path() / "peer.toml";
    std::ofstream{config} << "http_hosts = [\"api.example.org\"]\n";
    mesh_options options;
    options.flags = {"--config", config.string()};
    mesh = std::make_unique<process_mesh>(std::vector<peer_place>(3), options);
    mesh->start_all();
    mesh->wait_members(3);
    mesh->deploy("ledger", ledger_of_three);
    mesh->deploy("counter", "name = \"counter\"\nmodule = \"counter\"\n"
                            "shards = 4\nreplicas = 3\n");
    mesh->deploy("hello", "name = \"hello\"\nmodule = \"hello\"\n"
                          "kind = \"stateless\"\ninstances = 2\n");
    mesh->wait_healthy("ledger", 3);
    mesh->wait_healthy("counter", 3);
  }
  static void TearDownTestSuite() { mesh.reset(); }
  void TearDown() override {
    EXPECT_EQ(mesh->casualties(), "");
    if (HasFailure())
      std::cout << mesh->last_words();
  }

  /// At the HTTP door of that peer.
  static io::http_reply ask(std::size_t i, const std::string& method,
                            const std::string& target,
                            const std::string& body = {},
                            const headers& more = {}) {
    io::http_call c;
    c.method = method;
    c.target = target;
    c.body = body;
    c.headers = more;
    // A failover is waited out, however busy the machine is.
    c.headers.emplace_back("Banyan-Deadline-Ms", "30000");
    c.timeout = 60s;
    return mesh->call(mesh->http(i), c);
  }
  static json good(const io::http_reply& r) {
    EXPECT_EQ(r.status, 200) << r.body;
    return json::parse(r.body, nullptr, false);
  }
  static json deposit(std::size_t i, const std::string& account, int cents,
                      const headers& more = {}) {
    return good(ask(i, "POST", "/v1/apps/ledger/actors/" + account + "/deposit",
                    "{\"cents\":" + std::to_string(cents) + "}", more));
  }
  static std::size_t leader_for(const std::string& account) {
    std::optional<std::size_t> led;
    EXPECT_TRUE(wait_until(
        [&] {
          led = mesh->leader_of("ledger", shard_of(account, 4));
          return led.has_value();
        },
        30s));
    return led.value_or(0);
  }
  static void bring_back(std::size_t i) {
    mesh->start(i);
    mesh->wait_members(3);
    mesh->wait_healthy("ledger", 3);
  }

  struct watched {
    std::vector<std::uint64_t> ids;
    std::vector<json> states;
  };
  /// What `_watch` of an account shows at that door, behind the id `behind`
  /// (empty: from the present state on), until it has shown `n`.
  static watched watch(std::size_t i, const std::string& account,
                       const std::string& behind, std::size_t n) {
    io::http_call c;
    c.target = "/v1/apps/ledger/actors/" + account + "/_watch";
    if (!behind.empty())
      c.headers.emplace_back("Last-Event-ID", behind);
    c.timeout = 60s;
    watched out;
    std::string text;
    io::http_client client{mesh->http(i)};
    const auto r = client.stream(c, [&](std::string_view more) {
      text += more;
      for (std::size_t end = 0;
           (end = text.find("\n\n")) != std::string::npos;) {
        const auto event = text.substr(0, end + 1);
        text.erase(0, end + 2);
        const auto field = [&](const std::string& name) {
          const auto at = event.find(name + ": ");
          const auto from = at + name.size() + 2;
          return at == std::string::npos
                     ? std::string{}
                     : event.substr(from, event.find('\n', from) - from);
        };
        if (field("data").empty())
          continue; // a comment
        out.ids.push_back(std::strtoull(field("id").c_str(), nullptr, 10));
        out.states.push_back(json::parse(field("data"), nullptr, false));
      }
      return out.ids.size() < n;
    });
    EXPECT_TRUE(r.ok()) << r.error().message;
    return out;
  }

  static const temporary_directory files;
  static std::unique_ptr<process_mesh> mesh;
};
const temporary_directory doors::files;
std::unique_ptr<process_mesh> doors::mesh;

// DESIGN section 12: a retry through another peer gets the same answer.
TEST_F(doors, an_idempotency_key_is_one_call_at_all_of_them) {
  const headers key{{"Idempotency-Key", "order-7"}};
  const auto first = deposit(0, "keyed", 5, key);
  EXPECT_EQ(first["result"], 5);
  for (const std::size_t i : {1, 2, 0}) {
    const auto again = deposit(i, "keyed", 5, key);
    EXPECT_EQ(again["result"], 5);
    EXPECT_EQ(again["index"], first["index"]) << "it was made again";
  }
  const auto led = leader_for("keyed");
  mesh->kill(led); // who answered has died
  const auto other = (led + 1) % 3;
  const auto again = deposit(other, "keyed", 5, key);
  EXPECT_EQ(again["result"], 5);
  EXPECT_EQ(again["index"], first["index"]);
  for (const auto* body : {"{\"cents\":6}", "{\"cents\":5,\"more\":1}"}) {
    const auto no = ask((led + 2) % 3, "POST",
                        "/v1/apps/ledger/actors/keyed/deposit", body, key);
    EXPECT_EQ(no.status, 409) << no.body;
    EXPECT_NE(no.body.find("\"conflict\""), std::string::npos) << no.body;
  }
  // Another actor's key is another key.
  EXPECT_EQ(deposit(other, "keyed-too", 6, key)["result"], 6);
  EXPECT_EQ(
      good(ask(other, "GET", "/v1/apps/ledger/actors/keyed/balance"))["result"],
      5);
  bring_back(led);
}

// The state after each commit, resumable by index.
TEST_F(doors, a_watch_goes_on_at_another_behind_its_index) {
  const auto id = [](const json& answer) {
    return answer["index"].get<std::uint64_t>();
  };
  const auto first = deposit(0, "watched", 1);
  auto seen = watch(1, "watched", {}, 1);
  EXPECT_EQ(seen.ids, std::vector{id(first)});
  EXPECT_EQ(seen.states.at(0)["state"]["balance"], 1);
  // Nobody looks while two more come; the first is not shown again.
  deposit(2, "watched", 2);
  const auto third = deposit(0, "watched", 3);
  seen = watch(2, "watched", std::to_string(id(first)), 1);
  EXPECT_EQ(seen.ids, std::vector{id(third)});
  EXPECT_EQ(seen.states.at(0)["state"]["balance"], 6);
  // Who leads dies; elsewhere it goes on behind what was shown.
  const auto led = leader_for("watched");
  mesh->kill(led);
  json fourth;
  std::thread later{[&] { fourth = deposit((led + 1) % 3, "watched", 4); }};
  seen = watch((led + 2) % 3, "watched", std::to_string(id(third)), 1);
  later.join();
  EXPECT_EQ(seen.ids, std::vector{id(fourth)});
  EXPECT_EQ(seen.states.at(0)["state"]["balance"], 10);
  bring_back(led);
}

// DESIGN section 12, `_all/QUERY`: totals over all shards, at any door.
TEST_F(doors, ask_all_actors_of_all_shards) {
  constexpr int actors = 40;
  std::int64_t sum = 0;
  for (int n = 1; n <= actors; ++n) {
    good(ask(static_cast<std::size_t>(n % 3), "POST",
             "/v1/apps/counter/actors/c" + std::to_string(n) + "/add",
             "{\"n\":" + std::to_string(n * n) + "}"));
    sum += n * n;
  }
  const std::string all = "/v1/apps/counter/_all/get";
  const auto whole = [&](const json& a) {
    EXPECT_EQ(a["result"], sum);
    EXPECT_EQ(a["actors"], actors);
    EXPECT_EQ(a["shards"].size(), 4U);
    int counted = 0;
    for (const auto& s : a["shards"]) {
      counted += s["actors"].get<int>();
      EXPECT_GT(s["actors"], 0) << "no key of these is there";
      EXPECT_LE(s["from"], s["to"]);
    }
    EXPECT_EQ(counted, actors);
  };
  for (std::size_t i = 0; i < 3; ++i) {
    const auto a = good(ask(i, "GET", all));
    whole(a);
    EXPECT_EQ(a["consistency"], "linearizable per actor, no cut");
    whole(good(ask(i, "POST", all, "null")));
    // Of any voter; within its bound all that was written is there.
    EXPECT_TRUE(wait_until(
        [&] {
          const auto s = good(ask(i, "GET", all + "?consistency=stale"));
          EXPECT_EQ(s["consistency"], "stale");
          return s["result"] == sum && s["actors"] == actors;
        },
        30s));
    const auto list = good(ask(i, "GET", all + "?fold=list"));
    std::map<std::string, std::int64_t> found;
    for (const auto& row : list["result"])
      EXPECT_TRUE(found.emplace(row[0], row[1]).second) << row;
    EXPECT_EQ(found.size(), static_cast<std::size_t>(actors));
    EXPECT_EQ(found["c7"], 49);
  }
  const auto led = leader_for("c1"); // of some shards of this app as well
  mesh->kill(led);
  whole(good(ask((led + 1) % 3, "GET", all)));
  bring_back(led);
  mesh->wait_healthy("counter", 3);
}

TEST_F(doors, refuse_a_text_that_is_no_utf8_for_all_actors_too) {
  bytes bad;
  writer{bad}.text("\xff");
  const auto r = ask(0, "POST", "/v1/apps/counter/_all/get", to_text(bad),
                     {{"Content-Type", "application/msgpack"}});
  EXPECT_EQ(r.status, 400) << r.body;
  EXPECT_NE(r.body.find("no UTF-8"), std::string::npos) << r.body;
}

// The same value in both forms, of whatever is asked.
TEST_F(doors, speak_msgpack_wherever_they_speak_json) {
  deposit(0, "packed", 5);
  const headers packed{{"Accept", "application/msgpack"}};
  const auto same = [&](const std::string& method, const std::string& target,
                        const std::string& body, const headers& in) {
    SCOPED_TRACE(method + " " + target);
    auto out = in;
    out.insert(out.end(), packed.begin(), packed.end());
    json before;
    json after;
    json got;
    // What changes by itself (uptimes, indexes) must stand still meanwhile.
    EXPECT_TRUE(wait_until(
        [&] {
          before = good(ask(0, method, target, body, in));
          const auto r = ask(0, method, target, body, out);
          EXPECT_EQ(r.status, 200) << r.body;
          EXPECT_EQ(r.header("content-type"), "application/msgpack");
          got = json::from_msgpack(r.body, true, false);
          after = good(ask(0, method, target, body, in));
          return before == after;
        },
        30s));
    EXPECT_EQ(got, after);
  };
  for (const auto* target :
       {"/v1/status", "/v1/nodes", "/v1/apps", "/v1/apps/ledger",
        "/v1/apps/hello", "/v1/removed", "/v1/failovers", "/v1/moves",
        "/v1/modules", "/v1/verify", "/v1/apps/ledger/actors?limit=3",
        "/v1/apps/ledger/actors/packed/_state",
        "/v1/apps/ledger/actors/packed/balance",
        "/v1/apps/ledger/actors/packed/balance?consistency=stale",
        "/v1/apps/counter/_all/get", "/v1/apps/counter/_all/get?fold=list",
        "/v1/apps/hello/call/greet?arg=%7B%22name%22%3A%22Ann%22%7D"})
    same("GET", target, {}, {});
  same("POST", "/v1/apps/hello/call/greet", R"({"name":"Ann"})", {});
  same("POST", "/v1/apps/ledger/actors/packed/balance", {}, {});
  // And in: the key makes both forms of one argument one call.
  bytes argument;
  writer{argument}.map(1).text("cents").uint(7);
  headers both{{"Idempotency-Key", "packed"},
               {"Content-Type", "application/msgpack"}};
  EXPECT_EQ(good(ask(1, "POST", "/v1/apps/ledger/actors/packed/deposit",
                     to_text(argument), both))["result"],
            12);
  EXPECT_EQ(deposit(2, "packed", 7, {{"Idempotency-Key", "packed"}})["result"],
            12);
  bytes name;
  writer{name}.map(1).text("name").text("Bob");
  const auto greeted = ask(0, "POST", "/v1/apps/hello/call/greet",
                           to_text(name), {both[1], packed[0]});
  EXPECT_EQ(json::from_msgpack(greeted.body, true, false)["result"],
            "hello, Bob");
}

/// The bodies of answers on one connection, in their order.
std::vector<json> bodies_of(const std::string& text) {
  std::vector<json> out;
  for (std::size_t at = 0;
       (at = text.find("Content-Length: ", at)) != std::string::npos;) {
    const auto size = std::strtoull(text.c_str() + at + 16, nullptr, 10);
    const auto from = text.find("\r\n\r\n", at) + 4;
    out.push_back(json::parse(text.substr(from, size), nullptr, false));
    at = from + size;
  }
  return out;
}

TEST_F(doors, answer_what_is_pipelined_in_its_order) {
  constexpr int rounds = 20;
  const std::string actor = "/v1/apps/ledger/actors/piped/";
  std::string all;
  for (int n = 1; n <= rounds; ++n)
    all += "POST " + actor
           + "deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
             "11\r\n\r\n{\"cents\":1}"
             "GET "
           + actor + "balance HTTP/1.1\r\nHost: localhost\r\n"
           + (n == rounds ? "Connection: close\r\n" : "") + "\r\n";
  wire w{mesh->http(1).port};
  ASSERT_TRUE(w.send(all));
  const auto& got = w.read_all();
  EXPECT_TRUE(w.ended());
  const auto answers = bodies_of(got);
  ASSERT_EQ(answers.size(), 2U * rounds) << got;
  for (int n = 0; n < 2 * rounds; ++n)
    EXPECT_EQ(answers[static_cast<std::size_t>(n)]["result"], n / 2 + 1)
        << answers[static_cast<std::size_t>(n)];
}

TEST_F(doors, take_bodies_in_chunks_and_say_when_they_want_them) {
  const std::string head = "POST /v1/apps/ledger/actors/chunked/deposit "
                           "HTTP/1.1\r\nHost: localhost\r\n";
  wire w{mesh->http(2).port};
  ASSERT_TRUE(w.send(head + "Transfer-Encoding: chunked\r\n\r\n"));
  for (const char c : std::string{"{\"cents\":5}"})
    ASSERT_TRUE(w.send(std::string{"1;of=11\r\n"} + c + "\r\n"));
  ASSERT_TRUE(w.send("0\r\nX-Trailer: end\r\n\r\n"));
  w.read_until("\"result\":5");
  // On the same connection, once the door asks for it.
  ASSERT_TRUE(w.send(head
                     + "Content-Length: 11\r\n"
                       "Expect: 100-continue\r\n\r\n"));
  EXPECT_NE(w.read_until("100 Continue\r\n\r\n").find("100 Continue"),
            std::string::npos);
  ASSERT_TRUE(w.send("{\"cents\":6}"));
  w.read_until("\"result\":11");
  const auto answers = bodies_of(w.got());
  ASSERT_EQ(answers.size(), 2U) << w.got();
  EXPECT_EQ(answers[1]["result"], 11);
}

// Any door, whether an instance is behind it or not.
TEST_F(doors, have_stateless_apps_called_by_the_command_line) {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto banyan = [&](const std::string& argument) {
      return run_program({BANYAN_CLI_BINARY, "--data", mesh->data(i).string(),
                          "call", "hello", "greet", argument});
    };
    const auto r = banyan(R"({"name":"Ann"})");
    EXPECT_EQ(r.end.code, 0) << r.err;
    EXPECT_NE(r.out.find("hello, Ann"), std::string::npos) << r.out;
    const auto no = banyan(R"({"name":""})");
    EXPECT_EQ(no.end.code, 1) << no.out;
    EXPECT_NE(no.err.find("nobody"), std::string::npos) << no.err;
  }
}

TEST_F(doors, are_called_by_their_names_and_from_their_own_pages) {
  const auto status = [](const std::string& host, const std::string& origin) {
    wire w{mesh->http(0).port};
    w.send("GET /v1/status HTTP/1.1\r\nHost: " + host + "\r\n"
           + (origin.empty() ? "" : "Origin: " + origin + "\r\n")
           + "Connection: close\r\n\r\n");
    return w.read_all().substr(9, 3);
  };
  const auto port = ":" + std::to_string(mesh->http(0).port);
  EXPECT_EQ(status("127.0.0.1" + port, ""), "200");
  EXPECT_EQ(status("localhost" + port, "http://localhost" + port), "200");
  EXPECT_EQ(status("api.example.org", ""), "200"); // of peer.toml
  EXPECT_EQ(status("api.example.org", "https://api.example.org"), "200");
  EXPECT_EQ(status("api.example.com", ""), "403");
  EXPECT_EQ(status("api.example.org", "https://evil.example"), "403");
  io::http_call c;
  c.target = "/v1/status";
  c.headers = {{"Origin", "http://localhost"}};
  EXPECT_EQ(mesh->call(mesh->control(0), c).status, 403);
}

} // namespace
} // namespace banyan::test
