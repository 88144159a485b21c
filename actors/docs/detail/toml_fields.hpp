#pragma once
#include "actors/docs/spec_file.hpp"

#include <set>

// The one way in which toml++ is used: no exceptions, all in this file's two
// includers.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// Its own assertions don't hold for every text (`[!` trips one); the errors
// behind them are right.
#define TOML_ASSERT(expr) static_cast<void>(expr)
#include <toml++/toml.h>

namespace banyan::docs {

/// Takes the fields of one TOML table, each once; the first thing that is wrong
/// is kept as `FILE:LINE: field: cause`, and what nobody asked for is wrong
/// too.
class toml_fields {
public:
  toml_fields(const toml::table& table, std::string_view file)
      : table_{table}, file_{file} {}

  [[nodiscard]] const toml::node* find(std::string_view key) {
    asked_.insert(std::string{key});
    return table_.get(key);
  }

  /// Says that `key` is wrong; the first such call counts.
  void wrong(std::string_view key, const std::string& why) {
    if (!error_.empty())
      return;
    const auto* node = table_.get(key);
    error_ = place(node) + std::string{key} + ": " + why;
  }

  void text(std::string_view key, std::string& out) {
    if (const auto* node = find(key)) {
      if (node->is_string())
        out = node->as_string()->get();
      else
        wrong(key, "must be a text in quotes");
    }
  }
  void text(std::string_view key, std::optional<std::string>& out) {
    if (table_.contains(key))
      text(key, out.emplace());
    asked_.insert(std::string{key});
  }
  void boolean(std::string_view key, std::optional<bool>& out) {
    if (const auto* node = find(key)) {
      if (node->is_boolean())
        out = node->as_boolean()->get();
      else
        wrong(key, "must be true or false");
    }
  }
  /// A whole number between `low` and `high`.
  template <class Number>
  void number(std::string_view key, std::int64_t low, std::int64_t high,
              Number& out) {
    const auto* node = find(key);
    if (node == nullptr)
      return;
    const auto* number = node->as_integer();
    if (number == nullptr || number->get() < low || number->get() > high)
      wrong(key, "must be a whole number from " + std::to_string(low) + " to "
                     + std::to_string(high));
    else
      out = static_cast<Number>(number->get());
  }
  /// A list of texts of at most `bytes_max` each.
  void texts(std::string_view key, std::size_t count_max, std::size_t bytes_max,
             std::vector<std::string>& out) {
    const auto* node = find(key);
    if (node == nullptr)
      return;
    const auto* list = node->as_array();
    if (list == nullptr || list->size() > count_max)
      return wrong(key, "must be a list of at most " + std::to_string(count_max)
                            + " texts");
    for (const auto& element : *list) {
      const auto* text = element.as_string();
      if (text == nullptr || text->get().empty()
          || text->get().size() > bytes_max)
        return wrong(key, "each must be a text of 1 to "
                              + std::to_string(bytes_max) + " bytes");
      out.push_back(text->get());
    }
  }
  /// One of a few words.
  template <class Enum>
  void word(std::string_view key,
            std::initializer_list<std::pair<const char*, Enum>> words,
            Enum& out) {
    const auto* node = find(key);
    if (node == nullptr)
      return;
    std::string all;
    for (const auto& [name, value] : words) {
      if (node->is_string() && node->as_string()->get() == name) {
        out = value;
        return;
      }
      all += (all.empty() ? "\"" : " or \"") + std::string{name} + '"';
    }
    wrong(key, "must be " + all);
  }

  /// Call last: what was never asked for is refused.
  [[nodiscard]] const std::string& finish() {
    for (const auto& [key, node] : table_) {
      const std::string name{key.str()};
      if (error_.empty() && asked_.count(name) == 0)
        error_ = place(&node) + name + ": unknown; known are " + all_asked();
    }
    return error_;
  }
  [[nodiscard]] bool ok() const { return error_.empty(); }

private:
  [[nodiscard]] std::string place(const toml::node* node) const {
    std::string out = file_;
    if (node != nullptr && node->source().begin.line > 0)
      out += ":" + std::to_string(node->source().begin.line);
    return out + ": ";
  }
  [[nodiscard]] std::string all_asked() const {
    std::string out;
    for (const auto& key : asked_)
      out += (out.empty() ? "" : ", ") + key;
    return out;
  }

  const toml::table& table_;
  std::string file_;
  std::set<std::string> asked_;
  std::string error_;
};

/// The whole text as a table, or why it is no TOML.
inline result<toml::table, config_error> parse_toml(std::string_view text,
                                                    std::string_view file) {
  if (text.size() > config_file_bytes_max)
    return failure{config_error{std::string{file} + ": larger than 1 MiB"}};
  auto parsed = toml::parse(text);
  if (!parsed) {
    const auto& e = parsed.error();
    return failure{config_error{
        std::string{file} + ":" + std::to_string(e.source().begin.line)
        + ": no TOML: " + std::string{e.description()}}};
  }
  return std::move(parsed).table();
}

/// A file of the user's, at most `config_file_bytes_max`.
result<std::string, config_error>
read_text_file(const std::filesystem::path& file);

} // namespace banyan::docs
