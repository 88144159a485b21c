#include "actors/pure/hardware/figures.hpp"

#include "base/codec.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace banyan {
namespace {

constexpr std::size_t processor_bytes_max = 128;
constexpr std::uint64_t version = 1;
/// Version 1 says "no limit" by a number near 2^63.
constexpr std::uint64_t no_limit_above = std::uint64_t{1} << 60;

std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::optional<std::uint64_t> leading_number(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  std::uint64_t out = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), out);
  return r.ec == std::errc{} ? std::optional{out} : std::nullopt;
}

} // namespace

bytes encode(const hardware_figures& f) {
  bytes out;
  writer w{out};
  w.array(12).uint(version).uint(f.machine.cores).uint(f.machine.memory_mib);
  w.text(f.machine.processor).uint(f.available_mib).uint(f.fsync_p50_us);
  w.uint(f.fsync_p99_us).uint(f.disk_write_mb_s).uint(f.disk_read_mb_s);
  w.uint(f.crypto_mb_s).uint(f.verify_per_s).sint(f.at_unix_ms);
  return out;
}

bool decode(const_bytes in, hardware_figures& out) {
  reader r{in};
  const auto u32 = [&] {
    return static_cast<std::uint32_t>(
        r.uint(std::numeric_limits<std::uint32_t>::max()));
  };
  r.require(r.array(12) == 12);
  r.require(r.uint() == version);
  out.machine.cores = u32();
  out.machine.memory_mib = r.uint();
  out.machine.processor = std::string{r.text(processor_bytes_max)};
  out.available_mib = r.uint();
  out.fsync_p50_us = u32();
  out.fsync_p99_us = u32();
  out.disk_write_mb_s = u32();
  out.disk_read_mb_s = u32();
  out.crypto_mb_s = u32();
  out.verify_per_s = u32();
  out.at_unix_ms = r.sint();
  return r.done();
}

bool still_good(const hardware_figures& kept, const machine_facts& now,
                std::int64_t unix_ms) {
  const auto age = unix_ms - kept.at_unix_ms;
  const auto most =
      std::chrono::duration_cast<std::chrono::milliseconds>(figures_last);
  // From the future: the wall clock was set back meanwhile.
  return kept.machine == now && age >= 0 && age < most.count();
}

duration percentile(std::vector<duration>& samples, std::uint32_t permille) {
  if (samples.empty())
    return {};
  const auto last = samples.size() - 1;
  const auto rank = (samples.size() * permille + 999) / 1000;
  const auto at =
      samples.begin()
      + static_cast<std::ptrdiff_t>(std::min(rank == 0 ? 0 : rank - 1, last));
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

std::uint32_t rate(std::uint64_t units, duration took) {
  const auto seconds = std::chrono::duration<double>(took).count();
  if (seconds <= 0)
    return 0;
  return static_cast<std::uint32_t>(
      std::min(static_cast<double>(units) / seconds, 4e9));
}

memory_said read_meminfo(std::string_view text) {
  memory_said out;
  while (!text.empty()) {
    const auto line = next_line(text);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
      continue;
    const auto name = line.substr(0, colon);
    const auto kib = leading_number(line.substr(colon + 1)).value_or(0);
    if (name == "MemTotal")
      out.total_mib = kib / 1024;
    else if (name == "MemAvailable")
      out.available_mib = kib / 1024;
  }
  return out;
}

std::string read_processor(std::string_view text) {
  while (!text.empty()) {
    const auto line = next_line(text);
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos || line.substr(0, 10) != "model name")
      continue;
    return std::string{line.substr(colon + 2, processor_bytes_max)};
  }
  return {};
}

std::optional<std::string> read_cgroup(std::string_view text,
                                       std::string_view controller) {
  while (!text.empty()) {
    const auto line = next_line(text); // number:controllers:path
    const auto first = line.find(':');
    const auto second =
        first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos)
      continue;
    auto list = line.substr(first + 1, second - first - 1);
    bool found = controller.empty() && list.empty();
    while (!controller.empty() && !list.empty() && !found) {
      const auto end = std::min(list.find(','), list.size());
      found = list.substr(0, end) == controller;
      list.remove_prefix(std::min(end + 1, list.size()));
    }
    if (found)
      return std::string{line.substr(second + 1)};
  }
  return std::nullopt;
}

std::optional<std::uint64_t> read_memory_limit(std::string_view text) {
  const auto n = leading_number(text);
  return n && *n < no_limit_above ? n : std::nullopt;
}

std::optional<std::uint32_t> read_cpu_limit(std::string_view text) {
  const auto quota = leading_number(text);
  const auto space = text.find(' ');
  if (!quota || space == std::string_view::npos)
    return std::nullopt; // `max 100000`
  const auto period = leading_number(text.substr(space));
  if (!period || *period == 0)
    return std::nullopt;
  const auto cores = *quota / *period + (*quota % *period == 0 ? 0 : 1);
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(cores, 1, 65'536));
}

} // namespace banyan
