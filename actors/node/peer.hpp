#pragma once
#include "actors/docs/key_files.hpp"
#include "actors/host/module.hpp"
#include "actors/loop/coordinator.hpp"
#include "actors/node/context.hpp"
#include "actors/node/gateway.hpp"
#include "actors/node/hardware.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/node.hpp"
#include "actors/node/supervisor.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace banyan::actors {

/// Runs `f` on the loop's thread and waits for it.
void on_loop(io::loop& l, const std::function<void()>& f);

/// Everything that a peer is made of besides its actors. The seams (loop,
/// streams, disk, hosts, randomness) are given: real ones in production,
/// virtual ones in a simulation.
struct peer_parts {
  io::loop& loop;
  random_source& random;
  identity key;
  mesh_file mesh;
  node_settings settings;
  store::disk disk;
  std::unique_ptr<net::streams> streams;
  std::unique_ptr<host_factory> hosts;
  net::address listen{};
  net::address advertise{};
  std::vector<net::membership_config::seed> seeds{};
  net::link_limits link_limits{};
  net::liveness_config liveness{};
  net::node_capacity capacity{};
  raft::options raft{};
  std::string admin_token{};
  /// None: it neither measures itself nor challenges others.
  std::shared_ptr<hardware_probe> probe{};
  /// The peer can't go on: exit code and why. On the loop; the owner ends it.
  std::function<void(int, const std::string&)> fatal =
      [](int, const std::string&) {};
};

/// One whole peer: an actor system of its own with node, supervisor, router,
/// gateway, replica and app actors, on a loop that it may share with others.
///
/// Made and destroyed between turns of the loop, or from another thread than
/// the loop's own. `begin`, `stop` and the rest: loop's thread.
class peer {
public:
  explicit peer(peer_parts parts);
  /// Ends everything at once, as a crash would: nothing is handed over.
  ~peer();
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;

  /// Listens and starts the actors. False: `error` says why and what to do.
  [[nodiscard]] bool begin(std::string& error);
  /// Hands over what is led and leads nothing new; still serves. Once.
  void hand_over(std::function<void()> done);
  /// Says goodbye, then calls `done`: destroy it then.
  void leave(std::function<void()> done);
  /// Both.
  void stop(std::function<void()> done);

  [[nodiscard]] const net::address& listening() const;
  [[nodiscard]] const node_id& id() const { return ctx_.self(); }
  [[nodiscard]] io::http_handler& http() { return *gateway_; }
  /// For `/metrics`: what the doors for HTTP count; asked on the loop.
  void count_http(std::function<io::http_counters()> f) {
    gateway_->count_http(std::move(f));
  }
  [[nodiscard]] node_context& context() { return ctx_; }
  /// A call through this peer's router, as its gateway makes it.
  void call(call_request request, answer_function answer);

private:
  peer_parts parts_;
  std::unique_ptr<loop_system> system_;
  node_context ctx_;
  std::shared_ptr<node_shell> node_;
  std::shared_ptr<http_gateway> gateway_;
  std::shared_ptr<module_shell> modules_;
  caf::actor gateway_actor_;
  caf::actor modules_actor_;
  caf::actor lead_balance_;
  caf::actor region_look_;
  std::shared_ptr<uptime_shell> uptime_;
  caf::actor uptime_actor_;
  std::shared_ptr<hardware_shell> hardware_;
  caf::actor hardware_actor_;
  void share_full_log(const store::log_done& d);

  net::address listening_;
  std::optional<time_point> full_log_shared_;
  std::optional<time_point> full_disk_told_; ///< as an event
  bool begun_ = false;
};

/// Modules in the directories given by `--apps`, run in processes of their own
/// or, as their specs say, on threads of this one.
class module_directory final : public host_factory {
public:
  /// What becomes an app host, and the loop of production that it talks to.
  struct host_program {
    io::asio_loop& loop;
    std::string file;
    std::vector<std::string> words; ///< its arguments after its name
  };
  /// Without a program, and for apps that are linked into this one (`linked`,
  /// borrowed), every host is a thread.
  module_directory(io::loop& l, std::vector<std::string> directories,
                   const host_catalog* linked = nullptr,
                   std::optional<host_program> program = std::nullopt);
  /// Where hosts keep their trails (`turn_trail`); a directory that is there.
  void keep_trails_in(std::string directory) { trails_ = std::move(directory); }
  std::unique_ptr<host> make(host_options options, host_handlers handlers,
                             std::string& error) override;
  [[nodiscard]] bool has(const std::string& module) const override;

private:
  [[nodiscard]] std::string find(const std::string& module) const;
  io::loop& loop_;
  std::vector<std::string> directories_;
  const host_catalog* linked_;
  std::optional<host_program> program_;
  std::string trails_;
  std::uint64_t trails_made_ = 0;
};

} // namespace banyan::actors
