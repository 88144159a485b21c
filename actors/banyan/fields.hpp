#pragma once
#include <banyan/detail/macros.hpp>

#include <string_view>

/// Names the fields of a message, a state or a row, once, up to 32 of them:
///
///   struct amount { std::int64_t cents = 0; BANYAN_FIELDS(cents); };
///
/// The struct stays an aggregate. A field may be an integer, an enum, bool,
/// double, std::string, std::vector (of std::uint8_t: bytes), std::array,
/// std::set, std::optional, std::map with string or integer keys, or another
/// struct with BANYAN_FIELDS. Fields travel by name: their order is free, and a
/// new one with a default needs nothing else.
#define BANYAN_FIELDS(...)                                                     \
  template <class Self, class F>                                               \
  static void banyan_fields(Self& self, F&& f) {                               \
    BANYAN_MAP(BANYAN_FIELD_, , __VA_ARGS__)                                   \
  }                                                                            \
  static_assert(true)
#define BANYAN_FIELD_(context, name) f(std::string_view{#name}, self.name);
