#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/sent_calls.hpp"

#include <caf/stateful_actor.hpp>

namespace banyan::actors {

/// The shell around `sent_calls`: messages of groups here to stateless apps in,
/// calls to the router out, answers back to the groups.
struct sent_calls_state {
  static inline const char* name = "sent_calls";
  node_context* ctx = nullptr;
  sent_calls core;
  std::vector<sent_effect> effects;

  void carry_out();
  void carry(sent_call& e);
  void carry(sent_done& e);
  void carry(sent_answers& e);
};
caf::behavior sent_calls_actor(caf::stateful_actor<sent_calls_state>* self,
                               node_context* ctx);

} // namespace banyan::actors
