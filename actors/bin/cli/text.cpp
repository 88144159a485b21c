#include "actors/bin/cli/text.hpp"

#include "actors/docs/app_documents.hpp"

#include <algorithm>

namespace banyan::cli {
namespace {

constexpr std::size_t actor_key_bytes_max = 255;

// Columns on a screen: continuation bytes of UTF-8 take none.
std::size_t width(std::string_view s) {
  return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

} // namespace

bool split_address(std::string_view text, actor_address& out,
                   std::string& why) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    why = "'" + printable(text)
          + "' names no actor: write APP/KEY, for example ledger/alice";
    return false;
  }
  out.app = text.substr(0, slash);
  out.key = text.substr(slash + 1);
  if (!is_app_name(out.app)) {
    why = "'" + printable(out.app)
          + "' is no app name: 1 to 63 of a-z, 0-9, _ and -, a letter first; "
            "`banyan apps` lists what there is";
    return false;
  }
  if (out.key.empty() || out.key.size() > actor_key_bytes_max) {
    why = "the actor's key has " + std::to_string(out.key.size())
          + " bytes; it must be 1 to 255 bytes of UTF-8";
    return false;
  }
  return true;
}

std::string percent_encoded(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  const bool dots = text == "." || text == "..";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                       || (c >= '0' && c <= '9') || c == '-' || c == '_'
                       || c == '~' || (c == '.' && !dots);
    if (plain) {
      out.push_back(c);
      continue;
    }
    const auto b = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(digits[b >> 4U]);
    out.push_back(digits[b & 15U]);
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    if (static_cast<unsigned char>(c) < 0x20U || c == 0x7F)
      c = '?';
  return out;
}

std::string counted(std::uint64_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string{noun} + (n == 1 ? "" : "s");
}

table::table(std::vector<std::string> headings) {
  for (auto& h : headings)
    h = printable(h);
  rows_.push_back(std::move(headings));
}

void table::row(std::vector<std::string> cells) {
  cells.resize(rows_.front().size());
  for (auto& c : cells)
    c = c.empty() ? "-" : printable(c);
  rows_.push_back(std::move(cells));
}

std::string table::text() const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& r : rows_)
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], width(r[i]));
  std::string out;
  for (const auto& r : rows_) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      out += r[i];
      if (i + 1 < widths.size())
        out.append(widths[i] - width(r[i]) + 2, ' ');
    }
    out.push_back('\n');
  }
  return out;
}

} // namespace banyan::cli
