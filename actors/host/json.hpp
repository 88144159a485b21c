#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>

namespace banyan {

enum class json_errc : std::uint8_t {
  malformed = 1, ///< No JSON: `position` is the byte where it stopped making
                 ///< sense.
  too_deep,      ///< Nested deeper than `json_limits::depth_max`.
  too_large,     ///< Text or result over `json_limits::bytes_max`.
  unplain, ///< An answer that JSON can't say: NaN, infinity, invalid UTF-8, an
           ///< extension, malformed msgpack. Is `app_failed`.
};

struct json_error {
  json_errc code = json_errc::malformed;
  std::size_t position = 0; ///< in bytes from the start of the input
  std::string message;
};

struct json_limits {
  static constexpr unsigned depth_max = 31; ///< the codec's, less the value
  std::size_t bytes_max = 1 << 20;
};

/// JSON text into canonical msgpack. Integers that fit 64 bits stay integers,
/// other numbers become float64; nothing is lost or reordered: a name that is
/// given twice stays there for the module to refuse with its path. Only spaces
/// gives no bytes, which is "no argument". No comments, no NaN.
result<bytes, json_error> json_to_msgpack(std::string_view text,
                                          json_limits limits = {});

/// One msgpack value into JSON text without spaces: bytes as base64, map keys
/// as strings, integers as numbers with all their digits.
result<std::string, json_error>
msgpack_to_json(const_bytes value, json_limits limits = {SIZE_MAX});

/// Appends `text` as a JSON string; invalid UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

} // namespace banyan
