#pragma once
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::sim {

/// What can go wrong. `a` and `b` are the machines of a `fault`.
enum class fault_kind : std::uint8_t {
  /// @name Processes and machines
  /// @{
  kill,            ///< kill -9 of a, back after a while
  quick_kill,      ///< the same, back within 150 ms
  power_cut,       ///< of a: what was not synced is lost or torn
  crash_at_write,  ///< of a: the power goes in the midst of its n-th write
  all_die,         ///< every machine at once: a cold start of all
  blackout,        ///< disks are slow, then all lose power in one instant: what
                   ///< was acknowledged without a majority's fsync is gone
  rolling_restart, ///< all machines, one after the other, asked to stop
  long_absence,    ///< a is away for so long that its replicas are replaced
  pause,           ///< SIGSTOP of a for 0.1 to 30 s
  slow_cpu,        ///< each step of a takes up to some ms
  clock_jump,      ///< a's wall clock, by up to an hour, either way
  clock_drift,     ///< a's monotonic clock, by up to 5 %, either way
  /// @}
  /// @name Network
  /// @{
  cut,         ///< between a and b alone, both ways
  cut_one_way, ///< from a to b alone
  isolate,     ///< a from all others
  deafen,      ///< a hears nobody; others hear it
  split,       ///< the machines up to a from those behind it
  flip_flop,   ///< between a and b: cut, healed, cut, ...
  stall,       ///< everything from a to b waits
  reset,       ///< connections between a and b are torn down
  loss,        ///< between a and b: stalls and resets, again and again
  slow_link,   ///< from a to b: 50 to 500 ms
  jitter,      ///< all links: delays of 0.1 to 100 ms, drawn by piece
  clog,        ///< all from a: a few KiB per second
  /// @}
  /// @name Disks
  /// @{
  slow_disk, ///< of a: an fsync takes 5 to 80 ms more
  slow_sync, ///< of a: 1 to 10 s more
  disk_full,
  sync_error,   ///< an fsync of a fails
  write_error,  ///< a write of a fails
  commit_error, ///< a state commit of a fails
  /// @}
  /// @name Loss of what was synced, on machine a
  /// @{
  wipe,            ///< its data directory is gone, identity and all
  old_image,       ///< an older image of the disk is put back
  rot_log,         ///< a bit of its log flips while it is down
  rot_row,         ///< a bit of a stored row flips
  rot_meta,        ///< a bit of what a group says of its rows flips
  rot_state,       ///< the state's structure is bad at the next start
  rot_documents,   ///< a bit of the documents' file flips while it is down
  misplaced_batch, ///< a write of the log lands elsewhere
  misplaced_row,   ///< a row lands under another key
  lost_row,        ///< a row's write never came to the disk
  rolled_back,     ///< an image from within the same boot is put back
  /// @}
  /// @name App hosts of a
  /// @{
  slow_host,
  late_host, ///< answers take 0.2 to 2 s, and leadership moves meanwhile
  host_dies,
  host_hangs,
  /// @}
  /// @name What operators do
  /// @{
  transfer, ///< leaderships of a move
  move,  ///< a voter of a is replaced by another machine's, though it is well
  drain, ///< a hands over all it has, and takes replicas again after a while
  /// @}
};
inline constexpr std::size_t fault_kinds =
    static_cast<std::size_t>(fault_kind::drain) + 1;

/// `power cut`, `slow disk`, ...
const char* to_string(fault_kind k) noexcept;
const char* meaning(fault_kind k) noexcept; ///< in a few words, for people
std::optional<fault_kind> fault_named(std::string_view name);

/// On one machine at a time only, as a minority of a group's disks is all that
/// it promises to outlive.
bool loses_synced(fault_kind k) noexcept;

/// One fault, complete: what it does depends on nothing else but the state
/// that it meets. So a schedule with some left out is a schedule as well.
struct fault {
  fault_kind kind = fault_kind::kill;
  duration at{}; ///< since its phase began
  std::size_t a = 0;
  std::size_t b = 1;
  duration lasts{};
  std::uint64_t dice = 0; ///< for what else is left to chance
};
std::string to_string(const fault& f);

using schedule = std::vector<fault>; ///< by time

struct schedule_options {
  std::size_t machines = 3;
  duration length = std::chrono::seconds{20};
  duration pause_min = std::chrono::milliseconds{100}; ///< between two faults
  duration pause_max = std::chrono::milliseconds{2500};
  std::vector<fault_kind> kinds{}; ///< to draw from; empty: all
};
schedule draw_schedule(std::uint64_t seed, const schedule_options& how);

} // namespace banyan::sim
