#pragma once
#include "actors/pure/hardware/challenge_wire.hpp"
#include "actors/pure/hardware/figures.hpp"
#include "store/measure.hpp"

#include <filesystem>
#include <functional>
#include <optional>

/// The shell around the figures: asks Linux, the disk and the clock. Any
/// thread; everything here takes time, so on a peer it is for workers.
namespace banyan {

/// What this process may use: cores by its affinity and its control group's
/// quota, memory by the smallest limit above it.
[[nodiscard]] machine_facts look_at_machine();
[[nodiscard]] std::uint64_t available_memory_mib();
/// More runnable threads than cores, by the load of the last minute: figures of
/// now would be of somebody else's work.
[[nodiscard]] bool machine_is_busy();

/// What is measured now, for people, and how far all of it is.
using measure_progress =
    std::function<void(const char* what, std::uint32_t permille)>;

enum class measure_pace : std::uint8_t {
  thorough, ///< about two seconds: nothing else runs here
  short_,   ///< about one second: a peer measures itself
  gentle    ///< pauses before each step: a peer runs beside this
};

/// Measures the machine and the file system of `dir`.
/// @returns as `store::measure_disk`.
result<hardware_figures, store::store_error>
measure_hardware(const std::filesystem::path& dir, measure_pace pace,
                 const measure_progress& progress);

/// The right answer to a challenge; nothing when the memory for it isn't there
/// to be taken, or would leave less than as much.
[[nodiscard]] std::optional<hardware_answer>
solve_hardware_challenge(const hardware_challenge& c);

} // namespace banyan
