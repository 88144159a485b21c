#pragma once
#include "actors/node/context.hpp"

#include <caf/stateful_actor.hpp>

#include <memory>

namespace banyan::actors {

/// The shell around `scrub_core`: re-reads this node's disk at a bounded rate
/// and tells replicas and supervisor what it finds.
class scrub_shell : public std::enable_shared_from_this<scrub_shell> {
public:
  explicit scrub_shell(node_context& ctx);
  void on_verify(const verify_in& m);
  void on_state_piece(const scrub_state_in& m);
  void on_log_piece(const scrub_log_in& m);
  void arm();

private:
  void carry_out();
  void carry(scrub_state_piece& e);
  void carry(scrub_log_piece& e);
  void carry(scrub_row_damaged& e);
  void carry(scrub_state_wrong& e);
  void carry(scrub_log_damaged& e);
  void carry(scrub_compare& e);
  void carry(scrub_look& e);
  [[nodiscard]] std::vector<group_id> groups() const;

  node_context& ctx_;
  scrub_core core_;
  scrub_effects effects_;
  io::timer timer_;
  std::uint64_t finished_ = 0; ///< the last pass whose end was logged
};

struct scrub_actor_state {
  static inline const char* name = "scrub";
  std::shared_ptr<scrub_shell> shell;
};
caf::behavior scrub_actor(caf::stateful_actor<scrub_actor_state>* self,
                          node_context* ctx);

} // namespace banyan::actors
