#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

/// Text tests: commands with the output that they are expected to have.
///
///     # a comment
///     command argument name=(1,2)
///     more input
///     ----
///     expected output, up to an empty line
namespace banyan::raft_test {

struct directive {
  std::string file;
  std::size_t line = 0;
  std::string name;
  /// Words of the first line: `name=value`, or a bare word with no value; a
  /// list `(1,2)` is split.
  std::vector<std::pair<std::string, std::vector<std::string>>> arguments;
  std::string input; ///< the lines up to the dashes
  std::string expected;

  [[nodiscard]] const std::vector<std::string>*
  argument(const std::string& key) const;
  /// Its single value, or `otherwise`.
  [[nodiscard]] std::string value(const std::string& key,
                                  const std::string& otherwise) const;
  /// The bare words.
  [[nodiscard]] std::vector<std::string> words() const;
};

/// Runs every directive of `file`; each whose output differs is a test failure,
/// or rewritten into the file when BANYAN_REWRITE is set. @returns how many.
std::size_t run_file(const std::string& file,
                     const std::function<std::string(const directive&)>& run);

/// The `.txt` files of a folder, sorted; empty when there is no such folder.
std::vector<std::string> text_files(const std::string& folder);
/// The folder with the data of others; see shared/vectors/ORIGIN.md.
std::string vectors_folder();
/// Whether etcd's data are in it. A folder that exists and lacks files is a
/// failure, not an absence.
bool has_vectors();

} // namespace banyan::raft_test
