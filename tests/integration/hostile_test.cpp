// Clients that mean harm, or don't know better, before the HTTP door of a peer:
// each gets a typed error or a closed connection, the peer's memory stays
// bounded, and a client beside them sees nothing but its answers.
//
// How long that client waits is printed, beside what it waited in peace.
// Figures need an idle machine: with BANYAN_JUDGE set, twice its p99 is a
// failure.
#include "base/codec.hpp"
#include "base/random.hpp"
#include "tests/integration/integration.hpp"
#include "tests/support/bystander.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <iomanip>

namespace banyan::test {
namespace {

constexpr std::size_t memory_more_max = 64U << 20;

/// A connection to the door, for bytes that no HTTP client would send.
class wire {
public:
  explicit wire(std::uint16_t port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd_ >= 0
        && ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      ::close(fd_);
      fd_ = -1;
    }
  }
  wire(wire&& o) noexcept
      : fd_{std::exchange(o.fd_, -1)}, got_{std::move(o.got_)} {}
  ~wire() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] bool connected() const { return fd_ >= 0; }
  /// False once the far side takes no more, or nothing for 20 s.
  bool send(std::string_view s) {
    while (!s.empty()) {
      const auto n =
          ::send(fd_, s.data(), s.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0)
        s.remove_prefix(static_cast<std::size_t>(n));
      else if (errno != EAGAIN || !ready(POLLOUT, 20'000))
        return false;
    }
    return true;
  }
  void finish() const { ::shutdown(fd_, SHUT_WR); }
  /// What comes until the far side closes, or nothing does for 30 s.
  const std::string& read_all() {
    while (!ended_ && ready(POLLIN, 30'000))
      take(16 * 1024);
    return got_;
  }
  /// At most so many bytes of what is there.
  void take(std::size_t bytes) {
    std::string buffer(bytes, '\0');
    const auto n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0)
      got_.append(buffer, 0, static_cast<std::size_t>(n));
    else if (n == 0 || errno != EAGAIN)
      ended_ = true;
  }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::string& got() const { return got_; }

private:
  [[nodiscard]] bool ready(short events, int ms) const {
    pollfd p{fd_, events, 0};
    return ::poll(&p, 1, ms) == 1;
  }
  int fd_ = -1;
  bool ended_ = false;
  std::string got_;
};

std::string post(std::string_view command, std::string_view headers,
                 std::string_view body) {
  return "POST /v1/apps/ledger/actors/alice/" + std::string{command}
         + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
         + std::to_string(body.size()) + "\r\n" + std::string{headers} + "\r\n"
         + std::string{body};
}

class hostile : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files); // before the peer: it inherits them
    mesh = std::make_unique<process_mesh>(std::vector<peer_place>{{"here"}});
    mesh->start_all();
    mesh->deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\n"
                           "shards = 1\nreplicas = 1\n");
    mesh->wait_healthy("ledger", 1);
    other = std::make_unique<bystander>(*mesh);
    EXPECT_TRUE(wait_until([] { return other->calls() > 300; }, 60s));
    peace = other->take();
  }
  static void TearDownTestSuite() {
    other.reset();
    mesh.reset();
  }

  void SetUp() override {
    static_cast<void>(other->take());
    memory_before = memory_of(mesh->pid(0));
  }
  // Whatever was done: the client beside it had its answers.
  void TearDown() override {
    const auto calls = other->calls();
    EXPECT_TRUE(wait_until([&] { return other->calls() > calls + 20; }, 60s));
    const auto seen = other->take();
    for (const auto& r : seen.refused)
      ADD_FAILURE() << "the client beside it got: " << r;
    EXPECT_EQ(mesh->casualties(), "");
    EXPECT_LT(seen.memory_max, memory_before + memory_more_max);
    const auto p99 = seen.at(0.99);
    std::cout << std::fixed << std::setprecision(2)
              << "  beside it: " << seen.ms.size() << " calls, p50 "
              << seen.at(0.5) << " ms, p99 " << p99 << " ms (in peace "
              << peace.at(0.5) << ", " << peace.at(0.99) << "); memory "
              << (memory_before >> 20U) << " MiB, at most "
              << (seen.memory_max >> 20U) << " MiB\n";
    if (std::getenv("BANYAN_JUDGE")
        != nullptr) { // NOLINT(concurrency-mt-unsafe)
      EXPECT_LE(p99, 2 * peace.at(0.99));
    }
    if (HasFailure())
      std::cout << mesh->last_words();
  }

  /// A number of `/metrics`.
  static double counted(const std::string& name) {
    io::http_call c;
    c.target = "/metrics";
    const auto r = mesh->call(mesh->http(0), c);
    EXPECT_EQ(r.status, 200);
    const auto at = r.body.find("\nbanyan_" + name + " ");
    EXPECT_NE(at, std::string::npos) << name;
    return at == std::string::npos
               ? -1
               : std::stod(r.body.substr(at + name.size() + 9));
  }
  static wire door() { return wire{mesh->http(0).port}; }
  /// One answer of that status whose body names `code`; then it is closed or
  /// asked to.
  static void refused(std::string_view sent, int status,
                      const std::string& code) {
    auto w = door();
    w.send(sent);
    w.finish();
    const auto& got = w.read_all();
    EXPECT_EQ(got.substr(0, 13), "HTTP/1.1 " + std::to_string(status) + " ")
        << sent.substr(0, 200);
    EXPECT_NE(got.find("{\"error\":\"" + code + "\""), std::string::npos)
        << got;
  }
  /// An error, or the end.
  static void refused_or_closed(std::string_view sent) {
    auto w = door();
    w.send(sent);
    w.finish();
    const auto& got = w.read_all();
    EXPECT_TRUE(w.ended()) << sent.substr(0, 200);
    EXPECT_TRUE(got.empty() || got.substr(0, 10) == "HTTP/1.1 4") << got;
  }

  static std::unique_ptr<process_mesh> mesh;
  static std::unique_ptr<bystander> other;
  static bystander::report peace;
  std::size_t memory_before = 0;
};
std::unique_ptr<process_mesh> hostile::mesh;
std::unique_ptr<bystander> hostile::other;
bystander::report hostile::peace;

TEST_F(hostile, malformed_http) {
  using namespace std::string_view_literals;
  for (const auto text :
       {"\r\n\r\n\r\n"sv, "GET\r\n\r\n"sv, "GET / HTTP/9.9\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost localhost\r\n\r\n"sv,
        "GET / HTTP/1.1\r\n: x\r\n\r\n"sv, "GET / HTTP/1.1\r\nA: \0b\r\n\r\n"sv,
        "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"sv,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"sv,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv,
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"sv,
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        "Content-Length: 2\r\n\r\nab"sv,
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"sv,
        "POST / HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 99999999999999999999\r\n\r\n"sv,
        "POST / HTTP/1.1\r\nHost: localhost\r\n"
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"sv,
        "POST / HTTP/1.1\r\nHost: localhost\r\n"
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"sv})
    refused_or_closed(text);
  seeded_random random{5};
  for (int i = 0; i < 100; ++i) {
    bytes noise(1 + random.below(3000));
    random.fill(noise.data(), noise.size());
    refused_or_closed(to_text(noise));
  }
}

TEST_F(hostile, a_hundred_headers_of_8_kib) {
  std::string text = "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 100; ++i)
    text += "X-" + std::to_string(i) + ": " + std::string(8192, 'h') + "\r\n";
  for (int i = 0; i < 20; ++i)
    refused(text + "\r\n", 413, "too_large");
}

TEST_F(hostile, a_body_that_never_ends) {
  const std::string head = "POST /v1/apps/ledger/actors/alice/deposit "
                           "HTTP/1.1\r\nHost: localhost\r\n";
  refused(head + "Content-Length: 1000000000000\r\n\r\n{", 413, "too_large");
  const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  std::vector<std::thread> senders;
  std::atomic<int> told{0};
  for (int i = 0; i < 4; ++i)
    senders.emplace_back([&] {
      auto w = door();
      w.send(head + "Transfer-Encoding: chunked\r\n\r\n");
      while (w.send(chunk)) // until it is cut off
        w.take(16 * 1024);
      told += w.got().substr(0, 13) == "HTTP/1.1 413 " ? 1 : 0;
    });
  for (auto& s : senders)
    s.join();
  EXPECT_EQ(told, 4);
}

TEST_F(hostile, ten_thousand_idle_connections) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const auto n = std::min<std::size_t>(
      10'000, static_cast<std::size_t>(files.rlim_cur) - 200);
  EXPECT_GE(n, 3'000U) << "so few files may be open here";
  std::deque<wire> idle;
  const auto calls = other->calls();
  while (idle.size() < n) {
    idle.push_back(door());
    ASSERT_TRUE(idle.back().connected()) << idle.size();
  }
  // The first ones made room, and whoever comes now gets in.
  EXPECT_EQ(idle.front().read_all(), "");
  EXPECT_TRUE(idle.front().ended());
  EXPECT_TRUE(wait_until([&] { return other->calls() > calls + 200; }, 60s));
  EXPECT_GE(counted("http_evicted_total"), static_cast<double>(n) - 1'024);
  EXPECT_GE(counted("http_connections_total"), static_cast<double>(n));
  EXPECT_LE(counted("http_open"), 2 * 1'024);
  for (const auto* name : {"calls_bytes", "calls_repeated_total",
                           "calls_hedged_total", "requests_refused_total"})
    EXPECT_GE(counted(name), 0);
}

TEST_F(hostile, a_byte_a_second_in_both_directions) {
  std::vector<wire> writers;
  std::vector<wire> readers;
  for (int i = 0; i < 100; ++i) {
    writers.push_back(door());
    writers.back().send(post("deposit", "", "{\"cents\":1}").substr(0, 20));
  }
  std::string asks;
  for (int i = 0; i < 200; ++i)
    asks += "GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (int i = 0; i < 100; ++i) {
    readers.push_back(door());
    readers.back().send(asks);
  }
  const auto ended = [&] {
    std::size_t n = 0;
    for (auto& w : writers) {
      if (!w.ended()) {
        w.take(4096);
        w.send("x");
      }
      n += w.ended() ? 1 : 0;
    }
    for (auto& r : readers)
      r.take(1);
    return n;
  };
  // The slow senders are told after 10 s; the readers are held meanwhile.
  const auto slow = counted("http_too_slow_total");
  EXPECT_TRUE(
      wait_until([&] { return ended() == writers.size(); }, 60s, 1000ms));
  EXPECT_GE(counted("http_too_slow_total"), slow + 100);
  for (const auto& w : writers)
    EXPECT_EQ(w.got().substr(0, 13), "HTTP/1.1 408 ");
  for (const auto& r : readers)
    EXPECT_GE(r.got().size(), 1U);
}

TEST_F(hostile, json_nested_ten_thousand_deep) {
  for (const auto* open : {"[", "{\"a\":"}) {
    std::string body;
    for (int i = 0; i < 10'000; ++i)
      body += open;
    refused(post("deposit", "", body), 400, "invalid_argument");
    body += "1" + std::string(10'000, *open == '[' ? ']' : '}');
    refused(post("deposit", "", body), 400, "invalid_argument");
  }
  refused(post("deposit", "Content-Type: application/msgpack\r\n",
               std::string(10'000, '\x91') + "\x01"),
          400, "invalid_argument");
}

TEST_F(hostile, a_key_of_10_kib) {
  refused("POST /v1/apps/ledger/actors/" + std::string(10'240, 'k')
              + "/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                "2\r\n\r\n{}",
          400, "invalid_argument");
  refused(post("deposit",
               "Idempotency-Key: " + std::string(10'240, 'k') + "\r\n",
               "{\"cents\":1}"),
          400, "invalid_argument");
}

TEST_F(hostile, invalid_utf8) {
  for (const std::string bad :
       {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    refused(post("transfer", "", "{\"to\":\"" + bad + "\",\"cents\":1}"), 400,
            "invalid_argument");
    bytes packed;
    writer{packed}.map(2).text("to").text(bad).text("cents").uint(1);
    refused(post("transfer", "Content-Type: application/msgpack\r\n",
                 to_text(packed)),
            400, "invalid_argument");
    refused("POST /v1/apps/ledger/actors/" + bad
                + "/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                  "2\r\n\r\n{}",
            400, "invalid_argument");
  }
}

TEST_F(hostile, deadlines_that_are_none) {
  for (const auto* ms : {"-1", "600001", "99999999999999999999", "1e3", "5s",
                         "0x10", "1 000", "+5"})
    refused(post("deposit", "Banyan-Deadline-Ms: " + std::string{ms} + "\r\n",
                 "{\"cents\":1}"),
            400, "invalid_argument");
  // No time at all is a deadline, and nothing was done.
  refused(post("deposit", "Banyan-Deadline-Ms: 0\r\n", "{\"cents\":1}"), 504,
          "deadline");
}

} // namespace
} // namespace banyan::test
