// What a client can't do to the others: hold places, memory or the handler.
#include "http_fixture.hpp"

#include <thread>

namespace banyan::io {
namespace {

class HttpDoor : public http_fixture {
protected:
  /// Ten seconds at most.
  template <class Done>
  static bool eventually(Done done) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end)
        return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
  static constexpr const char* echo =
      "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n";
};

TEST_F(HttpDoor, ThoseWhoNeverSpokeMakeRoomForTheNext) {
  http_server_config config;
  config.limits.connections_max = 4;
  open(config);
  raw_client speaks{server->port()};
  speaks.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  std::vector<raw_client> silent;
  for (int i = 0; i < 40; ++i)
    silent.emplace_back(server->port());
  ASSERT_TRUE(eventually([&] { return counters().evicted >= 37; }));
  raw_client late{server->port()};
  late.send(echo);
  EXPECT_NE(late.read_until("GET ").find("200 OK"), std::string::npos);
  const auto c = counters();
  EXPECT_EQ(c.refused_full, 0u);
  EXPECT_EQ(c.open, 4u);
  EXPECT_EQ(silent.front().read_all(), ""); // the oldest went first
  EXPECT_TRUE(silent.front().ended());
  l.post([kept = std::make_shared<std::vector<http_responder>>(app.take())] {
    kept->at(0).send({200, "kept"}); // who waits for an answer gets it
  });
  EXPECT_NE(speaks.read_until("kept").find("kept"), std::string::npos);
}

TEST_F(HttpDoor, OneThatRestsBetweenRequestsMakesRoomToo) {
  http_server_config config;
  config.limits.connections_max = 2;
  open(config);
  raw_client busy{server->port()};
  raw_client rests{server->port()};
  rests.send(echo);
  EXPECT_NE(rests.read_until("GET ").find("200 OK"), std::string::npos);
  busy.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(1, 0));
  // Within its first second of rest it stays; newcomers come back.
  ASSERT_TRUE(eventually([&] {
    raw_client next{server->port()};
    next.send(echo);
    return next.read_until("\r\n\r\n").find("200 OK") != std::string::npos;
  }));
  rests.read_all();
  EXPECT_TRUE(rests.ended());
  EXPECT_EQ(counters().evicted, 1u);
}

// Who sends half a request, or a byte now and then, holds no place either.
TEST_F(HttpDoor, OneWhoseRequestTakesLongMakesRoomToo) {
  for (const auto* text :
       {"GET /echo HTTP/1.1\r\nHo", "POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                                    "Content-Length: 5\r\n\r\nab"}) {
    http_server_config config;
    config.limits.connections_max = 2;
    open(config);
    raw_client busy{server->port()};
    busy.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ASSERT_TRUE(app.wait(1, 0));
    raw_client half{server->port()};
    half.send(echo); // it was heard, and has the next one half said
    half.read_until("GET ");
    half.send(text);
    // Within its first second it stays; newcomers come back.
    ASSERT_TRUE(eventually([&] {
      raw_client next{server->port()};
      next.send(echo);
      return next.read_until("\r\n\r\n").find("200 OK") != std::string::npos;
    })) << text;
    EXPECT_EQ(counters().evicted, 1u);
    const auto got = half.read_all();
    EXPECT_TRUE(half.ended());
    EXPECT_EQ(got.rfind("HTTP/1.1 "), 0u) << got; // and no 408
    l.post([kept = std::make_shared<std::vector<http_responder>>(app.take())] {
      kept->at(0).send({200, "kept"});
    });
    EXPECT_NE(busy.read_until("kept").find("kept"), std::string::npos);
  }
}

TEST_F(HttpDoor, AnEndWithoutEndIsRefused) {
  open();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n";
  for (const std::string never :
       {"0\r\n", "1;", "0;a=", "00000000000000000000"}) {
    raw_client c{server->port()};
    c.send(head + never);
    const auto more = never == "0\r\n"
                          ? "X-Trailer: " + std::string(1000, 't') + "\r\n"
                          : std::string(1000, never.back() == '0' ? '0' : 'x');
    int sent = 0;
    while (sent < 10'000 && c.send(more)) // ten MiB
      ++sent;
    const auto got = c.read_all();
    EXPECT_TRUE(c.ended()) << never;
    EXPECT_TRUE(got.empty() || got.substr(0, 10) == "HTTP/1.1 4")
        << never << ": " << got;
    EXPECT_EQ(counters().requests, 0u) << never;
  }
}

// What comes behind a refusal is thrown away, but not as fast as it comes.
TEST_F(HttpDoor, WhoPoursOnBehindARefusalIsReadSlowly) {
  open();
  raw_client c{server->port()};
  c.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
         "999999999\r\n\r\n");
  EXPECT_NE(c.read_until("too_large").find("413 "), std::string::npos);
  const auto start = std::chrono::steady_clock::now();
  const std::string more(256 * 1024, 'x');
  for (int i = 0; i < 400 && c.send(more); ++i) // until it is cut off
    ;
  c.read_all();
  EXPECT_TRUE(c.ended());
  // Eight MiB, with 5 ms behind each 64 KiB.
  EXPECT_GE(std::chrono::steady_clock::now() - start, 300ms);
}

TEST_F(HttpDoor, AnAddressHasItsShareOfConnections) {
  http_server_config config;
  config.limits.connections_per_address = 2;
  config.limits.limit_loopback = true;
  open(config);
  auto a = std::make_unique<raw_client>(server->port());
  raw_client b{server->port()};
  for (auto* c : {a.get(), &b})
    c->send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(app.wait(2, 0));
  raw_client third{server->port()};
  const auto got = third.read_all();
  EXPECT_NE(got.find("429 "), std::string::npos);
  EXPECT_NE(got.find("from this address"), std::string::npos);
  a.reset(); // its place is free once its end was noticed
  ASSERT_TRUE(app.wait(2, 1));
  l.post([kept = std::make_shared<std::vector<http_responder>>(app.take())] {
    kept->clear();
  });
  ASSERT_TRUE(eventually([&] { return counters().open < 2; }));
  raw_client fourth{server->port()};
  fourth.send(echo);
  EXPECT_NE(fourth.read_until("GET ").find("200 OK"), std::string::npos);
}

TEST_F(HttpDoor, AnAddressHasItsRate) {
  http_server_config config;
  config.limits.rate_per_address = 1;
  config.limits.limit_loopback = true;
  open(config);
  raw_client c{server->port()};
  for (int i = 0; i < 20; ++i)
    c.send(echo);
  const auto got = c.read_until("HTTP/1.1 ", 20);
  EXPECT_NE(got.find("200 OK"), std::string::npos);
  EXPECT_NE(got.find("429 "), std::string::npos);
  EXPECT_NE(got.find("\"retry_after_ms\":"), std::string::npos);
  const auto counted = counters();
  EXPECT_GE(counted.refused_rate, 1u);
  EXPECT_LE(counted.refused_rate, 18u);
  EXPECT_EQ(counted.requests, 20u);
}

// One door for both kinds of address: both are known as what they are.
TEST_F(HttpDoor, AnIpv6AddressHasItsRateBesideAnIpv4One) {
  http_server_config config;
  config.host = "::";
  auto opened = http_server::open(l, config, app);
  if (!opened.ok())
    GTEST_SKIP() << "no IPv6 here: " << opened.error().message;
  server = std::move(opened).value();
  for (const auto* address : {"127.0.0.1", "::1"}) {
    raw_client c{server->port(), address};
    c.send("GET /from HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_NE(c.read_until("loopback ").find("loopback "), std::string::npos)
        << address;
  }
  server.reset();
  config.limits.rate_per_address = 1;
  config.limits.limit_loopback = true;
  open(config);
  for (const auto* address : {"127.0.0.1", "::1"}) {
    raw_client c{server->port(), address};
    for (int i = 0; i < 20; ++i)
      c.send(echo);
    const auto got = c.read_until("HTTP/1.1 ", 20);
    // Its own first ones are taken, whatever the other one used up.
    EXPECT_EQ(got.find("HTTP/1.1 200 OK"), 0u) << address;
    EXPECT_NE(got.find("HTTP/1.1 429 "), std::string::npos) << address;
  }
}

TEST_F(HttpDoor, LoopbackHasNoShareUnlessToldSo) {
  http_server_config config;
  config.limits.rate_per_address = 1;
  config.limits.connections_per_address = 1;
  open(config);
  raw_client a{server->port()};
  raw_client b{server->port()};
  for (auto* c : {&a, &b}) {
    for (int i = 0; i < 20; ++i)
      c->send(echo);
    const auto got = c->read_until("200 OK", 20);
    EXPECT_EQ(got.find("429 "), std::string::npos);
  }
}

TEST_F(HttpDoor, AnAnswerTakenByteByByteIsCutOff) {
  http_server_config config;
  config.limits.write_deadline = 300ms;
  config.limits.pace_min = 100'000'000;
  open(config);
  raw_client c{server->port()};
  for (int i = 0; i < 20; ++i) // far more than all buffers hold
    c.send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // Progress all the time, which once was enough to go on for ever.
  EXPECT_TRUE(eventually([&] {
    c.read_some(1024);
    return counters().timed_out == 1;
  }));
  EXPECT_EQ(counters().open, 0u);
}

TEST_F(HttpDoor, WhoAsksWithoutReadingIsAnsweredNoFurther) {
  open();
  raw_client c{server->port()};
  std::string all;
  for (int i = 0; i < 10; ++i)
    all += "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n";
  c.send(all);
  ASSERT_TRUE(eventually([&] { return counters().requests > 0; }));
  raw_client other{server->port()};
  other.send(echo);
  EXPECT_NE(other.read_until("GET ").find("200 OK"), std::string::npos);
  EXPECT_LT(counters().unsent, 7'000'000u); // of 30 million
  // Once it reads, it gets them all.
  EXPECT_GE(c.count_bytes(30'000'000), 30'000'000u);
  EXPECT_EQ(counters().requests, 11u);
}

TEST_F(HttpDoor, WhoSendsTooMuchAndEndsStillLearnsOfIt) {
  open();
  std::vector<raw_client> clients; // all in one turn of the loop
  std::promise<void> gate;
  l.post([held = gate.get_future().share()] { held.wait(); });
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(server->port());
    clients.back().send("GET /echo HTTP/1.1\r\nHost: localhost\r\nX: "
                        + std::string(20'000, 'y') + "\r\n\r\n");
    clients.back().half_close();
  }
  gate.set_value();
  for (auto& c : clients)
    EXPECT_NE(c.read_all().find("413 "), std::string::npos);
}

TEST_F(HttpDoor, AnAnswerThatIsReadOutlastsTheIdleDeadline) {
  http_server_config config;
  config.limits.idle_deadline = 20ms;
  open(config);
  raw_client c{server->port()};
  c.send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return counters().requests == 1; }));
  std::promise<void> later; // behind the deadline, on the same loop
  l.post([&] { l.after(60ms, [&] { later.set_value(); }); });
  later.get_future().wait();
  EXPECT_GE(c.count_bytes(3'000'000), 3'000'000u);
}

TEST_F(HttpDoor, WhatWaitsToBeSentHasABoundOverAll) {
  http_server_config config;
  config.limits.unsent_total_max = 12'000'000;
  open(config);
  std::vector<raw_client> readers;
  for (int i = 0; i < 12; ++i) { // three million bytes each
    readers.emplace_back(server->port());
    readers.back().send("GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  EXPECT_TRUE(eventually([&] { return counters().cut_unsent > 0; }));
  raw_client other{server->port()};
  other.send(echo);
  EXPECT_NE(other.read_until("GET ").find("200 OK"), std::string::npos);
  EXPECT_GE(counters().open, 2u);
  EXPECT_LE(counters().unsent, 12'000'000u);
}

TEST_F(HttpDoor, BodiesComingInHaveABoundOverAll) {
  http_server_config config;
  config.limits.bodies_total_max = 100'000;
  open(config);
  const auto head = [](std::size_t n) {
    return "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
           + std::to_string(n) + "\r\n\r\n";
  };
  raw_client holds{server->port()}; // what is over its first 16 KiB counts
  holds.send(head(110'000) + std::string(100'000, 'x'));
  ASSERT_TRUE(eventually([&] { return counters().bodies > 80'000; }));
  raw_client over{server->port()};
  over.send(head(50'000) + std::string(49'999, 'x'));
  const auto got = over.read_all();
  EXPECT_NE(got.find("429 "), std::string::npos);
  EXPECT_NE(got.find("\"overloaded\""), std::string::npos);
  EXPECT_EQ(counters().refused_bodies, 1u);
  raw_client small{server->port()};
  small.send(head(10'000) + std::string(10'000, 'x'));
  EXPECT_NE(small.read_until("POST ").find("200 OK"), std::string::npos);
  // Whole, it is with the handler, and counts no longer.
  holds.send(std::string(10'000, 'x'));
  EXPECT_NE(holds.read_until("POST ").find("200 OK"), std::string::npos);
  EXPECT_EQ(counters().bodies, 0u);
}

} // namespace
} // namespace banyan::io
