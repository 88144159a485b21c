#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/admission.hpp"

#include <caf/stateful_actor.hpp>

namespace banyan::actors {

/// The shell around `router_core` and, before it, `admission`: calls of this
/// node's gateway and of client links in, frames to leaders out, answers back.
/// What the door refuses, or lets wait too long, never reaches the core.
struct router_actor_state {
  static inline const char* name = "router";
  ~router_actor_state();

  node_context* ctx = nullptr;
  std::unique_ptr<router_core> core;
  admission door;
  std::unique_ptr<io::timer> timer;
  std::vector<router_effect> effects;
  std::unordered_map<std::uint64_t, answer_function> waiting;
  struct held_call {
    call_request request;
    time_point until;
    std::uint32_t shard = 0;
  };
  std::unordered_map<std::uint64_t, held_call> held; ///< at the door
  std::uint64_t tokens = 0;

  template <class F>
  void input(F f) {
    f(*core, ctx->loop.now(), effects);
    carry_out();
  }
  void take(call_in& m);
  void let_in();
  void carry_out();
  void carry(router_send& e);
  void carry(router_answer& e);
  void arm();
};
caf::behavior router_actor(caf::stateful_actor<router_actor_state>* self,
                           node_context* ctx);

} // namespace banyan::actors
