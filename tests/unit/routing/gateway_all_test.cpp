// `_all/QUERY`, in front of a router that answers as three shards' leaders.
#include "actors/pure/all_jobs.hpp"
#include "tests/unit/routing/gateway_fixture.hpp"

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>

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
            counted.emplace_back(m.client, m.kept);
            if (hold) {
              const std::lock_guard<std::mutex> lock{mutex};
              held.push_back(std::move(m.answer));
              changed.notify_all();
              return;
            }
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
  /// Waits until the router holds so many questions.
  bool wait_for(std::size_t questions) {
    std::unique_lock<std::mutex> lock{mutex};
    return changed.wait_for(lock, 30s,
                            [&] { return held.size() >= questions; });
  }
  std::atomic<bool> hold{false}; ///< what is asked stays unanswered
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<answer_function> held;
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

// Nobody reads the sum: what is under way ends, and nothing more is asked.
TEST_F(gateway_all, ends_with_who_asked) {
  hold = true;
  {
    io::http_target t;
    t.host = "127.0.0.1";
    t.port = server->port();
    io::http_client client{t};
    io::http_call c;
    c.target = "/v1/apps/ledger/_all/balance";
    c.timeout = 300ms;
    EXPECT_EQ(client.call(c).error().code, io::net_errc::unknown);
  }
  ASSERT_TRUE(wait_for(3)); // shards
  std::uint64_t gone = 0;
  while (gone == 0)
    on_loop(l, [&] { gone = server->counters().clients_gone; });
  on_loop(l, [&] {
    reply keys;
    writer{keys.result}.array(2).array(2).text("alice").text("bob").boolean(
        false);
    for (auto& answer : std::exchange(held, {}))
      answer(reply{keys}, 0);
  });
  on_loop(l, [] {}); // what was asked then has come to the router
  EXPECT_EQ(asked.size(), 3U);
}

TEST_F(gateway_all, a_client_has_a_few_under_way_and_their_calls_are_its_own) {
  ctx.specs["ledger"].access = app_access::everyone;
  const std::string all = "/v1/apps/ledger/_all/balance";
  const std::pair<std::string, std::string> net{"x-network", "net1"};
  hold = true;
  std::vector<std::future<io::http_reply>> waiting;
  for (std::size_t i = 0; i < all_jobs::client_max; ++i)
    waiting.push_back(std::async(std::launch::async,
                                 [&] { return send("GET", all, {}, {net}); }));
  ASSERT_TRUE(wait_for(all_jobs::client_max * 3)); // shards
  expect(send("GET", all, {}, {net}), 429, "overloaded", "this client");
  hold = false;
  EXPECT_EQ(send("GET", all, {}, {{"x-network", "net2"}}).status, 200);
  for (std::size_t i = 0; i < all_jobs::client_max * 3; ++i)
    EXPECT_EQ(counted[i].first, "net1");
  on_loop(l, [&] {
    reply gone;
    gone.status = reply_status::no_quorum;
    for (auto& answer : std::exchange(held, {}))
      answer(gone, 0);
  });
  for (auto& w : waiting)
    EXPECT_EQ(w.get().status, 503);
  EXPECT_EQ(send("GET", all, {}, {net}).status, 200);
}

} // namespace
} // namespace banyan::actors
