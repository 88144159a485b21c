#pragma once
#include "net/io/http_server.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

/// Boost.Beast's parsers behind plain types: the one place that includes it.
namespace banyan::io::detail {

enum class parse_step : std::uint8_t {
  more, ///< Not whole yet: put the unused bytes again, with more behind them.
  done,
  bad,
  header_too_large,
  body_too_large
};

/// One request; made anew for each.
class request_parser {
public:
  request_parser(std::size_t header_bytes_max, std::size_t body_bytes_max);
  ~request_parser();
  /// Takes bytes from the front of `data`; `used` says how many. What follows
  /// a whole request is left: it belongs to the next.
  parse_step put(std::string_view data, std::size_t& used);
  [[nodiscard]] bool header_done() const;
  [[nodiscard]] bool expects_continue() const;
  /// So much of the body is there.
  [[nodiscard]] std::size_t body_bytes() const;
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] bool http_1_0() const;
  /// Once `done`: everything but `path`, `query` and `from`.
  http_request take();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

/// One response.
class response_parser {
public:
  /// `to_head`: the answer to a HEAD request, which has no body.
  response_parser(std::uint64_t body_bytes_max, bool to_head);
  ~response_parser();
  parse_step put(std::string_view data, std::size_t& used);
  /// The connection ended; `done` if that is how this body ends.
  parse_step end();
  [[nodiscard]] bool header_done() const;
  [[nodiscard]] int status() const;
  [[nodiscard]] std::vector<http_request::field> headers() const;
  /// The body's bytes that arrived since the last call.
  std::string take_body();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

} // namespace banyan::io::detail
