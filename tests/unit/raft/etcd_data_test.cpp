// The quorum and configuration-change data of etcd/raft, and a small set of our
// own in the same format for who does not have it.
#include "datadriven.hpp"
#include "network.hpp"
#include "store/raft/quorum.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <sstream>

namespace banyan::raft_test {
namespace {

using raft::change;
using raft::configuration;
using raft::replica_set;

// --- quorum -----------------------------------------------------------------

replica_set parse_set(const std::vector<std::string>* ids) {
  replica_set out;
  if (ids)
    for (const auto& id : *ids)
      if (id != "zero")
        out.insert(replica(static_cast<unsigned>(std::stoul(id))));
  return out;
}

/// Gives the values to the voters in the order in which they are named, once
/// each; `_` is unknown.
std::map<replica_ref, std::string> assign(const directive& d,
                                          const std::string& key) {
  std::vector<replica_ref> order;
  for (const char* half : {"cfg", "cfgj"})
    if (const auto* ids = d.argument(half))
      for (const auto& id : *ids)
        if (id != "zero")
          order.push_back(replica(static_cast<unsigned>(std::stoul(id))));
  std::map<replica_ref, std::string> out;
  std::size_t next = 0;
  const auto* values = d.argument(key);
  for (const auto& r : order)
    if (values && next < values->size() && out.count(r) == 0)
      out[r] = (*values)[next++];
  for (auto i = out.begin(); i != out.end();)
    i = i->second == "_" ? out.erase(i) : std::next(i);
  return out;
}

/// The picture in front of the result: how many stand below each.
std::string describe(const replica_set& all,
                     const std::map<replica_ref, std::string>& values) {
  if (all.empty())
    return "<empty majority quorum>";
  const auto n = all.size();
  const auto number = [&](const replica_ref& r) {
    return values.count(r) ? std::stoull(values.at(r)) : 0;
  };
  std::string out = std::string(n, ' ') + "    idx\n";
  for (const auto& r : all) {
    const auto below = static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(),
                      [&](const auto& o) { return number(o) < number(r); }));
    if (values.count(r) == 0)
      out += "?" + std::string(n, ' ');
    else
      out += std::string(below, 'x') + ">" + std::string(n - below, ' ');
    auto text = std::to_string(number(r));
    out += ' ' + std::string(5 - std::min<std::size_t>(5, text.size()), ' ')
           + text + "    (id=" + std::to_string(number_of(r)) + ")\n";
  }
  return out;
}

std::string run_quorum(const directive& d) {
  configuration c;
  c.voters = parse_set(d.argument("cfg"));
  c.outgoing = parse_set(d.argument("cfgj"));
  const auto values = assign(d, d.name == "vote" ? "votes" : "idx");
  if (d.name == "vote") {
    switch (
        raft::quorum::vote_result(c, [&](const auto& r) -> std::optional<bool> {
          const auto at = values.find(r);
          if (at == values.end())
            return std::nullopt;
          return at->second == "y";
        })) {
    case raft::quorum::outcome::pending:
      return "VotePending";
    case raft::quorum::outcome::lost:
      return "VoteLost";
    case raft::quorum::outcome::won:
      return "VoteWon";
    }
  }
  const auto index = raft::quorum::committed(c, [&](const auto& r) {
    return values.count(r) ? std::stoull(values.at(r)) : 0;
  });
  const auto members = c.members();
  return describe(replica_set{members}, values)
         + (index == raft::quorum::everything ? "∞" : std::to_string(index));
}

// --- configuration changes --------------------------------------------------

class change_runner {
public:
  std::string operator()(const directive& d) {
    const auto now = index_++;
    std::vector<change> steps;
    std::istringstream in{d.input};
    for (std::string word; in >> word;)
      steps.push_back(parse(word));
    auto next = d.name == "simple"        ? raft::simple(config_, steps)
                : d.name == "enter-joint" ? raft::enter_joint(
                      config_, steps, d.value("autoleave", "false") == "true")
                                          : raft::leave_joint(config_);
    if (!next)
      return explain(d.name, next.error());
    config_ = *next;
    EXPECT_TRUE(config_.valid());
    configuration back;
    EXPECT_TRUE(raft::decode(raft::encode(config_), back));
    EXPECT_EQ(back, config_);
    std::map<replica_ref, std::uint64_t> born;
    for (const auto& r : config_.members())
      born[r] = born_.count(r) ? born_[r] : std::max<std::uint64_t>(now, 1);
    born_ = born;
    return text();
  }

private:
  static change parse(const std::string& word) {
    const auto id = static_cast<unsigned>(std::stoul(word.substr(1)));
    using kind = change::kind;
    const auto what = word[0] == 'v'   ? kind::add_voter
                      : word[0] == 'l' ? kind::add_learner
                      : word[0] == 'r' ? kind::remove
                                       : kind::nothing;
    return {what, id == 0 ? replica_ref{} : replica(id)};
  }

  [[nodiscard]] std::string explain(const std::string& command,
                                    raft::change_errc why) const {
    if (why == raft::change_errc::no_voters)
      return config_.voters.empty() && command == "enter-joint"
                 ? "can't make a zero-voter config joint"
                 : "removed all voters";
    if (why == raft::change_errc::not_simple)
      return "more than one voter changed without entering joint config";
    return command == "simple" ? "can't apply simple config change in joint "
                                 "config"
           : command == "enter-joint" ? "config is already joint"
                                      : "can't leave a non-joint config";
  }

  static std::string set(const replica_set& members) {
    std::string out = "(";
    for (const auto& r : members)
      out += (out.size() > 1 ? " " : "") + std::to_string(number_of(r));
    return out + ")";
  }

  [[nodiscard]] std::string text() const {
    std::string out = "voters=" + set(config_.voters);
    if (config_.joint())
      out += "&&" + set(config_.outgoing);
    if (!config_.learners.empty())
      out += " learners=" + set(config_.learners);
    if (!config_.learners_next.empty())
      out += " learners_next=" + set(config_.learners_next);
    out += config_.auto_leave ? " autoleave\n" : "\n";
    for (const auto& [r, index] : born_)
      out += std::to_string(number_of(r))
             + ": StateProbe match=0 next=" + std::to_string(index)
             + (config_.is_learner(r) ? " learner\n" : "\n");
    return out;
  }

  configuration config_;
  std::map<replica_ref, std::uint64_t> born_; ///< the index at which it came
  std::uint64_t index_ = 0;
};

struct counts {
  std::size_t files = 0, cases = 0;
};

counts run_quorum_folder(const std::string& folder) {
  counts c;
  for (const auto& file : text_files(folder)) {
    ++c.files;
    c.cases += run_file(file, run_quorum);
  }
  return c;
}

counts run_change_folder(const std::string& folder) {
  counts c;
  for (const auto& file : text_files(folder)) {
    ++c.files;
    change_runner runner;
    c.cases += run_file(file, [&](const auto& d) { return runner(d); });
  }
  return c;
}

/// The committed set, then etcd's; says so where that one is missing.
template <class Run>
void run_sets(Run run, const std::string& own, const std::string& foreign,
              std::size_t foreign_files) {
  const auto ours = run(BANYAN_SOURCE_DIR "/tests/transcripts/raft/" + own);
  std::cout << "our own: " << ours.cases << " cases\n";
  EXPECT_GT(ours.cases, 0u);
  if (!has_vectors()) {
    std::cout << "NOT RUN: etcd's " << own << " data; there is no "
              << vectors_folder() << "/etcd-raft\n";
    return;
  }
  const auto theirs = run(vectors_folder() + "/etcd-raft/" + foreign);
  std::cout << "etcd's: " << theirs.files << " files, " << theirs.cases
            << " cases\n";
  EXPECT_EQ(theirs.files, foreign_files);
}

TEST(raft_quorum, own_and_etcd_data) {
  run_sets(run_quorum_folder, "quorum", "quorum/testdata", 4);
}
TEST(raft_configuration, own_and_etcd_data) {
  run_sets(run_change_folder, "configuration", "confchange/testdata", 9);
}

} // namespace
} // namespace banyan::raft_test
