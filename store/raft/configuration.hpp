#pragma once
#include "base/codec.hpp"
#include "base/result.hpp"
#include "store/types.hpp"

#include <string>
#include <vector>

namespace banyan::raft {

/// A set of replicas: sorted, without duplicates. Few (at most 64): a vector.
class replica_set {
public:
  replica_set() = default;
  replica_set(std::initializer_list<replica_ref> members);
  explicit replica_set(std::vector<replica_ref> members);

  [[nodiscard]] bool contains(const replica_ref& r) const;
  /// Each returns whether something changed.
  bool insert(const replica_ref& r);
  bool erase(const replica_ref& r);

  [[nodiscard]] bool empty() const noexcept { return v_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return v_.size(); }
  [[nodiscard]] auto begin() const noexcept { return v_.begin(); }
  [[nodiscard]] auto end() const noexcept { return v_.end(); }
  friend bool operator==(const replica_set& a, const replica_set& b) {
    return a.v_ == b.v_;
  }
  friend bool operator!=(const replica_set& a, const replica_set& b) {
    return !(a == b);
  }

private:
  std::vector<replica_ref> v_;
};

/// Most members of one configuration; more in foreign bytes are refused.
inline constexpr std::size_t members_max = 64;

/// Who votes and who only listens. Joint while `outgoing` is not empty: then
/// every decision needs a majority of `voters` and one of `outgoing`.
///
/// Invariants (see `valid`): learners are in no voter set; `learners_next` is a
/// part of `outgoing`, has nothing in common with `learners`, and is empty
/// unless joint; there is at least one voter.
struct configuration {
  replica_set voters;   ///< the incoming set while joint
  replica_set outgoing; ///< empty unless joint
  replica_set learners;
  replica_set learners_next; ///< voters on the way out that stay as learners
  bool auto_leave = false;   ///< the leader leaves the joint state by itself

  [[nodiscard]] bool joint() const noexcept { return !outgoing.empty(); }
  /// A voter of either half.
  [[nodiscard]] bool is_voter(const replica_ref& r) const;
  [[nodiscard]] bool is_learner(const replica_ref& r) const;
  [[nodiscard]] bool contains(const replica_ref& r) const;
  /// Everybody, sorted.
  [[nodiscard]] std::vector<replica_ref> members() const;
  [[nodiscard]] bool valid() const;

  friend bool operator==(const configuration& a, const configuration& b) {
    return a.voters == b.voters && a.outgoing == b.outgoing
           && a.learners == b.learners && a.learners_next == b.learners_next
           && a.auto_leave == b.auto_leave;
  }
  friend bool operator!=(const configuration& a, const configuration& b) {
    return !(a == b);
  }
};

void encode(writer& out, const configuration& c);
/// Fails `in` unless the result is `valid()`.
configuration decode_configuration(reader& in);
bytes encode(const configuration& c);
/// False, leaving `out` alone, when `in` is not one valid configuration.
bool decode(const_bytes in, configuration& out);

/// One step of a change. The numbers are on the wire: never reused.
struct change {
  enum class kind : std::uint8_t {
    add_voter = 0,   ///< new, or a learner promoted
    add_learner = 1, ///< new, or a voter demoted
    remove = 2,      ///< whatever it was; unknown: nothing happens
    nothing = 3,     ///< touches nobody
  };
  kind what = kind::nothing;
  replica_ref who;
};

enum class change_errc : std::uint8_t {
  joint = 1,     ///< A joint change is under way (or, to leave, none is).
  no_voters,     ///< Nobody would be left to vote.
  not_simple,    ///< More than one voter at once needs a joint change.
  not_leader,    ///< Only a leader changes the configuration.
  pending,       ///< An earlier change is not committed yet.
  no_own_commit, ///< This leader has committed nothing in its term yet.
  transferring,  ///< Leadership is being handed over.
  invalid,       ///< The result would break an invariant of configuration.
};

/// Applies changes that touch at most one voter; learners at will.
result<configuration, change_errc> simple(const configuration& now,
                                          const std::vector<change>& changes);
/// Enters the joint state; with `auto_leave` the leader leaves it by itself.
result<configuration, change_errc>
enter_joint(const configuration& now, const std::vector<change>& changes,
            bool auto_leave);
/// Leaves the joint state: `outgoing` goes, `learners_next` become learners.
result<configuration, change_errc> leave_joint(const configuration& now);

} // namespace banyan::raft
