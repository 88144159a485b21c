#pragma once
#include "base/bytes.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a machine is and what it can do. Plain data and the statistics behind
/// it; measuring is for shells (actors/hardware/). Pure.
namespace banyan {

/// What can be looked up in a moment.
struct machine_facts {
  std::uint32_t cores = 0;      ///< that this process may use
  std::uint64_t memory_mib = 0; ///< that it may ever have
  std::string processor;        ///< its model; may be empty
  friend bool operator==(const machine_facts& a, const machine_facts& b) {
    return a.cores == b.cores && a.memory_mib == b.memory_mib
           && a.processor == b.processor;
  }
};

/// What was measured, in the file system of the data directory. Megabytes are
/// 10^6 bytes.
struct hardware_figures {
  machine_facts machine;
  std::uint64_t available_mib = 0;
  std::uint32_t fsync_p50_us = 0;
  std::uint32_t fsync_p99_us = 0;
  std::uint32_t disk_write_mb_s = 0; ///< in sequence, to its end on the disk
  std::uint32_t disk_read_mb_s = 0;  ///< in sequence, not from memory
  std::uint32_t crypto_mb_s = 0;     ///< ChaCha20-Poly1305, one core
  std::uint32_t verify_per_s = 0;    ///< Ed25519 signatures, one core
  std::int64_t at_unix_ms = 0;
};

/// Canonical msgpack, for the data directory.
[[nodiscard]] bytes encode(const hardware_figures& f);
/// False on anything else: measure again.
[[nodiscard]] bool decode(const_bytes in, hardware_figures& out);

inline constexpr auto figures_last = std::chrono::hours{7 * 24};
/// Whether figures that were kept still tell of this machine.
[[nodiscard]] bool still_good(const hardware_figures& kept,
                              const machine_facts& now, std::int64_t unix_ms);

/// The smallest of `samples` that at least `permille` of them don't exceed;
/// zero of none. Reorders them.
[[nodiscard]] duration percentile(std::vector<duration>& samples,
                                  std::uint32_t permille);
/// Units per second; 0 when no time passed.
[[nodiscard]] std::uint32_t rate(std::uint64_t units, duration took);

/// @name What Linux says of itself, as text
/// Foreign in form: whatever can't be read is absent.
/// @{
struct memory_said {
  std::uint64_t total_mib = 0;
  std::uint64_t available_mib = 0;
};
/// `/proc/meminfo`.
[[nodiscard]] memory_said read_meminfo(std::string_view text);
/// Of `/proc/cpuinfo`: the model of the first processor.
[[nodiscard]] std::string read_processor(std::string_view text);
/// The group of this process, by `/proc/self/cgroup`, in the one hierarchy of
/// version 2 (`controller` empty) or in that of a controller of version 1.
[[nodiscard]] std::optional<std::string>
read_cgroup(std::string_view text, std::string_view controller);
/// `memory.max`, or `memory.limit_in_bytes`: bytes; nothing: no limit.
[[nodiscard]] std::optional<std::uint64_t>
read_memory_limit(std::string_view text);
/// `cpu.max`: how many cores' time the group gets, rounded up; nothing: all.
[[nodiscard]] std::optional<std::uint32_t>
read_cpu_limit(std::string_view text);
/// @}

} // namespace banyan
