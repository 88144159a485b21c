// The HTTP server against our own client and against raw bytes.
#include "http_fixture.hpp"
#include "net/io/detail/http_text.hpp"

#include <thread>

namespace banyan::io {
namespace {

using Http = http_fixture;

TEST_F(Http, AnswersAndKeepsTheConnection) {
  open();
  auto c = client();
  for (int i = 0; i < 10; ++i) {
    const auto r = c.call(post("/echo", "hello " + std::to_string(i)));
    ASSERT_TRUE(r.ok()) << r.error().message;
    EXPECT_EQ(r->status, 200);
    EXPECT_EQ(r->body, "POST hello " + std::to_string(i));
    EXPECT_EQ(r->header("content-type"), "text/plain");
  }
  EXPECT_EQ(counters().connections, 1u);
  EXPECT_EQ(counters().requests, 10u);
}

TEST_F(Http, PathAndQueryAreDecodedAfterTheyAreSplit) {
  open();
  auto c = client();
  EXPECT_EQ(c.call(get("/path/a%2Fb/%C3%A9?x=1+2&y=%26&z"))->body,
            "[path][a/b][\xC3\xA9]{x=1 2}{y=&}{z=}");
  EXPECT_EQ(c.call(get("/path/%zz"))->status, 400);
  EXPECT_EQ(c.call(get("/path/%4"))->status, 400);
}

TEST_F(Http, AnAnswerMayComeLater) {
  open();
  auto c = client();
  EXPECT_EQ(c.call(get("/later"))->body, "later");
  EXPECT_EQ(c.call(get("/later"))->body, "later");
}

TEST_F(Http, ALongAnswerArrivesWhole) {
  open();
  auto c = client();
  EXPECT_EQ(c.call(get("/big"))->body, std::string(3'000'000, 'b'));
  EXPECT_EQ(c.call(get("/later"))->body, "later");
}

TEST_F(Http, HeadHasLengthButNoBody) {
  open();
  auto c = client();
  http_call h;
  h.method = "HEAD";
  h.target = "/echo";
  const auto r = c.call(h);
  EXPECT_EQ(r->header("content-length"), "5");
  EXPECT_EQ(r->body, "");
  EXPECT_EQ(c.call(get("/later"))->body, "later");
}

TEST_F(Http, PipelinedRequestsAreAnsweredInOrder) {
  open();
  raw_client c{server->port()};
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += std::string{i % 3 == 0 ? "GET /later" : "GET /echo"}
           + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  c.send(all);
  const auto got = c.read_until("HTTP/1.1 200 OK", 50);
  std::vector<bool> later;
  for (std::size_t i = 0; (i = got.find("\r\n\r\n", i)) != std::string::npos;
       i += 4)
    later.push_back(got.compare(i + 4, 5, "later") == 0);
  // The last body may still be under way; the order is plain by then.
  for (std::size_t i = 0; i + 1 < later.size(); ++i)
    EXPECT_EQ(later[i], i % 3 == 0) << i;
  EXPECT_EQ(counters().connections, 1u);
}

TEST_F(Http, ARequestInSingleBytesIsTheSame) {
  open();
  raw_client c{server->port()};
  for (const char b : std::string{"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Length: 3\r\n\r\nabc"})
    c.send({&b, 1});
  EXPECT_NE(c.read_until("POST abc").find("POST abc"), std::string::npos);
}

TEST_F(Http, ChunkedBodiesAreRead) {
  open();
  raw_client c{server->port()};
  c.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
         "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_NE(c.read_until("POST abcde").find("POST abcde"), std::string::npos);
}

TEST_F(Http, ExpectContinueIsGranted) {
  open();
  raw_client c{server->port()};
  c.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
         "Expect: 100-continue\r\n\r\n");
  EXPECT_NE(c.read_until("100 Continue\r\n\r\n").find("100 Continue"),
            std::string::npos);
  c.send("abc");
  EXPECT_NE(c.read_until("POST abc").find("200 OK"), std::string::npos);
}

TEST_F(Http, Http10ClosesAfterTheAnswer) {
  open();
  raw_client c{server->port()};
  c.send("GET /later HTTP/1.0\r\n\r\n");
  const auto got = c.read_all();
  EXPECT_TRUE(c.ended());
  EXPECT_EQ(got.substr(got.size() - 5), "later");
}

TEST_F(Http, StreamsComeInChunks) {
  open();
  auto c = client();
  std::string all;
  auto r = c.stream(get("/stream"), [&](std::string_view d) {
    all += d;
    return true;
  });
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(all, "abcdef");
  EXPECT_EQ(c.call(get("/stream"))->body, "abcdef");
  raw_client old{server->port()};
  old.send("GET /stream HTTP/1.0\r\n\r\n");
  const auto got = old.read_all();
  EXPECT_EQ(got.substr(got.size() - 6), "abcdef");
}

TEST_F(Http, ABodyOverTheLimitIs413InJson) {
  open();
  auto c = client();
  EXPECT_EQ(c.call(post("/echo", std::string(1024 * 1024, 'x')))->status, 200);
  const auto r = c.call(post("/echo", std::string(1024 * 1024 + 1, 'x')));
  ASSERT_TRUE(r.ok()) << r.error().message;
  EXPECT_EQ(r->status, 413);
  EXPECT_EQ(r->header("content-type"), "application/json");
  EXPECT_EQ(r->body.find("{\"error\":\"too_large\",\"message\":\""), 0u);
  // The connection is spent; the client makes a new one by itself.
  EXPECT_EQ(c.call(get("/later"))->status, 200);
  EXPECT_EQ(counters().too_large, 1u);
}

TEST_F(Http, AChunkedBodyOverTheLimitIs413) {
  open();
  raw_client c{server->port()};
  c.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
         "chunked\r\n\r\n");
  const std::string piece(64 * 1024, 'x');
  for (int i = 0; i < 20; ++i)
    c.send("10000\r\n" + piece + "\r\n");
  EXPECT_NE(c.read_all().find("413 "), std::string::npos);
}

TEST_F(Http, AHeaderOverTheLimitIs413) {
  open();
  raw_client c{server->port()};
  c.send("GET /echo HTTP/1.1\r\nHost: localhost\r\nX: "
         + std::string(17 * 1024, 'y') + "\r\n\r\n");
  EXPECT_NE(c.read_all().find("413 "), std::string::npos);
  EXPECT_TRUE(c.ended());
}

TEST_F(Http, WhatIsNotHttpIs400) {
  open();
  for (const char* text :
       {"\x16\x03\x01\x02\x00\x01\x00\x01 TLS says hello\r\n\r\n",
        "GET /echo HTTP/1.1\r\nNo colon here\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        "5\r\nContent-Length: 6\r\n\r\nabcdef",
        "GET /echo HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    raw_client c{server->port()};
    c.send(text);
    EXPECT_NE(c.read_until("}\n").find("400 "), std::string::npos) << text;
  }
  EXPECT_EQ(counters().bad_requests, 5u);
}

TEST_F(Http, ASlowRequestGets408AndIsClosed) {
  http_server_config config;
  config.limits.read_deadline = 30ms;
  open(config);
  raw_client c{server->port()};
  c.send("GET /echo HTTP/1.1\r\nHos");
  EXPECT_NE(c.read_all().find("408 "), std::string::npos);
  EXPECT_TRUE(c.ended());
  EXPECT_EQ(counters().timed_out, 1u);
}

TEST_F(Http, AnIdleConnectionIsClosed) {
  http_server_config config;
  config.limits.idle_deadline = 20ms;
  open(config);
  raw_client c{server->port()};
  EXPECT_EQ(c.read_all(), "");
  EXPECT_TRUE(c.ended());
}

TEST_F(Http, AReaderThatStopsReadingIsCutOff) {
  http_server_config config;
  config.limits.write_deadline = 50ms;
  open(config);
  raw_client c{server->port()};
  for (int i = 0; i < 20; ++i) // far more than all buffers hold
    c.send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (counters().timed_out == 0) {
  }
  EXPECT_EQ(counters().open, 0u);
}

TEST_F(Http, AStreamWhoseReaderStopsIsCutAtItsLimit) {
  http_server_config config;
  config.limits.unsent_max = 256 * 1024;
  open(config);
  raw_client c{server->port()};
  c.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  auto kept = app.take();
  std::promise<int> done;
  l.post([&] {
    EXPECT_TRUE(kept[0].begin({}));
    int n = 0;
    while (n < 10'000 && kept[0].write_chunk(std::string(64 * 1024, 'z')))
      ++n;
    EXPECT_FALSE(kept[0].client_waits());
    kept.clear();
    done.set_value(n);
  });
  EXPECT_LT(done.get_future().get(), 1000);
  EXPECT_TRUE(app.wait(0, 1));
}

TEST_F(Http, TooManyConnectionsGet429) {
  http_server_config config;
  config.limits.connections_max = 2;
  open(config);
  raw_client a{server->port()};
  raw_client b{server->port()};
  for (auto* c : {&a, &b})
    c->send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(2, 0)); // neither is idle
  raw_client third{server->port()};
  third.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto got = third.read_all();
  EXPECT_NE(got.find("429 "), std::string::npos);
  EXPECT_NE(got.find("Retry-After: 1"), std::string::npos);
  EXPECT_NE(got.find("\"retry_after_ms\":1000"), std::string::npos);
  EXPECT_EQ(counters().refused_full, 1u);
}

TEST_F(Http, TheHandlerLearnsThatTheClientIsGone) {
  open();
  raw_client c{server->port()};
  c.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  c.close();
  EXPECT_TRUE(app.wait(1, 1));
  auto kept = app.take();
  std::promise<bool> sent;
  l.post([&] {
    EXPECT_FALSE(kept[0].client_waits());
    kept[0].send({200, "late"}); // into nowhere, harmlessly
    kept[0].send({200, "twice"});
    kept.clear();
    sent.set_value(true);
  });
  EXPECT_TRUE(sent.get_future().get());
}

TEST_F(Http, AHalfClosedClientStillGetsItsAnswer) {
  open();
  raw_client c{server->port()};
  c.send("GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
  c.half_close();
  const auto got = c.read_all();
  EXPECT_NE(got.find("later"), std::string::npos);
  EXPECT_TRUE(c.ended());
}

TEST_F(Http, ADroppedResponderSaysUnknown) {
  open();
  auto c = client();
  const auto r = c.call(get("/nothing-here"));
  EXPECT_EQ(r->status, 504);
  EXPECT_EQ(r->body.find("{\"error\":\"unknown\""), 0u);
}

// A planned end costs nobody an answer: what came is answered, the next one on
// a kept connection learns that it is the last, new ones go elsewhere.
TEST_F(Http, AServerThatWindsDownAnswersWhatCame) {
  open();
  raw_client busy{server->port()};
  busy.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  raw_client kept{server->port()};
  kept.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  kept.read_until("GET ");
  std::promise<void> down;
  std::promise<void> began;
  l.post([&] {
    server->wind_down(30s, [&] { down.set_value(); });
    began.set_value();
  });
  began.get_future().wait();
  EXPECT_EQ(client().call(get("/echo")).error().code, net_errc::refused);
  kept.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto last = kept.read_all();
  EXPECT_NE(last.find("Connection: close"), std::string::npos) << last;
  EXPECT_TRUE(kept.ended());
  kept.close();
  auto owed = app.take();
  l.post([&] {
    owed[0].send({200, "at last"});
    owed.clear();
  });
  const auto got = busy.read_all();
  EXPECT_NE(got.find("Connection: close"), std::string::npos) << got;
  EXPECT_NE(got.find("at last"), std::string::npos) << got;
  busy.close();
  down.get_future().wait();
}

TEST_F(Http, AServerThatWindsDownEndsIdleConnectionsAndStreams) {
  open();
  raw_client idle{server->port()};
  idle.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  idle.read_until("GET ");
  raw_client stream{server->port()};
  stream.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  auto open_end = app.take();
  std::promise<void> down;
  l.post([&] {
    open_end[0].begin({200, "and so on"});
    server->wind_down(30s, [&] { down.set_value(); });
  });
  idle.read_all();
  EXPECT_TRUE(idle.ended());
  const auto got = stream.read_all();
  EXPECT_NE(got.find("and so on"), std::string::npos);
  EXPECT_EQ(got.find("0\r\n\r\n"), std::string::npos); // it was cut
  down.get_future().wait();
  std::promise<void> gone;
  l.post([&] {
    open_end.clear();
    gone.set_value();
  });
  gone.get_future().wait();
}

TEST_F(Http, AServerThatWindsDownWaitsForNobodyForEver) {
  open();
  raw_client busy{server->port()};
  busy.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  std::promise<void> down;
  l.post([&] { server->wind_down(5ms, [&] { down.set_value(); }); });
  down.get_future().wait();
}

TEST_F(Http, AResponderMayOutliveTheServer) {
  open();
  raw_client c{server->port()};
  c.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  server.reset();
  EXPECT_TRUE(app.wait(1, 1));
  auto kept = app.take();
  std::promise<bool> sent;
  l.post([&] {
    const auto went = kept[0].send({200, "late"});
    kept.clear();
    sent.set_value(went);
  });
  EXPECT_FALSE(sent.get_future().get());
  c.read_all();
  EXPECT_TRUE(c.ended());
}

TEST_F(Http, ForeignHostsAndOriginsAreRefused) {
  http_server_config config;
  config.host = "127.0.0.1";
  config.host_names = {"peer.example"};
  open(config);
  const auto ask = [&](const std::string& headers) {
    raw_client c{server->port()};
    c.send("GET /echo HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n");
    return c.read_all().substr(9, 3);
  };
  const auto port = ":" + std::to_string(server->port());
  EXPECT_EQ(ask("Host: localhost" + port + "\r\n"), "200");
  EXPECT_EQ(ask("Host: 127.0.0.1" + port + "\r\n"), "200");
  EXPECT_EQ(ask("Host: [::1]" + port + "\r\n"), "200");
  EXPECT_EQ(ask("Host: Peer.Example\r\n"), "200");
  EXPECT_EQ(ask("Host: evil.example" + port + "\r\n"), "403");
  EXPECT_EQ(ask("Host: localhost\r\nOrigin: http://localhost\r\n"), "200");
  EXPECT_EQ(ask("Host: localhost\r\nOrigin: http://evil.example\r\n"), "403");
  EXPECT_EQ(ask("Host: localhost\r\nOrigin: http://localhost:99\r\n"), "403");
  EXPECT_EQ(ask("Host: localhost\r\nOrigin: null\r\n"), "403");
  EXPECT_EQ(counters().refused_origin, 4u);
}

TEST_F(Http, TheConfiguredHookRefusesToo) {
  http_server_config config;
  config.admit = [](const http_request& r) { return r.path.size() < 2; };
  open(config);
  auto c = client();
  EXPECT_EQ(c.call(get("/echo"))->status, 200);
  EXPECT_EQ(c.call(get("/echo/more"))->status, 403);
}

TEST_F(Http, ManyClientsAtOnce) {
  open();
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 32; ++t) {
    threads.emplace_back([&, t] {
      auto c = client();
      for (int i = 0; i < 50; ++i) {
        const auto text = std::to_string(t * 1000 + i);
        if (i % 5 == 0) {
          const auto r = c.call(get("/later"));
          good += r.ok() && r->body == "later";
        } else {
          const auto r = c.call(post("/echo", text));
          good += r.ok() && r->body == "POST " + text;
        }
      }
    });
  }
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(good, 32 * 50);
  EXPECT_EQ(counters().connections, 32u);
}

TEST_F(Http, APortInUseNamesThePortAndTheNextStep) {
  open();
  http_server_config config;
  config.host = "127.0.0.1";
  config.port = server->port();
  const auto r = http_server::open(l, config, app);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::in_use);
  EXPECT_NE(r.error().message.find(std::to_string(config.port)),
            std::string::npos);
  EXPECT_NE(r.error().message.find("--http"), std::string::npos);
}

TEST_F(Http, HeaderValuesCannotSmuggleHeaders) {
  http_response r;
  r.headers.emplace_back("X-Good", "fine");
  r.headers.emplace_back("X-Bad", "a\r\nSet-Cookie: b");
  std::string out;
  detail::write_head(out, r, detail::framing::length, true, "now");
  EXPECT_NE(out.find("X-Good: fine\r\n"), std::string::npos);
  EXPECT_EQ(out.find("Set-Cookie"), std::string::npos);
}

TEST_F(Http, JsonTextIsQuotedAndValid) {
  EXPECT_EQ(json_quoted("a\"b\\c\n\x01"), "\"a\\\"b\\\\c\\u000a\\u0001\"");
  EXPECT_EQ(json_quoted("\xC3\xA9\xE2\x82\xAC"), "\"\xC3\xA9\xE2\x82\xAC\"");
  EXPECT_EQ(json_quoted("x\xFFy"), "\"x\xEF\xBF\xBDy\"");
  EXPECT_EQ(json_quoted("\xC3"), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(json_quoted("\xED\xA0\x80").find("\xED"), std::string::npos);
}

TEST_F(Http, DatesAreInTheRequiredForm) {
  EXPECT_EQ(detail::http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

} // namespace
} // namespace banyan::io
