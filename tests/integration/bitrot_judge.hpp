#pragma once
#include "base/bytes.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace banyan::store::detail {
class memory_files;
}

namespace banyan::test {

/// What is said of a store with one bit flipped.
enum class verdict : std::uint8_t {
  found,    ///< Damage: the whole log or state is known to be bad.
  row,      ///< Damage of rows alone, known by their keys; all else is proved.
  harmless, ///< Nothing is said to be wrong, and nothing is: the same content.
  missed,   ///< Nothing is said to be wrong, but the content differs.
};

/// The log and the state of a stopped peer, copied, so that flips can be judged
/// one by one without harm. What is live: each segment up to its last batch,
/// and the pages that LMDB's newest tree uses.
///
/// Logs are judged in memory by the recovery that every start runs; states in
/// a process of its own by what every start runs there (`judge_state`), since
/// LMDB may crash on bad pages.
class stopped_store {
public:
  /// `data` is a peer's data directory. Throws std::runtime_error.
  stopped_store(const std::filesystem::path& data,
                const std::filesystem::path& scratch);
  ~stopped_store();
  stopped_store(stopped_store&&) = delete;

  /// One bit in one file of the data directory.
  struct flip {
    std::string file; ///< below the data directory
    std::uint64_t offset = 0;
    std::uint8_t mask = 1;
  };
  [[nodiscard]] bool has_state() const { return !state_.empty(); }
  [[nodiscard]] flip log_bit(std::uint64_t random) const;
  [[nodiscard]] flip state_bit(std::uint64_t random) const;
  /// A bit in the value of a row.
  [[nodiscard]] flip row_bit(std::uint64_t random) const;

  [[nodiscard]] verdict judge(const flip& f) const;
  /// Empty when the store as it is has no damage; otherwise what is wrong.
  [[nodiscard]] std::string damage() const;

  [[nodiscard]] std::uint64_t live_bytes() const;

private:
  struct segment {
    std::string file;
    std::uint64_t live = 0;
  };
  [[nodiscard]] bytes log_content(const store::detail::memory_files& files,
                                  bool& damaged) const;
  [[nodiscard]] std::string state_said() const;
  void write_state() const;

  std::filesystem::path scratch_;
  std::unique_ptr<store::detail::memory_files> log_;
  std::vector<segment> segments_;
  std::uint64_t log_live_ = 0;
  bytes log_right_; ///< what recovery says of the log as it is
  bool log_damaged_ = false;
  bytes state_;                         ///< data.mdb
  std::map<std::string, bytes> beside_; ///< what else is in its folder
  std::vector<std::uint64_t> pages_;
  std::vector<std::size_t> rows_; ///< bytes of rows' values
  std::string state_right_;
};

/// Flips it in the files below `data`.
void apply(const std::filesystem::path& data, const stopped_store::flip& f);

/// For a process of its own (`bitrot --judge-state DIR`): prints one line,
/// `bad WHY`, `rows N`, or `whole HASH` with a hash of all that the state gives
/// out.
int judge_state(const std::filesystem::path& state);

} // namespace banyan::test
