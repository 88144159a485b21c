#include "support.hpp"

#include <gtest/gtest.h>

namespace banyan::net::test {
namespace {

/// A process without a table: writes down what its streams do.
class plain_process final : public stream_events {
public:
  plain_process(virtual_network& net, std::string host) : io{net.attach(host)} {
    io->set_events(*this);
  }
  void on_opened(stream_id id, const address& remote, bool inbound,
                 time_point) override {
    log.push_back(inbound ? "in" : "out");
    last = id;
    from = remote;
  }
  void on_dial_failed(stream_id, stream_end why, time_point) override {
    log.emplace_back(to_string(why));
  }
  void on_data(stream_id, const_bytes data, time_point now) override {
    append(got, data);
    got_at = now;
  }
  void on_drained(stream_id, time_point) override {
    log.emplace_back("drained");
  }
  void on_closed(stream_id, stream_end why, time_point) override {
    log.emplace_back(to_string(why));
  }

  std::unique_ptr<streams> io;
  std::vector<std::string> log;
  stream_id last;
  address from;
  bytes got;
  time_point got_at;
};

using lines = std::vector<std::string>;

struct two_processes {
  explicit two_processes(virtual_network::options how = {})
      : net{how, random,
            [this](duration d, std::function<void()> f) {
              clock.after(d, std::move(f));
            },
            [this] { return clock.now(); }},
        a{net, "10.0.0.1"}, b{net, "10.0.0.2"} {
    EXPECT_TRUE(b.io->listen({"10.0.0.2", 80}).ok());
  }
  void run_for(duration d) {
    const auto end = clock.now() + d;
    while (clock.next() <= end)
      clock.run_one();
    clock.advance(end);
  }
  stream_id connect() {
    const auto id = a.io->dial({"10.0.0.2", 80});
    run_for(1ms);
    EXPECT_EQ(a.log, lines{"out"});
    EXPECT_EQ(b.log, lines{"in"});
    a.log.clear();
    b.log.clear();
    return id;
  }

  clock_queue clock;
  seeded_random random{1};
  virtual_network net;
  plain_process a, b;
};

TEST(VirtualNetwork, StreamsCarryBytesInOrderBothWays) {
  two_processes t;
  const auto id = t.connect();
  EXPECT_EQ(t.b.from.host, "10.0.0.1");
  bytes sent(100'000);
  t.random.fill(sent.data(), sent.size());
  for (std::size_t i = 0; i < sent.size(); i += 1000)
    t.a.io->write(id, const_bytes{sent}.from(i).first(1000));
  t.b.io->write(t.b.last, to_bytes("back"));
  t.run_for(10ms);
  EXPECT_EQ(t.b.got, sent);
  EXPECT_EQ(to_text(t.a.got), "back");
}

TEST(VirtualNetwork, CloseArrivesAfterTheBytesAndResetInsteadOfThem) {
  {
    two_processes t;
    const auto id = t.connect();
    t.a.io->write(id, bytes(50'000));
    t.a.io->close(id);
    t.run_for(10ms);
    EXPECT_EQ(t.b.got.size(), 50'000U);
    EXPECT_EQ(t.b.log, lines{"end of stream"});
    EXPECT_TRUE(t.a.log.empty());
    EXPECT_EQ(t.net.open_streams(), 0U);
  }
  two_processes t;
  const auto id = t.connect();
  t.a.io->write(id, bytes(50'000));
  t.a.io->reset(id);
  t.run_for(10ms);
  EXPECT_TRUE(t.b.got.empty());
  EXPECT_EQ(t.b.log, lines{"reset"});
  EXPECT_EQ(t.net.open_streams(), 0U);
}

TEST(VirtualNetwork, DialsAreRefusedTimeOutOrStopWithTheirReset) {
  two_processes t;
  t.a.io->dial({"10.0.0.2", 81});
  t.run_for(10ms);
  EXPECT_EQ(t.a.log, lines{"refused"});
  t.net.power_off("10.0.0.2");
  t.a.io->dial({"10.0.0.2", 80});
  t.run_for(10s);
  EXPECT_EQ(t.a.log, (lines{"refused", "timed out"}));
  t.a.io->reset(t.a.io->dial({"10.0.0.2", 80}));
  t.run_for(10s);
  EXPECT_EQ(t.a.log.size(), 2U);
  EXPECT_EQ(t.net.open_streams(), 0U);
}

TEST(VirtualNetwork, AKilledProcessEndsItsStreamsAndItsPortRefuses) {
  two_processes t;
  const auto id = t.connect();
  t.b.io->write(t.b.last, to_bytes("last words"));
  t.net.kill("10.0.0.2");
  t.run_for(10ms);
  EXPECT_EQ(to_text(t.a.got), "last words");
  EXPECT_EQ(t.a.log, lines{"end of stream"});
  t.a.io->write(id, to_bytes("too late")); // no effect
  t.a.io->dial({"10.0.0.2", 80});
  t.run_for(10ms);
  EXPECT_EQ(t.a.log.back(), "refused");
  // With unread bytes the kernel resets.
  two_processes u;
  const auto other = u.connect();
  u.a.io->write(other, bytes(100));
  u.net.kill("10.0.0.2");
  u.run_for(10ms);
  EXPECT_EQ(u.a.log, lines{"reset"});
}

TEST(VirtualNetwork, APowerCutTellsNobodyUntilTheMachineIsBack) {
  two_processes t;
  const auto id = t.connect();
  t.net.power_off("10.0.0.2");
  t.a.io->write(id, bytes(10));
  t.run_for(1min);
  EXPECT_TRUE(t.a.log.empty());
  plain_process again{t.net, "10.0.0.2"};
  t.run_for(1s);
  EXPECT_EQ(t.a.log, lines{"reset"});
  EXPECT_TRUE(again.log.empty());
}

TEST(VirtualNetwork, AFrozenProcessIsConnectedToAndHearsItAllAfterwards) {
  two_processes t;
  t.net.freeze("10.0.0.2");
  const auto id = t.a.io->dial({"10.0.0.2", 80});
  t.run_for(1s);
  EXPECT_EQ(t.a.log, lines{"out"}); // its kernel answers
  EXPECT_TRUE(t.b.log.empty());
  t.a.io->write(id, to_bytes("x"));
  t.a.io->close(id);
  t.run_for(1s);
  t.net.thaw("10.0.0.2");
  t.run_for(1s);
  EXPECT_EQ(t.b.log, (lines{"in", "end of stream"}));
  EXPECT_EQ(to_text(t.b.got), "x");
}

TEST(VirtualNetwork, CutsHoldOneDirectionOrBothUntilHealed) {
  two_processes t;
  const auto id = t.connect();
  t.net.cut_one_way("10.0.0.1", "10.0.0.2");
  t.a.io->write(id, to_bytes("a"));
  t.b.io->write(t.b.last, to_bytes("b"));
  t.run_for(5s);
  EXPECT_TRUE(t.b.got.empty());
  EXPECT_EQ(to_text(t.a.got), "b");
  t.net.heal("10.0.0.1", "10.0.0.2");
  t.run_for(300ms);
  EXPECT_EQ(to_text(t.b.got), "a");
  t.net.cut("10.0.0.1", "10.0.0.2");
  t.a.io->dial({"10.0.0.2", 80});
  t.run_for(5s);
  EXPECT_EQ(t.a.log, lines{"timed out"});
}

TEST(VirtualNetwork, StallDelaysAndResetStreamsTellsBothEnds) {
  two_processes t;
  const auto id = t.connect();
  t.net.stall("10.0.0.1", "10.0.0.2", 400ms);
  const auto sent_at = t.clock.now();
  t.a.io->write(id, to_bytes("a"));
  t.run_for(1s);
  EXPECT_GE(t.b.got_at - sent_at, 400ms);
  EXPECT_LE(t.b.got_at - sent_at, 401ms);
  t.net.reset_streams("10.0.0.2", "10.0.0.1");
  t.run_for(1s);
  EXPECT_EQ(t.a.log, lines{"reset"});
  EXPECT_EQ(t.b.log, lines{"reset"});
  EXPECT_EQ(t.net.open_streams(), 0U);
}

TEST(VirtualNetwork, BandwidthIsSharedAndTheKernelHoldsALimit) {
  virtual_network::options how;
  how.everywhere.bytes_per_second = 1'000'000;
  how.kernel_buffer = 50'000;
  two_processes t{how};
  const auto id = t.connect();
  const auto sent_at = t.clock.now();
  t.a.io->write(id, bytes(200'000));
  EXPECT_EQ(t.a.io->unsent(id), 150'000U);
  t.run_for(100ms);
  EXPECT_NEAR(static_cast<double>(t.b.got.size()), 100'000, 17'000);
  EXPECT_TRUE(t.a.log.empty());
  t.run_for(200ms);
  EXPECT_EQ(t.a.log, lines{"drained"});
  EXPECT_EQ(t.b.got.size(), 200'000U);
  EXPECT_NEAR(to_ms(t.b.got_at - sent_at), 200, 2);
  EXPECT_EQ(t.a.io->unsent(id), 0U);
}

TEST(VirtualNetwork, WhatWaitsForANarrowLineGoesOnceItIsWide) {
  virtual_network::options how;
  how.everywhere.bytes_per_second = 1000;
  two_processes t{how};
  const auto id = t.connect();
  const auto sent_at = t.clock.now();
  t.a.io->write(id, bytes(100'000)); // a minute and a half
  t.run_for(10s);
  EXPECT_NEAR(static_cast<double>(t.b.got.size()), 10'000, 16'384);
  t.net.set_path("10.0.0.1", "10.0.0.2", {});
  t.run_for(10ms);
  EXPECT_EQ(t.b.got.size(), 100'000U);
  EXPECT_LE(t.b.got_at - sent_at, 10s + 10ms);
}

TEST(VirtualNetwork, PortsAreGivenOutAndTakenOnce) {
  two_processes t;
  EXPECT_EQ(t.b.io->listen({"10.0.0.2", 80}).error(), stream_end::in_use);
  EXPECT_EQ(t.b.io->listen({"10.0.0.3", 80}).error(), stream_end::not_allowed);
  const auto one = t.b.io->listen({"10.0.0.2", 0});
  const auto two = t.b.io->listen({"0.0.0.0", 0});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE(one->port, two->port);
  t.b.io->stop_listening();
  t.a.io->dial({"10.0.0.2", 80});
  t.run_for(10ms);
  EXPECT_EQ(t.a.log, lines{"refused"});
}

} // namespace
} // namespace banyan::net::test
