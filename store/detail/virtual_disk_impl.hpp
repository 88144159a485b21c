#pragma once
#include "base/random.hpp"
#include "store/detail/log_engine.hpp"
#include "store/detail/memory_files.hpp"
#include "store/detail/virtual_state.hpp"
#include "store/detail/virtual_worker.hpp"
#include "store/virtual_disk.hpp"

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace banyan::store {

/// What a simulated disk is; each instance on it holds a reference.
struct virtual_disk::impl {
  impl(options h, schedule_function s, std::function<time_point()> n)
      : how{h}, schedule{std::move(s)}, now{std::move(n)}, random{h.seed} {}

  duration sync_time() {
    return random.between(how.sync_low, how.sync_high) + sync_delay;
  }
  duration read_time() { return random.between(how.read_low, how.read_high); }
  void end_instance() {
    if (engine != nullptr) {
      at_end.clear();
      for (const auto& g : engine->groups())
        if (const auto end = engine->synced_log(g))
          at_end[g] = {end->replica, end->base, end->last};
      engine = nullptr;
    }
    *alive = false;
    alive = std::make_shared<bool>(false);
  }
  /// Another disk in the place of this one.
  void put_in(std::unique_ptr<detail::memory_files> fresh,
              detail::virtual_rows more) {
    end_instance();
    files->kill();
    old_files.push_back(std::move(files));
    files = std::move(fresh);
    more.on_commit = std::move(rows.on_commit);
    rows = std::move(more);
    at_end.clear();
  }
  /// The rest of what the running step does reaches nothing.
  void cut_power(const std::function<void()>& on_cut) {
    end_instance();
    schedule(duration{0}, on_cut);
  }

  options how;
  schedule_function schedule;
  std::function<time_point()> now;
  seeded_random random;
  std::unique_ptr<detail::memory_files> files =
      std::make_unique<detail::memory_files>();
  /// Disks that were wiped under an instance that may still hold them.
  std::vector<std::unique_ptr<detail::memory_files>> old_files;
  detail::virtual_rows rows;
  duration sync_delay{0};
  detail::log_engine* engine = nullptr; ///< of the instance that runs
  std::map<group_id, virtual_disk::synced_log> at_end;
  detail::life alive = std::make_shared<bool>(false);
};

} // namespace banyan::store
