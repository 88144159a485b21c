#pragma once
#include "datadriven.hpp"

#include <map>
#include <string>

namespace banyan::raft_test {

/// What is known of a replica, by name: role, term, vote, commit, leader,
/// voters, match of N, log. What a text doesn't say isn't there.
using replica_facts = std::map<std::string, std::string>;

/// One line per replica: `1: role=leader term=1 vote=1 commit=11`. A value has
/// no spaces.
std::string text(const std::map<unsigned, replica_facts>& all);
/// The same back, without the lines that begin with `ours`; false for what
/// isn't such lines.
bool parse(const std::string& lines, std::map<unsigned, replica_facts>& out);

/// Follows one interaction file of etcd/raft and keeps what its output says of
/// each replica; messages are left out. While the file has its log turned off
/// it says nothing, and what was known counts no more.
class etcd_reader {
public:
  /// The facts to compare once this directive has run, as `text`; empty where
  /// a comparison makes no sense, since only messages are on their way.
  std::string facts(const directive& d);

private:
  void line(const std::string& l);
  std::map<unsigned, replica_facts> known_;
  unsigned node_ = 0; ///< whose Ready is shown
  bool quiet_ = false;
};

/// An interaction file with its inputs and comments as they are, and the facts
/// in place of its output.
std::string convert(const std::string& file);

} // namespace banyan::raft_test
