// A door with TLS, from this machine and from elsewhere: whose certificate it
// shows, and whom it lets call an app.
#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"
#include "tests/integration/integration.hpp"
#include "tests/support/certificate.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>

namespace banyan::test {
namespace {

namespace fs = std::filesystem;

/// An address of this machine that isn't loopback; empty: it has none.
std::string own_address() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0)
    return {};
  std::string out;
  for (auto* i = all; i != nullptr && out.empty(); i = i->ifa_next) {
    if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET
        || (i->ifa_flags & IFF_LOOPBACK) != 0 || (i->ifa_flags & IFF_UP) == 0)
      continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET,
                &reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr,
                text.data(), text.size());
    out = text.data();
  }
  ::freeifaddrs(all);
  return out;
}

/// A door for both kinds of address, where there are both.
std::string any_address() {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 at{};
  at.sin6_family = AF_INET6;
  at.sin6_addr = in6addr_any;
  const bool both =
      fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  if (fd >= 0)
    ::close(fd);
  return both ? "[::]:0" : "0.0.0.0:0";
}

class tls_door : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    ours = std::make_unique<temporary_directory>();
    system_random random;
    const auto made = init_mesh(ours->path(), "orchard", random);
    ASSERT_TRUE(made.ok());
    owner = made->owner_file.string();
    address = own_address();
    renew("trusted.pem");
    peer = std::make_unique<process>(
        std::vector<std::string>{BANYAN_PEER_BINARY, "--data", path("data"),
                                 "--listen", "127.0.0.1:0", "--mesh-file",
                                 made->mesh.string(), "--http", any_address(),
                                 "--http-cert", path("cert.pem"), "--http-key",
                                 path("key.pem"), "--apps", BANYAN_APPS_DIR},
        ours->path() / "log");
    while (const auto line = peer->line(now() + 20s))
      if (const auto at = line->find(" http="); at != std::string::npos) {
        const auto colon =
            line->find(':', line->find("]", at) == std::string::npos
                                ? at
                                : line->find("]", at));
        port = static_cast<std::uint16_t>(
            std::strtoul(line->c_str() + colon + 1, nullptr, 10));
        break;
      }
    ASSERT_NE(port, 0) << tail_of(ours->path() / "log");
  }
  static void TearDownTestSuite() {
    peer.reset();
    ours.reset();
  }
  void TearDown() override {
    EXPECT_FALSE(peer->poll()) << "the peer has ended";
    if (HasFailure())
      std::cout << tail_of(ours->path() / "log");
  }

  static std::string path(const std::string& name) {
    return (ours->path() / name).string();
  }
  /// Another certificate and key for the door; who trusts `copy` trusts it.
  static void renew(const std::string& copy) {
    make_certificate(path("cert.pem"), path("key.pem"),
                     "IP:127.0.0.1"
                         + (address.empty() ? "" : ",IP:" + address));
    fs::copy_file(path("cert.pem"), path(copy),
                  fs::copy_options::overwrite_existing);
  }
  /// Status 0: no answer, or from somebody who isn't trusted.
  static io::http_reply ask(const std::string& host, io::http_call c,
                            const std::string& trusted = "trusted.pem") {
    io::http_target t;
    t.host = host;
    t.port = port;
    t.tls = true;
    t.authority = path(trusted);
    auto r = io::http_client{t}.call(c);
    return r.ok() ? std::move(*r) : io::http_reply{};
  }
  static int status_by(const std::string& trusted) {
    io::http_call c;
    c.target = "/v1/status";
    return ask("127.0.0.1", c, trusted).status;
  }
  /// So often that kind of event was said.
  static std::size_t events(const std::string& kind) {
    io::http_target t;
    t.unix_socket = path("data/control.sock");
    io::http_call c;
    c.target = "/v1/events?follow=0";
    const auto r = io::http_client{t}.call(c);
    const auto text = r.ok() ? r->body : std::string{};
    const auto word = "\"kind\":\"" + kind + "\"";
    std::size_t n = 0;
    for (std::size_t i = 0; (i = text.find(word, i)) != std::string::npos; ++i)
      ++n;
    return n;
  }
  /// Deploys an app as its owner; the token that is shown, if any.
  static std::string deploy(const std::string& name,
                            const std::vector<std::string>& more = {}) {
    const auto spec = path(name + ".toml");
    std::ofstream{spec} << "name = \"" << name << "\"\nmodule = \"" << name
                        << "\"\nshards = 1\nreplicas = 1\n";
    std::vector<std::string> words{
        BANYAN_CLI_BINARY, "--data", path("data"), "deploy", spec,
        "--owner",         owner};
    words.insert(words.end(), more.begin(), more.end());
    const auto r = run_program(words, 60s);
    EXPECT_EQ(r.end.code, 0) << r.out << r.err;
    const std::string line = "shown this once: ";
    const auto at = r.out.find(line);
    return at == std::string::npos ? std::string{}
                                   : r.out.substr(at + line.size(), 32);
  }
  static int call(const std::string& host, const std::string& app,
                  const std::string& query, const std::string& token) {
    io::http_call c;
    c.target = "/v1/apps/" + app + "/actors/alice/" + query;
    if (!token.empty())
      c.headers = {{"Authorization", "Bearer " + token}};
    return ask(host, c).status;
  }

  static std::unique_ptr<temporary_directory> ours;
  static std::unique_ptr<process> peer;
  static std::string owner;
  static std::string address;
  static std::uint16_t port;
};
std::unique_ptr<temporary_directory> tls_door::ours;
std::unique_ptr<process> tls_door::peer;
std::string tls_door::owner;
std::string tls_door::address;
std::uint16_t tls_door::port = 0;

// DESIGN section 12: an app's calls off loopback want its token.
TEST_F(tls_door, opens_an_app_to_its_token_alone) {
  const auto ledger = deploy("ledger");
  const auto kv = deploy("kv");
  ASSERT_EQ(ledger.size(), 32U);
  ASSERT_EQ(kv.size(), 32U);
  EXPECT_EQ(call("127.0.0.1", "ledger", "balance", ""), 200);
  if (address.empty())
    GTEST_SKIP() << "this machine has no address but loopback";
  EXPECT_EQ(call(address, "ledger", "balance", ""), 401);
  EXPECT_EQ(call(address, "ledger", "balance", kv), 401);
  EXPECT_EQ(call(address, "ledger", "balance", ledger), 200);
  EXPECT_EQ(call(address, "kv", "get", ledger), 401);
  EXPECT_EQ(call(address, "kv", "get", kv), 200);
  // It opens nothing else, and reads are everybody's.
  EXPECT_EQ(call(address, "ledger", "_state", ledger), 401);
  io::http_call c;
  c.target = "/v1/apps";
  EXPECT_EQ(ask(address, c).status, 200);
  c.target = "/v1/apps/ledger/_papers";
  c.headers = {{"Authorization", "Bearer " + ledger}};
  EXPECT_EQ(ask(address, c).status, 401);
  std::string admin;
  std::ifstream{path("data/admin.token")} >> admin;
  EXPECT_EQ(call(address, "ledger", "_state", admin), 200);
  // Another one: from then on the first opens nothing.
  const auto next = deploy("ledger", {"--new-token"});
  ASSERT_EQ(next.size(), 32U);
  EXPECT_TRUE(wait_until(
      [&] { return call(address, "ledger", "balance", next) == 200; }, 20s));
  EXPECT_EQ(call(address, "ledger", "balance", ledger), 401);
}

TEST_F(tls_door, takes_up_changed_keys_and_outlives_broken_ones) {
  ASSERT_EQ(status_by("trusted.pem"), 200);
  renew("second.pem");
  EXPECT_TRUE(wait_until([] { return status_by("second.pem") == 200; }, 30s));
  EXPECT_EQ(status_by("trusted.pem"), 0) << "the old one is still shown";
  EXPECT_TRUE(wait_until([] { return events("keys_taken") > 0; }, 10s));
  // While the two files were written one after the other it may have looked.
  const auto refused = events("keys_refused");
  std::ofstream{path("cert.pem")} << "-----BEGIN CERTIFICATE-----\nhalf";
  EXPECT_TRUE(
      wait_until([&] { return events("keys_refused") > refused; }, 30s));
  EXPECT_EQ(status_by("second.pem"), 200);
  renew("trusted.pem");
  EXPECT_TRUE(wait_until([] { return status_by("trusted.pem") == 200; }, 30s));
}

} // namespace
} // namespace banyan::test
