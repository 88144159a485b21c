#include "datadriven.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace banyan::raft_test {
namespace {

/// Splits at spaces outside of parentheses.
std::vector<std::string> split_words(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  for (const char c : line) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ' ' && depth == 0) {
      if (!word.empty())
        words.push_back(std::exchange(word, {}));
    } else {
      word += c;
    }
  }
  if (!word.empty())
    words.push_back(word);
  return words;
}

std::vector<std::string> split_list(std::string text) {
  if (!text.empty() && text.front() == '(' && text.back() == ')')
    text = text.substr(1, text.size() - 2);
  std::vector<std::string> out;
  std::string item;
  std::istringstream in{text};
  while (std::getline(in, item, ',')) {
    item.erase(std::remove(item.begin(), item.end(), ' '), item.end());
    if (!item.empty())
      out.push_back(item);
  }
  return out;
}

void parse_command(const std::string& line, directive& d) {
  const auto words = split_words(line);
  d.name = words.front();
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto equals = words[i].find('=');
    if (equals == std::string::npos)
      d.arguments.emplace_back(words[i], std::vector<std::string>{});
    else
      d.arguments.emplace_back(words[i].substr(0, equals),
                               split_list(words[i].substr(equals + 1)));
  }
}

/// Ours alone: the data of others is never rewritten.
bool rewriting(const std::string& file) {
  return file.find("/tests/transcripts/") != std::string::npos
         && std::getenv(
             "BANYAN_REWRITE"); // NOLINT(concurrency-mt-unsafe): alone
}

} // namespace

const std::vector<std::string>*
directive::argument(const std::string& key) const {
  for (const auto& [name_, values] : arguments)
    if (name_ == key)
      return &values;
  return nullptr;
}

std::string directive::value(const std::string& key,
                             const std::string& otherwise) const {
  const auto* values = argument(key);
  return values && !values->empty() ? values->front() : otherwise;
}

std::vector<std::string> directive::words() const {
  std::vector<std::string> out;
  for (const auto& [name_, values] : arguments)
    if (values.empty())
      out.push_back(name_);
  return out;
}

std::size_t run_file(const std::string& file,
                     const std::function<std::string(const directive&)>& run) {
  std::ifstream in{file};
  std::string line;
  std::string rewritten;
  std::size_t number = 0;
  std::size_t ran = 0;
  const auto next = [&] {
    ++number;
    return static_cast<bool>(std::getline(in, line));
  };
  while (next()) {
    if (line.empty() || line.front() == '#') {
      rewritten += line + '\n';
      continue;
    }
    directive d;
    d.file = file;
    d.line = number;
    parse_command(line, d);
    rewritten += line + '\n';
    while (next() && line != "----") {
      d.input += line + '\n';
      rewritten += line + '\n';
    }
    while (next() && !line.empty())
      d.expected += line + '\n';
    auto got = run(d);
    if (!got.empty() && got.back() != '\n')
      got += '\n';
    ++ran;
    rewritten += "----\n" + got + '\n';
    if (!rewriting(file)) {
      EXPECT_EQ(got, d.expected) << file << ':' << d.line << ": " << d.name;
    }
  }
  if (rewriting(file)) {
    rewritten.pop_back();
    std::ofstream{file} << rewritten;
  }
  return ran;
}

std::vector<std::string> text_files(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code none;
  for (const auto& e : std::filesystem::directory_iterator{folder, none})
    if (e.path().extension() == ".txt")
      out.push_back(e.path().string());
  std::sort(out.begin(), out.end());
  return out;
}

std::string vectors_folder() {
  const char* set =
      std::getenv("BANYAN_VECTORS"); // NOLINT(concurrency-mt-unsafe): alone
  return set ? set : BANYAN_VECTORS_DEFAULT;
}

bool has_vectors() {
  return std::filesystem::is_directory(vectors_folder() + "/etcd-raft");
}

} // namespace banyan::raft_test
