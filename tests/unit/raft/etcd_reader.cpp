#include "etcd_reader.hpp"

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

namespace banyan::raft_test {
namespace {

/// `voters=(1 2 3)&&(1 2) learners=(4) autoleave` without its spaces.
std::string one_word(std::string configuration) {
  configuration =
      std::regex_replace(configuration, std::regex{" autoleave"}, "");
  std::replace(configuration.begin(), configuration.end(), ' ', ',');
  return std::regex_replace(configuration, std::regex{"\\),"}, ");");
}

std::string role_name(const std::string& theirs) {
  static const std::map<std::string, std::string> names{
      {"StateLeader", "leader"},
      {"StateFollower", "follower"},
      {"StateCandidate", "candidate"},
      {"StatePreCandidate", "pre_candidate"},
      {"pre-candidate", "pre_candidate"}};
  const auto at = names.find(theirs);
  return at == names.end() ? theirs : at->second;
}

std::string some(const std::string& number) {
  return number == "0" || number.empty() ? "none" : number;
}

unsigned number(const std::string& s) {
  return static_cast<unsigned>(std::stoul(s));
}

} // namespace

std::string text(const std::map<unsigned, replica_facts>& all) {
  std::string out;
  for (const auto& [n, facts] : all) {
    if (facts.empty())
      continue;
    out += std::to_string(n) + ":";
    for (const auto& [name, value] : facts)
      out += " " + name + "=" + value;
    out += "\n";
  }
  return out;
}

bool parse(const std::string& lines, std::map<unsigned, replica_facts>& out) {
  std::istringstream in{lines};
  for (std::string l; std::getline(in, l);) {
    if (l.rfind("ours ", 0) == 0)
      continue;
    std::istringstream words{l};
    std::string word;
    if (!(words >> word) || word.back() != ':')
      return false;
    auto& facts = out[number(word)];
    while (words >> word) {
      const auto equals = word.find('=');
      if (equals == std::string::npos)
        return false;
      facts[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  return true;
}

void etcd_reader::line(const std::string& l) {
  static const std::regex ready{"> (\\d+) handling Ready"};
  static const std::regex hard{
      "\\s*HardState Term:(\\d+)(?: Vote:(\\d+))? Commit:(\\d+)"};
  static const std::regex soft{"\\s*Lead:(\\d+) State:(\\w+)"};
  static const std::regex became{
      "\\s*INFO (\\d+) became ([a-z-]+) at term (\\d+)"};
  static const std::regex forgets{
      "\\s*INFO (\\d+) forgetting leader \\d+ at term (\\d+)"};
  static const std::regex fresh{
      "\\s*INFO newRaft (\\d+) .*term: (\\d+), commit: (\\d+),.*"};
  static const std::regex configured{
      "\\s*INFO (\\d+) switched to configuration (voters=.*)"};
  static const std::regex state{
      "(\\d+): (\\w+) \\(([A-Za-z-]+)\\) Term:(\\d+) Lead:(\\d+)"};
  static const std::regex progress{"(\\d+): State\\w+ match=(\\d+) next=.*"};
  static const std::regex entry{"(\\d+)/(\\d+) (\\w+)(?: (.*))?"};
  std::smatch m;
  if (std::regex_match(l, m, ready)) {
    node_ = number(m[1]);
  } else if (std::regex_match(l, m, hard)) {
    known_[node_]["term"] = m[1];
    known_[node_]["vote"] = some(m[2]);
    known_[node_]["commit"] = m[3];
  } else if (std::regex_match(l, m, soft)) {
    known_[node_]["leader"] = some(m[1]);
    known_[node_]["role"] = role_name(m[2]);
  } else if (std::regex_match(l, m, became)) {
    auto& facts = known_[number(m[1])];
    facts["role"] = role_name(m[2]);
    // The vote and the leader of a new term come with the next Ready.
    if (facts.count("term") != 0 && facts["term"] != m[3]) {
      facts.erase("vote");
      facts.erase("leader");
    }
    facts["term"] = m[3];
    if (facts["role"] == "leader")
      facts["leader"] = m[1];
    else
      facts.erase("leader");
  } else if (std::regex_match(l, m, forgets)) {
    known_[number(m[1])]["leader"] = "none";
  } else if (std::regex_match(l, m, fresh)) {
    known_[number(m[1])] = {{"role", "follower"},
                            {"term", m[2]},
                            {"commit", m[3]},
                            {"voters", known_[number(m[1])]["voters"]}};
  } else if (std::regex_match(l, m, configured)) {
    known_[number(m[1])]["voters"] =
        one_word(m[2].str().substr(std::string{"voters="}.size()));
  } else if (std::regex_match(l, m, state)) {
    auto& facts = known_[number(m[1])];
    facts["role"] = role_name(m[2]);
    facts["term"] = m[4];
    facts["leader"] = some(m[5]);
    facts["votes"] = m[3] == "Voter" ? "yes" : "no";
  } else if (std::regex_match(l, m, progress)) {
    known_[node_]["match_of_" + m[1].str()] = m[2];
  } else if (std::regex_match(l, m, entry) && node_ != 0) {
    auto data = m[4].str();
    data.erase(std::remove(data.begin(), data.end(), '"'), data.end());
    auto& log = known_[node_]["log"];
    log += (log.empty() ? "" : ",") + m[1].str() + "/" + m[2].str()
           + (m[3] == "EntryNormal" && !data.empty() ? ":" + data : "");
  }
}

std::string convert(const std::string& file) {
  etcd_reader reader;
  std::map<std::size_t, std::string> facts; // by the directive's line
  run_file(file, [&](const directive& d) {
    facts[d.line] = reader.facts(d);
    return d.expected;
  });
  std::ifstream in{file};
  std::string out;
  std::string line;
  std::size_t number = 0;
  const auto next = [&] {
    ++number;
    return static_cast<bool>(std::getline(in, line));
  };
  while (next()) {
    // Plans of theirs are none of ours.
    out += std::regex_replace(line, std::regex{"[A-Z]{4}\\([a-z]+\\): "}, "")
           + '\n';
    const auto at = facts.find(number);
    if (at == facts.end())
      continue;
    while (next() && line != "----")
      out += line + '\n';
    out += "----\n" + at->second + '\n';
    while (next() && !line.empty()) {
    }
  }
  return out;
}

std::string etcd_reader::facts(const directive& d) {
  const auto words = d.words();
  if (d.name == "log-level")
    quiet_ = words.at(0) == "none";
  if (quiet_ || d.value("log-level", "") == "none") {
    known_.clear();
    return {};
  }
  node_ = words.empty() || !std::isdigit(words[0][0]) ? 0 : number(words[0]);
  const bool shows_log = d.name == "raft-log";
  std::istringstream in{d.expected};
  for (std::string l; std::getline(in, l);) {
    const bool is_entry =
        !l.empty() && std::isdigit(l[0]) != 0 && l.find('/') < l.find(' ');
    if (is_entry == shows_log || !is_entry)
      line(l);
  }
  static const std::set<std::string> points{
      "campaign",       "stabilize",     "process-ready",
      "deliver-msgs",   "raft-state",    "raft-log",
      "tick-heartbeat", "forget-leader", "status"};
  std::string out;
  if (points.count(d.name) != 0) {
    auto shown = known_;
    if (d.name == "deliver-msgs") // its new commits are told by the next Ready
      for (auto& [n, facts] : shown)
        facts.erase("commit");
    out = text(shown);
  }
  for (auto& [n, facts] : known_)
    for (auto i = facts.begin(); i != facts.end();)
      i = i->first == "log" || i->first.rfind("match_of_", 0) == 0
                  || i->first == "votes"
              ? facts.erase(i)
              : std::next(i);
  return out;
}

} // namespace banyan::raft_test
