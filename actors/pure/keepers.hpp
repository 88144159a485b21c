#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

/// Who knows who leads a group, in meshes where views aren't told to everybody:
/// its voters, and eight keepers that anybody can name. Pure.
namespace banyan {

inline constexpr std::size_t keepers_max = 8;

/// The keepers of a group: the members with the largest scores, a hash of group
/// and node id. Whoever sees the same members names the same ones, and of those
/// that come and go only a group's own change its keepers. Cheap: no
/// cryptography, so an insider can become the keeper of a group, which is why
/// askers don't believe a single one.
///
///   keeper_choice k{group};
///   for (each living member) k.offer(node);
///   k.take() // the best first
class keeper_choice {
public:
  explicit keeper_choice(const group_id& g);
  void offer(const node_id& node);
  [[nodiscard]] std::vector<node_id> take() const;

private:
  struct scored {
    std::uint64_t score = 0;
    node_id node;
  };
  std::uint64_t seed_;
  std::vector<scored> best_; ///< descending
};

/// Which groups this node asks keepers about, and when it asks the next ones: a
/// pair of them at once, the following pair if there was no answer. So often as
/// somebody wants to know, but no group is asked about all the time. One per
/// node.
class view_questions {
public:
  static constexpr std::size_t at_once = 2; ///< keepers
  static constexpr duration patience = std::chrono::milliseconds{250};
  static constexpr duration rest = std::chrono::seconds{1};
  static constexpr std::size_t groups_max = 4096;

  struct ask {
    group_id group;
    std::size_t first = 0; ///< keepers first to first + at_once - 1
  };

  /// Somebody needs to know; `due` says what follows. True: it is asked about,
  /// now or already.
  bool want(const group_id& g, time_point now);
  void answered(const group_id& g, time_point now);
  /// Without an answer so far.
  [[nodiscard]] bool asks(const group_id& g) const;
  /// Of those that were asked one may still answer: later news count.
  [[nodiscard]] bool listens(const group_id& g) const {
    return all_.count(g) != 0;
  }
  [[nodiscard]] std::vector<ask> due(time_point now);
  [[nodiscard]] time_point deadline() const;

private:
  struct question {
    std::size_t next = 0; ///< of the keepers
    bool open = true;
    time_point at{}; ///< open: the next pair is asked; else: forgotten
  };
  std::map<group_id, question> all_;
};

/// When somebody who is used for long, and is there, may have been followed by
/// another: not at first, then every `every`. One per node.
class view_checks {
public:
  static constexpr duration every = std::chrono::seconds{5};
  static constexpr std::size_t groups_max = 4096;

  /// It is used now. True: ask.
  bool due(const group_id& g, time_point now);

private:
  std::map<group_id, time_point> at_; ///< used first, or asked about
};

/// A few groups at a time, each in its turn: those next behind the last ones.
///
///   group_turns t{cursor, 4};
///   for (each group, in any order) t.offer(g);
///   cursor = t.last();
///   t.take() // in order; none at the end of a round
class group_turns {
public:
  group_turns(const group_id& behind, std::size_t most)
      : behind_{behind}, most_{most} {}
  void offer(const group_id& g);
  [[nodiscard]] const std::vector<group_id>& take() const { return next_; }
  /// Where the following turn begins.
  [[nodiscard]] group_id last() const {
    return next_.empty() ? group_id{} : next_.back();
  }

private:
  group_id behind_;
  std::size_t most_;
  std::vector<group_id> next_; ///< ascending
};

} // namespace banyan
