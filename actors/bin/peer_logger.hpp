#pragma once
#include "actors/docs/peer_config.hpp"
#include "actors/node/context.hpp"

#include <memory>

namespace banyan::bin {

/// The peer's log: one line per event on standard error, as text or JSON.
/// Lines are written by a thread of its own; when it can't keep up the oldest
/// are dropped, the loop never waits.
class peer_logger {
public:
  peer_logger(log_threshold level, bool json);
  ~peer_logger(); ///< writes what is left
  [[nodiscard]] actors::log_function function();

private:
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace banyan::bin
