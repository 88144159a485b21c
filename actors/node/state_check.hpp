#pragma once
#include "net/io/loop.hpp"
#include "store/data_dir.hpp"
#include "store/verify.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace banyan::actors {

/// How far the check of the state is that every start begins with, and what it
/// found (DESIGN section 7, "Damage"). Any thread.
class state_check_status {
public:
  enum class phase : std::uint8_t {
    none,    ///< There was no state to check.
    running, ///< Replicas vote and append, but don't lead or answer.
    whole,
    bad, ///< Set aside; replicas are rebuilt from the others.
  };
  struct view {
    phase now = phase::none;
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_all = 0;
    duration took{};
    std::string damage; ///< for people; while it runs: what it waits for
    /// Rows with a wrong checksum in a state that is whole otherwise.
    std::vector<std::pair<group_id, bytes>> damaged_rows;
  };

  void begin(std::uint64_t size, time_point now);
  void progress(std::uint64_t done, std::uint64_t all);
  /// It can't be judged now, and is asked again; shown as the damage until
  /// then.
  void waits(std::string why);
  /// One row to be mended; more than `rows_max` are left to the scrub.
  void damaged_row(group_id group, bytes key);
  void end(const store::state_verdict& v, time_point now);
  [[nodiscard]] view look() const;

  static constexpr std::size_t rows_max = 10'000;

private:
  mutable std::mutex mutex_;
  view view_;
  time_point began_{};
};
const char* to_string(state_check_status::phase p) noexcept;

/// Checks a state away from the loop, on a thread of its own, and says there
/// what it found. Made and destroyed by the owner of the disk; must outlive
/// neither loop nor status. The destructor waits for the thread, which `stop`
/// tells to hurry.
class state_checker {
public:
  /// Runs on the checker's thread; blocks. `stop`: nobody waits any more.
  using job = std::function<store::state_verdict(
      const std::filesystem::path& state, state_check_status& status,
      const std::atomic<bool>& stop)>;

  state_checker(io::loop& l, std::shared_ptr<state_check_status> status, job j);
  ~state_checker();
  state_checker(const state_checker&) = delete;
  state_checker& operator=(const state_checker&) = delete;

  /// For `disk_options::state_check`; once. A directory without a state is
  /// whole at once.
  [[nodiscard]] store::state_check_function function();

private:
  void check(const std::filesystem::path& state,
             std::function<void(store::state_verdict)> on_done);
  io::loop& loop_;
  std::shared_ptr<state_check_status> status_;
  job job_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// The check inside this process, where LMDB may crash on bad pages: for
/// meshes within a test. A peer of its own does it in a child process.
store::state_verdict check_here(const std::filesystem::path& state,
                                state_check_status& status,
                                const std::atomic<bool>& stop);

/// What a report means: a bad file is set aside, a bad row is mended alone.
store::state_verdict
verdict_of(const result<store::state_report, store::store_error>& report,
           state_check_status& status);

} // namespace banyan::actors
