#include "actors/pure/hardware/tiers.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan {
namespace {

std::string milliseconds(std::uint32_t us) {
  char text[32];
  std::snprintf(text, sizeof text, us < 10'000 ? "%.2f ms" : "%.0f ms",
                us / 1000.0);
  return text;
}

std::vector<tier_gap> gaps(const hardware_figures& f, const tier_needs& n) {
  std::vector<tier_gap> out;
  const auto least = [&](const char* what, std::uint64_t has,
                         std::uint64_t wants, const char* unit) {
    if (has < wants)
      out.push_back({what, std::to_string(has) + unit,
                     "at least " + std::to_string(wants) + unit});
  };
  least("cores", f.machine.cores, n.cores, "");
  least("memory", f.machine.memory_mib, n.memory_mib, " MiB");
  if (n.fsync_p99_us != 0
      && (f.fsync_p99_us > n.fsync_p99_us || f.fsync_p99_us == 0))
    out.push_back({"fsync p99", milliseconds(f.fsync_p99_us),
                   "at most " + milliseconds(n.fsync_p99_us)});
  least("disk write", f.disk_write_mb_s, n.disk_mb_s, " MB/s");
  least("crypto", f.crypto_mb_s, n.crypto_mb_s, " MB/s");
  return out;
}

const tier_needs& needs(const mesh_policy& p, std::uint8_t tier) {
  return p.tiers[std::clamp<std::size_t>(tier, 1, p.tiers.size()) - 1];
}

} // namespace

tier_verdict tier_of(const hardware_figures& f, const mesh_policy& p) {
  tier_verdict out;
  for (const auto& n : p.tiers) {
    out.missing = gaps(f, n);
    if (!out.missing.empty())
      break;
    ++out.tier;
  }
  return out;
}

std::uint32_t memory_challenge_mib(const mesh_policy& p, std::uint8_t tier) {
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(needs(p, tier).memory_mib / 16, 16, 256));
}

duration memory_challenge_limit(std::uint32_t mib) {
  return std::chrono::seconds{1} + std::chrono::milliseconds{20} * mib;
}

std::uint32_t bandwidth_kb_s(std::uint8_t tier) {
  constexpr std::array<std::uint32_t, tiers_max + 1> least{0, 500, 2'000,
                                                           8'000};
  return least[std::min<std::size_t>(tier, tiers_max)];
}

std::uint32_t bandwidth_challenge_kib(std::uint8_t tier) {
  return std::clamp(bandwidth_kb_s(tier) / 8, 128U, 1024U);
}

std::uint8_t proven_tier(std::uint8_t claim, std::size_t observers,
                         std::vector<std::uint8_t> found) {
  if (found.size() < 2 || observers < found.size())
    return claim;
  found.resize(observers, claim); // who found nothing amiss
  for (auto& f : found)
    f = std::min(f, claim);
  const auto middle =
      found.begin() + static_cast<std::ptrdiff_t>(observers / 2);
  std::nth_element(found.begin(), middle, found.end());
  return *middle;
}

} // namespace banyan
