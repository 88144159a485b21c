#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::cli {

/// How `banyan` ends: fixed for scripts.
enum class exit_code : int {
  done = 0,
  failed = 1,  ///< refused, or it went wrong
  usage = 2,   ///< the command line or a file of the user's is wrong
  unknown = 3, ///< sent, outcome not known: repeat with the printed key
  no_peer = 4  ///< no peer was reached
};

/// Why a command did not do what it was told to.
struct problem {
  exit_code code = exit_code::failed;
  std::string message; ///< cause and next step, for standard error
  std::string json{};  ///< the API's error, for standard output with `--json`
};

struct actor_address {
  std::string app;
  std::string key;
};
/// `APP/KEY`, split at the first slash: a key may hold further ones. False
/// with the cause in `why`.
[[nodiscard]] bool split_address(std::string_view text, actor_address& out,
                                 std::string& why);

/// `text` as one segment of a path or one value of a query: everything but
/// A–Z, a–z, 0–9 and `-._~` as %XX, and so `.` and `..` standing alone.
[[nodiscard]] std::string percent_encoded(std::string_view text);

/// Columns of text under headings, two spaces apart. Control characters, which
/// come from elsewhere and could move a terminal's cursor, show as `?`.
class table {
public:
  explicit table(std::vector<std::string> headings);
  /// Cells that are missing stay empty; empty cells show as `-`.
  void row(std::vector<std::string> cells);
  [[nodiscard]] std::string text() const;

private:
  std::vector<std::vector<std::string>> rows_;
};

/// `text` without anything that a terminal would obey.
[[nodiscard]] std::string printable(std::string_view text);
/// `1 failure`, `2 failures`.
[[nodiscard]] std::string counted(std::uint64_t n, std::string_view noun);

} // namespace banyan::cli
