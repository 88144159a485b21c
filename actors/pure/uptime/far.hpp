#pragma once
#include "actors/pure/uptime/archive.hpp"
#include "actors/pure/uptime/wire.hpp"
#include "base/time.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace banyan {

/// The uptime of nodes whose documents this node doesn't keep: in a mesh above
/// 17 it asks for them, one node after the other, the node itself and then
/// those that observe it, and keeps what they add up to. Pure; one per node.
///
/// A day is asked for once it is over; what comes of it later is missed. What
/// comes is bounded, and counts only from those who may judge the node.
class far_days {
public:
  static constexpr duration answer_within = std::chrono::seconds{5};
  /// Of one node under way: 30 days of 32 observers are 960.
  static constexpr std::size_t documents_max = 1024;
  static constexpr std::size_t asked_max = 9; ///< nodes, about one

  struct wish {
    node_id whom;
    days_wanted what;
  };
  /// Begins with a node, unless one is under way: asks it and its `observers`
  /// for the days up to `last` that aren't known.
  std::optional<wish> begin(const node_id& about,
                            const std::vector<node_id>& observers,
                            std::uint32_t last, time_point now);
  /// Documents that were verified, from whom they were asked of; `more` and
  /// `end` as in the answer. @returns whom to ask next.
  struct arrived {
    std::vector<std::pair<signed_document, observation>> days;
    bool more = false;
    std::optional<day_archive::place> end;
  };
  std::optional<wish> on_given(const node_id& from, arrived a, time_point now,
                               const day_archive::counts& who);
  /// Whoever doesn't answer is passed over.
  std::optional<wish> on_tick(time_point now, const day_archive::counts& who);

  [[nodiscard]] bool busy() const noexcept { return under_way_.has_value(); }
  /// The answer of `from` about `about` is waited for.
  [[nodiscard]] bool awaits(const node_id& from,
                            const std::optional<node_id>& about) const;
  /// Null: nothing is known of it.
  [[nodiscard]] const day_results* results(const node_id& node) const;
  /// All days up to `last` were asked for, and something came.
  [[nodiscard]] bool knows(const node_id& node, std::uint32_t last) const;
  /// It is no member any more.
  void forget(const node_id& node) { known_.erase(node); }

private:
  struct inquiry {
    node_id about;
    std::deque<node_id> whom; ///< the front is asked now
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    day_archive came;
    time_point until;
  };
  struct record {
    std::uint32_t asked_up_to = 0;
    day_results days; ///< without observers
  };
  std::optional<wish> ask(std::optional<day_archive::place> after,
                          time_point now);
  std::optional<wish> next(time_point now, const day_archive::counts& who);
  void add_up(const day_archive::counts& who);

  std::optional<inquiry> under_way_;
  std::map<node_id, record> known_;
};

} // namespace banyan
