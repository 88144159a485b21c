#pragma once
#include "actors/node/context.hpp"

#include <caf/stateful_actor.hpp>

namespace banyan::actors {

/// The shell around `region_watch`: every ten seconds it gives the core the
/// round trips of now, tells the other peers what this one measures, and says
/// what changed.
struct region_look_state {
  static inline const char* name = "region_look";
  node_context* ctx = nullptr;
  std::unique_ptr<io::timer> timer;
  std::map<node_id, duration> told; ///< last, and then
  time_point told_at = time_point::min();

  void arm();
  void look();
  void tell(time_point now);
};
caf::behavior region_look_actor(caf::stateful_actor<region_look_state>* self,
                                node_context* ctx);

} // namespace banyan::actors
