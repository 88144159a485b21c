// `_state`, `_watch` and the list of actors, in front of a router that answers
// what a group's leader would.
#include "tests/unit/routing/gateway_fixture.hpp"

#include <set>
#include <thread>

namespace banyan::actors {
namespace {

class gateway_looks : public gateway {
protected:
  /// As a leader answers: the state that <banyan/app.hpp> stores.
  void stored(std::uint64_t index, std::int64_t balance) {
    bytes state;
    writer s{state};
    s.array(2).uint(1).map(1).text("balance").sint(balance);
    next.result.clear();
    writer{next.result}.array(2).uint(index).blob(state);
  }
  void listed(const std::vector<std::string>& keys, bool more) {
    next.result.clear();
    writer w{next.result};
    w.array(2).array(keys.size());
    for (const auto& k : keys)
      w.text(k);
    w.boolean(more);
  }
};

TEST_F(gateway_looks, a_state_is_its_fields_with_version_and_index) {
  stored(17, 5);
  const auto r = send("GET", alice + "_state");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "{\"state\":{\"balance\":5},\"version\":1,\"index\":17,"
                    "\"exists\":true}\n");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].kind, request_kind::query);
  EXPECT_EQ(asked[0].command, "_state");
  EXPECT_FALSE(asked[0].max_staleness);
  send("GET", alice + "_state?consistency=stale&max_staleness_ms=20");
  EXPECT_EQ(asked[1].max_staleness, 20ms);
}

TEST_F(gateway_looks, of_an_actor_that_is_not_there_say_so) {
  next.result.clear();
  writer{next.result}.array(2).uint(0).nil();
  EXPECT_EQ(send("GET", alice + "_state").body,
            "{\"state\":null,\"version\":null,\"index\":0,\"exists\":false}\n");
}

TEST_F(gateway_looks, of_a_module_with_a_form_of_its_own_show_bytes) {
  next.result.clear();
  writer{next.result}.array(2).uint(3).blob(bytes{0xff, 0x00});
  EXPECT_EQ(send("GET", alice + "_state").body,
            "{\"state\":\"/wA=\",\"version\":null,\"index\":3,"
            "\"exists\":true}\n");
}

TEST_F(gateway_looks, what_a_later_peer_says_is_not_guessed_at) {
  next.result = {0xc0};
  expect(send("GET", alice + "_state"), 500, "app_failed", "version");
}

TEST_F(gateway_looks, a_watch_shows_a_state_once_and_the_next_one) {
  stored(17, 5);
  io::http_target t;
  t.host = "127.0.0.1";
  t.port = server->port();
  io::http_client client{t};
  io::http_call c;
  c.target = alice + "_watch";
  std::string all;
  const auto r = client.stream(c, [&](std::string_view piece) {
    const bool first = all.empty();
    all += piece;
    if (first)
      on_loop(l, [&] { stored(18, 6); });
    return all.find("id: 18") == std::string::npos;
  });
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(all.find("id: 17"), all.rfind("id: 17")) << all;
  EXPECT_NE(all.find("\"state\":{\"balance\":6}"), std::string::npos) << all;
  on_loop(l, [&] {
    ASSERT_GE(asked.size(), 2U);
    EXPECT_TRUE(asked[0].argument.empty());
    EXPECT_EQ(asked[1].argument, bytes{17});
  });
}

TEST_F(gateway_looks, a_watch_that_comes_back_is_not_shown_the_same_again) {
  stored(17, 5);
  io::http_target t;
  t.host = "127.0.0.1";
  t.port = server->port();
  io::http_client client{t};
  io::http_call c;
  c.target = alice + "_watch";
  c.headers.emplace_back("Last-Event-ID", "17");
  std::string all;
  std::thread later{[&] {
    bool more = true;
    while (more) {
      on_loop(l, [&] { more = asked.empty(); });
      std::this_thread::yield();
    }
    on_loop(l, [&] { stored(21, 9); });
  }};
  const auto r = client.stream(c, [&](std::string_view piece) {
    all += piece;
    return all.find("id: 21") == std::string::npos;
  });
  later.join();
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(all.find("id: 17"), std::string::npos) << all;
}

// A state as deep as may be stored is one level deeper as it is shown; so is
// what a peer that lies may answer.
TEST_F(gateway_looks, a_state_that_is_too_deep_to_be_shown_is_said_to_be) {
  bool too_deep = false;
  for (std::uint64_t depth = 28; depth < 36; ++depth) {
    bytes stored;
    writer w{stored};
    w.array(2).uint(1);
    for (std::uint64_t i = 0; i < depth; ++i)
      w.array(1);
    w.nil();
    on_loop(l, [&] {
      next.result.clear();
      writer{next.result}.array(2).uint(depth).blob(stored);
    });
    io::http_target t;
    t.host = "127.0.0.1";
    t.port = server->port();
    io::http_client client{t};
    io::http_call c;
    c.target = alice + "_watch";
    std::string all;
    const auto r = client.stream(c, [&](std::string_view piece) {
      all += piece;
      return all.find("id: " + std::to_string(depth)) == std::string::npos;
    });
    EXPECT_TRUE(r.ok());
    too_deep |= all.find("app_failed") != std::string::npos;
  }
  EXPECT_TRUE(too_deep);
}

TEST_F(gateway_looks, a_watch_ends_with_its_app) {
  next.status = reply_status::not_found;
  next.message = "the app was removed";
  const auto r = send("GET", alice + "_watch");
  EXPECT_EQ(r.status, 200);
  EXPECT_NE(r.body.find("the app was removed"), std::string::npos) << r.body;
}

TEST_F(gateway_looks, actors_are_listed_page_by_page) {
  listed({"bob", "alice"}, true);
  const auto r = send("GET", "/v1/apps/ledger/actors?prefix=a&limit=2");
  EXPECT_EQ(r.body, "{\"actors\":[\"alice\",\"bob\"],\"next\":\"bob\"}\n");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].command, "_ls");
  EXPECT_EQ(asked[0].shard, 0U);
  bytes argument;
  writer{argument}.array(3).text("a").text("").uint(2);
  EXPECT_EQ(asked[0].argument, argument);
  listed({"zoe"}, false);
  EXPECT_EQ(send("GET", "/v1/apps/ledger/actors?after=bob").body,
            "{\"actors\":[\"zoe\"],\"next\":null}\n");
}

TEST_F(gateway_looks, a_list_is_of_all_shards_or_says_which_did_not_answer) {
  on_loop(l, [&] {
    ctx.known.put_app({other_id(3), "wide", 40,
                       std::vector<std::vector<replica_ref>>(40, {{}})});
  });
  listed({"same"}, false);
  EXPECT_EQ(send("GET", "/v1/apps/wide/actors").body,
            "{\"actors\":[\"same\"],\"next\":null}\n");
  std::set<std::uint32_t> shards;
  for (const auto& a : asked)
    shards.insert(a.shard.value_or(99));
  EXPECT_EQ(shards.size(), 40U);
  EXPECT_EQ(*shards.rbegin(), 39U);
  next.status = reply_status::no_quorum;
  expect(send("GET", "/v1/apps/wide/actors"), 503, "no_quorum", "shard 0");
}

TEST_F(gateway_looks, off_loopback_are_for_admins) {
  stored(17, 5);
  const std::vector<io::http_request::field> far_away{{"x-far", "1"}};
  for (const auto* path :
       {"/v1/apps/open/actors/a/_state", "/v1/apps/open/actors/a/_watch",
        "/v1/apps/open/actors"})
    expect(send("GET", path, {}, far_away), 401, "unauthorized", "admin");
  EXPECT_EQ(send("GET", "/v1/apps/open/actors/a/_state", {},
                 {{"x-far", "1"}, {"Authorization", "Bearer the-token"}})
                .status,
            200);
}

TEST_F(gateway_looks, what_makes_no_sense_is_refused) {
  expect(send("GET", alice + "_other"), 404, "not_found", "_state");
  expect(send("POST", alice + "_state"), 404, "not_found", "GET");
  expect(send("GET", "/v1/apps/none/actors/a/_state"), 404, "not_found",
         "banyan apps");
  expect(send("GET", "/v1/apps/none/actors"), 404, "not_found", "banyan apps");
  expect(send("GET", alice + "_state?consistency=some"), 400,
         "invalid_argument", "consistency");
  for (const auto* limit : {"0", "1001", "x"})
    expect(send("GET", std::string{"/v1/apps/ledger/actors?limit="} + limit),
           400, "invalid_argument", "limit");
  expect(send("GET", alice + "_watch", {}, {{"Last-Event-ID", "x"}}), 400,
         "invalid_argument", "Last-Event-ID");
}

} // namespace
} // namespace banyan::actors
