#pragma once
#include "net/membership/membership.hpp"
#include "net/membership/messages.hpp"
#include "net/membership/rings.hpp"
#include "net/membership/shelf.hpp"

#include <array>
#include <map>

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
  awaited,     ///< Kept by the owner of the book until it is proved.
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
///
/// A member is a place in a vector, by its number in the ring order: 24 bytes
/// beside the document, which the books of one process share (`verifier`).
/// Only who is accused costs more.
class member_book {
public:
  using index = ring_order::index;
  struct member {
    shared_document held;      ///< none: no member
    std::uint8_t accusers = 0; ///< on the rings: so many places
    member_state state = member_state::alive;
    bool dead = false;      ///< counted so in this incarnation
    bool condemned = false; ///< enough accusers to be counted dead
    /// As an observer it counts as having reported: three places accuse it.
    bool discredited = false;
    bool spoken_of = false; ///< there are reports about it
    bool touched = false;   ///< to be counted again

    [[nodiscard]] const member_document& document() const { return *held; }
    [[nodiscard]] const member_record& record() const { return held->record; }
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
  /// Members that somebody verified for all: costs little more than a pointer
  /// each. For an empty book.
  void put_settled(const settled_members& all);
  report_outcome put(const report& r);
  /// Takes one from the sponsor's ration of new members, if there is one left.
  bool admit(const node_id& sponsor, time_point now);

  /// Counts the reports again, all or those that something touched, and appends
  /// whose state is another now.
  void recount(std::vector<change>& out);
  /// Who is neither dead nor left in this view.
  [[nodiscard]] const rings& on_rings() const noexcept { return rings_; }

  /// Points into the book: good until a member is added.
  [[nodiscard]] const member* find(const node_id& node) const;
  /// @name The same by number, for those who ask again and again
  /// @{
  static constexpr index nobody = ~index{0};
  /// Never another one; `nobody` for a node that wasn't met.
  [[nodiscard]] index number(const node_id& node) const;
  [[nodiscard]] const member* at(index i) const {
    return i < members_.size() && members_[i].held ? &members_[i] : nullptr;
  }
  /// What this node itself last said about it.
  [[nodiscard]] const report* own_report(index subject) const {
    return said(own_number_, subject);
  }
  /// @}
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// @name In ascending order of ids
  /// @{
  template <class F>
  void each(F f) const {
    for (std::size_t p = 0; p < order_->size(); ++p)
      if (const auto* m = at(order_->at_position(p)))
        f(m->record().node, *m);
  }
  /// Those from `first` to `last`.
  [[nodiscard]] std::vector<node_id> within(const node_id& first,
                                            const node_id& last) const;
  /// The first above `node`, if there is one.
  [[nodiscard]] std::optional<node_id> after(const node_id& node) const;
  /// @}
  [[nodiscard]] const report* find_report(const node_id& observer,
                                          const node_id& subject) const;
  /// What observers said about it.
  [[nodiscard]] std::vector<shared_report>
  reports_about(const node_id& subject) const;
  /// The reports by `observer` that still count for something.
  [[nodiscard]] std::vector<shared_report>
  reports_by(const node_id& observer) const;

  /// `observer` has the right to report about `subject` in the present view.
  [[nodiscard]] bool observes(const node_id& observer,
                              const node_id& subject) const;
  /// Of a dead member: `observer` would observe it on the rings, hasn't said
  /// that it is dead, and too few others in such places have.
  [[nodiscard]] bool lacks_evidence(const node_id& observer,
                                    const node_id& dead) const;
  /// Of what is said about a dead one that is proved dead, drops all that
  /// isn't said by those who would observe it: nobody needs that any more.
  void drop_spare(const node_id& dead);
  /// As many say that the dead one is dead as its places in this view take: a
  /// newcomer who hears them counts it dead too.
  [[nodiscard]] bool proved(const node_id& dead) const;
  /// What reports say about the dead is left out above `full_mesh_max`: who
  /// knows it dead needs them no more.
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

  [[nodiscard]] const report* said(index observer, index subject) const;
  [[nodiscard]] bool accuses(index observer, index subject) const {
    const auto* r = said(observer, subject);
    return r != nullptr && r->down;
  }
  /// Which of these places accuse the subject: a bit each.
  [[nodiscard]] std::uint8_t accusing(const rings::numbers_of_all& places,
                                      index subject) const;
  void store(member_document&& document);
  void prune(index i);
  void keep_report(index observer, index subject, shared_report r);
  void drop_report(index observer, index subject);
  [[nodiscard]] index oldest_word(index observer) const;
  [[nodiscard]] std::uint64_t hash_of_words(index observer, bool of_all) const;
  [[nodiscard]] bool is_dead(index i) const {
    return members_[i].state == member_state::dead;
  }
  [[nodiscard]] digest_message::entry entry_of(index i, bool of_all) const;
  [[nodiscard]] std::uint64_t mark_of(index i) const;
  /// Does what changes the member's entry, and its range's hash with it. Not
  /// one such within another of the same member.
  template <class Do>
  void change_entry(index i, Do act) {
    const auto before = mark_of(i);
    act();
    range_of(i) += mark_of(i) - before;
  }
  [[nodiscard]] std::uint64_t& range_of(index i) {
    return ranges_[order_->node(i).array()[0]];
  }

  // count.cpp
  void place(index i);
  void touch(index i);
  void touch_around(index i);
  void sort_by_id(std::vector<index>& some) const;
  void count_full();
  void count_rings();
  void doubt_on_rings(index subject);
  bool condemn_on_rings(index subject);
  void judge_again(index i, std::vector<change>& out);
  [[nodiscard]] bool current(const report& r) const;
  [[nodiscard]] member_state judge(const member& m) const;

  node_id self_;
  mesh_id mesh_;
  const membership_config* limits_;
  rings rings_;
  ring_order* order_; ///< that of the rings
  index own_number_;
  std::vector<member> members_;
  std::size_t size_ = 0;
  report_shelf reports_;
  bool was_full_ = true;       ///< when it was last counted
  std::vector<index> touched_; ///< to be counted again
  std::vector<index> counted_; ///< whose state may be another since
  range_hashes ranges_{};
  std::map<node_id, ration> rations_;
};

} // namespace banyan::net
