// The interaction files of etcd/raft, played on our core: the same commits,
// terms, votes, logs and configurations at every point where etcd shows them.
// tests/transcripts/raft/etcd holds the inputs and those facts; where etcd's
// own files are, the facts are taken from them anew and must be equal.
// BANYAN_REWRITE=1 with etcd's files makes the folder anew.
#include "etcd_driver.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

namespace banyan::raft_test {
namespace {

const std::string own_folder =
    BANYAN_SOURCE_DIR "/tests/transcripts/raft/etcd/";
const std::string reliability = BANYAN_SOURCE_DIR "/docs/reliability.md";

/// Files whose inputs our core doesn't have. docs/reliability.md says why, and
/// which transcript of ours shows the same rule.
const std::set<std::string> not_mapped{
    "checkquorum.txt",
    "confchange_disable_validation.txt",
    "confchange_v2_add_single_explicit.txt",
    "confchange_v2_replace_leader.txt",
    "confchange_v2_replace_leader_stepdown.txt",
    "forget_leader_read_only_lease_based.txt",
    "prevote_checkquorum.txt",
};
constexpr std::size_t files_in_all = 28;

std::string base_name(const std::string& file) {
  return std::filesystem::path{file}.filename().string();
}
std::set<std::string> names(const std::string& folder) {
  std::set<std::string> out;
  for (const auto& file : text_files(folder))
    out.insert(base_name(file));
  return out;
}
std::string whole(const std::string& file) {
  std::ifstream in{file};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// Lines by `keep`, without what is blank at the end.
template <class Keep>
std::string filtered(const std::string& content, Keep keep) {
  std::istringstream in{content};
  std::string out;
  for (std::string l; std::getline(in, l);)
    if (keep(l))
      out += l + '\n';
  out.erase(out.find_last_not_of('\n') + 1);
  return out + '\n';
}
bool is_head(const std::string& l) {
  return l.rfind("#! ", 0) == 0;
}
bool is_ours(const std::string& l) {
  return l.rfind("ours ", 0) == 0;
}

bool rewriting() {
  return std::getenv("BANYAN_REWRITE"); // NOLINT(concurrency-mt-unsafe): alone
}

void make_anew(const std::string& name, const std::string& theirs) {
  auto head = std::filesystem::exists(own_folder + name)
                  ? filtered(whole(own_folder + name), is_head)
                  : "#! The inputs of etcd/raft's testdata/" + name
                        + ",\n#! and what it says of each replica.\n"
                          "#! Apache-2.0, see NOTICE.md.\n";
  std::ofstream{own_folder + name} << head << '\n' << theirs;
}

TEST(raft_etcd_interaction, facts_are_those_of_the_originals) {
  if (!has_vectors()) {
    std::cout << "NOT RUN: comparison with etcd's files; there is no "
              << vectors_folder() << "/etcd-raft\n";
    return;
  }
  std::size_t compared = 0;
  for (const auto& file :
       text_files(vectors_folder() + "/etcd-raft/testdata")) {
    const auto name = base_name(file);
    if (not_mapped.count(name) != 0)
      continue;
    const auto theirs = convert(file);
    if (rewriting())
      make_anew(name, theirs);
    EXPECT_EQ(filtered(whole(own_folder + name),
                       [](const auto& l) { return !is_head(l) && !is_ours(l); })
                  .substr(1),
              filtered(theirs, [](const auto&) { return true; }))
        << name;
    ++compared;
  }
  std::cout << compared << " files compared with etcd's\n";
  EXPECT_EQ(compared, files_in_all - not_mapped.size());
}

TEST(raft_etcd_interaction, our_core_holds_the_same_facts) {
  std::size_t points = 0;
  std::size_t facts = 0;
  std::size_t different = 0;
  for (const auto& file : text_files(own_folder)) {
    set_assert_context(file.c_str());
    etcd_driver driver;
    std::size_t ours = 0;
    run_file(file, [&](const directive& d) {
      const auto got = driver.run(d);
      std::istringstream in{got};
      for (std::string l; std::getline(in, l);) {
        const auto n =
            static_cast<std::size_t>(std::count(l.begin(), l.end(), '='));
        (is_ours(l) ? ours : facts) += n;
      }
      points += !got.empty();
      return got;
    });
    different += ours;
    EXPECT_EQ(ours != 0, whole(file).find("\n#! Ours: ") != std::string::npos)
        << base_name(file)
        << ": the head says why our core differs, if it does";
  }
  std::cout << facts << " facts at " << points << " points, " << different
            << " of them ours by design\n";
  EXPECT_GT(points, 0u);
  EXPECT_LT(different * 4, facts);
}

TEST(raft_etcd_interaction, every_file_is_mapped_or_named_with_its_reason) {
  auto all = names(own_folder);
  const auto table = whole(reliability);
  for (const auto& name : not_mapped)
    EXPECT_TRUE(all.insert(name).second) << name << " is in both lists";
  EXPECT_EQ(all.size(), files_in_all);
  for (const auto& name : all)
    EXPECT_NE(table.find("`" + name.substr(0, name.size() - 4) + "`"),
              std::string::npos)
        << name << " is not in the table of docs/reliability.md";
  if (has_vectors())
    EXPECT_EQ(names(vectors_folder() + "/etcd-raft/testdata"), all);
  else
    std::cout << "NOT RUN: the list of etcd's folder\n";
}

} // namespace
} // namespace banyan::raft_test
