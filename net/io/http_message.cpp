#include "net/io/detail/http_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace banyan::io {

namespace {

constexpr std::size_t parts_max = 64;

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/// Bytes of the UTF-8 sequence that begins at `i`; 0: there is none.
std::size_t utf8_length(std::string_view s, std::size_t i) noexcept {
  const auto byte = [&](std::size_t k) {
    return k < s.size() ? static_cast<unsigned char>(s[k]) : 0u;
  };
  const auto tail = [&](std::size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
  const auto b = byte(i);
  if (b < 0x80)
    return 1;
  if (b >= 0xC2 && b < 0xE0)
    return tail(i + 1) ? 2 : 0;
  if (b >= 0xE0 && b < 0xF0) {
    const auto overlong = b == 0xE0 && byte(i + 1) < 0xA0;
    const auto surrogate = b == 0xED && byte(i + 1) >= 0xA0;
    return tail(i + 1) && tail(i + 2) && !overlong && !surrogate ? 3 : 0;
  }
  if (b >= 0xF0 && b < 0xF5) {
    const auto overlong = b == 0xF0 && byte(i + 1) < 0x90;
    const auto beyond = b == 0xF4 && byte(i + 1) >= 0x90;
    return tail(i + 1) && tail(i + 2) && tail(i + 3) && !overlong && !beyond
               ? 4
               : 0;
  }
  return 0;
}

} // namespace

std::string_view http_request::header(std::string_view name) const noexcept {
  for (const auto& [k, v] : headers)
    if (k == name)
      return v;
  return {};
}

const std::string*
http_request::parameter(std::string_view name) const noexcept {
  for (const auto& [k, v] : query)
    if (k == name)
      return &v;
  return nullptr;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const auto n = utf8_length(text, i);
    const auto c = static_cast<unsigned char>(text[i]);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else if (n > 1) {
      out += text.substr(i, n);
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20 || c == 0x7F) {
      std::array<char, 8> esc{};
      std::snprintf(esc.data(), esc.size(), "\\u%04x", unsigned{c});
      out += esc.data();
    } else {
      out += text[i];
    }
    i += std::max<std::size_t>(n, 1);
  }
  return out + '"';
}

http_response http_error(int status, std::string_view code,
                         std::string_view message,
                         std::chrono::milliseconds retry_after) {
  http_response r;
  r.status = status;
  r.body = "{\"error\":" + json_quoted(code)
           + ",\"message\":" + json_quoted(message);
  if (retry_after.count() > 0) {
    r.body += ",\"retry_after_ms\":" + std::to_string(retry_after.count());
    r.headers.emplace_back("Retry-After",
                           std::to_string((retry_after.count() + 999) / 1000));
  }
  r.body += "}\n";
  return r;
}

namespace detail {

bool percent_decode(std::string_view text, bool plus_is_space,
                    std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size())
        return false;
      const auto high = hex_digit(text[i + 1]);
      const auto low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0)
        return false;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return true;
}

bool split_target(http_request& r) {
  std::string_view t = r.target;
  if (t.empty() || t.front() != '/')
    return false;
  t = t.substr(0, t.find('#'));
  const auto mark = t.find('?');
  auto path = t.substr(1, mark == std::string_view::npos ? mark : mark - 1);
  while (!path.empty()) {
    const auto slash = path.find('/');
    if (r.path.size() == parts_max
        || !percent_decode(path.substr(0, slash), false, r.path.emplace_back()))
      return false;
    if (slash == std::string_view::npos)
      break;
    path.remove_prefix(slash + 1);
  }
  if (mark == std::string_view::npos)
    return true;
  auto query = t.substr(mark + 1);
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto one = query.substr(0, end);
    if (!one.empty()) {
      if (r.query.size() == parts_max)
        return false;
      const auto eq = one.find('=');
      auto& [k, v] = r.query.emplace_back();
      if (!percent_decode(one.substr(0, eq), true, k)
          || (eq != std::string_view::npos
              && !percent_decode(one.substr(eq + 1), true, v)))
        return false;
    }
    if (end == std::string_view::npos)
      break;
    query.remove_prefix(end + 1);
  }
  return true;
}

std::string_view reason(int status) noexcept {
  switch (status) {
  case 200:
    return "OK";
  case 201:
    return "Created";
  case 202:
    return "Accepted";
  case 204:
    return "No Content";
  case 304:
    return "Not Modified";
  case 400:
    return "Bad Request";
  case 401:
    return "Unauthorized";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 406:
    return "Not Acceptable";
  case 408:
    return "Request Timeout";
  case 409:
    return "Conflict";
  case 410:
    return "Gone";
  case 413:
    return "Content Too Large";
  case 415:
    return "Unsupported Media Type";
  case 422:
    return "Unprocessable Content";
  case 429:
    return "Too Many Requests";
  case 500:
    return "Internal Server Error";
  case 501:
    return "Not Implemented";
  case 503:
    return "Service Unavailable";
  case 504:
    return "Gateway Timeout";
  case 507:
    return "Insufficient Storage";
  default:
    return "Status";
  }
}

void write_head(std::string& out, const http_response& r, framing f,
                bool keep_alive, std::string_view date) {
  out += "HTTP/1.1 ";
  out += std::to_string(r.status);
  out += ' ';
  out += reason(r.status);
  out += "\r\nDate: ";
  out += date;
  const auto bodiless = r.status == 204 || r.status == 304;
  if (!bodiless) {
    out += "\r\nContent-Type: ";
    out += r.content_type;
    if (f == framing::length) {
      out += "\r\nContent-Length: ";
      out += std::to_string(r.body.size());
    } else if (f == framing::chunked) {
      out += "\r\nTransfer-Encoding: chunked";
    }
  }
  out += keep_alive ? "\r\nConnection: keep-alive\r\n"
                    : "\r\nConnection: close\r\n";
  for (const auto& [k, v] : r.headers) {
    // A line break in a value would let its author write headers of his own.
    if ((k + v).find_first_of(std::string_view{"\r\n\0", 3})
        != std::string::npos)
      continue;
    out += k;
    out += ": ";
    out += v;
    out += "\r\n";
  }
  out += "\r\n";
}

void write_chunk(std::string& out, std::string_view data) {
  std::array<char, 20> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", data.size());
  out += size.data();
  out += data;
  out += "\r\n";
}

std::string http_date(std::int64_t unix_seconds) {
  const auto t = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  ::gmtime_r(&t, &parts);
  static constexpr std::array<const char*, 7> days{"Sun", "Mon", "Tue", "Wed",
                                                   "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> months{
      "Jan", "Feb", "Mar", "Apr", "May", "Jun",
      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::array<char, 64> out{};
  std::snprintf(out.data(), out.size(), "%s, %02d %s %d %02d:%02d:%02d GMT",
                days[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                months[static_cast<std::size_t>(parts.tm_mon)],
                parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                parts.tm_sec);
  return out.data();
}

std::string host_name(std::string_view authority) {
  const auto v6 = !authority.empty() && authority.front() == '[';
  const auto end = v6 ? authority.find(']') : authority.rfind(':');
  if (v6)
    authority = end == std::string_view::npos ? std::string_view{}
                                              : authority.substr(1, end - 1);
  else
    authority = authority.substr(0, end);
  std::string out{authority};
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (!out.empty() && out.back() == '.')
    out.pop_back();
  return out;
}

} // namespace detail
} // namespace banyan::io
