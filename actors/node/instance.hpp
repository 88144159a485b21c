#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/instance_core.hpp"

#include <caf/stateful_actor.hpp>

#include <memory>
#include <set>

namespace banyan::actors {

/// Turns go to the host of that version from now on; 0: to none.
struct use_version {
  std::uint64_t number = 0;
};

/// How an instance is occupied. Its actor writes it, the supervisor and the
/// gateway read it, all on the loop.
struct instance_load {
  std::map<std::uint64_t, std::size_t> outstanding; ///< turns, by version
  std::size_t waiting = 0;
  std::uint64_t serving = 0; ///< the version; 0: none. The supervisor's
  std::uint64_t turns = 0;   ///< that ended, since this process began
  std::uint64_t restarts = 0;
};
/// The instances here, as `/metrics` shows them.
[[nodiscard]] std::string instance_metrics(const node_context& ctx);

/// The shell around one `instance_core`: what a replica is to a group, this is
/// to a stateless app on one node.
class instance_shell {
public:
  instance_shell(node_context& ctx, const app_id& app, std::string name,
                 std::shared_ptr<instance_load> load);

  template <class F>
  void input(F f) {
    f(core_, ctx_.loop.now(), effects_);
    carry_out();
  }
  void on_request(request_in& in);
  void on_results(turn_results_in& in);
  void on_host_up(std::uint64_t version);

private:
  struct caller {
    node_id node;
    std::uint64_t call = 0;
  };
  void carry_out();
  void carry(instance_turns& e);
  void carry(instance_answer& e);
  void carry(instance_log& e);
  void arm();

  node_context& ctx_;
  app_id app_;
  std::string name_;
  std::shared_ptr<instance_load> load_;
  instance_core core_;
  std::vector<instance_effect> effects_;
  io::timer timer_;
  std::set<std::uint64_t> started_; ///< versions whose host was up before
  std::uint64_t next_call_ = 0;
  std::unordered_map<std::uint64_t, caller> calls_;
};

struct instance_actor_state {
  static inline const char* name = "instance";
  std::unique_ptr<instance_shell> shell;
};
caf::behavior instance_actor(caf::stateful_actor<instance_actor_state>* self,
                             node_context* ctx, app_id app, std::string name,
                             std::shared_ptr<instance_load> load);

} // namespace banyan::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(banyan::actors::use_version)
