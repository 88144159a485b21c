#pragma once
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/io/net_error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace banyan::io {

class asio_loop;
namespace detail {
class tls_context;
}

/// How a request reached us: decides what it may do.
struct http_origin {
  bool unix_socket = false; ///< Through the socket file: this machine's owner.
  bool loopback = false;    ///< TCP from 127.0.0.0/8 or ::1.
  bool tls = false;
  std::string address; ///< `host:port`, empty for the Unix socket.
  /// Whom limits count it to, no text: an IPv4 address, or the /64 of an IPv6
  /// one, since whoever has an address there has all of them. Empty for the
  /// Unix socket.
  std::string network{};
};

/// One whole request, body included.
struct http_request {
  using field = std::pair<std::string, std::string>;

  std::string method; ///< As sent, e.g. `GET`.
  std::string target; ///< As sent: path and query, still percent-encoded.
  /// The path's parts, each percent-decoded: `/v1/apps/a%2Fb` → v1, apps, a/b.
  std::vector<std::string> path;
  std::vector<field> query;   ///< Decoded (`+` is a space), in order.
  std::vector<field> headers; ///< Names in lower case, in order.
  std::string body;
  http_origin from;

  /// The first header of that (lower-case) name; empty without one.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  /// The first query parameter of that name; null without one.
  [[nodiscard]] const std::string*
  parameter(std::string_view name) const noexcept;
};

struct http_response {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<http_request::field> headers{}; ///< Further ones.
};

/// `{"error": code, "message": message, "retry_after_ms": …}`; the last one
/// only when above zero, then with a `Retry-After` header as well.
http_response http_error(int status, std::string_view code,
                         std::string_view message,
                         std::chrono::milliseconds retry_after = {});
/// `text` as a JSON string with its quotes; bytes that aren't UTF-8 become
/// U+FFFD.
std::string json_quoted(std::string_view text);

/// The way back to one request's client. Copies name the same answer; loop's
/// thread only, within the call of `handle` or at any time later. It may
/// outlive the server and the client: then everything does nothing.
///
/// A responder whose last copy goes without an answer sends 504 `unknown`.
class http_responder {
public:
  http_responder() = default; ///< Answers nobody.

  /// The whole answer. False: already answered, or the client is gone.
  bool send(http_response r);
  /// Starts an answer of unknown length (server-sent events, downloads) that
  /// `write_chunk` continues and `finish` ends. `r.body` goes first.
  bool begin(http_response r);
  bool write_chunk(std::string_view data);
  void finish();
  /// Bytes written but not yet taken by the system: the client reads slowly.
  /// Over `http_limits::unsent_max` the connection is cut.
  [[nodiscard]] std::size_t unsent() const noexcept;

  /// False once the client closed its end, the connection failed or the
  /// server was closed. An answer is still attempted after a half-close.
  [[nodiscard]] bool client_waits() const noexcept;
  /// Called at most once, when `client_waits` turns false before the answer is
  /// complete; replaces an earlier one. May come from inside `write_chunk`.
  void on_gone(std::function<void()> f);

  struct exchange; ///< The server's side.
  explicit http_responder(std::shared_ptr<exchange> e);

private:
  struct guard;
  std::shared_ptr<guard> guard_;
};

class http_handler {
public:
  virtual ~http_handler() = default;
  /// On the loop's thread, for every request that is well-formed, within the
  /// limits and admitted. Requests of one connection come one at a time.
  virtual void handle(http_request request, http_responder responder) = 0;
};

struct http_limits {
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = 1024 * 1024;
  /// For one more, the oldest connection that never sent a byte goes, else the
  /// one that is longest between two requests, else the one whose request is
  /// longest on its way in (each a second at least); if there is none of them,
  /// the newcomer gets 429.
  std::size_t connections_max = 1024;
  std::size_t unsent_max = 4 * 1024 * 1024; ///< Of a stream.
  /// Of all connections; over it, the one with most of it is cut.
  std::size_t unsent_total_max = 64 * 1024 * 1024;
  /// Of requests that are still coming in, each beyond its first 16 KiB; who
  /// goes over it gets 429.
  std::size_t bodies_total_max = 64 * 1024 * 1024;
  duration read_deadline = 10s;  ///< First byte of a request to its last.
  duration idle_deadline = 75s;  ///< Between two requests.
  duration write_deadline = 30s; ///< Without any progress.
  /// Bytes per second that an answer must go at, seen from `write_deadline`
  /// after its begin; streams of unknown length may rest.
  std::size_t pace_min = 16 * 1024;
  /// Requests per second of one client address (of IPv6: one /64), twice as
  /// many at once; further ones get 429. 0: any number.
  std::uint32_t rate_per_address = 2000;
  /// Connections of one client address; further ones get 429. 0: any number.
  std::size_t connections_per_address = 512;
  /// Loopback has no limits per address unless this is set; the Unix socket
  /// never has.
  bool limit_loopback = false;
};

struct http_server_config {
  std::string host;                  ///< TCP: address or name; empty: no TCP.
  std::uint16_t port = 0;            ///< 0: any free one.
  std::filesystem::path unix_socket; ///< Empty: none. Made with mode 0600.
  std::filesystem::path cert;        ///< PEM; with `key`: TCP speaks TLS only.
  std::filesystem::path key;
  /// More names by which browsers may call us (`Host`), lower case without
  /// port. Addresses, `localhost` and `host` are always fine.
  std::vector<std::string> host_names;
  /// Called after the built-in check of Host and Origin; false: 403.
  std::function<bool(const http_request&)> admit;
  http_limits limits;
};

struct http_counters {
  std::uint64_t connections = 0, requests = 0;
  std::uint64_t refused_full = 0, refused_origin = 0, bad_requests = 0;
  std::uint64_t refused_rate = 0;   ///< Requests over an address's rate.
  std::uint64_t refused_bodies = 0; ///< Over `bodies_total_max`.
  std::uint64_t cut_unsent = 0;     ///< For `unsent_total_max`.
  std::uint64_t evicted = 0;        ///< Connections that made room for others.
  std::uint64_t timed_out = 0, too_large = 0, clients_gone = 0;
  /// @name At this moment
  /// @{
  std::size_t open = 0;   ///< Connections.
  std::size_t unsent = 0; ///< Bytes of answers that wait for their readers.
  std::size_t bodies = 0; ///< Bytes of bodies that are coming in.
  /// @}
  http_counters& operator+=(const http_counters& o) noexcept;
};

/// A server's certificate and private key, read and found to match.
class tls_keys {
public:
  /// Reads files, which may block. Any thread. @returns `bad_key`, naming one.
  static result<tls_keys, net_error> read(const std::filesystem::path& cert,
                                          const std::filesystem::path& key);
  [[nodiscard]] const std::shared_ptr<detail::tls_context>& context() const {
    return context_;
  }

private:
  explicit tls_keys(std::shared_ptr<detail::tls_context> c)
      : context_{std::move(c)} {}
  std::shared_ptr<detail::tls_context> context_;
};

/// HTTP/1.1 (and 1.0) over TCP, TLS or a Unix socket, on the loop.
///
/// Keep-alive and pipelining; `Expect: 100-continue`; `HEAD` is `GET` without
/// body. Refused before the handler sees it, as JSON errors: malformed (400),
/// foreign Origin or Host (403), too slow (408 closes), over a limit (413),
/// too many connections or requests (429). Loop's thread only, apart from
/// `open`/`close` of a loop with a thread of its own, which hop there and wait.
class http_server {
public:
  /// Listens when it returns. The loop and the handler must outlive it.
  /// A socket file of a dead process is replaced; one that answers is `in_use`.
  /// @returns `in_use`, `not_allowed`, `no_address`, `bad_key` or `system`.
  static result<std::unique_ptr<http_server>, net_error>
  open(asio_loop& l, http_server_config config, http_handler& handler);
  /// Closes every connection and removes the socket file.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// Before a planned end: takes no further connection, answers what came, with
  /// `Connection: close`, and ends connections that ask nothing more; streams
  /// of unknown length are cut. `done` follows once none is left, or after
  /// `limit`. Once.
  void wind_down(duration limit, std::function<void()> done);

  /// From now on connections are made with these keys; those that there are
  /// keep theirs. Only for a server that speaks TLS.
  void use_keys(const tls_keys& keys);

  /// `host:port` as bound; empty without TCP.
  [[nodiscard]] const std::string& address() const noexcept;
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] http_counters counters() const;

  struct state;

private:
  explicit http_server(std::shared_ptr<state> s);
  std::shared_ptr<state> state_;
};

} // namespace banyan::io
