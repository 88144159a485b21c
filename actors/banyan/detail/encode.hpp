#pragma once
// C++ values into msgpack. What others will see (answers, arguments) is
// checked: finite numbers and UTF-8, for it may become JSON.
#include <banyan/detail/codec.hpp>
#include <banyan/detail/types.hpp>

#include <stdexcept>

namespace banyan::detail {

/// A value that can't be sent, with its place: `answer.price: not a finite
/// number`.
struct unsendable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class encode_mode : std::uint8_t {
  sent,  ///< an answer or an argument: checked
  stored ///< state and rows: any bytes
};

class encoder {
public:
  encoder(buffer& out, encode_mode mode) noexcept : out_{out}, mode_{mode} {}

  /// False: see why().
  template <class T>
  bool write(const T& v) {
    if (depth_ >= parser::depth_max)
      return refuse("nested deeper than 32");
    ++depth_;
    const bool ok = put(v);
    --depth_;
    return ok;
  }
  /// The app's state: its tables are stored elsewhere.
  template <class T>
  bool write_state(const T& v) {
    ++depth_;
    const bool ok = put_fields<true>(v);
    --depth_;
    return ok;
  }
  [[nodiscard]] std::string why(std::string_view root) const {
    return std::string{root} + path_ + ": " + what_;
  }

private:
  template <class T>
  bool put(const T& v) {
    if constexpr (has_fields<T>::value) {
      return put_fields(v);
    } else if constexpr (std::is_same_v<T, none>) {
      out_.nil();
    } else if constexpr (is_optional<T>) {
      if (v)
        return put(*v);
      out_.nil();
    } else if constexpr (std::is_same_v<T, bool>) {
      out_.boolean(v);
    } else if constexpr (std::is_enum_v<T>) {
      return put(static_cast<std::underlying_type_t<T>>(v));
    } else if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_signed_v<T>)
        out_.sint(v);
      else
        out_.uint(v);
    } else if constexpr (std::is_floating_point_v<T>) {
      if (mode_ == encode_mode::sent && !(v - v == 0))
        return refuse("not a finite number");
      out_.number(static_cast<double>(v));
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      return put_text(v);
    } else if constexpr (is_blob<T>) {
      out_.blob(as_view(v));
    } else if constexpr (is_vector<T> || is_set<T> || is_std_array<T>::value) {
      return put_sequence(v);
    } else if constexpr (is_map<T>) {
      return put_map(v);
    } else {
      static_assert(dependent_false<T>,
                    "banyan: this type can't be sent or stored. Give it "
                    "BANYAN_FIELDS(...), or use an integer, enum, bool, "
                    "double, std::string, std::vector (of std::uint8_t for "
                    "bytes), std::array, std::set, std::optional or std::map "
                    "(a banyan::table only directly in the app's state)");
    }
    return true;
  }

  bool refuse(std::string what) {
    what_ = std::move(what);
    return false;
  }
  bool inside(std::string_view separator, std::string_view step,
              std::string_view close = {}) {
    path_ =
        std::string{separator} + std::string{step} + std::string{close} + path_;
    return false;
  }

  template <bool State = false, class T>
  bool put_fields(const T& v) {
    std::size_t n = 0;
    T::banyan_fields(v, [&](std::string_view, auto& value) {
      using field_type = std::decay_t<decltype(value)>;
      static_assert(State || !is_table<field_type>, BANYAN_TABLE_PLACE);
      if constexpr (!is_table<field_type>)
        ++n;
    });
    out_.map(n);
    bool ok = true;
    T::banyan_fields(v, [&](std::string_view name, auto& value) {
      if constexpr (!is_table<std::decay_t<decltype(value)>>) {
        if (!ok)
          return;
        out_.text(name);
        ok = write(value);
        if (!ok)
          inside(".", name);
      }
    });
    return ok;
  }

  bool put_text(std::string_view v) {
    if (mode_ == encode_mode::sent && !is_utf8(v))
      return refuse("not UTF-8 (use std::vector<std::uint8_t> for bytes)");
    out_.text(v);
    return true;
  }

  template <class T>
  bool put_sequence(const T& v) {
    out_.array(v.size());
    std::size_t i = 0;
    for (const auto& element : v) {
      if (!write<typename T::value_type>(element))
        return inside("[", std::to_string(i), "]");
      ++i;
    }
    return true;
  }

  template <class T>
  bool put_map(const T& v) {
    out_.map(v.size());
    for (const auto& [key, value] : v) {
      if (!put(key))
        return inside(" (key", "", ")");
      if (!write(value))
        return inside(".", key_name(key));
    }
    return true;
  }
  template <class K>
  static std::string key_name(const K& key) {
    if constexpr (std::is_enum_v<K>)
      return std::to_string(static_cast<std::underlying_type_t<K>>(key));
    else if constexpr (std::is_integral_v<K>)
      return std::to_string(key);
    else
      return key;
  }

  packer out_;
  encode_mode mode_;
  unsigned depth_ = 0;
  std::string path_;
  std::string what_;
};

/// The bytes of `v`; throws `unsendable` with its place under `root`.
template <class T>
buffer encode(const T& v, encode_mode mode, std::string_view root) {
  buffer out;
  encoder e{out, mode};
  if (!e.write(v))
    throw unsendable{e.why(root)};
  return out;
}

} // namespace banyan::detail
