#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/lead_balance.hpp"

#include <caf/stateful_actor.hpp>

namespace banyan::actors {

/// The shell around `lead_balance`: every two seconds (ten, while all is as it
/// should be) it looks at what leaders have told and gives away what it is told
/// to; and it tells the other peers how loaded this one is.
struct lead_balance_state {
  static inline const char* name = "lead_balance";
  node_context* ctx = nullptr;
  std::unique_ptr<io::timer> timer;
  lead_balance core;
  time_point due = time_point::min(); ///< the next look at all leaders
  std::uint32_t leads = 0;            ///< as of the last one
  std::uint64_t calls = 0;            ///< counted until the last tick
  node_load told;                     ///< last, and then
  time_point told_at = time_point::min();

  void arm();
  void look();
  [[nodiscard]] lead_facts facts() const;
  void tell_load(std::uint16_t busy, time_point now);
  void carry_out(const lead_move& m);
};
caf::behavior lead_balance_actor(caf::stateful_actor<lead_balance_state>* self,
                                 node_context* ctx);

} // namespace banyan::actors
