#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/supervision.hpp"

#include <caf/stateful_actor.hpp>

#include <set>

namespace banyan::actors {

/// What a host of the app's code is told by its spec, on a node of `target`.
host_options options_of(const app_spec& s, const std::string& target);
/// A host of code that this node has, or is fetching: then it starts as soon as
/// the module is here. None: `error` says why.
std::unique_ptr<host> make_host(node_context& ctx, host_options options,
                                host_handlers handlers, std::string& error);

/// One version of an app on this node: owns its host, gathers the turns of all
/// groups that run it into batches, and restarts the host when it fails, by the
/// ladder (DESIGN section 8). The supervisor hears of every failure.
struct app_actor_state {
  static inline const char* name = "app";
  ~app_actor_state();

  node_context* ctx = nullptr;
  app_host_id id;
  std::string app;
  std::unique_ptr<banyan::host> host;
  std::unique_ptr<io::timer> timer;
  std::unique_ptr<io::timer> restart_timer;
  std::unique_ptr<io::timer> late_timer;     ///< it takes long to come up
  std::unique_ptr<io::timer> standing_timer; ///< old failures stop to count
  std::set<group_id> groups;
  bool up = false;
  std::uint32_t state_version = 0; ///< of its module, once that was up
  bool late = false;   ///< a hand-over would have been quicker than its start
  std::string trouble; ///< why it failed last, while it isn't up
  restart_ladder ladder;
  time_point lines_since; ///< when the second began in which they are counted
  std::size_t lines = 0;

  void begin(host_options options);
  void on_results(std::vector<turn_result> results);
  void on_line(std::string_view line);
  void on_failed(const host_failed& f);
  void expect_up();
  void tell();
  void on_restart_order();
  void on_park_order();
  void arm();
};
caf::behavior app_actor(caf::stateful_actor<app_actor_state>* self,
                        node_context* ctx, app_host_id id, std::string app,
                        host_options options);

} // namespace banyan::actors
