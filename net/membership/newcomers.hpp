#pragma once
#include "base/ids.hpp"
#include "net/membership/rings.hpp"
#include "net/membership/verifier.hpp"

#include <map>
#include <set>
#include <vector>

/// Who would be a member if one believed what one hears. A member signs for
/// whomever it likes, for nodes that nobody runs too: so whoever is known by
/// gossip alone waits here, off the rings, until it is proved to be there.
namespace banyan::net {

/// One that was heard of, or became a member a moment ago.
struct newcomer {
  /// As it waits; none for one that was only named, and for a member.
  shared_document document;
  bool in = false; ///< a member by now: others may still lack the proof
  time_point since{};
  time_point renewed_at{};
  time_point dialled_at{}; ///< last
  bool dialled = false;    ///< a link is wanted now
  time_point ask_at{};     ///< others, whether they have it, or its record
  duration ask_wait{};
  std::set<node_id> named_by;          ///< those who have it as a member
  std::vector<shared_report> vouchers; ///< one by observer at most
};

/// They who met it say so in five of the eight places from which it would be
/// observed on the rings, and they are two at least.
[[nodiscard]] bool proved_by_vouchers(const newcomer& n,
                                      const rings::of_all& places);
/// More than half of the neighbours have it as a member, and two at least.
[[nodiscard]] bool proved_by_names(const newcomer& n,
                                   const std::vector<node_id>& neighbours);

/// The waiting room. Pure, bounded; owned by one membership core, which decides
/// with it. What is put in is verified and its sponsor a member.
class newcomers {
public:
  struct limits {
    std::size_t waiting_max = 1024;
    std::size_t named_max = 256;  ///< without a document
    std::size_t recent_max = 256; ///< members of late
    std::size_t vouchers_max = 24;
    duration patience = 60s;     ///< then it is dropped,
    duration refused_for = 300s; ///< and not taken from gossip for so long
    std::size_t refused_max = 4096;
    /// Dialled at a time, of those whom one sponsor let in, and how long.
    std::size_t dialled_max = 16;
    duration dialled_for = 5s;
    /// Unless somebody named it; then when it is here twice as long, and so on.
    duration ask_after = 1s;
  };

  explicit newcomers(limits l) : limits_{l} {}

  /// Who fell out since the last call: their links are wanted no more.
  [[nodiscard]] std::vector<node_id> take_dropped();

  [[nodiscard]] newcomer* find(const node_id& node);
  [[nodiscard]] const newcomer* find(const node_id& node) const;
  /// The document of one that waits.
  [[nodiscard]] shared_document document(const node_id& node) const;
  [[nodiscard]] bool refused(const node_id& node, time_point now) const;

  /// A document comes to wait. Where all places are taken the oldest of the
  /// sponsor that has most of them makes room.
  newcomer& wait(shared_document d, time_point now);
  /// One that is not known but spoken of; the oldest such makes room.
  newcomer& spoken_of(const node_id& node, time_point now);
  /// It is a member from now on.
  newcomer& came_in(const node_id& node, time_point now);
  /// Drops those whose time is over.
  void expire(time_point now);

  /// Its sponsor's share of dials allows one more.
  [[nodiscard]] bool may_dial(const newcomer& n) const;
  /// Ends the dials whose time is over and whose sponsor's share is used up.
  /// @returns whose those were.
  std::vector<node_id> end_dials(time_point now);
  /// What to ask others now. Puts it off until it is to be asked again.
  struct questions {
    std::vector<node_id> names;   ///< those that wait: who has them?
    std::vector<node_id> records; ///< that two vouch for, and nobody sent
  };
  questions ask(time_point now);
  /// When there may be something to ask.
  [[nodiscard]] time_point ask_due() const noexcept { return ask_due_; }

  /// Those that wait; first whose last dial is longest ago.
  [[nodiscard]] std::vector<node_id> waiting() const;
  /// Those that are members by now.
  [[nodiscard]] std::vector<node_id> recent() const;
  [[nodiscard]] const limits& bounds() const noexcept { return limits_; }

private:
  newcomer& open(const node_id& node, time_point now);
  void ask_from(newcomer& n, time_point at);
  void drop(std::map<node_id, newcomer>::iterator i);
  template <class If>
  void make_room(std::size_t max, If which);

  limits limits_;
  std::map<node_id, newcomer> all_;
  std::map<node_id, time_point> refused_; ///< until
  std::vector<node_id> dropped_;
  time_point ask_due_ = never; ///< nobody's is earlier
};

} // namespace banyan::net
