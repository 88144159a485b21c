// docs/openapi.json against what a peer really answers: each operation is
// asked, each answer is one that the description has, and each field of each
// answer stands in it.
#include "actors/docs/policy.hpp"
#include "crypto/mesh_key.hpp"
#include "tests/integration/integration.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <regex>
#include <set>

namespace banyan::test {
namespace {

using json = nlohmann::json;

/// JSON Schema as far as the description uses it; another keyword is an error.
class schemas {
public:
  explicit schemas(const json& document) : document_{document} {}

  /// Empty, or where and why `v` doesn't fit.
  [[nodiscard]] std::string check(const json& v, const json& schema,
                                  const std::string& at) const {
    if (schema.contains("$ref"))
      return check(v, find(schema["$ref"]), at);
    for (const auto& [word, value] : schema.items())
      if (const auto why = check(v, schema, word, value, at); !why.empty())
        return why;
    return {};
  }
  [[nodiscard]] const json& find(const std::string& ref) const {
    return document_.at(json::json_pointer{ref.substr(1)});
  }

private:
  std::string check(const json& v, const json& schema, const std::string& word,
                    const json& value, const std::string& at) const {
    const auto wrong = [&](const std::string& why) {
      return at + " " + why + ": " + v.dump().substr(0, 300);
    };
    if (word == "type")
      return is(v, value) ? "" : wrong("is no " + value.dump());
    if (word == "enum")
      return std::find(value.begin(), value.end(), v) != value.end()
                 ? ""
                 : wrong("is none of " + value.dump());
    if (word == "pattern")
      return v.is_string()
                     && std::regex_match(v.get<std::string>(),
                                         std::regex{value.get<std::string>()})
                 ? ""
                 : wrong("doesn't match");
    if (word == "minimum" || word == "maximum") {
      if (!v.is_number())
        return {}; // null, where that may be
      const bool low = word == "minimum";
      return (low ? v >= value : v <= value) ? "" : wrong("is out of range");
    }
    if (word == "required") {
      for (const auto& name : value)
        if (!v.contains(name))
          return wrong("lacks " + name.dump());
      return {};
    }
    if (word == "properties")
      return fields(v, schema, at);
    if (word == "items") {
      for (std::size_t i = 0; v.is_array() && i < v.size(); ++i)
        if (const auto why =
                check(v[i], value, at + "[" + std::to_string(i) + "]");
            !why.empty())
          return why;
      return {};
    }
    if (word == "oneOf") {
      std::string all;
      for (const auto& one : value) {
        const auto why = check(v, one, at);
        if (why.empty())
          return {};
        all += (all.empty() ? "" : "; ") + why;
      }
      return all;
    }
    static const std::set<std::string> said{"additionalProperties",
                                            "description",
                                            "default",
                                            "format",
                                            "minLength",
                                            "maxLength"};
    return said.count(word) != 0 ? "" : at + ": unknown keyword " + word;
  }
  std::string fields(const json& v, const json& schema,
                     const std::string& at) const {
    const auto& known = schema["properties"];
    for (const auto& [name, field] : v.items()) {
      if (!known.contains(name))
        return at + " has " + name + ", which the description lacks";
      if (const auto why = check(field, known[name], at + "." + name);
          !why.empty())
        return why;
    }
    return {};
  }
  static bool is(const json& v, const json& type) {
    if (type.is_array())
      return std::any_of(type.begin(), type.end(),
                         [&](const json& one) { return is(v, one); });
    return (type == "string" && v.is_string())
           || (type == "integer" && v.is_number_integer())
           || (type == "number" && v.is_number())
           || (type == "boolean" && v.is_boolean())
           || (type == "null" && v.is_null())
           || (type == "array" && v.is_array())
           || (type == "object" && v.is_object());
  }

  const json& document_;
};

struct question {
  std::string operation;
  std::string target;
  int status = 200;
  std::string body{};
  std::string type = "application/json"; ///< of the body
  bool stranger = false;                 ///< at the HTTP door, without a token
  std::string header{};
  std::string value{};
};

json read_description() {
  std::ifstream in{std::string{BANYAN_SOURCE_DIR} + "/docs/openapi.json"};
  return json::parse(in);
}

/// `GET /v1/apps/NAME` of the prose, as the description writes it.
std::set<std::pair<std::string, std::string>> told_in_prose() {
  std::ifstream in{std::string{BANYAN_SOURCE_DIR} + "/docs/http-api.md"};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  const std::regex request{"`(GET|POST|PUT|DELETE) (/[^ `?]*)"};
  std::set<std::pair<std::string, std::string>> out;
  for (std::sregex_iterator i{text.begin(), text.end(), request}, end; i != end;
       ++i) {
    std::string method = (*i)[1];
    std::string path = (*i)[2];
    for (auto& letter : method)
      letter = static_cast<char>(std::tolower(letter));
    for (const auto& [word, name] :
         std::map<std::string, std::string>{{"/NAME", "/{app}"},
                                            {"/KEY", "/{key}"},
                                            {"/COMMAND", "/{command}"},
                                            {"/QUERY", "/{command}"},
                                            {"/HASH", "/{hash}"},
                                            {"/NODE", "/{node}"}})
      if (const auto at = path.find(word); at != std::string::npos)
        path.replace(at, word.size(), name);
    out.emplace(path, method);
  }
  return out;
}

TEST(openapi_document, has_what_the_prose_has) {
  const auto description = read_description();
  const auto told = told_in_prose();
  EXPECT_GT(told.size(), 30U);
  for (const auto& [path, method] : told)
    EXPECT_TRUE(description["paths"].contains(path)
                && description["paths"][path].contains(method))
        << method << " " << path;
}

class openapi : public ::testing::Test {
protected:
  openapi()
      : mesh{{{"here"}, {"here"}, {"here"}, {"here"}}, {}},
        description(read_description()), schema{description} {
    mesh.start_all();
    mesh.wait_members(4);
    for (const auto& [path, methods] : description["paths"].items())
      for (const auto& [method, operation] : methods.items()) {
        const std::string id = operation["operationId"];
        EXPECT_TRUE(operations.emplace(id, operation).second) << id;
        words[id] = method;
      }
  }

  void ask(const question& q) {
    SCOPED_TRACE(q.operation + " " + q.target);
    ASSERT_EQ(operations.count(q.operation), 1U);
    const auto& operation = operations[q.operation];
    io::http_call c;
    c.method = words[q.operation];
    for (auto& letter : c.method)
      letter = static_cast<char>(std::toupper(letter));
    c.target = q.target;
    c.body = q.body;
    if (!q.body.empty())
      c.headers.emplace_back("content-type", q.type);
    if (!q.header.empty())
      c.headers.emplace_back(q.header, q.value);
    const auto to = q.stranger ? mesh.http(0) : mesh.control(0);
    const bool streams =
        operation["responses"]["200"].dump().find("text/event-stream")
        != std::string::npos;
    auto r =
        streams && q.status == 200 ? first_of_stream(to, c) : mesh.call(to, c);
    EXPECT_EQ(r.status, q.status) << r.body;
    seen[q.operation].insert(r.status);
    judge(operation, r);
  }

  /// Up to its first event.
  static io::http_reply first_of_stream(const io::http_target& to,
                                        const io::http_call& c) {
    io::http_client client{to};
    std::string data;
    auto r = client.stream(c, [&](std::string_view more) {
      data += more;
      return data.find("data: ") == std::string::npos
             || data.find("\n\n", data.find("data: ")) == std::string::npos;
    });
    if (!r.ok())
      return {};
    r->body = data;
    return std::move(*r);
  }

  void judge(const json& operation, const io::http_reply& r) {
    const auto status = std::to_string(r.status);
    ASSERT_TRUE(operation["responses"].contains(status))
        << "the description has no " << status << ": " << r.body;
    auto answer = operation["responses"][status];
    if (answer.contains("$ref"))
      answer = schema.find(answer["$ref"]);
    const std::string type{r.header("content-type")};
    const auto plain = type.substr(0, type.find(';'));
    ASSERT_TRUE(answer["content"].contains(plain)) << type;
    const auto& wanted = answer["content"][plain]["schema"];
    if (plain == "application/json") {
      const auto body = json::parse(r.body, nullptr, false);
      ASSERT_FALSE(body.is_discarded()) << r.body;
      EXPECT_EQ(schema.check(body, wanted, "body"), "");
    } else if (plain == "text/event-stream") {
      const auto from = r.body.find("data: ");
      ASSERT_NE(from, std::string::npos);
      const auto line =
          r.body.substr(from + 6, r.body.find('\n', from) - from - 6);
      const auto event = json::parse(line, nullptr, false);
      ASSERT_FALSE(event.is_discarded()) << line;
      EXPECT_EQ(schema.check(event, wanted, "event"), "");
    }
  }

  /// A replica to the one node without any.
  void move_one() {
    std::set<std::string> voters;
    ASSERT_TRUE(wait_until(
        [&] {
          const auto app = mesh.app(0, "ledger");
          voters.clear();
          if (app && !app->groups.empty())
            for (const auto& v : app->groups[0].voters)
              voters.insert(v.node);
          return voters.size() == 3;
        },
        20s));
    std::string to;
    for (std::size_t i = 0; i < mesh.size(); ++i)
      if (voters.count(mesh.node(i)) == 0)
        to = mesh.node(i);
    ask({"move", "/v1/apps/ledger/move", 200,
         json{{"shard", 0}, {"from", *voters.begin()}, {"to", to}}.dump()});
  }

  void every_operation_was_asked() {
    // No shard has lost its majority here, and in the mesh `local` modules
    // come from `--apps`; of logs an app has to have said something.
    const std::set<std::string> elsewhere{"planRecovery", "recover", "module",
                                          "uploadModule", "logs"};
    for (const auto& [id, operation] : operations)
      EXPECT_TRUE(elsewhere.count(id) != 0 ? !seen[id].empty()
                                           : seen[id].count(200) != 0)
          << id << " has no " << (elsewhere.count(id) != 0 ? "answer" : "200");
  }

  process_mesh mesh;
  words_on_failure last_words{mesh};
  json description;
  schemas schema;
  std::map<std::string, json> operations;
  std::map<std::string, std::string> words; ///< methods
  std::map<std::string, std::set<int>> seen;
};

TEST_F(openapi, describes_what_a_peer_answers) {
  const std::string toml = "application/toml";
  const auto spec = ledger_of_three;
  const std::string actor = "/v1/apps/ledger/actors/alice";
  const std::string greet = "/v1/apps/hello/call/greet";
  const std::string nobody(64, '0');
  for (const auto& q : std::vector<question>{
           {"about", "/"},
           {"healthz", "/healthz"},
           {"metrics", "/metrics"},
           {"openapi", "/v1/openapi.json"},
           {"status", "/v1/status"},
           {"nodes", "/v1/nodes"},
           {"apps", "/v1/apps"},
           {"plan", "/v1/plan", 200, spec, toml},
           {"plan", "/v1/plan", 400, "shards = 0", toml},
           {"plan", "/v1/plan?prepare=1", 401, spec, toml, true},
           {"deploy", "/v1/apps/ledger", 401, spec, toml, true},
           {"deploy", "/v1/apps/ledger", 400, "{}"},
           {"deploy", "/v1/apps/ledger", 200, spec, toml},
           {"deploy", "/v1/apps/hello", 200,
            "name = \"hello\"\nmodule = \"hello\"\nkind = \"stateless\"\n"
            "instances = 2\n",
            toml},
           {"app", "/v1/apps/nobody", 404}})
    ask(q);
  mesh.wait_healthy("ledger", 3);
  for (const auto& q : std::vector<question>{
           {"app", "/v1/apps/ledger"},
           {"apps", "/v1/apps"},
           {"risk", "/v1/apps/ledger/risk"},
           {"risk", "/v1/apps/hello/risk"},
           {"risk", "/v1/apps/nobody/risk", 404},
           {"why", "/v1/apps/ledger/why"},
           {"why", "/v1/apps/hello/why"},
           {"why", "/v1/apps/ledger/why?shard=0&runners_up=0"},
           {"why", "/v1/apps/ledger/why?shard=999", 404},
           {"why", "/v1/apps/ledger/why?runners_up=33", 400},
           {"why", "/v1/apps/nobody/why", 404},
           {"call", actor + "/deposit", 200, R"({"cents":5})",
            "application/json", false, "idempotency-key", "one"},
           {"call", actor + "/deposit", 409, R"({"cents":6})",
            "application/json", false, "idempotency-key", "one"},
           {"call", actor + "/withdraw", 422, R"({"cents":50})"},
           {"call", actor + "/deposit", 400, "{"},
           {"call", actor + "/nothing", 404, "{}"},
           {"call", "/v1/apps/hello/actors/ann/greet", 400, "{}"},
           {"callStateless", greet, 200, R"({"name":"Ann"})"},
           {"callStateless", greet, 422, R"({"name":""})"},
           {"callStateless", greet, 400, R"({"nome":"Ann"})"},
           {"callStateless", "/v1/apps/hello/call/nothing", 404, "{}"},
           {"callStateless", "/v1/apps/ledger/call/deposit", 400, "{}"},
           {"askStateless", greet + "?arg=%7B%22name%22%3A%22Ann%22%7D"},
           {"app", "/v1/apps/hello"},
           {"query", actor + "/balance"},
           {"query", actor + "/balance?consistency=stale"},
           {"query", actor + "/deposit", 400},
           {"allActors", "/v1/apps/ledger/_all/balance"},
           {"allActors", "/v1/apps/ledger/_all/balance?fold=list"},
           {"allActors", "/v1/apps/ledger/_all/deposit", 400},
           {"allActors", "/v1/apps/nobody/_all/balance", 404},
           {"allActorsPost", "/v1/apps/ledger/_all/balance"},
           {"actors", "/v1/apps/ledger/actors?limit=5"},
           {"actors", "/v1/apps/ledger/actors?limit=0", 400},
           {"actors", "/v1/apps/nobody/actors", 404},
           {"state", actor + "/_state"},
           {"state", "/v1/apps/ledger/actors/unseen/_state"},
           {"watch", actor + "/_watch"},
           {"watch", "/v1/apps/nobody/actors/alice/_watch", 404},
           {"events", "/v1/events"},
           {"events", "/v1/events?after=soon", 400},
           {"papers", "/v1/apps/ledger/_papers"},
           {"papers", "/v1/apps/ledger/_papers", 401, "", "", true},
           {"backup", "/v1/apps/ledger/_backup"},
           {"backup", "/v1/apps/nobody/_backup", 404},
           {"load", "/v1/apps/ledger/_restore?shard=0&first=1&more=1"},
           {"load", "/v1/apps/ledger/_restore", 400},
           {"planRecovery", "/v1/apps/ledger/recover", 409},
           {"recover", "/v1/apps/ledger/recover", 400, "rubbish",
            "application/msgpack"},
           {"modules", "/v1/modules"},
           {"module", "/v1/modules/" + nobody, 404},
           {"module", "/v1/modules/short", 400},
           {"uploadModule", "/v1/modules/" + nobody + "?offset=0&size=9", 403,
            "something", "application/octet-stream"},
           {"verification", "/v1/verify"},
           {"verify", "/v1/verify"},
           {"verify", "/v1/verify", 401, "", "", true},
           {"failovers", "/v1/failovers"},
           {"logs", "/v1/apps/nobody/_logs", 404},
           {"stop", "/v1/apps/ledger/stop"},
           {"call", actor + "/deposit", 503, R"({"cents":5})"},
           {"start", "/v1/apps/ledger/start"},
           {"start", "/v1/apps/nobody/start", 404},
           {"move", "/v1/apps/ledger/move", 400, "{}"}})
    ask(q);
  move_one();
  const auto node = mesh.node(1);
  const auto signed_policy = [](bool enforce) {
    mesh_policy p;
    p.enforce = enforce;
    return to_text(sign_policy(local_mesh_owner(), local_mesh_id(), 1, p)
                       .document.encode());
  };
  const auto policy = signed_policy(false);
  const auto other_policy = signed_policy(true);
  for (const auto& q : std::vector<question>{
           {"moves", "/v1/moves"},
           {"drain", "/v1/nodes/" + node + "/drain"},
           {"nodes", "/v1/nodes"},
           {"drain", "/v1/nodes/nobody/drain", 404},
           {"undrain", "/v1/nodes/" + node + "/drain"},
           {"undrain", "/v1/nodes/" + node + "/drain", 401, "", "", true},
           {"remove", "/v1/apps/ledger", 401, "", "", true},
           {"remove", "/v1/apps/nobody", 404},
           {"remove", "/v1/apps/ledger"},
           {"uptimes", "/v1/uptime"},
           {"uptime", "/v1/uptime/" + node + "?proof=1"},
           {"uptime", "/v1/uptime/nobody", 404},
           {"policy", "/v1/policy"},
           {"setPolicy", "/v1/policy", 400, "rubbish", "application/msgpack"},
           {"setPolicy", "/v1/policy", 401, policy, "application/msgpack",
            true},
           {"setPolicy", "/v1/policy", 200, policy, "application/msgpack"},
           {"setPolicy", "/v1/policy", 409, other_policy,
            "application/msgpack"},
           {"policy", "/v1/policy"},
           {"removed", "/v1/removed"}})
    ask(q);
  every_operation_was_asked();
}

} // namespace
} // namespace banyan::test
