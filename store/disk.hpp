#pragma once
#include "base/result.hpp"
#include "base/time.hpp"
#include "store/documents.hpp"
#include "store/log.hpp"
#include "store/state.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace banyan::store {

/// Runs a closure on the loop thread, soon. Called from the disk threads, so it
/// must be thread-safe; must outlive what it was given to.
using post_function = std::function<void(std::function<void()>)>;

/// Everything a node keeps on disk, opened, with what was found there. The node
/// takes it as is: real (`open_disk`) or simulated (`virtual_disk::open`).
struct disk {
  std::unique_ptr<store::log> log;
  std::unique_ptr<store::state> state;
  std::unique_ptr<store::documents> documents;
  log_recovery recovered_logs;
  std::vector<recovered_state> recovered_states; ///< by group
};

} // namespace banyan::store
