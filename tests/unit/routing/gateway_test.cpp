// The gateway's rules, over real HTTP, in front of a router that notes what
// it is asked and a supervisor that is not there.
#include "actors/docs/app_token.hpp"
#include "actors/pure/admission.hpp"
#include "tests/unit/routing/gateway_fixture.hpp"

namespace banyan::actors {
namespace {

TEST_F(gateway, a_command_is_answered_with_its_place_in_the_log) {
  const auto r =
      send("POST", alice + "deposit", R"({"cents":5})",
           {{"Idempotency-Key", "k1"}, {"Banyan-Deadline-Ms", "250"}});
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.body, "{\"result\":5,\"term\":3,\"index\":17}\n");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].kind, request_kind::command);
  EXPECT_EQ(asked[0].deadline, 250ms);
  EXPECT_EQ(std::get<idempotency_request>(asked[0].identity).key, "k1");
}

TEST_F(gateway, a_query_may_be_got_or_posted) {
  EXPECT_EQ(send("GET", alice + "balance?arg=%7B%22a%22%3A1%7D").status, 200);
  EXPECT_EQ(send("POST", alice + "balance", R"({"a":1})").status, 200);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].kind, request_kind::query);
  EXPECT_EQ(asked[1].kind, request_kind::query);
  EXPECT_EQ(asked[0].argument, asked[1].argument);
}

TEST_F(gateway, a_stale_query_says_how_stale) {
  EXPECT_EQ(send("GET", alice + "balance?consistency=stale").status, 200);
  EXPECT_EQ(send("GET", alice + "balance?consistency=stale&max_staleness_ms=70")
                .status,
            200);
  EXPECT_EQ(send("GET", alice + "balance?consistency=linearizable").status,
            200);
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0].max_staleness, duration{10s});
  EXPECT_EQ(asked[1].max_staleness, duration{70ms});
  EXPECT_FALSE(asked[2].max_staleness);
  expect(send("GET", alice + "balance?consistency=later"), 400,
         "invalid_argument", "linearizable or stale");
  expect(send("GET", alice + "balance?consistency=stale&max_staleness_ms=-1"),
         400, "invalid_argument", "max_staleness_ms");
  expect(send("POST", alice + "deposit?consistency=stale", "{}"), 400,
         "invalid_argument", "consistency is for queries");
}

TEST_F(gateway, names_and_keys_are_checked) {
  expect(send("POST", "/v1/apps/%2e%2e/actors/a/deposit", "{}"), 400,
         "invalid_argument", "is no app name");
  expect(send("POST", "/v1/apps/ledger/actors//deposit", "{}"), 400,
         "invalid_argument", "0 bytes; it must be 1 to 255");
  EXPECT_EQ(send("POST",
                 "/v1/apps/ledger/actors/" + std::string(255, 'k') + "/deposit",
                 "{}")
                .status,
            200);
  expect(send("POST",
              "/v1/apps/ledger/actors/" + std::string(256, 'k') + "/deposit",
              "{}"),
         400, "invalid_argument", "256 bytes; it must be 1 to 255");
  expect(send("POST",
              "/v1/apps/ledger/actors/" + std::string(5000, 'k') + "/deposit",
              "{}"),
         400, "invalid_argument", "5000 bytes");
  for (const auto* bad :
       {"%ff%fe", "%c0%80", "%ed%a0%80", "%f4%90%80%80", "%e0%80%80", "%e2%82"})
    expect(send("POST",
                "/v1/apps/ledger/actors/" + std::string{bad} + "/deposit",
                "{}"),
           400, "invalid_argument", "UTF-8");
  EXPECT_EQ(
      send("POST", "/v1/apps/ledger/actors/%e2%82%ac/deposit", "{}").status,
      200);
  expect(send("POST", alice + "launder", "{}"), 404, "not_found",
         "no command or query 'launder'");
  expect(send("POST", alice + "_state", "{}"), 404, "not_found",
         "none of ours");
  expect(send("GET", alice + "deposit"), 400, "invalid_argument", "use POST");
}

TEST_F(gateway, bad_bodies_and_headers_are_told) {
  expect(send("POST", alice + "deposit", "{\"cents\":"), 400,
         "invalid_argument", "at byte ");
  expect(send("POST", alice + "deposit", "\xc1",
              {{"Content-Type", "application/msgpack"}}),
         400, "invalid_argument", "not one msgpack value");
  expect(send("POST", alice + "deposit", "{}",
              {{"Idempotency-Key", std::string(256, 'i')}}),
         400, "invalid_argument", "longer than 255");
  for (const auto* ms : {"soon", "-1", "600001", "99999999999999"})
    expect(send("POST", alice + "deposit", "{}", {{"Banyan-Deadline-Ms", ms}}),
           400, "invalid_argument", "Banyan-Deadline-Ms");
  EXPECT_TRUE(asked.empty());
}

TEST_F(gateway, each_end_of_a_call_has_its_status) {
  const std::pair<reply_status, int> cases[] = {
      {reply_status::invalid_argument, 400}, {reply_status::not_found, 404},
      {reply_status::conflict, 409},         {reply_status::expired, 410},
      {reply_status::too_large, 413},        {reply_status::overloaded, 429},
      {reply_status::app_failed, 500},       {reply_status::poisoned, 500},
      {reply_status::no_quorum, 503},        {reply_status::parked, 503},
      {reply_status::deadline, 504},         {reply_status::unknown, 504},
      {reply_status::disk_full, 507}};
  for (const auto& [status, number] : cases) {
    next = {};
    next.status = status;
    next.message = "why";
    expect(send("POST", alice + "deposit", "{}"), number, to_string(status),
           "why");
  }
  next.status = reply_status::overloaded;
  next.retry_after = 50ms;
  expect(send("POST", alice + "deposit", "{}"), 429, "overloaded",
         "\"retry_after_ms\":");
  next = {};
  next.status = reply_status::rejected;
  next.code = "insufficient_funds";
  next.message = "too \"poor\"";
  expect(send("POST", alice + "deposit", "{}"), 422, "rejected",
         "\"code\":\"insufficient_funds\"");
}

TEST_F(gateway, a_full_door_says_so_before_the_body_is_read) {
  admission_options o;
  o.limit_start = 1;
  o.waiting_max = 0;
  admission full{o};
  EXPECT_EQ(full.ask({}, {}).what, admission::verdict::go); // it takes all
  on_loop(l, [&] { ctx.door = &full; });
  expect(send("POST", alice + "deposit", "no JSON at all"), 429, "overloaded",
         "\"retry_after_ms\":10");
  expect(send("POST", "/v1/apps/none/actors/a/deposit", "no JSON at all"), 400,
         "invalid_argument", "no JSON");
  EXPECT_TRUE(asked.empty());
  on_loop(l, [&] {
    EXPECT_EQ(full.refused(), 1U);
    ctx.door = nullptr;
  });
  expect(send("POST", alice + "deposit", "no JSON at all"), 400,
         "invalid_argument", "no JSON");
}

TEST_F(gateway, a_door_full_of_bytes_takes_no_more_of_them) {
  admission_options o;
  o.bytes_max = 100;
  admission full{o};
  admission::call large;
  large.bytes = 90;
  EXPECT_EQ(full.ask(large, {}).what, admission::verdict::go);
  on_loop(l, [&] { ctx.door = &full; });
  expect(send("POST", alice + "deposit", "\"" + std::string(20, 'x') + "\""),
         429, "overloaded", "too many bytes");
  EXPECT_EQ(send("POST", alice + "deposit", "{}").status, 200);
  on_loop(l, [&] { ctx.door = nullptr; });
}

TEST_F(gateway, stateless_calls_are_turned_away_and_counted_like_all) {
  ctx.known.put_app({other_id(5), "hello", 1, {{}}, true});
  ctx.specs["hello"].access = app_access::everyone;
  const std::string greet = "/v1/apps/hello/call/greet";
  const std::pair<std::string, std::string> net{"x-network", "net1"};
  EXPECT_EQ(send("POST", greet, "{}", {net}).status, 200);
  ASSERT_EQ(counted.size(), 1U);
  EXPECT_EQ(counted[0].first, "net1");
  admission_options o;
  o.client_max = 1;
  admission busy{o};
  admission::call c;
  c.client = "net1";
  EXPECT_EQ(busy.ask(c, {}).what, admission::verdict::go);
  on_loop(l, [&] { ctx.door = &busy; });
  expect(send("POST", greet, "no JSON at all", {net}), 429, "overloaded",
         "this client");
  expect(send("POST", greet, "no JSON at all"), 400, "invalid_argument",
         "no JSON");
  on_loop(l, [&] { ctx.door = nullptr; });
  expect(send("POST", "/v1/apps/hello/call/_look", "{}"), 400,
         "invalid_argument", "is no command");
  expect(send("POST", "/v1/apps/ledger/call/deposit", "{}"), 400,
         "invalid_argument", "durable app");
  EXPECT_EQ(asked.size(), 1U);
}

TEST_F(gateway, calls_from_elsewhere_count_to_their_network) {
  const std::string open = "/v1/apps/open/actors/a/go";
  EXPECT_EQ(send("POST", open, "{}").status, 200);
  EXPECT_EQ(send("POST", open, "{}", {{"x-far", "1"}}).status, 200); // a proxy
  EXPECT_EQ(send("POST", open, "{}", {{"x-network", "net1"}}).status, 200);
  ASSERT_EQ(counted.size(), 3U);
  EXPECT_EQ(counted[0].first, "");
  EXPECT_EQ(counted[1].first, "");
  EXPECT_EQ(counted[2].first, "net1");
}

TEST_F(gateway, an_argument_kept_for_a_second_attempt_counts_twice) {
  const auto text = "\"" + std::string(200, 'x') + "\"";
  EXPECT_EQ(send("POST", alice + "deposit", text).status, 200);
  EXPECT_EQ(send("POST", "/v1/apps/open/actors/a/go", text).status, 200);
  ASSERT_EQ(counted.size(), 2U);
  EXPECT_EQ(counted[0].second, 0U); // it is known to be a command
  EXPECT_EQ(counted[1].second, asked[1].argument.size());
  EXPECT_GT(counted[1].second, 200U);
}

TEST_F(gateway, two_apps_of_one_name_are_a_conflict) {
  expect(send("POST", "/v1/apps/twice/actors/a/go", "{}"), 409, "conflict",
         "removes all but one");
}

TEST_F(gateway, off_loopback_an_app_call_needs_a_token) {
  const std::pair<std::string, std::string> afar{"x-far", "1"};
  expect(send("POST", alice + "deposit", "{}", {afar}), 401, "unauthorized",
         "Authorization: Bearer");
  expect(send("POST", alice + "deposit", "{}",
              {afar, {"Authorization", "Bearer the-tokem"}}),
         401, "unauthorized", "Bearer");
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(send("POST", alice + "deposit", "{}",
                 {afar, {"Authorization", "Bearer the-token"}})
                .status,
            200);
  EXPECT_EQ(send("POST", "/v1/apps/open/actors/a/go", "{}", {afar}).status,
            200);
}

TEST_F(gateway, an_apps_token_opens_that_app_alone) {
  const std::pair<std::string, std::string> afar{"x-far", "1"};
  const auto mine = new_app_token(random);
  const auto other = new_app_token(random);
  ctx.specs["ledger"].token_hash = mine.hash;
  ctx.known.put_app({other_id(3), "kv", 1, {{}}});
  ctx.specs["kv"].token_hash = other.hash;
  const auto with = [](const std::string& token) {
    return std::pair<std::string, std::string>{"Authorization",
                                               "Bearer " + token};
  };
  const auto call = [&](const char* app, const std::string& token) {
    return send("POST",
                "/v1/apps/" + std::string{app} + "/actors/alice/deposit", "{}",
                {afar, with(token)})
        .status;
  };
  EXPECT_EQ(call("ledger", mine.text), 200);
  EXPECT_EQ(call("ledger", other.text), 401);
  EXPECT_EQ(call("kv", mine.text), 401);
  EXPECT_EQ(call("kv", other.text), 200);
  EXPECT_EQ(call("ledger", ""), 401);
  EXPECT_EQ(call("ledger", mine.text + "x"), 401);
  EXPECT_EQ(call("ledger", "the-token"), 200); // the admin's opens all
  // No admin's right comes with it, and its hash is no token.
  EXPECT_EQ(
      send("GET", "/v1/apps/ledger/_papers", {}, {with(mine.text)}).status,
      401);
  EXPECT_EQ(call("ledger", to_base32(mine.hash)), 401);
  ctx.specs["ledger"].token_hash.clear();
  EXPECT_EQ(call("ledger", mine.text), 401);
  EXPECT_EQ(call("ledger", ""), 401);
}

TEST_F(gateway, a_text_that_is_no_utf8_reaches_no_app) {
  const std::vector<io::http_request::field> packed{
      {"Content-Type", "application/msgpack"}};
  const auto body = [](std::string_view text) {
    bytes b;
    writer{b}.map(1).text("cents").array(2).uint(1).text(text);
    return to_text(b);
  };
  for (const auto* bad :
       {"\xff", "\xc0\x80", "a\xed\xa0\x80", "\xf4\x90\x80\x80"})
    expect(send("POST", alice + "deposit", body(bad), packed), 400,
           "invalid_argument", "no UTF-8");
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(
      send("POST", alice + "deposit", body("\xe2\x82\xac"), packed).status,
      200);
  for (const auto* bad : {"{\"a\":\"\xff\"}", "\"\xc0\x80\""})
    expect(send("POST", alice + "deposit", bad), 400, "invalid_argument",
           "no JSON");
}

TEST_F(gateway, admin_calls_over_tcp_need_the_token) {
  expect(send("PUT", "/v1/apps/ledger", "{}"), 401, "unauthorized",
         "admin.token");
  expect(send("DELETE", "/v1/apps/ledger"), 401, "unauthorized",
         "admin rights");
  expect(send("POST", "/v1/verify"), 401, "unauthorized",
         "reading the disk again");
  expect(send("GET", "/v1/apps/ledger/_papers"), 401, "unauthorized",
         "admin rights");
  const std::pair<std::string, std::string> token{"Authorization",
                                                  "Bearer the-token"};
  expect(send("PUT", "/v1/apps/ledger", "{\"name\":", {token}), 400,
         "invalid_argument", "no JSON");
  expect(send("PUT", "/v1/apps/ledger", R"({"name":"kv"})", {token}), 400,
         "invalid_argument", "the path says 'ledger'");
  unix_socket = true;
  expect(send("PUT", "/v1/apps/..", R"({"name":".."})"), 400,
         "invalid_argument", "is no app name");
}

TEST_F(gateway, unknown_paths_are_not_found) {
  for (const auto* path : {"/v2/status", "/v1", "/v1/nothing",
                           "/v1/apps/ledger/actors/alice", "/v1/apps/%2e%2e"})
    EXPECT_EQ(send("GET", path).status, 404) << path;
  EXPECT_EQ(send("GET", "/healthz").status, 200);
}

TEST_F(gateway, an_app_says_why_its_host_is_not_up) {
  ctx.versions["ledger"] = 1;
  EXPECT_NE(send("GET", "/v1/apps/ledger").body.find("\"host_error\":null"),
            std::string::npos);
  on_loop(l, [&] { ctx.host_errors["ledger"] = "its process ended"; });
  EXPECT_NE(send("GET", "/v1/apps/ledger")
                .body.find("\"host_error\":\"its process ended\""),
            std::string::npos);
}

} // namespace
} // namespace banyan::actors
