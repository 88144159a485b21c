#include "actors/host/json.hpp"

#include "base/codec.hpp"

#include <banyan/detail/codec.hpp>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>

namespace banyan {
namespace {

using nlohmann_json = nlohmann::json;

/// Turns the parser's events into msgpack. An object's or array's count comes
/// before its elements, so each open one is built in a buffer of its own.
class msgpack_builder final : public nlohmann::json_sax<nlohmann_json> {
public:
  msgpack_builder() { open_.emplace_back(); }
  bytes take() { return std::move(open_.front().data); }
  [[nodiscard]] const json_error& error() const { return error_; }

  bool null() override {
    out().nil();
    return true;
  }
  bool boolean(bool v) override {
    out().boolean(v);
    return true;
  }
  bool number_integer(number_integer_t v) override {
    out().sint(v);
    return true;
  }
  bool number_unsigned(number_unsigned_t v) override {
    out().uint(v);
    return true;
  }
  bool number_float(number_float_t v, const string_t&) override {
    out().number(v);
    return true;
  }
  bool string(string_t& v) override {
    out().text(v);
    return true;
  }
  bool binary(binary_t&) override { return false; } // JSON text has none
  bool key(string_t& v) override { return string(v); }
  bool start_object(std::size_t) override { return open(); }
  bool end_object() override { return close(true); }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return close(false); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    // The library's text begins with its own name and place.
    std::string_view what = e.what();
    if (const auto at = what.find("] "); at != std::string_view::npos)
      what.remove_prefix(at + 2);
    error_ = {json_errc::malformed, position > 0 ? position - 1 : 0,
              std::string{what.substr(0, 300)}};
    if (!detail::is_utf8(error_.message))
      error_.message = "malformed JSON";
    return false;
  }

private:
  struct level {
    bytes data;
    std::size_t values = 0; ///< keys count too
  };

  /// The writer of the innermost open container; one value follows.
  writer out() {
    ++open_.back().values;
    return writer{open_.back().data};
  }
  bool open() {
    open_.emplace_back();
    return true;
  }
  bool close(bool object) {
    const level done = std::move(open_.back());
    open_.pop_back();
    if (object)
      out().map(done.values / 2).raw(done.data);
    else
      out().array(done.values).raw(done.data);
    return true;
  }

  std::vector<level> open_;
  json_error error_;
};

/// Where brackets first nest deeper than `max`; npos if nowhere. Says so for
/// text that isn't JSON too: the parser is then not asked.
std::size_t too_deep_at(std::string_view text, unsigned max) {
  unsigned depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"')
      quoted = !quoted;
    else if (quoted)
      i += c == '\\' ? 1 : 0;
    else if ((c == '[' || c == '{') && ++depth > max)
      return i;
    else if ((c == ']' || c == '}') && depth > 0)
      --depth;
  }
  return std::string_view::npos;
}

void append_base64(std::string& out, const_bytes in) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < in.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, in.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < n ? in[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out += k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=';
  }
}

/// Appends JSON to a string while it reads msgpack.
class json_writer {
public:
  json_writer(const_bytes in, json_limits limits)
      : size_{in.size()}, in_{in}, limits_{limits} {}

  result<std::string, json_error> run() {
    if (value(0) && !in_.done())
      fail(json_errc::unplain, "bytes after the value");
    if (failed_)
      return failure<json_error>{error_};
    return std::move(out_);
  }

private:
  bool fail(json_errc code, std::string message) {
    if (!failed_)
      error_ = {code, size_ - in_.left(), std::move(message)};
    failed_ = true;
    return false;
  }
  bool checked() {
    if (!in_.ok())
      return fail(json_errc::unplain, "malformed msgpack");
    if (out_.size() > limits_.bytes_max)
      return fail(json_errc::too_large,
                  "over " + std::to_string(limits_.bytes_max) + " bytes");
    return true;
  }
  template <class T>
  void append_number(T v) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, v);
    out_.append(digits, end.ptr);
  }
  bool text() {
    const std::string_view s = in_.text(SIZE_MAX);
    if (!detail::is_utf8(s))
      return fail(json_errc::unplain, "text that isn't UTF-8");
    append_json_string(out_, s);
    return checked();
  }
  bool key() {
    switch (in_.peek()) {
    case reader::kind::text:
      return text();
    case reader::kind::uint:
      out_ += '"';
      append_number(in_.uint());
      out_ += '"';
      return checked();
    case reader::kind::sint:
      out_ += '"';
      append_number(in_.sint());
      out_ += '"';
      return checked();
    default:
      return fail(json_errc::unplain, "a key that is no text and no integer");
    }
  }
  bool number() {
    const double v = in_.number();
    if (!std::isfinite(v))
      return fail(json_errc::unplain, "a number that isn't finite");
    append_number(v);
    return checked();
  }
  bool array(unsigned depth) {
    out_ += '[';
    const std::size_t n = in_.array(SIZE_MAX);
    for (std::size_t i = 0; i < n; ++i) {
      if (i > 0)
        out_ += ',';
      if (!value(depth + 1))
        return false;
    }
    out_ += ']';
    return checked();
  }
  bool map(unsigned depth) {
    out_ += '{';
    const std::size_t n = in_.map(SIZE_MAX);
    for (std::size_t i = 0; i < n; ++i) {
      if (i > 0)
        out_ += ',';
      if (!key())
        return false;
      out_ += ':';
      if (!value(depth + 1))
        return false;
    }
    out_ += '}';
    return checked();
  }
  bool value(unsigned depth) {
    if (depth > limits_.depth_max)
      return fail(json_errc::too_deep,
                  "nested deeper than " + std::to_string(limits_.depth_max));
    switch (in_.peek()) {
    case reader::kind::nil:
      in_.nil();
      out_ += "null";
      return checked();
    case reader::kind::boolean:
      out_ += in_.boolean() ? "true" : "false";
      return checked();
    case reader::kind::uint:
      append_number(in_.uint());
      return checked();
    case reader::kind::sint:
      append_number(in_.sint());
      return checked();
    case reader::kind::number:
      return number();
    case reader::kind::text:
      return text();
    case reader::kind::blob:
      out_ += '"';
      append_base64(out_, in_.blob(SIZE_MAX));
      out_ += '"';
      return checked();
    case reader::kind::array:
      return array(depth);
    case reader::kind::map:
      return map(depth);
    default:
      return fail(json_errc::unplain, "malformed msgpack");
    }
  }

  std::size_t size_;
  reader in_;
  json_limits limits_;
  std::string out_;
  bool failed_ = false;
  json_error error_;
};

} // namespace

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  const bool valid = detail::is_utf8(text);
  out += '"';
  for (const char c : text) {
    const auto u = static_cast<std::uint8_t>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (u < 0x20 || u == 0x7f)
      ((out += "\\u00") += hex[u >> 4]) += hex[u & 15];
    else if (u >= 0x80 && !valid)
      out += "\xef\xbf\xbd";
    else
      out += c;
  }
  out += '"';
}

result<bytes, json_error> json_to_msgpack(std::string_view text,
                                          json_limits limits) {
  if (text.size() > limits.bytes_max)
    return failure<json_error>{
        {json_errc::too_large, limits.bytes_max,
         "over " + std::to_string(limits.bytes_max) + " bytes"}};
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return bytes{};
  const std::size_t deep = too_deep_at(text, limits.depth_max);
  if (deep != std::string_view::npos)
    return failure<json_error>{
        {json_errc::too_deep, deep,
         "nested deeper than " + std::to_string(limits.depth_max)}};
  msgpack_builder builder;
  if (!nlohmann_json::sax_parse(text.begin(), text.end(), &builder))
    return failure<json_error>{builder.error()};
  return builder.take();
}

result<std::string, json_error> msgpack_to_json(const_bytes value,
                                                json_limits limits) {
  return json_writer{value, limits}.run();
}

} // namespace banyan
