#pragma once
// Which C++ types can be sent or stored, and how a field list is seen.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#define BANYAN_TABLE_PLACE                                                     \
  "banyan: a banyan::table is a field of the app's state itself, not of a "    \
  "struct inside it or of an argument"

namespace banyan {

/// The argument of a handler that takes none, the value of one that gives none.
struct none {};

template <class K, class V>
class table;

namespace detail {

template <class T>
constexpr bool dependent_false = false;

struct field_probe {
  template <class V>
  void operator()(std::string_view, V&) {}
};
template <class T, class = void>
struct has_fields : std::false_type {};
template <class T>
struct has_fields<T, std::void_t<decltype(T::banyan_fields(std::declval<T&>(),
                                                           field_probe{}))>>
    : std::true_type {};

template <class T, template <class...> class Of>
struct is_a : std::false_type {};
template <template <class...> class Of, class... Args>
struct is_a<Of<Args...>, Of> : std::true_type {};
template <class T>
constexpr bool is_optional = is_a<T, std::optional>::value;
template <class T>
constexpr bool is_map = is_a<T, std::map>::value;
template <class T>
constexpr bool is_set = is_a<T, std::set>::value;
template <class T>
constexpr bool is_table = is_a<T, table>::value;
template <class T>
constexpr bool is_blob = std::is_same_v<T, std::vector<std::uint8_t>>;
template <class T>
constexpr bool is_vector = is_a<T, std::vector>::value && !is_blob<T>;
template <class T>
struct is_std_array : std::false_type {};
template <class T, std::size_t N>
struct is_std_array<std::array<T, N>> : std::true_type {};

} // namespace detail
} // namespace banyan
