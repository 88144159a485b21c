#include "actors/hardware/measure.hpp"

#include "base/random.hpp"
#include "crypto/hash.hpp"
#include "crypto/measure.hpp"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace banyan {
namespace {

namespace fs = std::filesystem;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr const char* groups = "/sys/fs/cgroup";

std::string text_of(const fs::path& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

/// Calls `f` with the folder of each control group that holds this process,
/// from its own up to the root.
template <class F>
void each_group(const std::string& controller, F f) {
  const auto path = read_cgroup(text_of("/proc/self/cgroup"), controller);
  if (!path)
    return;
  auto root = fs::path{groups};
  if (!controller.empty())
    root /= controller;
  for (auto p = fs::path{*path}.lexically_normal();; p = p.parent_path()) {
    f(root / p.relative_path());
    if (!p.has_relative_path())
      return;
  }
}

template <class T>
void lower(T& value, const std::optional<T>& limit) {
  if (limit)
    value = std::min(value, *limit);
}

std::uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  auto cores = std::uint32_t{1};
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    cores = static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&set)));
  each_group("", [&](const fs::path& group) {
    lower(cores, read_cpu_limit(text_of(group / "cpu.max")));
  });
  each_group("cpu", [&](const fs::path& group) {
    const auto quota = text_of(group / "cpu.cfs_quota_us");
    lower(cores,
          read_cpu_limit(quota + " " + text_of(group / "cpu.cfs_period_us")));
  });
  return cores;
}

std::uint32_t microseconds_of(duration d) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(
      duration_cast<microseconds>(d).count(), 1, UINT32_MAX));
}

store::disk_plan plan_for(measure_pace pace) {
  store::disk_plan plan;
  switch (pace) {
  case measure_pace::thorough:
    plan.fsync_budget = 800ms;
    plan.bytes_max = std::uint64_t{256} << 20;
    break;
  case measure_pace::short_:
    plan.bytes_max = std::uint64_t{32} << 20;
    break;
  case measure_pace::gentle:
    plan.fsync_budget = 4s;
    plan.fsyncs_max = 150;
    plan.pause = 20ms;
    plan.bytes_max = std::uint64_t{16} << 20;
    break;
  }
  return plan;
}

} // namespace

machine_facts look_at_machine() {
  machine_facts out;
  out.cores = usable_cores();
  out.memory_mib = read_meminfo(text_of("/proc/meminfo")).total_mib;
  const auto limited = [&](const fs::path& file) {
    if (const auto limit = read_memory_limit(text_of(file)))
      out.memory_mib = std::min(out.memory_mib, *limit >> 20);
  };
  each_group("", [&](const fs::path& g) { limited(g / "memory.max"); });
  each_group("memory",
             [&](const fs::path& g) { limited(g / "memory.limit_in_bytes"); });
  out.processor = read_processor(text_of("/proc/cpuinfo"));
  return out;
}

std::uint64_t available_memory_mib() {
  auto out = read_meminfo(text_of("/proc/meminfo")).available_mib;
  const auto limited = [&](const fs::path& limit, const fs::path& used) {
    const auto most = read_memory_limit(text_of(limit));
    const auto now = read_memory_limit(text_of(used));
    if (most && now)
      out = std::min(out, *most > *now ? (*most - *now) >> 20 : 0);
  };
  each_group("", [&](const fs::path& g) {
    limited(g / "memory.max", g / "memory.current");
  });
  each_group("memory", [&](const fs::path& g) {
    limited(g / "memory.limit_in_bytes", g / "memory.usage_in_bytes");
  });
  return out;
}

bool machine_is_busy() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 && load > usable_cores();
}

result<hardware_figures, store::store_error>
measure_hardware(const fs::path& dir, measure_pace pace,
                 const measure_progress& progress) {
  constexpr std::uint32_t disk_share = 850;
  hardware_figures out;
  progress("machine", 0);
  out.machine = look_at_machine();
  out.available_mib = available_memory_mib();
  auto plan = plan_for(pace);
  plan.progress = [&](std::uint32_t permille) {
    progress(permille < 450 ? "fsync" : "disk", permille * disk_share / 1000);
  };
  auto disk = store::measure_disk(dir, plan);
  if (!disk.ok())
    return failure{disk.error()};
  out.fsync_p50_us = microseconds_of(percentile(disk->fsyncs, 500));
  out.fsync_p99_us = microseconds_of(percentile(disk->fsyncs, 990));
  // Of a fast disk: bytes per second don't fit.
  const auto mega = [](std::uint64_t bytes_, duration took) {
    return rate(bytes_ / 1000, took) / 1000;
  };
  out.disk_write_mb_s = mega(disk->written, disk->writing);
  out.disk_read_mb_s = mega(disk->read, disk->reading);
  progress("crypto", disk_share);
  const auto crypto =
      measure_crypto(pace == measure_pace::gentle ? 40ms : 200ms, [] {
        return time_point{std::chrono::steady_clock::now()};
      });
  out.crypto_mb_s = mega(crypto.sealed_bytes, crypto.sealing);
  out.verify_per_s = rate(crypto.verified, crypto.verifying);
  out.at_unix_ms = duration_cast<milliseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  progress("crypto", 1000);
  return out;
}

std::optional<hardware_answer>
solve_hardware_challenge(const hardware_challenge& c) {
  hardware_answer out;
  out.number = c.number;
  if (c.kind == challenge_kind::memory) {
    if (available_memory_mib() < std::uint64_t{2} * c.size)
      return std::nullopt;
    const auto proof = fill_memory(c.nonce.view(), c.size);
    if (!proof)
      return std::nullopt;
    out.proof = *proof;
    return out;
  }
  std::uint64_t seed = 0;
  for (std::size_t i = 0; i < sizeof seed; ++i)
    seed = seed << 8 | c.nonce.view()[i];
  out.data.resize(std::size_t{c.size} * 1024);
  seeded_random{seed}.fill(out.data.data(), out.data.size());
  out.proof = hash_of({as_bytes("banyan bandwidth"), c.nonce.view(), out.data});
  return out;
}

} // namespace banyan
