#pragma once
#include "base/planted.hpp"
#include "store/raft/configuration.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

/// The arithmetic of majorities: of one set of voters, and of two at once.
namespace banyan::raft::quorum {

/// What an empty set of voters has committed: it never holds back the other
/// half of a joint configuration.
inline constexpr std::uint64_t everything = UINT64_MAX;

enum class outcome : std::uint8_t { pending, lost, won };

/// The largest number that a majority of `voters` has reached; `reached(r)` is
/// the number of `r`, 0 when unknown.
template <class F>
std::uint64_t committed(const replica_set& voters, F reached) {
  if (voters.empty())
    return everything;
  std::array<std::uint64_t, members_max> numbers{};
  BANYAN_ASSERT(voters.size() <= numbers.size());
  std::size_t n = 0;
  for (const auto& v : voters)
    numbers[n++] = reached(v);
  // Ascending: with n voters, n/2 + 1 of them stand at or behind this place.
  const auto place = static_cast<std::ptrdiff_t>(n - (n / 2 + 1));
  std::nth_element(numbers.begin(), numbers.begin() + place,
                   numbers.begin() + static_cast<std::ptrdiff_t>(n));
  return numbers[static_cast<std::size_t>(place)];
}

/// The same for both halves of `c`.
template <class F>
std::uint64_t committed(const configuration& c, F reached) {
  if (planted(planted_bug::skip_the_outgoing_majority))
    return committed(c.voters, reached);
  if (planted(planted_bug::count_learners))
    return committed(replica_set{c.members()}, reached);
  return std::min(committed(c.voters, reached), committed(c.outgoing, reached));
}

/// `voted(r)` is the vote of `r`, or nothing when it is missing. An empty set
/// has won.
template <class F>
outcome vote_result(const replica_set& voters, F voted) {
  std::size_t yes = 0;
  std::size_t missing = 0;
  for (const auto& v : voters) {
    const std::optional<bool> vote = voted(v);
    if (!vote)
      ++missing;
    else if (*vote)
      ++yes;
  }
  if (voters.empty())
    return outcome::won;
  const std::size_t needed = voters.size() / 2 + 1;
  if (yes >= needed)
    return outcome::won;
  return yes + missing >= needed ? outcome::pending : outcome::lost;
}

/// Both halves of `c` must win; either can lose.
template <class F>
outcome vote_result(const configuration& c, F voted) {
  const auto incoming = vote_result(c.voters, voted);
  const auto outgoing = planted(planted_bug::skip_the_outgoing_majority)
                            ? incoming
                            : vote_result(c.outgoing, voted);
  if (incoming == outcome::lost || outgoing == outcome::lost)
    return outcome::lost;
  return incoming == outcome::won && outgoing == outcome::won
             ? outcome::won
             : outcome::pending;
}

} // namespace banyan::raft::quorum
