#pragma once
#include "sim/run.hpp"

#include <functional>
#include <optional>
#include <string>

namespace banyan::sim {

/// Runs plans in processes of their own, since a failed assertion ends one.
/// The caller must have no thread and no actor system.
class workers {
public:
  /// The next plan, or nothing when there are no more.
  using source = std::function<std::optional<plan>()>;
  using sink = std::function<void(const outcome&, double real_s)>;

  /// @returns when the source is empty and all are done.
  static void run(std::size_t processes, const source& next, const sink& done);
  /// One plan in one process; a crash is a problem in its outcome.
  static outcome run_one(const plan& p);
};

} // namespace banyan::sim
