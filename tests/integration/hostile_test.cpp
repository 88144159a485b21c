// Clients that mean harm, or don't know better, before the HTTP door of a peer:
// each gets a typed error or a closed connection, the peer's memory stays
// bounded, and a client beside them sees nothing but its answers.
//
// How long that client waits is printed and judged: beside what it waited in
// peace, and what another one waits meanwhile before a peer that nobody harms,
// which is what the machine makes of it. Its p99 may be twice as long and
// `noise`; with BANYAN_JUDGE set, for idle machines, twice and no more.
#include "base/codec.hpp"
#include "base/random.hpp"
#include "tests/integration/integration.hpp"
#include "tests/support/bystander.hpp"
#include "tests/support/wire.hpp"

#include <sys/resource.h>

#include <cstdlib>
#include <deque>
#include <iomanip>

namespace banyan::test {
namespace {

constexpr std::size_t memory_more_max = 64U << 20;
constexpr double noise_ms = 100; ///< of a machine that others use as well
/// Of the client beside, while something is done: enough for a p99.
constexpr std::size_t calls_beside = 300;

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
    for (auto* m : {&mesh, &spared}) {
      *m = std::make_unique<process_mesh>(std::vector<peer_place>{{"here"}});
      (*m)->start_all();
      (*m)->deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\n"
                             "shards = 1\nreplicas = 1\n");
      (*m)->wait_healthy("ledger", 1);
    }
    other = std::make_unique<bystander>(*mesh);
    elsewhere = std::make_unique<bystander>(*spared);
    EXPECT_TRUE(wait_until([] { return other->calls() > calls_beside; }, 60s));
    peace = other->take();
  }
  static void TearDownTestSuite() {
    other.reset();
    elsewhere.reset();
    mesh.reset();
    spared.reset();
  }

  void SetUp() override {
    static_cast<void>(other->take());
    static_cast<void>(elsewhere->take());
    memory_before = memory_of(mesh->pid(0));
    calls_before = other->calls();
  }
  /// Until the client beside it had enough answers: what is done goes on.
  [[nodiscard]] bool goes_on() const {
    return !HasFailure() && other->calls() < calls_before + calls_beside;
  }
  // Whatever was done: the client beside it had its answers.
  void TearDown() override {
    const auto calls = other->calls();
    EXPECT_TRUE(wait_until([&] { return other->calls() > calls + 20; }, 60s));
    const auto seen = other->take();
    const auto meanwhile = elsewhere->take();
    for (const auto& r : seen.refused)
      ADD_FAILURE() << "the client beside it got: " << r;
    EXPECT_EQ(mesh->casualties(), "");
    EXPECT_LT(seen.memory_max, memory_before + memory_more_max);
    const auto p99 = seen.at(0.99);
    std::cout << std::fixed << std::setprecision(2)
              << "  beside it: " << seen.ms.size() << " calls, p50 "
              << seen.at(0.5) << " ms, p99 " << p99 << " ms (in peace "
              << peace.at(0.5) << ", " << peace.at(0.99)
              << "; meanwhile elsewhere " << meanwhile.at(0.5) << ", "
              << meanwhile.at(0.99) << "); memory " << (memory_before >> 20U)
              << " MiB, at most " << (seen.memory_max >> 20U) << " MiB\n";
    const bool idle = // NOLINTNEXTLINE(concurrency-mt-unsafe)
        std::getenv("BANYAN_JUDGE") != nullptr;
    EXPECT_LE(p99, 2 * std::max(peace.at(0.99), meanwhile.at(0.99))
                       + (idle ? 0 : noise_ms));
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
  static std::unique_ptr<process_mesh> spared; ///< nobody does it any harm
  static std::unique_ptr<bystander> other;
  static std::unique_ptr<bystander> elsewhere; ///< before that one
  static bystander::report peace;
  std::size_t memory_before = 0;
  std::size_t calls_before = 0;
};
std::unique_ptr<process_mesh> hostile::mesh;
std::unique_ptr<process_mesh> hostile::spared;
std::unique_ptr<bystander> hostile::other;
std::unique_ptr<bystander> hostile::elsewhere;
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
  for (int i = 0; i < 100 || goes_on(); ++i) {
    bytes noise(1 + random.below(3000));
    random.fill(noise.data(), noise.size());
    refused_or_closed(to_text(noise));
  }
}

TEST_F(hostile, a_hundred_headers_of_8_kib) {
  std::string text = "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 100; ++i)
    text += "X-" + std::to_string(i) + ": " + std::string(8192, 'h') + "\r\n";
  for (int i = 0; i < 20 || goes_on(); ++i)
    refused(text + "\r\n", 413, "too_large");
}

TEST_F(hostile, a_body_that_never_ends) {
  const std::string head = "POST /v1/apps/ledger/actors/alice/deposit "
                           "HTTP/1.1\r\nHost: localhost\r\n";
  refused(head + "Content-Length: 1000000000000\r\n\r\n{", 413, "too_large");
  const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  std::vector<std::thread> senders;
  std::atomic<int> sent{0};
  std::atomic<int> told{0};
  for (int i = 0; i < 4; ++i)
    senders.emplace_back([&] {
      do {
        auto w = door();
        ++sent;
        w.send(head + "Transfer-Encoding: chunked\r\n\r\n");
        while (w.send(chunk)) // until it is cut off
          w.take(16 * 1024);
        told += w.got().substr(0, 13) == "HTTP/1.1 413 " ? 1 : 0;
      } while (goes_on());
    });
  for (auto& s : senders)
    s.join();
  EXPECT_EQ(told, sent);
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
  EXPECT_TRUE(
      wait_until([&] { return other->calls() > calls + calls_beside; }, 60s));
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
  do {
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
  } while (goes_on());
}

TEST_F(hostile, a_key_of_10_kib) {
  do {
    refused("POST /v1/apps/ledger/actors/" + std::string(10'240, 'k')
                + "/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                  "2\r\n\r\n{}",
            400, "invalid_argument");
    refused(post("deposit",
                 "Idempotency-Key: " + std::string(10'240, 'k') + "\r\n",
                 "{\"cents\":1}"),
            400, "invalid_argument");
  } while (goes_on());
}

TEST_F(hostile, invalid_utf8) {
  const std::vector<std::string> all{"\xff", "\xc0\x80", "\xed\xa0\x80",
                                     "\xf4\x90\x80\x80"};
  for (std::size_t i = 0; i < all.size() || goes_on(); ++i) {
    const auto& bad = all[i % all.size()];
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
  do {
    for (const auto* ms : {"-1", "600001", "99999999999999999999", "1e3", "5s",
                           "0x10", "1 000", "+5"})
      refused(post("deposit", "Banyan-Deadline-Ms: " + std::string{ms} + "\r\n",
                   "{\"cents\":1}"),
              400, "invalid_argument");
  } while (goes_on());
  // No time at all is a deadline, and nothing was done.
  refused(post("deposit", "Banyan-Deadline-Ms: 0\r\n", "{\"cents\":1}"), 504,
          "deadline");
}

} // namespace
} // namespace banyan::test
