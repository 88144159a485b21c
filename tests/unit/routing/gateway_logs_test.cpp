// `GET /v1/apps/NAME/_logs`: what this node has, and who may read it.
#include "tests/unit/routing/gateway_fixture.hpp"

namespace banyan::actors {
namespace {

class gateway_logs : public gateway {
protected:
  gateway_logs() { unix_socket = true; }
  void says(log_source s, std::string_view actor, std::string_view text) {
    on_loop(l, [&] { ctx.app_lines["ledger"].add(s, actor, text, at++); });
  }
  std::int64_t at = 1'800'000'000'000;
};

TEST_F(gateway_logs, come_in_order_with_node_source_and_actor) {
  says(log_source::out, "", "printed");
  says(log_source::log, "alice", "paid");
  const auto r = send("GET", "/v1/apps/ledger/_logs");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.header("content-type"), "text/event-stream");
  EXPECT_NE(
      r.body.find("\"source\":\"out\",\"actor\":null,\"text\":\"printed\""),
      std::string::npos)
      << r.body;
  EXPECT_NE(r.body.find("\"source\":\"log\",\"actor\":\"alice\""),
            std::string::npos)
      << r.body;
  EXPECT_NE(r.body.find(to_string(ctx.self())), std::string::npos);
  EXPECT_LT(r.body.find("printed"), r.body.find("paid"));
}

TEST_F(gateway_logs, begin_at_a_time) {
  says(log_source::out, "", "early");
  says(log_source::out, "", "late");
  const auto body =
      send("GET", "/v1/apps/ledger/_logs?since_ms=1800000000001").body;
  EXPECT_EQ(body.find("early"), std::string::npos);
  EXPECT_NE(body.find("late"), std::string::npos);
}

TEST_F(gateway_logs, all_of_4_mib_arrive_whatever_they_say) {
  for (int i = 0; i < 5000; ++i)
    says(log_source::out, "", "\x1b\xff" + std::string(1000, 'x'));
  std::size_t kept = 0;
  on_loop(l, [&] { kept = ctx.app_lines["ledger"].size(); });
  const auto body = send("GET", "/v1/apps/ledger/_logs").body;
  std::size_t n = 0;
  for (auto i = body.find("data: "); i != std::string::npos;
       i = body.find("data: ", i + 1))
    ++n;
  EXPECT_EQ(n, kept);
  EXPECT_EQ(body.find('\x1b'), std::string::npos) << "escaped as it is shown";
}

TEST_F(gateway_logs, of_an_app_that_said_nothing_are_empty) {
  const auto r = send("GET", "/v1/apps/open/_logs");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "");
}

TEST_F(gateway_logs, are_for_admins_and_of_apps_that_there_are) {
  expect(send("GET", "/v1/apps/none/_logs"), 404, "not_found", "banyan apps");
  expect(send("GET", "/v1/apps/ledger/_logs?follow=x"), 400, "invalid_argument",
         "numbers");
  unix_socket = false;
  expect(send("GET", "/v1/apps/ledger/_logs"), 401, "unauthorized",
         "admin.token");
  EXPECT_EQ(send("GET", "/v1/apps/ledger/_logs", {},
                 {{"Authorization", "Bearer the-token"}})
                .status,
            200);
}

} // namespace
} // namespace banyan::actors
