#pragma once
#include "base/result.hpp"
#include "base/time.hpp"
#include "store/aside.hpp"
#include "store/documents.hpp"
#include "store/log.hpp"
#include "store/modules.hpp"
#include "store/state.hpp"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace banyan::store {

/// Runs a closure on the loop thread, soon. Called from the disk threads, so it
/// must be thread-safe; must outlive what it was given to.
using post_function = std::function<void(std::function<void()>)>;

/// Everything a node keeps on disk, with what was found there. The node takes
/// it as is: real (`open_disk`) or simulated (`virtual_disk::open`). Log and
/// documents are open; the state may still be under its check, and what is in
/// it comes by `on_state_open`.
struct disk {
  std::unique_ptr<store::log> log;
  std::unique_ptr<store::state> state;
  std::unique_ptr<store::documents> documents;
  log_recovery recovered_logs;
  /// By group; empty when the state wasn't open yet as this was made.
  std::vector<recovered_state> recovered_states;
  std::unique_ptr<store::aside> aside;
  std::unique_ptr<store::modules> modules;

  /// See `state::on_open`.
  void on_state_open(state::open_handler handler) const {
    state->on_open(std::move(handler));
  }
};

} // namespace banyan::store
