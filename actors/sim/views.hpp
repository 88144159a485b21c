#pragma once
#include "net/membership/membership.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace banyan::sim {

/// A node of a swarm: its number, from 0 in the order in which it was added.
using index = std::uint32_t;

/// What one node thinks of another.
enum class opinion : std::uint8_t { unknown, alive, suspect, dead, left };
inline constexpr std::size_t opinion_count = 5;
opinion opinion_of(net::member_state s) noexcept;

/// What each node thinks of each, counted by subject as it changes: one byte a
/// pair, so that a hundred million opinions need no questions. Only the
/// opinions of nodes that are counted in make up the counts.
class view_table {
public:
  /// A node more, of whom and by whom nothing is known; not counted in.
  void add();
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  void set(index observer, index subject, opinion now);
  [[nodiscard]] opinion of(index observer, index subject) const {
    const auto& row = rows_[observer];
    return subject < row.size() ? row[subject] : opinion::unknown;
  }
  void forget(index observer);                ///< all that it thought
  void count_in(index observer, bool counts); ///< its opinions
  [[nodiscard]] bool counted(index observer) const {
    return counted_[observer];
  }
  /// How many that are counted in think that of it.
  [[nodiscard]] std::uint32_t count(index subject, opinion o) const;
  [[nodiscard]] std::uint32_t observers() const noexcept { return observers_; }

private:
  std::vector<std::vector<opinion>> rows_; ///< as long as was needed
  std::vector<std::array<std::uint32_t, opinion_count>> counts_;
  std::vector<bool> counted_;
  std::uint32_t observers_ = 0;
};

} // namespace banyan::sim
