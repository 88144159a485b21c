#pragma once
#include "actors/node/context.hpp"

#include <caf/stateful_actor.hpp>

namespace banyan::actors {

/// The shell around `router_core`: calls of this node's gateway and of client
/// links in, frames to leaders out, answers back.
struct router_actor_state {
  static inline const char* name = "router";
  node_context* ctx = nullptr;
  std::unique_ptr<router_core> core;
  std::unique_ptr<io::timer> timer;
  std::vector<router_effect> effects;
  std::unordered_map<std::uint64_t, answer_function> waiting;
  std::uint64_t tokens = 0;

  template <class F>
  void input(F f) {
    f(*core, ctx->loop.now(), effects);
    carry_out();
  }
  void carry_out();
  void arm();
};
caf::behavior router_actor(caf::stateful_actor<router_actor_state>* self,
                           node_context* ctx);

} // namespace banyan::actors
