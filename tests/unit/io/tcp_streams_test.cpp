// TCP streams over loopback, both ends in one loop.
#include "loop_fixture.hpp"
#include "net/io/tcp_streams.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

namespace banyan::io {
namespace {

using net::address;
using net::stream_end;
using net::stream_id;

struct recorder final : net::stream_events {
  struct info {
    address remote;
    bool inbound = false;
    bool open = false;
    std::string data;
    int drained = 0;
    std::optional<stream_end> ended;
    std::optional<stream_end> dial_failed;
  };
  std::map<stream_id, info> all;
  std::function<void(stream_id, const_bytes)> on_bytes;
  bool in_call = false;

  void on_opened(stream_id id, const address& remote, bool inbound,
                 time_point) override {
    EXPECT_FALSE(in_call);
    auto& i = all[id];
    i.remote = remote;
    i.inbound = inbound;
    i.open = true;
  }
  void on_dial_failed(stream_id id, stream_end why, time_point) override {
    EXPECT_FALSE(in_call);
    all[id].dial_failed = why;
  }
  void on_data(stream_id id, const_bytes data, time_point) override {
    EXPECT_FALSE(in_call);
    EXPECT_FALSE(data.empty());
    all[id].data += to_text(data);
    if (on_bytes)
      on_bytes(id, data);
  }
  void on_drained(stream_id id, time_point) override {
    EXPECT_FALSE(in_call);
    ++all[id].drained;
  }
  void on_closed(stream_id id, stream_end why, time_point) override {
    EXPECT_FALSE(in_call);
    all[id].ended = why;
  }
  stream_id inbound() const {
    for (const auto& [id, i] : all)
      if (i.inbound)
        return id;
    return {};
  }
};

class TcpStreams : public loop_fixture {
protected:
  TcpStreams() {
    server.set_events(at_server);
    client.set_events(at_client);
  }
  address listen() {
    auto r = server.listen({"127.0.0.1", 0});
    EXPECT_TRUE(r.ok());
    return r.value();
  }
  /// A connected pair: the client's id; the server's is at_server.inbound().
  stream_id connect() {
    const auto id = client.dial(listen());
    EXPECT_TRUE(wait([&] {
      return at_client.all[id].open && at_server.inbound().value() != 0;
    }));
    return id;
  }

  thread_workers work{l, 1};
  tcp_streams server{l, work};
  tcp_streams client{l, work};
  recorder at_server;
  recorder at_client;
};

TEST_F(TcpStreams, EchoesInOrder) {
  const auto id = connect();
  at_server.on_bytes = [&](stream_id s, const_bytes d) { server.write(s, d); };
  std::string sent;
  for (int i = 0; i < 1000; ++i) {
    const auto line = std::to_string(i) + ";";
    sent += line;
    client.write(id, as_bytes(line));
  }
  EXPECT_TRUE(
      wait([&] { return at_client.all[id].data.size() == sent.size(); }));
  EXPECT_EQ(at_client.all[id].data, sent);
  EXPECT_FALSE(at_client.all[id].inbound);
  EXPECT_TRUE(at_server.all[at_server.inbound()].inbound);
  EXPECT_EQ(at_server.all[at_server.inbound()].remote.host, "127.0.0.1");
}

TEST_F(TcpStreams, DialsAName) {
  const auto at = listen();
  const auto id = client.dial({"localhost", at.port});
  EXPECT_TRUE(wait([&] { return at_client.all[id].open; }));
}

TEST_F(TcpStreams, ANameWithoutAddressIsUnreachable) {
  const auto id = client.dial({"no-such-host.invalid", 7600});
  EXPECT_TRUE(wait([&] { return at_client.all[id].dial_failed.has_value(); }));
  EXPECT_EQ(at_client.all[id].dial_failed, stream_end::unreachable);
}

TEST_F(TcpStreams, TriesEachAddressOfAName) {
  const auto at = listen();
  const auto closed = server.listen({"127.0.0.1", 0}).value();
  server.stop_listening();
  const auto open = server.listen({"127.0.0.1", 0}).value();
  tcp_streams named{
      l, work, {}, [&](const address& name) {
        EXPECT_EQ(name.host, "mesh.example");
        EXPECT_EQ(name.port, 7600);
        return std::vector<address>{at, {"not-a-literal", 1}, closed, open};
      }};
  recorder r;
  named.set_events(r);
  const auto id = named.dial({"mesh.example", 7600});
  EXPECT_TRUE(wait([&] { return r.all[id].open; }));
  EXPECT_EQ(r.all[id].remote, open);
}

TEST_F(TcpStreams, ANameWhoseAddressesAllRefuseIsRefused) {
  const auto at = listen();
  server.stop_listening();
  tcp_streams named{l, work, {}, [&](const address&) {
                      return std::vector<address>{at, at, at};
                    }};
  recorder r;
  named.set_events(r);
  const auto id = named.dial({"mesh.example", 7600});
  EXPECT_TRUE(wait([&] { return r.all[id].dial_failed.has_value(); }));
  EXPECT_EQ(r.all[id].dial_failed, stream_end::refused);
}

// One that takes connections and is no peer must not stand before the others.
TEST_F(TcpStreams, TheNextDialOfANameBeginsWithItsNextAddress) {
  const std::vector<address> all{listen(), listen(), listen()};
  tcp_streams named{l, work, {}, [&](const address&) { return all; }};
  recorder r;
  named.set_events(r);
  for (std::size_t n = 0; n < 4; ++n) {
    const auto id = named.dial({"mesh.example", 7600});
    EXPECT_TRUE(wait([&] { return r.all[id].open; }));
    EXPECT_EQ(r.all[id].remote, all[n % 3]) << n;
  }
  const auto other = named.dial({"other.example", 7600});
  EXPECT_TRUE(wait([&] { return r.all[other].open; }));
  EXPECT_EQ(r.all[other].remote, all[0]);
}

TEST_F(TcpStreams, NobodyListeningIsRefused) {
  const auto at = listen();
  server.stop_listening();
  const auto id = client.dial(at);
  EXPECT_TRUE(wait([&] { return at_client.all[id].dial_failed.has_value(); }));
  EXPECT_EQ(at_client.all[id].dial_failed, stream_end::refused);
  EXPECT_EQ(client.counters().open, 0u);
}

TEST_F(TcpStreams, AFullBacklogTimesOut) {
  // A listener that never accepts, with room for one: further SYNs get no
  // answer, as from a host that is gone.
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  socklen_t size = sizeof a;
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size), 0);
  tcp_streams hasty{l, work, [] {
                      tcp_limits t;
                      t.dial_timeout = 50ms;
                      return t;
                    }()};
  recorder r;
  hasty.set_events(r);
  std::vector<stream_id> ids;
  for (int i = 0; i < 4; ++i)
    ids.push_back(hasty.dial({"127.0.0.1", ntohs(a.sin_port)}));
  EXPECT_TRUE(wait([&] { return r.all[ids.back()].dial_failed.has_value(); }));
  EXPECT_EQ(r.all[ids.back()].dial_failed, stream_end::timed_out);
  ::close(fd);
}

TEST_F(TcpStreams, CloseEndsAfterWhatWasWritten) {
  const auto id = connect();
  const std::string big(3'000'000, 'x');
  client.write(id, as_bytes(big));
  client.close(id);
  const auto s = at_server.inbound();
  EXPECT_TRUE(wait([&] { return at_server.all[s].ended.has_value(); }));
  EXPECT_EQ(at_server.all[s].data.size(), big.size());
  EXPECT_EQ(at_server.all[s].ended, stream_end::end_of_stream);
  // Our own close is followed by no event, and the id is dead.
  EXPECT_TRUE(wait([&] { return client.counters().open == 0; }));
  EXPECT_FALSE(at_client.all[id].ended.has_value());
  client.write(id, as_bytes("late"));
  EXPECT_EQ(client.unsent(id), 0u);
}

TEST_F(TcpStreams, AnEndOfStreamClosesBothDirections) {
  const auto id = connect();
  const auto s = at_server.inbound();
  server.write(s, as_bytes("last words"));
  server.close(s);
  EXPECT_TRUE(wait([&] { return at_client.all[id].ended.has_value(); }));
  EXPECT_EQ(at_client.all[id].data, "last words");
  EXPECT_EQ(at_client.all[id].ended, stream_end::end_of_stream);
  EXPECT_EQ(client.counters().open, 0u);
}

TEST_F(TcpStreams, ResetTearsDown) {
  const auto id = connect();
  const auto s = at_server.inbound();
  client.reset(id);
  EXPECT_TRUE(wait([&] { return at_server.all[s].ended.has_value(); }));
  EXPECT_EQ(at_server.all[s].ended, stream_end::reset);
  EXPECT_FALSE(at_client.all[id].ended.has_value());
}

TEST_F(TcpStreams, WritingToABrokenStreamTellsOfTheEndLater) {
  const auto id = connect();
  const auto s = at_server.inbound();
  server.reset(s);
  at_client.in_call = true; // no event may come from inside a call of ours
  for (int i = 0; i < 100; ++i)
    client.write(id, as_bytes("into the void"));
  at_client.in_call = false;
  EXPECT_TRUE(wait([&] { return at_client.all[id].ended.has_value(); }));
  EXPECT_EQ(at_client.all[id].ended, stream_end::reset);
}

TEST_F(TcpStreams, ResetOfADialCallsNothing) {
  const auto at = listen();
  const auto id = client.dial(at);
  client.reset(id);
  const auto other = client.dial(at);
  EXPECT_TRUE(wait([&] { return at_client.all[other].open; }));
  EXPECT_FALSE(at_client.all[id].open);
  EXPECT_FALSE(at_client.all[id].dial_failed.has_value());
}

TEST_F(TcpStreams, ASlowReaderMakesUnsentGrowAndDrainsOnce) {
  const auto id = connect();
  const auto s = at_server.inbound();
  const std::string chunk(256 * 1024, 'y');
  // All within one turn: the other end, on the same loop, reads nothing yet.
  std::size_t written = 0;
  while (client.unsent(id) < 8 * 1024 * 1024) {
    client.write(id, as_bytes(chunk));
    written += chunk.size();
  }
  // The kernel holds back: little is unsent in it, the rest is seen here.
  EXPECT_GT(client.unsent(id), net::streams::unsent_low);
  EXPECT_EQ(at_client.all[id].drained, 0);
  EXPECT_TRUE(wait([&] { return at_client.all[id].drained > 0; }));
  EXPECT_LE(client.unsent(id), net::streams::unsent_low);
  EXPECT_TRUE(wait([&] { return at_server.all[s].data.size() == written; }));
  EXPECT_EQ(at_client.all[id].drained, 1);
  EXPECT_EQ(client.unsent(id), 0u);
}

TEST_F(TcpStreams, APortInUseNamesThePortAndTheNextStep) {
  const auto at = listen();
  const auto again = client.listen(at);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error(), stream_end::in_use);
  const auto text = client.listen_at(at);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, net_errc::in_use);
  EXPECT_NE(text.error().message.find(std::to_string(at.port)),
            std::string::npos);
  EXPECT_NE(text.error().message.find("--listen"), std::string::npos);
}

TEST_F(TcpStreams, AnAddressOfAnotherMachineIsRefused) {
  const auto r = server.listen({"192.0.2.1", 0});
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error(), stream_end::unreachable);
}

TEST_F(TcpStreams, APortCanBeTakenAgainAtOnce) {
  const auto id = connect();
  const auto s = at_server.inbound();
  const auto at = at_client.all[id].remote;
  server.close(s); // the active closer keeps TIME_WAIT
  EXPECT_TRUE(wait([&] { return at_client.all[id].ended.has_value(); }));
  server.stop_listening();
  EXPECT_TRUE(client.listen(at).ok());
}

TEST_F(TcpStreams, TooManyInboundAreClosedAtOnce) {
  tcp_streams small{l, work, [] {
                      tcp_limits t;
                      t.inbound_max = 2;
                      return t;
                    }()};
  recorder r;
  small.set_events(r);
  const auto at = small.listen({"127.0.0.1", 0}).value();
  std::vector<stream_id> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back(client.dial(at));
  EXPECT_TRUE(wait([&] {
    int ended = 0;
    for (const auto id : ids)
      ended += at_client.all[id].ended.has_value();
    return ended == 1 && r.all.size() == 2;
  }));
  EXPECT_EQ(small.counters().refused_full, 1u);
}

TEST_F(TcpStreams, AcceptsAreRationed) {
  tcp_streams slow{l, work, [] {
                     tcp_limits t;
                     t.accepts_burst = 2;
                     t.accepts_per_second = 100;
                     return t;
                   }()};
  recorder r;
  slow.set_events(r);
  const auto at = slow.listen({"127.0.0.1", 0}).value();
  const auto start = l.now();
  for (int i = 0; i < 6; ++i)
    client.dial(at);
  EXPECT_TRUE(wait([&] { return r.all.size() == 6; }));
  EXPECT_GE(l.now() - start, 30ms); // two at once, then one per 10 ms
}

TEST_F(TcpStreams, EveryDescriptorIsCloseOnExec) {
  connect();
  int sockets = 0;
  auto* dir = ::opendir("/proc/self/fd");
  ASSERT_NE(dir, nullptr);
  while (const auto* e = ::readdir(dir)) {
    const auto fd = std::atoi(e->d_name);
    struct stat st {};
    if (fd > 2 && ::fstat(fd, &st) == 0
        && (S_ISSOCK(st.st_mode) || st.st_mode == 0600)) {
      ++sockets;
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
    }
  }
  ::closedir(dir);
  EXPECT_GE(sockets, 3);
}

TEST_F(TcpStreams, Ipv6AndNamesAsListenAddressWork) {
  for (const char* host : {"::1", "localhost"}) {
    const auto at = server.listen({host, 0});
    if (!at.ok()) { // a machine without IPv6
      EXPECT_EQ(at.error(), stream_end::unreachable);
      continue;
    }
    const auto id = client.dial(at.value());
    EXPECT_TRUE(wait([&] { return at_client.all[id].open; }));
  }
}

TEST_F(TcpStreams, TheEndTearsDownEveryStream) {
  const auto at = listen();
  stream_id id;
  {
    tcp_streams brief{l, work};
    recorder r;
    brief.set_events(r);
    id = brief.dial(at);
    ASSERT_TRUE(wait([&] { return r.all[id].open; }));
  }
  const auto s = at_server.inbound();
  EXPECT_TRUE(wait([&] { return at_server.all[s].ended.has_value(); }));
}

} // namespace
} // namespace banyan::io
