// `_all/QUERY`, in front of a router that answers as three shards' leaders.
#include "tests/unit/routing/gateway_fixture.hpp"

#include <map>

namespace banyan::actors {
namespace {

class gateway_all : public gateway {
protected:
  gateway_all() {
    ctx.known.put_app({app_id{}, "ledger", 3, {{}, {}, {}}});
    auto former = std::exchange(
        ctx.router,
        system.get().spawn([this](caf::event_based_actor*) -> caf::behavior {
          return {[this](call_in& m) {
            asked.push_back(m.request);
            const auto shard = m.request.shard.value_or(0);
            reply r = next;
            r.result.clear();
            writer w{r.result};
            if (m.request.command == look_list) {
              const auto& keys = actors[shard];
              w.array(2).array(keys.size());
              for (const auto& [name, cents] : keys)
                w.text(name);
              w.boolean(false);
            } else {
              w.sint(actors[shard].at(m.request.key));
            }
            m.answer(std::move(r), shard);
          }};
        }));
    caf::anon_send_exit(former, caf::exit_reason::user_shutdown);
  }
  std::map<std::uint32_t, std::map<std::string, int>> actors{
      {0, {{"alice", 5}, {"bob", -2}}}, {2, {{"carol", 40}}}};
};

TEST_F(gateway_all, adds_up_over_shards) {
  const auto r = send("GET", "/v1/apps/ledger/_all/balance");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "{\"result\":43,\"actors\":3,\"consistency\":"
                    "\"linearizable per actor, no cut\",\"shards\":["
                    "{\"shard\":0,\"actors\":2,\"from\":17,\"to\":17},"
                    "{\"shard\":1,\"actors\":0,\"from\":0,\"to\":0},"
                    "{\"shard\":2,\"actors\":1,\"from\":17,\"to\":17}]}\n");
  for (const auto& c : asked) {
    EXPECT_EQ(c.kind, request_kind::query);
    EXPECT_FALSE(c.max_staleness);
    EXPECT_LE(c.deadline, duration{5s});
  }
  asked.clear();
  const auto stale = send(
      "POST", "/v1/apps/ledger/_all/balance?consistency=stale&fold=list", "{}");
  EXPECT_EQ(stale.status, 200);
  EXPECT_NE(stale.body.find("[[\"alice\",5],[\"bob\",-2],[\"carol\",40]]"),
            std::string::npos)
      << stale.body;
  for (const auto& c : asked)
    EXPECT_EQ(c.max_staleness, duration{10s});
}

TEST_F(gateway_all, what_makes_no_sense_is_refused) {
  const std::string all = "/v1/apps/ledger/_all/";
  expect(send("GET", all + "deposit"), 400, "invalid_argument", "command");
  expect(send("GET", all + "nothing"), 404, "not_found", "no query");
  expect(send("GET", all + "_state"), 400, "invalid_argument", "no query");
  expect(send("GET", all + "balance?fold=max"), 400, "invalid_argument",
         "sum or list");
  expect(send("GET", all + "balance?arg={"), 400, "invalid_argument", "JSON");
  expect(send("GET", "/v1/apps/nobody/_all/balance"), 404, "not_found",
         "nobody");
  directory::app hello{other_id(7), "hello", 1, {{}}, true};
  ctx.known.put_app(hello);
  expect(send("GET", "/v1/apps/hello/_all/balance"), 400, "invalid_argument",
         "stateless");
  EXPECT_TRUE(asked.empty());
  next.status = reply_status::no_quorum;
  expect(send("GET", all + "balance"), 503, "no_quorum", "shard 0");
}

} // namespace
} // namespace banyan::actors
