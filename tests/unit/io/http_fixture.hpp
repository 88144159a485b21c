#pragma once
#include "net/io/asio_loop.hpp"
#include "net/io/detail/socket.hpp"
#include "net/io/http_client.hpp"
#include "net/io/http_server.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>
#include <string>
#include <vector>

namespace banyan::io {

/// A few routes that behave in every way a handler may.
class routes final : public http_handler {
public:
  explicit routes(loop& l) : loop_{l} {}

  void handle(http_request r, http_responder to) override {
    const auto what = r.path.empty() ? std::string{} : r.path[0];
    if (what == "echo") {
      http_response a;
      a.content_type = "text/plain";
      a.body = r.method + " " + r.body;
      to.send(std::move(a));
    } else if (what == "path") {
      http_response a;
      for (const auto& p : r.path)
        a.body += "[" + p + "]";
      for (const auto& [k, v] : r.query)
        a.body += "{" + k + "=" + v + "}";
      to.send(std::move(a));
    } else if (what == "from") {
      http_response a;
      a.body = std::string{r.from.unix_socket ? "unix " : ""}
               + (r.from.loopback ? "loopback " : "")
               + (r.from.tls ? "tls " : "");
      to.send(std::move(a));
    } else if (what == "later") {
      loop_.after(1ms, [to]() mutable { to.send({200, "later"}); });
    } else if (what == "big") {
      http_response a;
      a.body.assign(3'000'000, 'b');
      to.send(std::move(a));
    } else if (what == "stream") {
      to.begin({200, "a"});
      loop_.after(1ms, [to]() mutable {
        to.write_chunk("bc");
        to.write_chunk("def");
        to.finish();
      });
    } else if (what == "keep") {
      // Until the test lets go, or the client does.
      to.on_gone([this] {
        const std::lock_guard<std::mutex> g{mutex_};
        ++gone_;
        changed_.notify_all();
      });
      const std::lock_guard<std::mutex> g{mutex_};
      kept_.push_back(std::move(to));
      changed_.notify_all();
    }
    // Anything else: dropped without an answer.
  }

  /// Waits until so many requests are kept, and so many of them lost.
  bool wait(std::size_t kept, std::size_t gone) {
    std::unique_lock<std::mutex> g{mutex_};
    return changed_.wait_for(
        g, 10s, [&] { return kept_.size() >= kept && gone_ >= gone; });
  }
  std::vector<http_responder> take() {
    const std::lock_guard<std::mutex> g{mutex_};
    return std::exchange(kept_, {});
  }

private:
  loop& loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<http_responder> kept_;
  std::size_t gone_ = 0;
};

/// A raw connection, to send what no well-bred client would.
class raw_client {
public:
  explicit raw_client(std::uint16_t port, const char* host = "127.0.0.1") {
    fd_ =
        std::move(detail::start_connect(*detail::literal(host, port)).value());
    wait(POLLOUT);
  }
  /// False: the far side takes no more.
  bool send(std::string_view s) {
    while (!s.empty()) {
      const auto n = ::send(fd_.get(), s.data(), s.size(), MSG_NOSIGNAL);
      if (n > 0)
        s.remove_prefix(static_cast<std::size_t>(n));
      else if (errno != EAGAIN || !wait(POLLOUT))
        return false;
    }
    return true;
  }
  /// Reads until `text` was seen (`n` times), the end, or ten seconds.
  std::string read_until(std::string_view text, int n = 1) {
    for (;;) {
      int seen = 0;
      for (std::size_t i = 0; (i = all_.find(text, i)) != std::string::npos;
           ++i)
        ++seen;
      if (seen >= n || ended_ || !wait(POLLIN))
        return all_;
      char buffer[4096];
      const auto got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got > 0)
        all_.append(buffer, static_cast<std::size_t>(got));
      else if (got == 0 || errno != EAGAIN)
        ended_ = true;
    }
  }
  std::string read_all() { return read_until("\x01never"); }
  /// Reads until so many bytes came, the end, or ten seconds without any.
  std::size_t count_bytes(std::size_t wanted) {
    std::string buffer(64 * 1024, 0);
    std::size_t n = 0;
    while (n < wanted && wait(POLLIN)) {
      const auto got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got > 0)
        n += static_cast<std::size_t>(got);
      else if (got == 0 || errno != EAGAIN)
        break;
    }
    return n;
  }
  /// At most so much of what is there by now.
  void read_some(std::size_t bytes) {
    std::string buffer(bytes, 0);
    const auto got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got == 0)
      ended_ = true;
  }
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  [[nodiscard]] bool ended() const { return ended_; }
  void close() { fd_.close(); }

private:
  bool wait(short events) {
    pollfd p{fd_.get(), events, 0};
    return ::poll(&p, 1, 10'000) == 1;
  }
  detail::descriptor fd_;
  std::string all_;
  bool ended_ = false;
};

class http_fixture : public ::testing::Test {
protected:
  http_fixture() {
    std::string name = "/tmp/banyan-http-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    dir = name;
  }
  ~http_fixture() override {
    // Responders end where they live: on the loop.
    l.post([kept = std::make_shared<std::vector<http_responder>>(app.take())] {
      kept->clear();
    });
    l.drain();
    server.reset();
    l.drain();
    std::filesystem::remove_all(dir);
  }
  /// Opens the server; TCP on loopback unless the config says otherwise.
  void open(http_server_config c = {}) {
    if (c.host.empty() && c.unix_socket.empty())
      c.host = "127.0.0.1";
    auto r = http_server::open(l, std::move(c), app);
    ASSERT_TRUE(r.ok()) << r.error().message;
    server = std::move(r).value();
  }
  http_client client() {
    http_target t;
    t.host = "127.0.0.1";
    t.port = server->port();
    return http_client{t};
  }
  http_counters counters() {
    std::promise<http_counters> p;
    l.post([&] { p.set_value(server->counters()); });
    return p.get_future().get();
  }
  static http_call get(std::string target) {
    http_call c;
    c.target = std::move(target);
    return c;
  }
  static http_call post(std::string target, std::string body) {
    http_call c;
    c.method = "POST";
    c.target = std::move(target);
    c.body = std::move(body);
    return c;
  }

  std::filesystem::path dir;
  asio_loop l;
  routes app{l};
  std::unique_ptr<http_server> server;
};

} // namespace banyan::io
