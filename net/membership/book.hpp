#pragma once
#include "net/membership/membership.hpp"
#include "net/membership/messages.hpp"
#include "net/membership/rings.hpp"

#include <array>
#include <map>
#include <set>

namespace banyan::net {

/// What became of a record that somebody sent.
enum class put_outcome : std::uint8_t {
  added,       ///< A new member.
  replaced,    ///< Newer than what was held.
  known,       ///< Held already.
  older,       ///< Something newer is held.
  conflict,    ///< As new as what is held, but another one: two boots at work.
  forged,      ///< A bad signature; whoever sent it did not check.
  unsponsored, ///< No admission by a member known here.
  rationed,    ///< Its sponsor has let in too many of late; later, perhaps.
  full,        ///< `members_max`.
};

enum class report_outcome : std::uint8_t {
  stored,
  known,    ///< Held already, or older than what is held.
  stale,    ///< About an incarnation that is over, or by one.
  unplaced, ///< By or about nobody known here, or an incarnation not known yet.
  forged,   ///< A bad signature.
};

/// All records and reports that this node holds, and what they add up to. It
/// verifies whatever comes in; it knows nothing of links or time, except that
/// it rations by it.
///
/// Who observes whom is decided here alone (`observes`): in a view of up to
/// `full_mesh_max` members that are neither dead nor left everybody observes
/// everybody, in a larger one the rings say. What a larger one costs per change
/// does not depend on its size.
class member_book {
public:
  struct member {
    member_document document;
    /// The incarnation in which it was counted dead; zero: in none.
    incarnation dead;
    member_state state = member_state::alive;
    unsigned accusers = 0;  ///< on the rings: so many places
    bool condemned = false; ///< enough accusers to be counted dead
    /// As an observer it counts as having reported: three places accuse it.
    bool discredited = false;
    /// What observers said about it, by observer.
    std::map<node_id, report> reports;
    std::uint64_t mark = 0; ///< its part of its range's hash
  };
  struct change {
    node_id node;
    std::optional<member_state> from;
    member_state to = member_state::alive;
  };

  /// `limits` is borrowed and outlives this.
  member_book(const node_id& self, const mesh_id& mesh,
              const membership_config& limits);

  /// A record from anywhere. A new member needs an admission by a member that
  /// is known here: this node itself, or one admitted before; unless the one
  /// who tells of it is `believed`. Call `recount` after a change.
  put_outcome put(const member_document& document, time_point now,
                  bool believed = false);
  /// A record of this node's own, or one from its own disk: trusted.
  void put_trusted(member_document document);
  report_outcome put(const report& r);

  /// Counts the reports again, all or those that something touched, and appends
  /// whose state is another now.
  void recount(std::vector<change>& out);
  /// Who is neither dead nor left in this view.
  [[nodiscard]] const rings& on_rings() const noexcept { return rings_; }

  [[nodiscard]] const member* find(const node_id& node) const;
  [[nodiscard]] const std::map<node_id, member>& members() const noexcept {
    return members_;
  }
  [[nodiscard]] const report* find_report(const node_id& observer,
                                          const node_id& subject) const;
  /// The reports by `observer` that still count for something.
  [[nodiscard]] std::vector<const report*>
  reports_by(const node_id& observer) const;

  /// `observer` has the right to report about `subject` in the present view.
  [[nodiscard]] bool observes(const node_id& observer,
                              const node_id& subject) const;
  /// Of a dead member: `observer` would observe it on the rings, hasn't said
  /// that it is dead, and too few others in such places have.
  [[nodiscard]] bool lacks_evidence(const node_id& observer,
                                    const node_id& dead) const;
  [[nodiscard]] digest_message::entry entry_of(const node_id& node) const;
  [[nodiscard]] std::uint64_t summary() const;
  /// @name Views compared by range: the ids with one and the same first byte
  /// Zero for a range of which nothing is held.
  /// @{
  [[nodiscard]] const range_hashes& ranges() const noexcept { return ranges_; }
  [[nodiscard]] std::uint64_t root() const noexcept;
  /// @}

private:
  struct ration {
    double budget = 0;
    time_point at{};
  };

  bool admit(const node_id& sponsor, time_point now);
  void store(member_document&& document);
  void prune(const node_id& node);
  void remark(const node_id& node);

  // count.cpp
  void place(const node_id& node, const member& m);
  void touch_around(const node_id& node);
  void count_full();
  void count_rings();
  void doubt_on_rings(const node_id& subject, member& m);
  bool condemn_on_rings(const node_id& subject, member& m);
  void judge_again(const node_id& node, member& m, std::vector<change>& out);
  [[nodiscard]] bool current(const report& r, const member& subject) const;
  [[nodiscard]] member_state judge(const member& m) const;

  node_id self_;
  mesh_id mesh_;
  const membership_config* limits_;
  std::map<node_id, member> members_;
  /// By observer: about whom a report of its is held.
  std::map<node_id, std::set<node_id>> reported_;
  rings rings_;
  bool was_full_ = true;      ///< when it was last counted
  std::set<node_id> touched_; ///< to be counted again
  std::set<node_id> counted_; ///< whose state may be another since
  range_hashes ranges_{};
  std::map<node_id, ration> rations_;
};

} // namespace banyan::net
