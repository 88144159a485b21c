#include "actors/bin/cli/sse.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <utility>

namespace banyan::cli {

bool sse_reader::put(std::string_view piece, const message_function& f) {
  while (!piece.empty()) {
    const auto end = piece.find('\n');
    const auto part = piece.substr(0, end);
    if (left_.size() + part.size() > line_bytes_max)
      too_long_ = true;
    else
      left_ += part;
    if (end == std::string_view::npos)
      return true;
    piece.remove_prefix(end + 1);
    const auto whole = std::move(left_);
    left_.clear();
    if (std::exchange(too_long_, false))
      data_.clear();
    else if (!line(whole, f))
      return false;
  }
  return true;
}

bool sse_reader::line(std::string_view text, const message_function& f) {
  if (!text.empty() && text.back() == '\r')
    text.remove_suffix(1);
  constexpr std::string_view id = "id: ";
  constexpr std::string_view data = "data: ";
  if (text.substr(0, id.size()) == id)
    id_ = text.substr(id.size());
  else if (text.substr(0, data.size()) == data)
    data_ += text.substr(data.size());
  if (!text.empty() || data_.empty())
    return true;
  const auto message = std::move(data_);
  data_.clear();
  return f(id_, message);
}

std::string time_text(std::int64_t unix_ms) {
  if (unix_ms < 0)
    unix_ms = 0;
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[40];
  const auto n = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  if (n == 0)
    return std::to_string(unix_ms);
  std::snprintf(text + n, sizeof text - n, ".%03d",
                static_cast<int>(unix_ms % 1000));
  return text;
}

std::int64_t unix_ms_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

} // namespace banyan::cli
