#include "net/io/http_client.hpp"

#include "net/io/detail/http_parse.hpp"
#include "net/io/detail/socket.hpp"
#include "net/io/detail/transport.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

namespace banyan::io {

namespace {

using clock = std::chrono::steady_clock;

/// Waits for the descriptor; false when it is too late.
bool wait_for(int fd, short events, time_point until) {
  for (;;) {
    int ms = -1;
    if (until != never) {
      const auto left = until - clock::now();
      if (left <= duration::zero())
        return false;
      ms = static_cast<int>(
          std::min<std::int64_t>(left / 1ms + 1, 24 * 3600 * 1000));
    }
    pollfd p{fd, events, 0};
    const auto n = ::poll(&p, 1, ms);
    if (n > 0)
      return true;
    if (n < 0 && errno != EINTR)
      return false;
  }
}

net_error connect_error(int e, const std::string& where) {
  switch (e) {
  case ECONNREFUSED:
  case ENOENT:
    return {net_errc::refused,
            "nobody listens on " + where + "; is the peer running?"};
  case EACCES:
  case EPERM:
    return {net_errc::not_allowed, "not allowed to open " + where};
  case ETIMEDOUT:
    return {net_errc::timeout, where + " does not answer"};
  default:
    return {net_errc::system,
            "cannot connect to " + where + ": " + detail::errno_text(e)};
  }
}

} // namespace

std::string_view http_reply::header(std::string_view name) const noexcept {
  for (const auto& [k, v] : headers)
    if (k == name)
      return v;
  return {};
}

http_target parse_http_url(std::string_view url) {
  http_target t;
  std::uint16_t port = 80;
  if (url.substr(0, 7) == "http://") {
    url.remove_prefix(7);
  } else if (url.substr(0, 8) == "https://") {
    url.remove_prefix(8);
    t.tls = true;
    port = 443;
  } else {
    return {};
  }
  if (!url.empty() && url.back() == '/')
    url.remove_suffix(1);
  if (url.empty() || url.find_first_of("/?#@ ") != std::string_view::npos)
    return {};
  const auto bracket = url.rfind(']');
  const auto colon = url.rfind(':');
  if (colon != std::string_view::npos
      && (bracket == std::string_view::npos || colon > bracket)) {
    unsigned n = 0;
    const auto digits = url.substr(colon + 1);
    if (digits.empty() || digits.size() > 5)
      return {};
    for (const auto c : digits) {
      if (c < '0' || c > '9')
        return {};
      n = n * 10 + static_cast<unsigned>(c - '0');
    }
    if (n == 0 || n > 65535)
      return {};
    port = static_cast<std::uint16_t>(n);
    url = url.substr(0, colon);
  }
  if (url.size() > 2 && url.front() == '[' && url.back() == ']')
    url = url.substr(1, url.size() - 2);
  t.host = std::string{url};
  t.port = port;
  return t;
}

struct http_client::state {
  explicit state(http_target t) : to{std::move(t)} {}

  using data_fn = std::function<bool(std::string_view)>;

  [[nodiscard]] std::string where() const {
    return to.unix_socket.empty() ? detail::host_port(to.host, to.port)
                                  : to.unix_socket.string();
  }
  void drop() {
    pipe.reset();
    fd.close();
  }
  /// Has the server closed it while it was idle?
  [[nodiscard]] bool stale() const {
    pollfd p{fd.get(), POLLIN, 0};
    return ::poll(&p, 1, 0) != 0; // nothing may come before we ask
  }

  result<void, net_error> connect(const http_call& c) {
    const auto until = clock::now() + c.connect_timeout;
    if (!to.unix_socket.empty()) {
      auto d = detail::connect_unix(to.unix_socket);
      if (!d)
        return failure{connect_error(d.error(), where())};
      fd = std::move(d).value();
    } else {
      auto ends = detail::resolve(to.host, to.port);
      if (!ends)
        return failure{ends.error()};
      int error = ECONNREFUSED;
      for (const auto& e : *ends) {
        auto d = detail::start_connect(e);
        if (!d) {
          error = d.error();
          continue;
        }
        error = wait_for(d->get(), POLLOUT, until)
                    ? detail::connect_outcome(d->get())
                    : ETIMEDOUT;
        if (error == 0) {
          fd = std::move(d).value();
          break;
        }
      }
      if (!fd.valid())
        return failure{connect_error(error, where())};
    }
    if (!to.tls || !to.unix_socket.empty()) {
      pipe = detail::plain_transport(fd.get());
      return {};
    }
    if (!trust) {
      auto t = detail::tls_context::client(to.authority);
      if (!t)
        return failure{t.error()};
      trust = std::move(t).value();
    }
    pipe = detail::tls_client(trust, fd.get(), to.host);
    return {};
  }

  [[nodiscard]] std::string head_of(const http_call& c) const {
    std::string out = c.method + " " + c.target + " HTTP/1.1\r\nHost: ";
    out += to.unix_socket.empty() ? where() : std::string{"localhost"};
    out += "\r\n";
    for (const auto& [k, v] : c.headers)
      out += k + ": " + v + "\r\n";
    if (!c.body.empty() || (c.method != "GET" && c.method != "HEAD"))
      out += "Content-Length: " + std::to_string(c.body.size()) + "\r\n";
    return out + "\r\n";
  }

  result<http_reply, net_error> call(const http_call& c,
                                     const data_fn* on_data) {
    const auto until =
        c.timeout == duration::zero() ? never : clock::now() + c.timeout;
    if (pipe && stale())
      drop();
    if (!pipe) {
      if (const auto r = connect(c); !r) {
        drop();
        return failure{r.error()};
      }
    }
    auto r = exchange(c, until, on_data);
    if (!r)
      drop();
    return r;
  }

  /// Writes and reads at once: a server may refuse before it has read all.
  result<http_reply, net_error> exchange(const http_call& c, time_point until,
                                         const data_fn* on_data) {
    const auto request = head_of(c) + c.body;
    std::string_view rest = request;
    detail::response_parser parser{
        on_data ? std::numeric_limits<std::uint64_t>::max() : body_bytes_max,
        c.method == "HEAD"};
    std::string in;
    http_reply reply;
    bool sent = false;
    bool heard = false;
    const auto lost = [&](bool late) -> failure<net_error> {
      if (!sent)
        return failure{
            net_error{late ? net_errc::timeout : net_errc::bad_peer,
                      late ? where() + " does not answer"
                           : where()
                                 + " does not speak our protocol, or its "
                                   "certificate is not trusted"}};
      return failure{net_error{
          net_errc::unknown,
          std::string{late ? "no answer in time from "
                           : "the connection ended before the answer from "}
              + where() + "; whether it took effect is not known"}};
    };
    for (;;) {
      short events = POLLIN;
      if (!rest.empty()) {
        const auto w = pipe->write(rest);
        if (w.state == detail::io_state::ok) {
          sent = true;
          rest.remove_prefix(w.n);
        } else if (w.state == detail::io_state::want_write) {
          events = POLLIN | POLLOUT;
        } else if (w.state != detail::io_state::want_read) {
          rest = {}; // an answer may have come before it broke
          if (!sent)
            return lost(false);
        }
      }
      std::array<char, 64 * 1024> buffer;
      const auto got = pipe->read(buffer.data(), buffer.size());
      if (got.state == detail::io_state::ok) {
        heard = true;
        in.append(buffer.data(), got.n);
        std::size_t used = 0;
        auto step = parser.put(in, used);
        in.erase(0, used);
        if (parser.header_done() && parser.status() == 100)
          return failure{
              net_error{net_errc::bad_peer, where() + " sent 100 unasked"}};
        if (step != detail::parse_step::more
            && step != detail::parse_step::done)
          return failure{net_error{net_errc::bad_peer,
                                   where()
                                       + " sent what is not HTTP, or an "
                                         "answer that is too long"}};
        if (on_data && parser.header_done()) {
          const auto data = parser.take_body();
          if (!data.empty() && !(*on_data)(data)) {
            reply = finish(parser);
            drop();
            return reply;
          }
        }
        if (step == detail::parse_step::done) {
          reply = finish(parser);
          if (reply.header("connection") == "close" || !rest.empty()
              || !in.empty())
            drop();
          return reply;
        }
        continue;
      }
      if (got.state == detail::io_state::end
          || got.state == detail::io_state::broken) {
        if (heard && got.state == detail::io_state::end && parser.header_done()
            && parser.end() == detail::parse_step::done) {
          reply = finish(parser);
          drop();
          return reply;
        }
        return lost(false);
      }
      if (got.state == detail::io_state::want_write)
        events = POLLIN | POLLOUT;
      else if (!rest.empty() && events == POLLIN && sent)
        continue; // it took some; try the rest
      if (!wait_for(fd.get(), events, until))
        return lost(true);
    }
  }

  static http_reply finish(detail::response_parser& p) {
    http_reply r;
    r.status = p.status();
    r.headers = p.headers();
    r.body = p.take_body();
    return r;
  }

  http_target to;
  detail::descriptor fd;
  std::unique_ptr<detail::transport> pipe;
  std::shared_ptr<detail::tls_context> trust;
};

http_client::http_client(http_target to)
    : state_{std::make_unique<state>(std::move(to))} {
}
http_client::~http_client() = default;
http_client::http_client(http_client&&) noexcept = default;
http_client& http_client::operator=(http_client&&) noexcept = default;

result<http_reply, net_error> http_client::call(const http_call& c) {
  return state_->call(c, nullptr);
}

result<http_reply, net_error>
http_client::stream(const http_call& c,
                    const std::function<bool(std::string_view)>& on_data) {
  return state_->call(c, &on_data);
}

} // namespace banyan::io
