#pragma once
// A gateway behind real HTTP, in front of a router that notes what it is asked
// and a supervisor that is not there.
#include "actors/loop/coordinator.hpp"
#include "actors/node/gateway.hpp"
#include "actors/node/peer.hpp"
#include "base/codec.hpp"
#include "net/io/asio_loop.hpp"
#include "net/io/http_client.hpp"

#include <caf/all.hpp>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <optional>

namespace banyan::actors {

class no_hosts final : public host_factory {
public:
  std::unique_ptr<host> make(host_options, host_handlers,
                             std::string&) override {
    return nullptr;
  }
  [[nodiscard]] bool has(const std::string&) const override { return false; }
};

/// With the header `x-far`, a request comes from another machine; with
/// `x-network` from that network, over TLS.
class from_afar final : public io::http_handler {
public:
  explicit from_afar(io::http_handler& to) : to_{to} {}
  void handle(io::http_request q, io::http_responder r) override {
    if (!q.header("x-far").empty())
      q.from.loopback = false;
    if (const auto network = q.header("x-network"); !network.empty()) {
      q.from.loopback = false;
      q.from.tls = true;
      q.from.network = network;
    }
    to_.handle(std::move(q), std::move(r));
  }

private:
  io::http_handler& to_;
};

class gateway : public ::testing::Test {
protected:
  gateway() {
    std::string name = "/tmp/banyan-gateway-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    dir = name;
    ctx.known.put_app({app_id{}, "ledger", 1, {{}}});
    ctx.specs["ledger"].name = "ledger";
    ctx.known.put_app({other_id(1), "open", 1, {{}}});
    ctx.specs["open"].access = app_access::everyone;
    ctx.known.put_app({other_id(2), "twice", 1, {{}}});
    ctx.conflicts["twice"] = {{other_id(2), {}, {}}, {other_id(3), {}, {}}};
    module_info info;
    info.app = "ledger";
    info.handlers.push_back(handler("deposit", false));
    info.handlers.push_back(handler("balance", true));
    ctx.handlers["ledger"][1] = info;
    ctx.router =
        system.get().spawn([this](caf::event_based_actor*) -> caf::behavior {
          return {[this](call_in& m) {
            asked.push_back(m.request);
            counted.emplace_back(m.client, m.kept);
            reply r = next;
            m.answer(std::move(r), 0);
          }};
        });
    writer{next.result}.uint(5);
    next.term = term{3};
    next.index = log_index{17};
    io::http_server_config c;
    c.host = "127.0.0.1";
    c.unix_socket = dir / "control.sock";
    auto s = io::http_server::open(l, std::move(c), far);
    EXPECT_TRUE(s.ok());
    server = std::move(s).value();
  }
  ~gateway() override {
    server.reset();
    on_loop(l, [this] { shell.reset(); });
    system.shut_down({std::exchange(ctx.router, {})});
    l.drain();
    std::filesystem::remove_all(dir);
  }
  static app_id other_id(std::uint8_t n) {
    std::array<std::uint8_t, 32> a{};
    a[0] = n;
    return app_id{a};
  }
  static handler_info handler(std::string name, bool query) {
    handler_info h;
    h.name = std::move(name);
    h.query = query;
    return h;
  }
  io::http_reply send(const char* method, std::string target,
                      std::string body = {},
                      std::vector<io::http_request::field> headers = {}) {
    io::http_target t;
    t.host = "127.0.0.1";
    t.port = server->port();
    if (unix_socket)
      t.unix_socket = dir / "control.sock";
    io::http_client client{t};
    io::http_call c;
    c.method = method;
    c.target = std::move(target);
    c.body = std::move(body);
    c.headers = std::move(headers);
    auto r = client.call(c);
    EXPECT_TRUE(r.ok());
    return r.ok() ? std::move(r).value() : io::http_reply{};
  }
  static void expect(const io::http_reply& r, int status, const char* code,
                     const char* words) {
    EXPECT_EQ(r.status, status) << r.body;
    EXPECT_NE(r.body.find("\"" + std::string{code} + "\""), std::string::npos)
        << r.body;
    EXPECT_NE(r.body.find(words), std::string::npos) << r.body;
  }

  std::filesystem::path dir;
  io::asio_loop l;
  seeded_random random{5};
  identity key = identity::generate(random);
  store::disk disk;
  no_hosts hosts;
  loop_system system{l};
  node_context ctx{l, random, key, {}, disk, hosts};
  std::optional<http_gateway> shell{std::in_place, ctx,
                                    gateway_start{"the-token", true}};
  from_afar far{*shell};
  std::vector<call_request> asked; ///< read when the answer is here
  /// Whom each of them is counted to, and what is kept beside it.
  std::vector<std::pair<std::string, std::size_t>> counted;
  reply next;
  bool unix_socket = false;
  std::unique_ptr<io::http_server> server;
  const std::string alice = "/v1/apps/ledger/actors/alice/";
};

} // namespace banyan::actors
