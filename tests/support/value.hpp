#pragma once
#include "base/bytes.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace banyan::test {

/// Any value that the HTTP API answered in msgpack, as a tree. What is missing
/// or of another type reads as nil, zero or empty: a test then fails on what it
/// expects, with the answer printed.
struct value {
  enum class kind : std::uint8_t {
    nil,
    boolean,
    integer,
    number,
    text,
    list,
    map
  };
  kind what = kind::nil;
  std::int64_t integer = 0; ///< also 0 or 1 of a boolean
  double real = 0;          ///< also an integer, as double
  std::string text;         ///< also a blob
  std::vector<value> list;
  std::vector<std::pair<std::string, value>> fields;

  [[nodiscard]] bool is_nil() const { return what == kind::nil; }
  /// The field of a map; nil without one.
  [[nodiscard]] const value& operator[](std::string_view name) const;
};

/// Nil if `encoded` is not one whole msgpack value.
value parse_value(std::string_view encoded);

} // namespace banyan::test
