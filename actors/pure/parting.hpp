#pragma once
#include "base/time.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace banyan {

/// When a voter whose log rotted at rest may give it up, so that any number of
/// voters that find theirs damaged, in the same moment too, leave a majority
/// behind (DESIGN section 7, "nothing is quarantined below a majority"). One
/// per replica; pure.
///
/// Who wants to go asks every other voter to stay, and goes once a majority of
/// all voters, itself not counted, has promised to. A promise binds until the
/// one that it was given to is no voter any more, or a new process. Of two that
/// want to go at once, the lower reference goes first: it refuses, and the
/// other promises. Promises are in memory alone: one that starts again reads
/// its log before it votes.
///
/// Until then the replica runs on: what it votes and acknowledges by is in
/// memory and whole.
class parting {
public:
  explicit parting(replica_ref self = {}) : self_{self} {}

  /// The committed voters; `outgoing` too while the change is joint.
  void set_voters(std::vector<replica_ref> voters,
                  std::vector<replica_ref> outgoing);
  /// The log is damaged. Again: nothing new.
  void want(time_point now);
  [[nodiscard]] bool wanted() const noexcept { return wanted_; }

  /// A number when a round of questions is due: ask `others()`. `process`: a
  /// number that differs when a node's process is another one.
  std::optional<std::uint64_t>
  on_tick(time_point now,
          const std::function<std::uint64_t(const node_id&)>& process);
  [[nodiscard]] std::set<replica_ref> others() const;
  /// Somebody wants to go, in this process of its node. True: promise to stay.
  /// The caller knows that this replica's state is whole.
  [[nodiscard]] bool on_question(const replica_ref& from,
                                 std::uint64_t process);
  /// A promise for that round. True: go now; as a leader, first let another
  /// lead.
  [[nodiscard]] bool on_promise(const replica_ref& from, std::uint64_t round);
  /// A leader was asked to hand over: goes by a later round.
  void put_off(time_point now);

  static constexpr duration first_pause = std::chrono::seconds{1};
  static constexpr duration longest_pause = std::chrono::seconds{8};

private:
  [[nodiscard]] bool majority_of(const std::vector<replica_ref>& voters) const;
  [[nodiscard]] bool is_voter(const replica_ref& r) const;

  replica_ref self_;
  std::vector<replica_ref> voters_;
  std::vector<replica_ref> outgoing_;
  std::map<replica_ref, std::uint64_t> promised_; ///< to whom, which process
  std::set<replica_ref> staying_;                 ///< have promised this round
  bool wanted_ = false;
  std::uint64_t round_ = 0;
  duration pause_ = first_pause;
  time_point due_{};
};

} // namespace banyan
