#pragma once
// Foreign msgpack into C++ values, with messages that name the place:
// `argument.cents: expected integer, got string`.
#include <banyan/detail/codec.hpp>
#include <banyan/detail/types.hpp>

#include <charconv>
#include <limits>

namespace banyan::detail {

/// At most `bytes_max` bytes of foreign text, fit for a message.
inline std::string printable(std::string_view s, std::size_t bytes_max = 64) {
  if (!is_utf8(s))
    return "?";
  if (s.size() <= bytes_max)
    return std::string{s};
  std::size_t cut = bytes_max;
  while (cut > 0 && (static_cast<std::uint8_t>(s[cut]) & 0xc0) == 0x80)
    --cut;
  return std::string{s.substr(0, cut)} + "...";
}

inline bool from_base64(std::string_view in, buffer& out) {
  out.clear();
  if (in.size() % 4 == 0)
    for (int padding = 0; padding < 2 && !in.empty() && in.back() == '=';
         ++padding)
      in.remove_suffix(1);
  if (in.size() % 4 == 1)
    return false;
  std::uint32_t bits = 0;
  unsigned have = 0;
  for (const char c : in) {
    const int v = c >= 'A' && c <= 'Z'   ? c - 'A'
                  : c >= 'a' && c <= 'z' ? c - 'a' + 26
                  : c >= '0' && c <= '9' ? c - '0' + 52
                  : c == '+'             ? 62
                  : c == '/'             ? 63
                                         : -1;
    if (v < 0)
      return false;
    bits = bits << 6 | static_cast<std::uint32_t>(v);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<std::uint8_t>(bits >> have));
    }
  }
  return (bits & ((1U << have) - 1)) == 0;
}

enum class decode_mode : std::uint8_t {
  argument, ///< a caller's: everything is checked, JSON's spellings are taken
  stored, ///< our own, maybe of an older field list: missing keeps the default
};

class decoder {
public:
  decoder(view in, decode_mode mode) noexcept : in_{in}, mode_{mode} {}

  /// One value and nothing behind it. False: see why().
  template <class T>
  bool whole(T& out) {
    return read(out) && (in_.empty() || refuse("bytes after the value"));
  }
  /// The app's state: its tables are stored elsewhere.
  template <class T>
  bool whole_state(T& out) {
    item head;
    if (!in_.next(head))
      return refuse("malformed msgpack");
    ++depth_;
    const bool ok = take_fields<true>(head, out);
    --depth_;
    return ok && (in_.empty() || refuse("bytes after the value"));
  }
  /// `argument.cents: expected integer, got string`
  [[nodiscard]] std::string why(std::string_view root) const {
    return std::string{root} + path_ + ": " + what_;
  }

  template <class T>
  bool read(T& out) {
    item head;
    if (depth_ >= parser::depth_max)
      return refuse("nested deeper than 32");
    if (!in_.next(head))
      return refuse("malformed msgpack");
    ++depth_;
    const bool ok = take(head, out);
    --depth_;
    return ok;
  }

private:
  template <class T>
  bool take(const item& head, T& out) {
    if constexpr (has_fields<T>::value)
      return take_fields(head, out);
    else if constexpr (std::is_same_v<T, none>)
      return take_none(head);
    else if constexpr (is_optional<T>)
      return take_optional(head, out);
    else if constexpr (std::is_same_v<T, bool>)
      return take_bool(head, out);
    else if constexpr (std::is_enum_v<T>)
      return take_enum(head, out);
    else if constexpr (std::is_integral_v<T>)
      return take_integer(head, out);
    else if constexpr (std::is_floating_point_v<T>)
      return take_number(head, out);
    else if constexpr (std::is_same_v<T, std::string>)
      return take_text(head, out);
    else if constexpr (is_blob<T>)
      return take_blob(head, out);
    else if constexpr (is_vector<T> || is_set<T>)
      return take_sequence(head, out);
    else if constexpr (is_std_array<T>::value)
      return take_array(head, out);
    else if constexpr (is_map<T>)
      return take_map(head, out);
    else
      static_assert(dependent_false<T>,
                    "banyan: this type can't be sent or stored. Give it "
                    "BANYAN_FIELDS(...), or use an integer, enum, bool, "
                    "double, std::string, std::vector (of std::uint8_t for "
                    "bytes), std::array, std::set, std::optional or std::map "
                    "(a banyan::table only directly in the app's state)");
    return false;
  }

  bool refuse(std::string what) {
    what_ = std::move(what);
    return false;
  }
  bool wrong(const char* wanted, const item& got) {
    return refuse(std::string{"expected "} + wanted + ", got " + got.name());
  }
  /// Puts a step in front of the path, on the way out of a failure.
  bool inside(std::string_view separator, std::string_view step,
              std::string_view close = {}) {
    path_ =
        std::string{separator} + std::string{step} + std::string{close} + path_;
    return false;
  }

  template <bool State = false, class T>
  bool take_fields(const item& head, T& out) {
    if (head.kind != item::map)
      return wrong("object", head);
    std::uint64_t seen = 0; // bit n: the n-th field was given
    for (std::uint64_t i = 0; i < head.bits; ++i) {
      item key;
      if (!in_.next(key))
        return refuse("malformed msgpack");
      if (key.kind != item::text)
        return wrong("field names", key);
      if (!take_field<State>(key.body.text(), out, seen))
        return false;
    }
    return mode_ == decode_mode::stored || none_missing(out, seen);
  }

  template <bool State, class T>
  bool take_field(std::string_view name, T& out, std::uint64_t& seen) {
    bool found = false, ok = true;
    unsigned number = 0;
    T::banyan_fields(out, [&](std::string_view field, auto& value) {
      const std::uint64_t bit = std::uint64_t{1} << number++;
      if (found || field != name)
        return;
      using field_type = std::decay_t<decltype(value)>;
      static_assert(State || !is_table<field_type>, BANYAN_TABLE_PLACE);
      if constexpr (!is_table<field_type>) {
        found = true;
        if ((seen & bit) != 0)
          ok = refuse("given twice");
        else
          ok = read(value);
        if (!ok)
          inside(".", field);
        seen |= bit;
      }
    });
    if (found)
      return ok;
    if (mode_ == decode_mode::stored)
      return in_.skip(depth_) || refuse("malformed msgpack");
    return refuse("unknown field '" + printable(name)
                  + "' (known: " + known_fields(out) + ")");
  }

  template <class T>
  bool none_missing(T& out, std::uint64_t seen) {
    std::string_view missing;
    unsigned number = 0;
    T::banyan_fields(out, [&](std::string_view field, auto& value) {
      const bool given = (seen >> number++ & 1) != 0;
      using field_type = std::decay_t<decltype(value)>;
      if (!given && !is_optional<field_type> && missing.empty())
        missing = field;
    });
    if (missing.empty())
      return true;
    inside(".", missing);
    return refuse("missing");
  }

  template <class T>
  static std::string known_fields(T& out) {
    std::string known;
    T::banyan_fields(out, [&](std::string_view field, auto&) {
      known += (known.empty() ? "" : ", ") + std::string{field};
    });
    return known;
  }

  bool take_none(const item& head) {
    if (head.kind == item::nil)
      return true;
    if (head.kind != item::map)
      return wrong("nothing", head);
    if (head.bits == 0)
      return true;
    item key;
    const bool named = in_.next(key) && key.kind == item::text;
    return refuse("unknown field '" + (named ? printable(key.body.text()) : "?")
                  + "' (takes no argument)");
  }

  template <class T>
  bool take_optional(const item& head, T& out) {
    if (head.kind != item::nil)
      return take(head, out.emplace());
    out.reset();
    return true;
  }

  bool take_bool(const item& head, bool& out) {
    if (head.kind != item::boolean)
      return wrong("boolean", head);
    out = head.bits != 0;
    return true;
  }

  template <class T>
  bool take_enum(const item& head, T& out) {
    std::underlying_type_t<T> v{};
    if (!take_integer(head, v))
      return false;
    out = static_cast<T>(v);
    return true;
  }

  template <class T>
  bool take_integer(const item& head, T& out) {
    if (head.kind == item::uint) {
      if (head.bits
          <= static_cast<std::uint64_t>(std::numeric_limits<T>::max()))
        return out = static_cast<T>(head.bits), true;
      return out_of_range<T>(std::to_string(head.bits));
    }
    if (head.kind == item::sint) {
      const auto v = static_cast<std::int64_t>(head.bits);
      if constexpr (std::is_signed_v<T>)
        if (v >= static_cast<std::int64_t>(std::numeric_limits<T>::min()))
          return out = static_cast<T>(v), true;
      return out_of_range<T>(std::to_string(v));
    }
    if (head.kind == item::text && mode_ == decode_mode::argument)
      return take_long_integer(head, out);
    return wrong("integer", head);
  }

  /// JSON has no integers beyond 2^53 that every reader keeps, so those are
  /// taken as decimal strings too; smaller ones are not.
  template <class T>
  bool take_long_integer(const item& head, T& out) {
    std::string_view digits = head.body.text();
    const bool minus = !digits.empty() && digits.front() == '-';
    if (minus)
      digits.remove_prefix(1);
    std::uint64_t v = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, v);
    const bool number = at == end && !digits.empty();
    if (number && error == std::errc::result_out_of_range)
      return out_of_range<T>(printable(head.body.text()));
    constexpr std::uint64_t exact = std::uint64_t{1} << 53;
    constexpr std::uint64_t lowest = std::uint64_t{1} << 63;
    if (!number || error != std::errc{} || digits.front() == '0' || v <= exact)
      return wrong("integer", head);
    if (minus && v > lowest)
      return out_of_range<T>(printable(head.body.text()));
    item whole;
    whole.kind = minus ? item::sint : item::uint;
    whole.bits = minus ? ~v + 1 : v;
    return take_integer(whole, out);
  }

  template <class T>
  bool out_of_range(const std::string& got) {
    return refuse("integer out of range: " + got + " is not in "
                  + std::to_string(std::numeric_limits<T>::min()) + ".."
                  + std::to_string(std::numeric_limits<T>::max()));
  }

  template <class T>
  bool take_number(const item& head, T& out) {
    if (head.kind == item::number)
      out = static_cast<T>(head.real);
    else if (head.kind == item::uint)
      out = static_cast<T>(head.bits);
    else if (head.kind == item::sint)
      out = static_cast<T>(static_cast<std::int64_t>(head.bits));
    else
      return wrong("number", head);
    if (mode_ == decode_mode::argument && !(out - out == 0))
      return refuse("expected a finite number");
    return true;
  }

  bool take_text(const item& head, std::string& out) {
    if (head.kind != item::text)
      return wrong("string", head);
    if (mode_ == decode_mode::argument && !is_utf8(head.body.text()))
      return refuse("expected a string of UTF-8");
    out.assign(head.body.text());
    return true;
  }

  bool take_blob(const item& head, buffer& out) {
    if (head.kind == item::blob) {
      out.assign(head.body.data, head.body.data + head.body.size);
      return true;
    }
    if (head.kind != item::text || mode_ != decode_mode::argument)
      return wrong("bytes", head);
    return from_base64(head.body.text(), out)
           || refuse("expected bytes as base64");
  }

  template <class T>
  bool take_sequence(const item& head, T& out) {
    if (head.kind != item::array)
      return wrong("array", head);
    out.clear();
    for (std::uint64_t i = 0; i < head.bits; ++i) {
      typename T::value_type v{};
      if (!read(v))
        return inside("[", std::to_string(i), "]");
      if constexpr (is_set<T>) {
        if (!out.insert(std::move(v)).second
            && mode_ == decode_mode::argument) {
          refuse("given twice");
          return inside("[", std::to_string(i), "]");
        }
      } else {
        out.push_back(std::move(v));
      }
    }
    return true;
  }

  template <class T, std::size_t N>
  bool take_array(const item& head, std::array<T, N>& out) {
    if (head.kind != item::array)
      return wrong("array", head);
    if (head.bits != N)
      return refuse("expected " + std::to_string(N) + " elements, got "
                    + std::to_string(head.bits));
    for (std::size_t i = 0; i < N; ++i)
      if (!read(out[i]))
        return inside("[", std::to_string(i), "]");
    return true;
  }

  template <class T>
  bool take_map(const item& head, T& out) {
    if (head.kind != item::map)
      return wrong("object", head);
    out.clear();
    for (std::uint64_t i = 0; i < head.bits; ++i) {
      item key_head;
      if (!in_.next(key_head))
        return refuse("malformed msgpack");
      typename T::key_type key{};
      if (!take_key(key_head, key))
        return inside(" (key", "", ")");
      const auto [at, is_new] = out.try_emplace(std::move(key));
      if (!is_new && mode_ == decode_mode::argument) {
        refuse("given twice");
        return inside(".", key_name(key_head));
      }
      if (!read(at->second))
        return inside(".", key_name(key_head));
    }
    return true;
  }

  /// JSON's keys are strings: an integer key is taken from its decimal form.
  template <class K>
  bool take_key(const item& head, K& out) {
    static_assert(
        std::is_same_v<
            K, std::string> || std::is_integral_v<K> || std::is_enum_v<K>,
        "banyan: the keys of a std::map that is sent or stored are "
        "std::string, integers or enums");
    if constexpr (std::is_enum_v<K>) {
      std::underlying_type_t<K> v{};
      if (!take_key(head, v))
        return false;
      out = static_cast<K>(v);
      return true;
    } else if constexpr (std::is_integral_v<K>) {
      if (head.kind != item::text)
        return take_integer(head, out);
      const std::string_view digits = head.body.text();
      const char* end = digits.data() + digits.size();
      const auto [at, error] = std::from_chars(digits.data(), end, out);
      return (error == std::errc{} && at == end) || wrong("integer", head);
    } else {
      return take_text(head, out);
    }
  }

  static std::string key_name(const item& head) {
    return head.kind == item::text ? printable(head.body.text())
           : head.kind == item::uint
               ? std::to_string(head.bits)
               : std::to_string(static_cast<std::int64_t>(head.bits));
  }

  parser in_;
  decode_mode mode_;
  unsigned depth_ = 0;
  std::string path_;
  std::string what_;
};

} // namespace banyan::detail
