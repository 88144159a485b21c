#pragma once
#include "actors/node/context.hpp"

#include <memory>
#include <string>
#include <vector>

namespace banyan::actors {

/// A host whose module is named by its hash: it starts once this node has that,
/// and from then on it is the host that the node's factory makes. Orders wait
/// meanwhile; nothing fails because a fetch takes long.
class awaited_host final : public host {
public:
  /// `options.code` names the module; `ctx` has modules and is borrowed.
  awaited_host(node_context& ctx, host_options options, host_handlers handlers);
  ~awaited_host() override { stop(); }

  void start() override;
  void submit(std::vector<turn_order> orders) override;
  void restart() override;
  void stop() override;
  [[nodiscard]] time_point deadline() const override;
  void on_time(time_point now) override;
  [[nodiscard]] std::size_t outstanding() const override;

private:
  void open();

  node_context& ctx_;
  host_options options_;
  host_handlers handlers_;
  std::unique_ptr<host> inner_; ///< once the module is here
  std::vector<turn_order> waiting_;
  std::shared_ptr<char> life_; ///< dies with stop()
};

} // namespace banyan::actors
