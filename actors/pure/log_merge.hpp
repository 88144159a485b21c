#pragma once
#include "actors/pure/log_ring.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace banyan {

/// Merges the lines that several nodes have of one app, in the order of their
/// clocks, from bounded answers: it says whom to ask for which, and hands on a
/// line once no other node can have an earlier one. A node that doesn't answer
/// in time is named, waited for no longer, and asked again now and then. Pure.
///
/// It goes in rounds: one is over when every node has told all that it had.
/// Lines of one round are in order; one that a node gets later but dates back
/// comes in the round that finds it.
class log_merge {
public:
  static constexpr duration patience = 2s;
  static constexpr duration silent_pause = 5s;

  struct ask {
    node_id node;
    std::uint64_t after = 0; ///< a number of that node's
  };
  struct line_of {
    node_id node;
    log_line line;
  };

  /// Asked in the first round that begins afterwards. Nothing if it's known.
  void add(const node_id& node);
  /// Every node may have more. Only when `round_over`.
  void begin_round();
  /// Whom to ask now; each counts as asked.
  void wanted(time_point now, std::vector<ask>& out);
  /// It could not be asked, or its time ran out: see `silent`.
  void on_no_answer(const node_id& node, time_point now);
  void on_answer(const node_id& node, std::vector<log_line> lines, bool more);
  void on_tick(time_point now);
  /// Appends the lines that come next, at most one beyond `bytes_max` of them;
  /// the round isn't over while any are left.
  void take(std::vector<line_of>& out, std::size_t bytes_max);
  /// Appends those that have become silent, once each.
  void take_silent(std::vector<node_id>& out);
  /// All that answer have told everything, and it was taken.
  [[nodiscard]] bool round_over() const;
  /// Whoever is asked has until then.
  [[nodiscard]] time_point deadline() const;

private:
  struct source {
    std::uint64_t after = 0;
    std::deque<log_line> lines;
    bool more = true; ///< in this round
    bool silent = false;
    time_point until = never;     ///< asked, and has until then
    time_point ask_again = never; ///< while it is silent
  };
  std::map<node_id, source> sources_;
  std::vector<node_id> fell_silent_;
};

} // namespace banyan
