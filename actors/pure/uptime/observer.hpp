#pragma once
#include "actors/pure/uptime/day.hpp"
#include "actors/pure/uptime/policy.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace banyan {

/// A subject as its observer finds it at one look.
struct subject_look {
  node_id node;
  bool heard = false;
  bool dead = false; ///< as the members agree
  bool planned =
      false; ///< drained, or it said goodbye: this minute says nothing
};

/// Whether it said that it would be away. One that the policy evacuates says
/// that it is drained, too: that is nobody's plan, and its minutes count.
[[nodiscard]] constexpr bool is_planned(bool says_drained,
                                        standing acting) noexcept {
  return says_drained && acting < standing::evacuate;
}

/// Whether the wall clock is believed: after it jumped over a day, or back,
/// only once it went on for an hour. A clock that is wrong for a while costs no
/// document. Pure.
class clock_trust {
public:
  /// At each of `looks_a_minute` looks.
  void on_look(std::uint32_t day);
  [[nodiscard]] bool steady() const;
  /// Documents of days before this one are kept no more; 0: forget nothing.
  [[nodiscard]] std::uint32_t forget_before() const;

private:
  std::uint32_t day_ = 0;
  std::uint32_t looks_ = 0; ///< since the jump
};

/// What one node writes down of those that it observes (DESIGN section 10).
/// Pure: what it sees, and where the wall clock stands, are given to it.
///
/// It looks `looks_a_minute` times. A minute is written when it is over and had
/// at least half of its looks, in which at least half of the subjects were
/// heard that aren't dead; a node is up in it when it was heard in half of them
/// or more. A minute in which a node was `planned` to be away says nothing of
/// it.
///
/// The wall clock may jump. A minute that is written stays as it is, so time
/// that comes again changes nothing; time that was jumped over was not
/// observed. A day is over when a later one begins. When the clock goes back to
/// an earlier day, what was written of the later one is dropped, and a day that
/// is over already gets nothing more.
class day_observer {
public:
  static constexpr unsigned looks_a_minute = 6;

  /// That day is signed: nothing is written of it any more.
  void is_over(std::uint32_t day) { over_.insert(day); }
  /// Goes on with what an earlier process wrote of a day.
  void resume(observation written);

  struct outcome {
    std::optional<observation> over; ///< a day ended: sign it
    bool written = false;            ///< there is more in `written()`
  };
  /// Looks of one moment. Of more than `subjects_max` subjects in a day the
  /// first that came count.
  outcome on_look(const std::vector<subject_look>& subjects, day_time now);

  /// Of the day that goes on.
  [[nodiscard]] const observation& written() const noexcept { return open_; }

private:
  struct minute_of {
    unsigned looks = 0;
    unsigned heard = 0;
    bool planned = false;
  };
  bool end_minute();
  seen_day* of(const node_id& node);

  observation open_;
  bool begun_ = false;
  day_time now_;
  unsigned looks_ = 0; ///< of this minute, in which enough was heard
  std::map<node_id, minute_of> minute_;
  std::set<std::uint32_t> over_;
};

} // namespace banyan
