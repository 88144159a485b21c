#include "net/io/http_server.hpp"

#include "base/assert.hpp"
#include "net/io/detail/http_connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <future>
#include <map>
#include <unordered_map>
#include <utility>

namespace banyan::io {

namespace {

using fd_type = boost::asio::posix::stream_descriptor;

constexpr auto retry_accept_after = 50ms;
constexpr int accepts_per_event = 32;
/// For the next request of a kept connection, whose answer says `close`.
constexpr duration wind_down_grace = 300ms;
/// Connections over the limit that may stay long enough to be told so.
constexpr std::size_t refusing_max = 64;
/// Between two requests, or since half of one came, at least, for a connection
/// to make room for another.
constexpr duration evict_after = 1s;

template <class F>
void on_loop(asio_loop& l, F f) {
  if (l.on_thread()) {
    f();
    return;
  }
  std::promise<void> done;
  l.post(
      [&] {
        f();
        done.set_value();
      },
      "http server");
  done.get_future().wait();
}

} // namespace

// -- responder --------------------------------------------------------------

/// Lives as long as any copy of the responder; the last one owes an answer.
struct http_responder::guard {
  explicit guard(std::shared_ptr<exchange> x) : e{std::move(x)} {}
  guard(const guard&) = delete;
  guard& operator=(const guard&) = delete;
  ~guard() {
    const auto c = e->connection.lock();
    if (!c)
      return;
    if (!e->answered)
      c->send(http_error(504, "unknown",
                         "the request was dropped; whether it took effect is "
                         "not known"));
    else if (e->streaming)
      c->finish();
  }
  std::shared_ptr<exchange> e;
};

http_responder::http_responder(std::shared_ptr<exchange> e)
    : guard_{std::make_shared<guard>(std::move(e))} {
}

bool http_responder::send(http_response r) {
  if (!guard_ || guard_->e->answered)
    return false;
  const auto c = guard_->e->connection.lock();
  return c && c->send(std::move(r));
}

bool http_responder::begin(http_response r) {
  if (!guard_ || guard_->e->answered)
    return false;
  const auto c = guard_->e->connection.lock();
  return c && c->begin(std::move(r));
}

bool http_responder::write_chunk(std::string_view data) {
  if (!guard_ || !guard_->e->streaming)
    return false;
  const auto c = guard_->e->connection.lock();
  return c && c->write_chunk(data);
}

void http_responder::finish() {
  if (!guard_ || !guard_->e->streaming)
    return;
  if (const auto c = guard_->e->connection.lock())
    c->finish();
}

std::size_t http_responder::unsent() const noexcept {
  const auto c = guard_ ? guard_->e->connection.lock() : nullptr;
  return c ? c->unsent() : 0;
}

bool http_responder::client_waits() const noexcept {
  return guard_ && guard_->e->client_waits && !guard_->e->connection.expired();
}

void http_responder::on_gone(std::function<void()> f) {
  if (guard_ && guard_->e->client_waits)
    guard_->e->on_gone = std::move(f);
}

http_counters& http_counters::operator+=(const http_counters& o) noexcept {
  connections += o.connections;
  requests += o.requests;
  refused_full += o.refused_full;
  refused_origin += o.refused_origin;
  bad_requests += o.bad_requests;
  refused_rate += o.refused_rate;
  refused_bodies += o.refused_bodies;
  cut_unsent += o.cut_unsent;
  evicted += o.evicted;
  timed_out += o.timed_out;
  too_large += o.too_large;
  clients_gone += o.clients_gone;
  open += o.open;
  unsent += o.unsent;
  bodies += o.bodies;
  return *this;
}

// -- server -----------------------------------------------------------------

result<tls_keys, net_error> tls_keys::read(const std::filesystem::path& cert,
                                           const std::filesystem::path& key) {
  auto t = detail::tls_context::server(cert, key);
  if (!t)
    return failure{t.error()};
  return tls_keys{std::move(t).value()};
}

struct http_server::state final : detail::http_owner,
                                  std::enable_shared_from_this<state> {
  struct listener {
    listener(asio_loop& l, int d, bool u)
        : fd{detail::context(l), d}, unix_socket{u}, pause{l} {}
    fd_type fd;
    bool unix_socket;
    timer pause;
  };

  state(asio_loop& l, http_server_config c, http_handler& h)
      : loop{l}, config{std::move(c)}, handler{h},
        guard{{config.limits.rate_per_address,
               2 * config.limits.rate_per_address,
               config.limits.connections_per_address}},
        idle_end{l}, limit_end{l} {}

  result<void, net_error> listen() {
    if (!config.cert.empty() || !config.key.empty()) {
      const auto keys = tls_keys::read(config.cert, config.key);
      if (!keys)
        return failure{keys.error()};
      tls = keys->context();
    }
    if (!config.host.empty()) {
      auto d = detail::listen_tcp({config.host, config.port}, "--http");
      if (!d)
        return failure{d.error()};
      if (const auto e = detail::local_end(d->get())) {
        const auto a = detail::to_address(*e);
        port = a.port;
        address = detail::host_port(a.host, a.port);
      }
      add(d->release(), false);
    }
    if (!config.unix_socket.empty()) {
      auto d = detail::listen_unix(config.unix_socket);
      if (!d)
        return failure{d.error()};
      bound_unix = true;
      add(d->release(), true);
    }
    return {};
  }
  void add(int fd, bool unix_socket) {
    listeners.push_back(std::make_shared<listener>(loop, fd, unix_socket));
    await_accept(listeners.back());
  }
  void await_accept(const std::shared_ptr<listener>& l) {
    l->fd.async_wait(
        fd_type::wait_read, [self = shared_from_this(), l](auto e) {
          if (!e && l->fd.is_open())
            self->loop.measured("http accept", [&] { self->accept(l); });
        });
  }
  void accept(const std::shared_ptr<listener>& l) {
    for (int n = 0; n < accepts_per_event; ++n) {
      detail::endpoint from;
      auto d = detail::accept_one(l->fd.native_handle(), &from);
      if (!d.valid()) {
        const auto e = errno;
        if (e == ECONNABORTED || e == EINTR)
          continue;
        if (e == EAGAIN || e == EWOULDBLOCK)
          break;
        l->pause.arm(
            loop.now() + retry_accept_after, // out of descriptors or memory
            [self = shared_from_this(), l] {
              if (l->fd.is_open())
                self->await_accept(l);
            },
            "http accept");
        return;
      }
      take(std::move(d), from, l->unix_socket);
    }
    await_accept(l);
  }
  void take(detail::descriptor d, const detail::endpoint& from,
            bool unix_socket) {
    ++count.connections;
    std::optional<detail::door_guest> guest;
    if (!unix_socket
        && (config.limits.limit_loopback || !detail::is_loopback(from)))
      guest.emplace(from);
    const bool too_many = guest && !guard.connect(*guest);
    if (too_many)
      guest.reset(); // it doesn't count
    const bool refused = too_many
                         || (connections.size() >= config.limits.connections_max
                             && !make_room());
    if (refused)
      ++count.refused_full;
    // Refusing under TLS would cost a handshake: the socket's end must do.
    if (refused
        && (connections.size() >= config.limits.connections_max + refusing_max
            || (tls && !unix_socket))) {
      if (guest)
        guard.disconnect(*guest);
      return;
    }
    http_origin o;
    o.unix_socket = unix_socket;
    if (!unix_socket) {
      detail::tune_tcp(d.get());
      const auto a = detail::to_address(from);
      o.loopback = detail::is_loopback(from);
      o.tls = tls != nullptr;
      o.address = detail::host_port(a.host, a.port);
      o.network = detail::door_guest{from}.name();
    }
    auto c = std::make_shared<detail::http_connection>(
        loop, *this, std::move(d), o.tls ? tls : nullptr, std::move(o), guest);
    connections.emplace(c.get(), c);
    if (refused)
      c->refuse(http_error(429, "overloaded",
                           too_many ? "too many connections from this address"
                                    : "too many connections",
                           1s));
    else
      c->start();
  }
  /// Ends a connection that nobody will miss, or one whose request takes
  /// longest to come; false: all of them are in use.
  bool make_room() {
    struct oldest {
      detail::http_connection* who = nullptr;
      time_point since;
      void consider(detail::http_connection* c, time_point t) {
        if (who == nullptr || t < since) {
          who = c;
          since = t;
        }
      }
    };
    oldest silent;
    oldest idle;
    oldest half;
    for (const auto& [c, owned] : connections)
      if (c->never_heard())
        silent.consider(c, c->quiet_since());
      else if (c->between_requests())
        idle.consider(c, c->quiet_since());
      else if (const auto since = c->half_heard_since())
        half.consider(c, *since);
    if (silent.who == nullptr) {
      const auto enough = loop.now() - evict_after;
      silent = idle.who != nullptr && idle.since <= enough ? idle : half;
      if (silent.who == nullptr || silent.since > enough)
        return false;
    }
    ++count.evicted;
    silent.who->cut();
    return true;
  }
  void stop_listening() {
    for (const auto& l : listeners) {
      l->pause.cancel();
      boost::system::error_code ignored;
      l->fd.close(ignored);
    }
    listeners.clear();
    if (std::exchange(bound_unix, false))
      ::unlink(config.unix_socket.c_str());
  }
  void wind_down(duration limit, std::function<void()> done) {
    BANYAN_ASSERT(!wound_down);
    wound_down = std::move(done);
    stop_listening();
    for (const auto& [key, c] : connections)
      c->last_answer();
    idle_end.arm(
        loop.now() + std::min(limit, wind_down_grace),
        [this] {
          for (const auto& [key, c] :
               std::map{connections.begin(), connections.end()})
            c->end_if_idle();
        },
        "http wind down");
    limit_end.arm(
        loop.now() + limit, [this] { tell_wound_down(); }, "http wind down");
    if (connections.empty())
      tell_wound_down();
  }
  void tell_wound_down() {
    if (told || !wound_down)
      return;
    told = true;
    idle_end.cancel();
    limit_end.cancel();
    loop.post([self = shared_from_this()] { self->wound_down(); },
              "http wind down");
  }
  void close() {
    stop_listening();
    idle_end.cancel();
    limit_end.cancel();
    for (const auto& [key, c] : std::exchange(connections, {}))
      c->abandon();
  }

  // -- http_owner -----------------------------------------------------------

  std::optional<http_response> refuse(const detail::http_connection& c,
                                      const http_request& r) override {
    if (c.guest())
      if (const auto wait = guard.request(*c.guest(), loop.now())) {
        ++count.refused_rate;
        return http_error(429, "overloaded",
                          "too many requests from this address",
                          std::chrono::ceil<std::chrono::milliseconds>(*wait));
      }
    auto no = refuse_origin(r);
    if (no)
      ++count.refused_origin;
    return no;
  }
  std::optional<http_response> refuse_origin(const http_request& r) {
    const auto origin = r.header("origin");
    const auto no = [](const char* why) {
      return http_error(403, "forbidden", why);
    };
    if (r.from.unix_socket) {
      // Browsers don't come this way; whoever relays one is refused.
      if (!origin.empty())
        return no("no browser origin may use the control socket");
    } else {
      const auto host = r.header("host");
      if (!host.empty() && !our_name(detail::host_name(host)))
        return no("this Host is not a name of this peer");
      if (!origin.empty()) {
        const auto at = origin.find("://");
        if (at == std::string_view::npos || origin.substr(at + 3) != host)
          return no("foreign Origin");
      }
    }
    if (config.admit && !config.admit(r))
      return no("not admitted");
    return std::nullopt;
  }
  [[nodiscard]] bool our_name(const std::string& name) const {
    return name == "localhost" || name == config.host
           || detail::literal(name, 0).has_value()
           || std::find(config.host_names.begin(), config.host_names.end(),
                        name)
                  != config.host_names.end();
  }
  void handle(http_request r, http_responder to) override {
    handler.handle(std::move(r), std::move(to));
  }
  void closed(detail::http_connection& c) override {
    if (c.guest())
      guard.disconnect(*c.guest());
    connections.erase(&c);
    if (connections.empty())
      tell_wound_down();
  }
  bool winding_down() override { return wound_down != nullptr; }
  void unsent_changed(std::size_t before, std::size_t after) override {
    unsent = unsent - before + after;
    // Not from here: its writer is below us.
    if (unsent > config.limits.unsent_total_max
        && !std::exchange(cut_queued, true))
      loop.post([self = shared_from_this()] { self->cut_largest(); },
                "http unsent");
  }
  void cut_largest() {
    cut_queued = false;
    while (unsent > config.limits.unsent_total_max && !connections.empty()) {
      const auto most =
          std::max_element(connections.begin(), connections.end(),
                           [](const auto& a, const auto& b) {
                             return a.second->unsent() < b.second->unsent();
                           });
      const auto c = most->second; // its end changes the map
      ++count.cut_unsent;
      c->cut();
    }
  }
  bool body_changed(std::size_t before, std::size_t after) override {
    if (after > before
        && bodies - before + after > config.limits.bodies_total_max)
      return false;
    bodies = bodies - before + after;
    return true;
  }
  const http_limits& limits() override { return config.limits; }
  http_counters& counters() override { return count; }
  std::string_view date() override {
    const auto t = std::time(nullptr);
    if (t != date_at) {
      date_at = t;
      date_text = detail::http_date(t);
    }
    return date_text;
  }

  asio_loop& loop;
  http_server_config config;
  http_handler& handler;
  std::shared_ptr<detail::tls_context> tls;
  std::vector<std::shared_ptr<listener>> listeners;
  bool bound_unix = false;
  std::string address;
  std::uint16_t port = 0;
  std::unordered_map<detail::http_connection*,
                     std::shared_ptr<detail::http_connection>>
      connections;
  http_counters count;
  detail::door_guard guard;
  std::size_t unsent = 0; ///< of all connections
  std::size_t bodies = 0; ///< of requests coming in
  bool cut_queued = false;
  std::function<void()> wound_down; ///< set: it winds down
  bool told = false;
  timer idle_end;
  timer limit_end;
  std::time_t date_at = 0;
  std::string date_text;
};

http_server::http_server(std::shared_ptr<state> s) : state_{std::move(s)} {
}

result<std::unique_ptr<http_server>, net_error>
http_server::open(asio_loop& l, http_server_config config,
                  http_handler& handler) {
  auto s = std::make_shared<state>(l, std::move(config), handler);
  result<void, net_error> r;
  on_loop(l, [&] {
    r = s->listen();
    if (!r)
      s->close();
  });
  if (!r)
    return failure{r.error()};
  return std::unique_ptr<http_server>{new http_server{std::move(s)}};
}

http_server::~http_server() {
  on_loop(state_->loop, [this] { state_->close(); });
}

void http_server::wind_down(duration limit, std::function<void()> done) {
  BANYAN_ASSERT(state_->loop.on_thread());
  state_->wind_down(limit, std::move(done));
}

void http_server::use_keys(const tls_keys& keys) {
  BANYAN_ASSERT(state_->loop.on_thread() && state_->tls);
  state_->tls = keys.context();
}

const std::string& http_server::address() const noexcept {
  return state_->address;
}
std::uint16_t http_server::port() const noexcept {
  return state_->port;
}

http_counters http_server::counters() const {
  BANYAN_ASSERT(state_->loop.on_thread());
  auto c = state_->count;
  c.open = state_->connections.size();
  c.unsent = state_->unsent;
  c.bodies = state_->bodies;
  return c;
}

} // namespace banyan::io
