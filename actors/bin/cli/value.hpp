#pragma once
#include "base/codec.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::cli {

/// An answer of the API, read whole: what tables are made of. What a peer did
/// not say reads as nil, zero or empty, so a newer peer's answer still shows.
class value {
public:
  /// False unless `in` is one msgpack value with text keys.
  [[nodiscard]] static bool decode(const_bytes in, value& out);

  /// The field of that name; nil without one.
  [[nodiscard]] const value& operator[](std::string_view name) const;
  [[nodiscard]] const std::vector<value>& items() const { return items_; }
  [[nodiscard]] bool is_nil() const { return kind_ == reader::kind::nil; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool boolean() const { return boolean_; } ///< said to be true
  [[nodiscard]] std::uint64_t uint() const;
  [[nodiscard]] double number() const; ///< of any number
  /// Text as it is, numbers in digits, nil as nothing.
  [[nodiscard]] std::string shown() const;

private:
  bool read(reader& r);

  reader::kind kind_ = reader::kind::nil;
  bool boolean_ = false;
  std::uint64_t uint_ = 0;
  std::int64_t sint_ = 0;
  double number_ = 0;
  std::string text_;               ///< of a text or a blob
  std::vector<value> items_;       ///< of an array, or the values of a map
  std::vector<std::string> names_; ///< of a map
};

/// Three digits behind the point at most, none that say nothing.
[[nodiscard]] std::string number_text(double v);

} // namespace banyan::cli
