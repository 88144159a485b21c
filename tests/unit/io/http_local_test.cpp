// The Unix socket, TLS, and the client's typed errors.
#include "http_fixture.hpp"
#include "net/io/detail/transport.hpp"
#include "net/io/key_watch.hpp"
#include "net/io/workers.hpp"
#include "tests/support/certificate.hpp"

#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

namespace banyan::io {
namespace {

using HttpUnix = http_fixture;
using HttpTls = http_fixture;
using HttpClient = http_fixture;
using test::make_certificate;

http_client on(const std::filesystem::path& socket) {
  http_target t;
  t.unix_socket = socket;
  return http_client{t};
}

http_server_config at(const std::filesystem::path& socket) {
  http_server_config c;
  c.unix_socket = socket;
  return c;
}

TEST_F(HttpUnix, TheFileIsOursAloneAndGoesWithTheServer) {
  const auto path = dir / "control.sock";
  open(at(path));
  struct stat st {};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_TRUE(S_ISSOCK(st.st_mode));
  EXPECT_EQ(st.st_mode & 0777u, 0600u);
  auto c = on(path);
  EXPECT_EQ(c.call(get("/from"))->body, "unix ");
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(HttpUnix, AStaleFileIsReplaced) {
  const auto path = dir / "control.sock";
  {
    // A process that died: its descriptor is gone, its file is not.
    auto d = detail::listen_unix(path);
    ASSERT_TRUE(d.ok());
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  open(at(path));
  auto c = on(path);
  EXPECT_EQ(c.call(get("/from"))->status, 200);
}

TEST_F(HttpUnix, ALivingOneIsInUseAndUnharmed) {
  const auto path = dir / "control.sock";
  open(at(path));
  const auto second = http_server::open(l, at(path), app);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, net_errc::in_use);
  auto c = on(path);
  EXPECT_EQ(c.call(get("/from"))->status, 200);
}

TEST_F(HttpUnix, AnotherFileIsNeverRemoved) {
  const auto path = dir / "control.sock";
  std::ofstream{path} << "precious";
  const auto r = http_server::open(l, at(path), app);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::not_allowed);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(HttpUnix, APathLongerThanTheSystemAllowsWorks) {
  const auto deep = dir / std::string(90, 'a') / std::string(90, 'b');
  std::filesystem::create_directories(deep);
  open(at(deep / "control.sock"));
  auto c = on(deep / "control.sock");
  EXPECT_EQ(c.call(get("/from"))->body, "unix ");
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(deep / "control.sock"));
}

TEST_F(HttpUnix, BrowsersAreRefusedThere) {
  open(at(dir / "control.sock"));
  auto c = on(dir / "control.sock");
  auto call = get("/from");
  call.headers.emplace_back("Origin", "http://localhost");
  EXPECT_EQ(c.call(call)->status, 403);
}

TEST_F(HttpUnix, TcpAndTheSocketServeSideBySide) {
  auto config = at(dir / "control.sock");
  config.host = "127.0.0.1";
  open(config);
  auto a = on(dir / "control.sock");
  auto b = client();
  EXPECT_EQ(a.call(get("/from"))->body, "unix ");
  EXPECT_EQ(b.call(get("/from"))->body, "loopback ");
}

http_server_config with_tls(const std::filesystem::path& dir) {
  make_certificate(dir / "cert.pem", dir / "key.pem");
  http_server_config c;
  c.host = "127.0.0.1";
  c.cert = dir / "cert.pem";
  c.key = dir / "key.pem";
  return c;
}

TEST_F(HttpTls, ServesWithASelfSignedCertificate) {
  open(with_tls(dir));
  http_target t;
  t.host = "127.0.0.1";
  t.port = server->port();
  t.tls = true;
  t.authority = dir / "cert.pem";
  http_client c{t};
  const auto r = c.call(get("/from"));
  ASSERT_TRUE(r.ok()) << r.error().message;
  EXPECT_EQ(r->body, "loopback tls ");
  EXPECT_EQ(c.call(get("/big"))->body.size(), 3'000'000u);
  EXPECT_EQ(c.call(post("/echo", std::string(900'000, 'q')))->body.size(),
            900'005u);
  EXPECT_EQ(c.call(get("/stream"))->body, "abcdef");
  EXPECT_EQ(c.call(get("/later"))->body, "later");
}

TEST_F(HttpTls, AnUntrustedCertificateIsABadPeer) {
  open(with_tls(dir));
  http_target t;
  t.host = "127.0.0.1";
  t.port = server->port();
  t.tls = true;
  http_client c{t};
  const auto r = c.call(get("/from"));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::bad_peer);
}

TEST_F(HttpTls, PlainTextToTlsHarmsNobody) {
  open(with_tls(dir));
  raw_client c{server->port()};
  c.send("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  c.read_all();
  EXPECT_TRUE(c.ended());
  while (counters().open != 0) {
  }
}

TEST_F(HttpTls, AMissingOrForeignKeyIsNamed) {
  auto config = with_tls(dir);
  config.key = dir / "absent.pem";
  const auto r = http_server::open(l, config, app);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::bad_key);
  EXPECT_NE(r.error().message.find("absent.pem"), std::string::npos);
  make_certificate(dir / "other.pem", dir / "other-key.pem");
  config.key = dir / "other-key.pem";
  const auto s = http_server::open(l, config, app);
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().code, net_errc::bad_key);
}

/// The server's certificate as a client meets it, in a new connection.
std::string certificate_at(std::uint16_t port) {
  const auto fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto to = *detail::literal("127.0.0.1", port);
  EXPECT_EQ(::connect(fd, to.get(), to.size), 0);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* s = SSL_new(context);
  SSL_set_fd(s, fd);
  std::string out;
  if (SSL_connect(s) == 1) {
    X509* x = SSL_get1_peer_certificate(s);
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned size = 0;
    X509_digest(x, EVP_sha256(), hash.data(), &size);
    out.assign(reinterpret_cast<const char*>(hash.data()), size);
    X509_free(x);
  }
  SSL_free(s);
  SSL_CTX_free(context);
  ::close(fd);
  return out;
}

class HttpKeys : public HttpTls {
protected:
  HttpKeys() {
    open(with_tls(dir));
    l.post([this] {
      pool = std::make_unique<thread_workers>(l);
      watch = std::make_unique<key_watch>(
          l, *pool, dir / "cert.pem", dir / "key.pem",
          [this](result<tls_keys, net_error> keys) {
            if (keys.ok())
              server->use_keys(*keys);
            else
              wrong = keys.error().message;
            ++told;
          },
          2ms);
    });
    l.drain();
  }
  ~HttpKeys() override {
    l.post([this] {
      watch.reset();
      pool.reset();
    });
    l.drain();
  }
  bool wait_told(int n) {
    for (int i = 0; i < 10'000 && told < n; ++i)
      std::this_thread::sleep_for(1ms);
    return told >= n;
  }
  std::unique_ptr<thread_workers> pool;
  std::unique_ptr<key_watch> watch;
  std::string wrong;
  std::atomic<int> told{0};
};

TEST_F(HttpKeys, KeysThatChangeAreTakenUp) {
  const auto first = certificate_at(server->port());
  ASSERT_FALSE(first.empty());
  http_target t;
  t.host = "127.0.0.1";
  t.port = server->port();
  t.tls = true;
  t.authority = dir / "cert.pem";
  http_client kept{t};
  ASSERT_EQ(kept.call(get("/later"))->status, 200);
  make_certificate(dir / "cert.pem", dir / "key.pem");
  ASSERT_TRUE(wait_told(1));
  // Between the two files' writing a look may have found them at odds.
  for (int i = 0; i < 10'000 && certificate_at(server->port()) == first; ++i)
    std::this_thread::sleep_for(1ms);
  EXPECT_NE(certificate_at(server->port()), first);
  ASSERT_EQ(kept.call(get("/later"))->status, 200); // as it was connected
  EXPECT_EQ(counters().open, 1u);
}

TEST_F(HttpKeys, BrokenKeysLeaveTheOldOnes) {
  const auto first = certificate_at(server->port());
  std::ofstream{dir / "new.pem"} << "half a key";
  std::filesystem::rename(dir / "new.pem", dir / "key.pem");
  ASSERT_TRUE(wait_told(1));
  EXPECT_NE(wrong.find("key.pem"), std::string::npos) << wrong;
  EXPECT_EQ(certificate_at(server->port()), first);
  std::filesystem::remove(dir / "cert.pem");
  ASSERT_TRUE(wait_told(2));
  EXPECT_EQ(certificate_at(server->port()), first);
}

TEST_F(HttpClient, NobodyListeningIsRefused) {
  open();
  auto c = client();
  server.reset();
  const auto r = c.call(get("/echo"));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::refused);
  auto u = on(dir / "no.sock");
  const auto s = u.call(get("/echo"));
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().code, net_errc::refused);
}

TEST_F(HttpClient, NoAnswerInTimeIsUnknownBecauseItWasSent) {
  open();
  auto c = client();
  auto call = get("/keep");
  call.timeout = 30ms;
  const auto r = c.call(call);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::unknown);
  EXPECT_TRUE(app.wait(1, 1));
}

TEST_F(HttpClient, AServerThatDiesAfterTheRequestLeavesItUnknown) {
  open();
  std::thread killer{[&] {
    app.wait(1, 0);
    server.reset();
  }};
  auto c = client();
  const auto r = c.call(get("/keep"));
  killer.join();
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::unknown);
}

TEST_F(HttpClient, AClosedIdleConnectionIsMadeAgain) {
  http_server_config config;
  config.limits.idle_deadline = 5ms;
  open(config);
  auto c = client();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(c.call(get("/echo"))->status, 200);
    while (counters().open != 0) {
    }
  }
}

TEST_F(HttpClient, WhatIsNotHttpIsABadPeer) {
  auto d = detail::listen_tcp({"127.0.0.1", 0}, "--http");
  const auto where = detail::to_address(*detail::local_end(d->get()));
  std::thread liar{[&] {
    pollfd p{d->get(), POLLIN, 0};
    ::poll(&p, 1, 10'000);
    const auto s = detail::accept_one(d->get(), nullptr);
    ::send(s.get(), "SSH-2.0-OpenSSH_9.2\r\n\r\n", 23, MSG_NOSIGNAL);
    pollfd q{s.get(), POLLIN | POLLRDHUP, 0};
    ::poll(&q, 1, 10'000);
  }};
  http_target t;
  t.host = where.host;
  t.port = where.port;
  http_client c{t};
  const auto r = c.call(get("/"));
  liar.join();
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code, net_errc::bad_peer);
}

TEST_F(HttpClient, StreamsCanBeLeftEarly) {
  open();
  auto c = client();
  std::size_t seen = 0;
  const auto r = c.stream(get("/big"), [&](std::string_view d) {
    seen += d.size();
    return seen < 100'000;
  });
  ASSERT_TRUE(r.ok());
  EXPECT_GE(seen, 100'000u);
  EXPECT_LT(seen, 3'000'000u);
  EXPECT_EQ(c.call(get("/later"))->body, "later");
}

TEST_F(HttpClient, Urls) {
  EXPECT_EQ(parse_http_url("http://a.b:80").port, 80);
  EXPECT_EQ(parse_http_url("http://a.b").port, 80);
  EXPECT_EQ(parse_http_url("https://a.b/").port, 443);
  EXPECT_TRUE(parse_http_url("https://a.b/").tls);
  EXPECT_EQ(parse_http_url("http://[::1]:8080").host, "::1");
  EXPECT_EQ(parse_http_url("http://[::1]:8080").port, 8080);
  for (const char* bad : {"", "a.b:80", "ftp://a", "http://", "http://a:0",
                          "http://a:70000", "http://a/b", "http://a:x"})
    EXPECT_TRUE(parse_http_url(bad).host.empty()) << bad;
}

} // namespace
} // namespace banyan::io
