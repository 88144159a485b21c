#include "history_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

namespace banyan::linear {
namespace {

using kind = kv_operation::kind;

/// Joins what is asked with what is answered, process by process.
class joiner {
public:
  void invoked(const std::string& process, kv_operation o) {
    EXPECT_EQ(open_.count(process), 0U) << "process " << process;
    open_[process] = out_.size();
    out_.push_back({std::move(o), ++now_, unknown});
  }
  call<kv_operation>& answered(const std::string& process) {
    const auto at = open_.find(process);
    EXPECT_NE(at, open_.end()) << "process " << process;
    auto& c = out_[at->second];
    c.answered = ++now_;
    open_.erase(at);
    return c;
  }
  void nothing_happened(const std::string& process) {
    dropped_.push_back(static_cast<std::size_t>(&answered(process) - &out_[0]));
  }
  kv_history take() {
    std::sort(dropped_.rbegin(), dropped_.rend());
    for (const auto d : dropped_)
      out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(d));
    return std::move(out_);
  }

private:
  kv_history out_;
  std::map<std::string, std::size_t> open_;
  std::vector<std::size_t> dropped_;
  tick now_ = 0;
};

std::optional<std::string> text_or_nothing(const std::string& s) {
  return s.empty() || s == "nil" ? std::nullopt : std::optional{s};
}

} // namespace

kv_history read_jepsen(const std::string& text) {
  joiner all;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in{line};
    std::string level, source, dash, process, type, f, value, second;
    if (!(in >> level >> source >> dash >> process >> type >> f >> value))
      continue;
    in >> second;
    if (type == ":invoke") {
      kv_operation o;
      o.what = f == ":read" ? kind::get : f == ":write" ? kind::put : kind::cas;
      if (o.what == kind::put)
        o.value = value;
      if (o.what == kind::cas) { // "[2" "3]"
        o.expected = value.substr(1);
        o.value = second.substr(0, second.size() - 1);
      }
      all.invoked(process, std::move(o));
    } else if (type == ":ok") {
      auto& c = all.answered(process);
      if (c.op.what == kind::get)
        c.op.read = text_or_nothing(value);
      c.op.swapped = c.op.what == kind::cas;
    } else if (type == ":fail" && f == ":cas") {
      all.answered(process).op.swapped = false;
    } else if (type == ":fail") {
      all.nothing_happened(process);
    }
  }
  return all.take();
}

kv_history read_edn(const std::string& text) {
  static const std::regex form{
      R"re(\{:process (\d+), :type :(\w+), :f :(\w+), :key "([^"]*)", )re"
      R"re(:value (?:nil|"([^"]*)"|(true|false)|\[(?:nil|"([^"]*)") "([^"]*)"\])\})re"};
  static const std::map<std::string, kind> kinds{{"get", kind::get},
                                                 {"put", kind::put},
                                                 {"append", kind::append},
                                                 {"cas", kind::cas},
                                                 {"delete", kind::erase}};
  joiner all;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == ';')
      continue;
    std::smatch m;
    if (!std::regex_match(line, m, form)) {
      ADD_FAILURE() << "not an event: " << line;
      continue;
    }
    if (m[2] == "invoke") {
      kv_operation o;
      o.what = kinds.at(m[3]);
      o.key = m[4];
      o.value = o.what == kind::cas ? m[8] : m[5];
      if (m[7].matched)
        o.expected = m[7];
      all.invoked(m[1], std::move(o));
    } else if (m[2] == "ok") {
      auto& c = all.answered(m[1]);
      if (c.op.what == kind::get)
        c.op.read = text_or_nothing(m[5]);
      c.op.swapped = m[6] == "true";
    } else if (m[2] == "fail") {
      all.nothing_happened(m[1]);
    }
  }
  return all.take();
}

std::map<std::string, bool> read_verdicts(const std::string& text) {
  static const std::regex form{R"re("([^"]+)":\s*(true|false))re"};
  std::map<std::string, bool> out;
  for (std::sregex_iterator at{text.begin(), text.end(), form}, end; at != end;
       ++at)
    out[(*at)[1]] = (*at)[2] == "true";
  return out;
}

} // namespace banyan::linear
