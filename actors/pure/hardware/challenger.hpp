#pragma once
#include "actors/pure/hardware/challenge_wire.hpp"
#include "actors/pure/hardware/tiers.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// Spot checks of other members' hardware, both ends. Pure: time and randomness
/// are given, effects are data.
namespace banyan {

/// How often; the defaults are for production, shorter ones for tests.
struct challenge_rhythm {
  static constexpr duration look_every = std::chrono::seconds{10};
  /// Of a claim that is new to this observer.
  duration first_within = std::chrono::hours{1};
  duration period = std::chrono::hours{24};
  /// Until a member that had no time is asked again.
  duration later = std::chrono::minutes{30};
  /// Until one that failed is asked again: a single failure is no finding.
  duration again = std::chrono::minutes{10};
  /// Who has had no time for so long has proven nothing.
  duration unproven_after = std::chrono::hours{7 * 24};
  /// Of one asker, within `again`.
  std::uint32_t answers_max = 4;
};

/// A member that this node observes.
struct challenge_subject {
  node_id node;
  std::uint8_t claim = 0; ///< the tier in its record
  bool heard = false;     ///< there is a link that lives
  bool answers = false;   ///< it knows challenges at all
  bool busy = false;      ///< as it says itself
  duration round_trip{};
  duration fsync_age{}; ///< of its last beat; zero: none was pending
};

/// @name Effects
/// @{
/// Compute the answer in the background, then `on_solved`: it is what the
/// other end must send.
struct solve_challenge {
  hardware_challenge what;
};
struct send_challenge {
  node_id to;
  hardware_challenge what;
};
/// For the log: what this node found, or no longer finds.
struct finding_made {
  node_id subject;
  std::uint8_t claim = 0;
  std::uint8_t found = 0; ///< equal to the claim: it holds
  std::string why;
};
/// @}
using challenge_effect =
    std::variant<solve_challenge, send_challenge, finding_made>;
using challenge_effects = std::vector<challenge_effect>;

struct challenge_counters {
  std::uint64_t asked = 0;
  std::uint64_t held = 0;   ///< challenges that were met
  std::uint64_t failed = 0; ///< wrong, too late, not at all, too slow
  std::uint64_t postponed = 0;
};

/// An observer's own findings.
///
/// Each subject is challenged once a period at a random time: first memory and
/// computing, then bandwidth, one subject at a time, and only while neither end
/// is busy. The observer does the work itself before it asks, so a challenge
/// costs it as much as the other. Two failures in a row are a finding: the
/// claim doesn't hold, and the next lower tier is tried. A claim that was found
/// false is tried again each period, and believed once it holds. Nothing is
/// concluded from a link that breaks meanwhile; but who is never to be had, by
/// whatever means, has proven nothing after a week.
///
/// Loop thread only. `random` is borrowed and outlives this.
class challenger {
public:
  challenger(challenge_rhythm rhythm, random_source& random)
      : rhythm_{rhythm}, random_{random} {}

  /// Call each `look_every`, with all that this node observes now; what is
  /// missing is forgotten, doubts after a period. `busy`: this node itself has
  /// something to do.
  void on_look(const std::vector<challenge_subject>& subjects,
               const mesh_policy& policy, bool busy, time_point now,
               challenge_effects& out);
  /// Nothing: it couldn't be computed here.
  void on_solved(std::uint64_t number,
                 const std::optional<hardware_answer>& answer, duration took,
                 time_point now, challenge_effects& out);
  /// Foreign: one that wasn't asked for is dropped.
  void on_answer(const node_id& from, const hardware_answer& a, time_point now,
                 challenge_effects& out);

  /// What that subject's claim is worth here: the claim itself while nothing
  /// speaks against it.
  [[nodiscard]] std::uint8_t finding(const node_id& who) const;
  /// Since when the whole claim has been seen to hold, if it does.
  [[nodiscard]] std::optional<time_point> held_at(const node_id& who) const;
  /// Those whose claim doesn't hold, with what does.
  [[nodiscard]] std::map<node_id, std::uint8_t> doubts() const;
  [[nodiscard]] const challenge_counters& counters() const { return counters_; }

private:
  struct subject {
    std::uint8_t claim = 0;
    bool heard = false;
    bool busy = false;
    duration round_trip{};
    std::uint8_t testing = 0;           ///< the tier that is tried next
    std::optional<std::uint8_t> failed; ///< the lowest tier that didn't hold
    unsigned strikes = 0;               ///< failures in a row
    bool unproven = false;              ///< never to be had
    std::optional<time_point> had_no_time_since;
    std::optional<time_point> held;
    std::optional<time_point> missing_since; ///< from what is observed
    time_point due{};
    time_point next_period{};
    /// @name Beats that told of a pending fsync
    /// @{
    std::uint32_t fsyncs = 0;
    std::array<std::uint32_t, tiers_max> slow{}; ///< by tier: far too old
    std::uint8_t disk_tier = UINT8_MAX;          ///< at most, by them
    /// @}
  };
  /// The challenge that is under way.
  struct run {
    node_id who;
    hardware_challenge what;
    std::uint8_t tier = 0;
    std::optional<digest> expected; ///< none: it is being computed
    time_point sent{};
    duration limit{};
  };

  [[nodiscard]] static std::uint8_t worth(const subject& s);
  [[nodiscard]] time_point at_random(time_point from, duration within);
  void meet(const challenge_subject& c, time_point now, challenge_effects& out);
  void watch_disk(subject& s, const node_id& node, duration age,
                  challenge_effects& out);
  void begin(const node_id& who, challenge_kind kind, challenge_effects& out);
  void had_no_time(const node_id& who, subject& s, time_point now,
                   challenge_effects& out);
  void strike(const std::string& why, time_point now, challenge_effects& out);
  void hold(time_point now, challenge_effects& out);
  void say(const node_id& who, const subject& s, std::uint8_t before,
           const std::string& why, challenge_effects& out) const;

  challenge_rhythm rhythm_;
  random_source& random_;
  mesh_policy policy_;
  std::map<node_id, subject> subjects_;
  std::optional<run> run_;
  std::uint64_t numbers_ = 0;
  challenge_counters counters_;
};

/// The other end: whether a challenge is answered now. One at a time, a few of
/// one asker, none while there is something else to do.
class challenged {
public:
  explicit challenged(challenge_rhythm rhythm) : rhythm_{rhythm} {}

  /// `observes`: it is one of this node's observers. True: solve it, and
  /// call `done`; otherwise answer `later`.
  [[nodiscard]] bool take(const node_id& from, bool observes, bool busy,
                          time_point now);
  void done() { at_work_ = false; }
  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  [[nodiscard]] std::uint64_t postponed() const { return postponed_; }

private:
  struct asker {
    time_point since{};
    std::uint32_t count = 0;
  };
  challenge_rhythm rhythm_;
  std::map<node_id, asker> askers_;
  bool at_work_ = false;
  std::uint64_t taken_ = 0;
  std::uint64_t postponed_ = 0;
};

} // namespace banyan
