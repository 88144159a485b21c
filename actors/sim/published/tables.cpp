// Tables of figures beside others' figures, for people and for programs.
#include "actors/sim/published/watch.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::sim::published {
namespace {

/// The text is our own: nothing in it but quotes and backslashes needs care.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const auto c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string list_of(const std::vector<std::string>& all) {
  std::string out = "[";
  for (const auto& one : all)
    out += (out.size() > 1 ? ", " : "") + quoted(one);
  return out + "]";
}

void add_line(std::string& out, const std::vector<std::string>& cells,
              const std::vector<std::size_t>& widths) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto pad = std::string(widths[i] - cells[i].size(), ' ');
    out += i == 0 ? cells[i] + pad : "  " + pad + cells[i];
  }
  while (out.back() == ' ')
    out.pop_back();
  out += "\n";
}

} // namespace

std::string text_of(const std::vector<table>& all) {
  std::string out;
  for (const auto& t : all) {
    std::vector<std::size_t> widths;
    for (const auto& cell : t.head)
      widths.push_back(cell.size());
    for (const auto& row : t.rows)
      for (std::size_t i = 0; i < row.size(); ++i)
        widths[i] = std::max(widths[i], row[i].size());
    out += (out.empty() ? "" : "\n") + t.title + "\n";
    add_line(out, t.head, widths);
    for (const auto& row : t.rows)
      add_line(out, row, widths);
    for (const auto& note : t.notes)
      out += "- " + note + "\n";
  }
  return out;
}

std::string json_of(const std::vector<table>& all) {
  std::string out = "{\"tables\": [";
  for (const auto& t : all) {
    out += (&t == all.data() ? "" : ", ") + std::string{"{\"title\": "}
           + quoted(t.title) + ", \"head\": " + list_of(t.head)
           + ", \"rows\": [";
    for (const auto& row : t.rows)
      out += (&row == t.rows.data() ? "" : ", ") + list_of(row);
    out += "], \"notes\": " + list_of(t.notes) + "}";
  }
  return out + "]}\n";
}

std::string shown(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string shown_seconds(const std::optional<duration>& d) {
  return d ? shown(to_ms(*d) / 1000, 2) : "never";
}

std::string shown_kb(const spread& bytes) {
  return shown(bytes.mean / 1000, 2) + " / " + shown(bytes.p99 / 1000, 2)
         + " / " + shown(bytes.most / 1000, 2);
}

} // namespace banyan::sim::published
