// `GET /v1/events`: what happened, in order, resumable, and then as it happens.
#include "tests/unit/routing/gateway_fixture.hpp"

#include <atomic>
#include <thread>

namespace banyan::actors {
namespace {

class gateway_events : public gateway {
protected:
  void happens(event_kind k, std::string text) {
    on_loop(l, [&] { ctx.event(k, "ledger", std::move(text), 3); });
  }
  std::uint64_t newest() {
    std::uint64_t n = 0;
    on_loop(l, [&] { n = ctx.events.newest(); });
    return n;
  }
  /// Reads until the text is there; what came until then.
  std::string follow(
      std::string target, const std::string& until,
      const std::function<void()>& meanwhile = [] {}) {
    io::http_target t;
    t.host = "127.0.0.1";
    t.port = server->port();
    io::http_client client{t};
    io::http_call c;
    c.target = std::move(target);
    std::string all;
    bool begun = false;
    const auto r = client.stream(c, [&](std::string_view piece) {
      all += piece;
      if (!std::exchange(begun, true))
        meanwhile();
      return all.find(until) == std::string::npos;
    });
    EXPECT_TRUE(r.ok());
    return all;
  }
};

TEST_F(gateway_events, are_server_sent_and_end_behind_the_newest_if_asked) {
  happens(event_kind::parked, "one");
  happens(event_kind::unparked, "two");
  const auto r = send("GET", "/v1/events?follow=0");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.header("content-type"), "text/event-stream");
  EXPECT_EQ(r.body.substr(0, 4), "id: ") << r.body;
  EXPECT_NE(r.body.find("\"kind\":\"parked\",\"app\":\"ledger\",\"shard\":3"),
            std::string::npos)
      << r.body;
  EXPECT_LT(r.body.find("one"), r.body.find("two"));
  EXPECT_EQ(r.body.substr(r.body.size() - 2), "\n\n");
}

TEST_F(gateway_events, go_on_behind_the_last_id) {
  happens(event_kind::parked, "one");
  const auto after = std::to_string(newest());
  happens(event_kind::unparked, "two");
  const auto by_header =
      send("GET", "/v1/events?follow=0", {}, {{"Last-Event-ID", after}});
  EXPECT_EQ(by_header.body.find("one"), std::string::npos);
  EXPECT_NE(by_header.body.find("two"), std::string::npos);
  EXPECT_EQ(send("GET", "/v1/events?follow=0&after=" + after).body,
            by_header.body);
}

TEST_F(gateway_events, come_as_they_happen) {
  happens(event_kind::parked, "one");
  const auto all = follow("/v1/events", "later",
                          [&] { happens(event_kind::unparked, "later"); });
  EXPECT_LT(all.find("one"), all.find("later"));
}

TEST_F(gateway_events, of_another_node_come_too_but_only_its_own) {
  const auto say = [&](std::uint8_t who, std::uint64_t number,
                       const char* text) {
    mesh_event e;
    e.node = node_id{std::array<std::uint8_t, 32>{who}};
    e.number = number;
    e.kind = "host_failed";
    e.text = text;
    on_loop(l, [&] {
      ctx.hear_event(node_id{std::array<std::uint8_t, 32>{7}}, e);
    });
  };
  say(7, 1, "its own");
  say(8, 2, "of somebody else");
  const auto body = send("GET", "/v1/events?follow=0").body;
  EXPECT_NE(body.find("its own"), std::string::npos);
  EXPECT_EQ(body.find("somebody"), std::string::npos);
  EXPECT_EQ(ctx.counters.frames_bad, 1U);
}

TEST_F(gateway_events, all_of_a_full_list_arrive) {
  for (std::size_t i = 0; i < event_log::events_max; ++i)
    on_loop(l, [&] { ctx.event(event_kind::member_alive, {}, "again"); });
  const auto body = send("GET", "/v1/events?follow=0").body;
  std::size_t n = 0;
  for (auto at = body.find("data: "); at != std::string::npos;
       at = body.find("data: ", at + 1))
    ++n;
  EXPECT_EQ(n, event_log::events_max);
}

TEST_F(gateway_events, refuses_what_is_no_number) {
  for (const auto* target : {"/v1/events?after=x", "/v1/events?follow=yes",
                             "/v1/events?after=99999999999999999999"})
    expect(send("GET", target), 400, "invalid_argument", "numbers");
  expect(send("GET", "/v1/events", {}, {{"Last-Event-ID", "-1"}}), 400,
         "invalid_argument", "Last-Event-ID");
}

TEST_F(gateway_events, are_followed_by_so_many_clients_at_once) {
  std::vector<std::thread> threads;
  std::atomic<std::size_t> begun{0};
  for (std::size_t i = 0; i < sse_followers_max; ++i)
    threads.emplace_back([&, port = server->port()] {
      io::http_target t;
      t.host = "127.0.0.1";
      t.port = port;
      io::http_client client{t};
      io::http_call c;
      c.target = "/v1/events";
      bool first = true;
      const auto r = client.stream(c, [&](std::string_view piece) {
        if (std::exchange(first, false))
          ++begun;
        return piece.find("the end") == std::string_view::npos;
      });
      EXPECT_TRUE(r.ok());
    });
  while (begun < sse_followers_max) {
    happens(event_kind::parked, "a beginning");
    std::this_thread::yield();
  }
  expect(send("GET", "/v1/events"), 429, "overloaded", "too many");
  happens(event_kind::unparked, "the end");
  for (auto& t : threads)
    t.join();
}

} // namespace
} // namespace banyan::actors
