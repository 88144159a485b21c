#pragma once
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/io/http_server.hpp"
#include "net/io/net_error.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::io {

/// Where an HTTP server is: a socket file, or host and port.
struct http_target {
  std::filesystem::path unix_socket; ///< If not empty, all else is ignored.
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;
  /// PEM file with a certificate to trust besides the system's authorities.
  std::filesystem::path authority;
};
/// `http://HOST:PORT`, `https://HOST:PORT` (ports 80 and 443 by default), with
/// or without a slash at the end. Empty host: not of that form.
http_target parse_http_url(std::string_view url);

struct http_call {
  std::string method = "GET";
  std::string target = "/"; ///< Path and query, percent-encoded.
  std::string body;
  std::vector<http_request::field> headers; ///< Host and length are added.
  duration connect_timeout = 2s;
  duration timeout = 30s; ///< From the start to the last byte.
};

struct http_reply {
  int status = 0;
  std::vector<http_request::field> headers; ///< Names in lower case.
  std::string body;
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

/// A blocking client for the command line and for tests: one connection, kept
/// between calls and made again when the server closed it. One thread at a
/// time; never on a loop's thread.
class http_client {
public:
  static constexpr std::size_t body_bytes_max = 64 * 1024 * 1024;

  explicit http_client(http_target to);
  ~http_client();
  http_client(http_client&&) noexcept;
  http_client& operator=(http_client&&) noexcept;

  /// Any status is a reply. @returns `refused`, `no_address`, `not_allowed`,
  /// `timeout`, `bad_key` or `system` with nothing sent; `unknown` once any
  /// byte of the request went out; `bad_peer` for what isn't HTTP or trusted.
  result<http_reply, net_error> call(const http_call& c);
  /// The same, with the body handed over as it comes, without limit; the
  /// reply's stays empty. `on_data` returning false ends the call there, as a
  /// success. `timeout` zero: none.
  result<http_reply, net_error>
  stream(const http_call& c,
         const std::function<bool(std::string_view)>& on_data);

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace banyan::io
