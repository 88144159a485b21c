#pragma once
#include "net/io/http_server.hpp"

#include <string>
#include <string_view>

/// HTTP's text, apart from parsing messages.
namespace banyan::io::detail {

/// False on a bad escape. `plus_is_space`: as in queries.
bool percent_decode(std::string_view text, bool plus_is_space,
                    std::string& out);
/// Splits and decodes `target` into path and query; false when it is no
/// absolute path, holds a bad escape or has too many parts.
bool split_target(http_request& r);

std::string_view reason(int status) noexcept;

/// How the body's end is told.
enum class framing : std::uint8_t {
  length,   ///< By Content-Length.
  chunked,  ///< In chunks.
  until_end ///< By closing, for HTTP/1.0 clients.
};
/// Appends status line and headers, with the empty line after them.
void write_head(std::string& out, const http_response& r, framing f,
                bool keep_alive, std::string_view date);
void write_chunk(std::string& out, std::string_view data);
/// `Sun, 06 Nov 1994 08:49:37 GMT`.
std::string http_date(std::int64_t unix_seconds);
/// The name in `Host` or in an origin's authority: no port, lower case.
std::string host_name(std::string_view authority);

} // namespace banyan::io::detail
