#include "actors/testing/sim/fault.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace banyan::sim {
namespace {

struct about {
  const char* name;
  duration shortest; ///< how long it lasts
  duration longest;
};
constexpr about table[] = {
    {"kill", 150ms, 3s},
    {"quick kill", 1ms, 150ms},
    {"power cut", 1ms, 3s},
    {"crash at write", 1ms, 2s},
    {"all die", 1ms, 1500ms},
    {"blackout", 300ms, 600ms},
    {"rolling restart", 20ms, 500ms},
    {"long absence", 3s, 8s},
    {"pause", 100ms, 5s},
    {"slow cpu", 200ms, 3s},
    {"clock jump", 0ms, 0ms},
    {"clock drift", 1s, 20s},
    {"cut", 100ms, 4s},
    {"one-way cut", 100ms, 4s},
    {"isolate", 100ms, 4s},
    {"deafen", 100ms, 4s},
    {"split", 100ms, 4s},
    {"flip-flop", 500ms, 5s},
    {"stall", 100ms, 3s},
    {"reset", 0ms, 0ms},
    {"loss", 500ms, 5s},
    {"slow link", 500ms, 5s},
    {"jitter", 500ms, 5s},
    {"clog", 200ms, 4s},
    {"slow disk", 200ms, 4s},
    {"slow sync", 1s, 10s},
    {"disk full", 100ms, 4s},
    {"sync error", 0ms, 0ms},
    {"write error", 0ms, 0ms},
    {"commit error", 0ms, 0ms},
    {"wipe", 1ms, 2s},
    {"old image", 200ms, 4s},
    {"log rot", 1ms, 1s},
    {"row rot", 0ms, 0ms},
    {"meta rot", 0ms, 0ms},
    {"state rot", 1ms, 1s},
    {"documents rot", 1ms, 1s},
    {"misplaced batch", 500ms, 2s},
    {"misplaced row", 0ms, 0ms},
    {"lost row", 0ms, 0ms},
    {"slow host", 200ms, 3s},
    {"late host", 500ms, 3s},
    {"host dies", 0ms, 0ms},
    {"host hangs", 0ms, 0ms},
    {"transfer", 0ms, 0ms},
    {"move", 0ms, 0ms},
};
static_assert(std::size(table) == fault_kinds);

const about& of(fault_kind k) {
  return table[static_cast<std::size_t>(k)];
}

/// What takes a while to get over makes room for less else: rarer.
bool is_heavy(fault_kind k) {
  switch (k) {
  case fault_kind::all_die:
  case fault_kind::blackout:
  case fault_kind::rolling_restart:
  case fault_kind::long_absence:
  case fault_kind::slow_sync:
  case fault_kind::clog:
    return true;
  default:
    return loses_synced(k);
  }
}

} // namespace

const char* to_string(fault_kind k) noexcept {
  return of(k).name;
}

std::optional<fault_kind> fault_named(std::string_view name) {
  for (std::size_t i = 0; i < fault_kinds; ++i)
    if (name == table[i].name)
      return static_cast<fault_kind>(i);
  return std::nullopt;
}

bool loses_synced(fault_kind k) noexcept {
  return k >= fault_kind::wipe && k <= fault_kind::lost_row;
}

std::string to_string(const fault& f) {
  char out[160];
  std::snprintf(out, sizeof out, "%9.3f s  %-16s a=%zu b=%zu for %.3f s",
                to_ms(f.at) / 1000, to_string(f.kind), f.a, f.b,
                to_ms(f.lasts) / 1000);
  return out;
}

schedule draw_schedule(std::uint64_t seed, const schedule_options& how) {
  BANYAN_ASSERT(how.machines > 0 && how.pause_min < how.pause_max);
  seeded_random r{seed};
  std::vector<fault_kind> kinds;
  // Each seed has a liking of its own: with everything at once, what takes two
  // of a kind in a row would hardly ever happen.
  for (std::size_t i = 0; i < fault_kinds; ++i) {
    const auto k = static_cast<fault_kind>(i);
    const auto weight = r.chance(0.3) ? 4U : r.below(2);
    for (std::uint64_t n = 0; n < (is_heavy(k) ? (weight + 1) / 2 : weight);
         ++n)
      kinds.push_back(k);
  }
  if (!how.kinds.empty())
    kinds = how.kinds;
  for (const auto k : how.without)
    kinds.erase(std::remove(kinds.begin(), kinds.end(), k), kinds.end());
  if (kinds.empty())
    kinds.push_back(fault_kind::kill);
  const auto unlucky = r.below(how.machines);
  schedule out;
  duration at{0};
  for (;;) {
    at += r.between(how.pause_min, how.pause_max);
    if (at >= how.length)
      return out;
    fault f;
    f.kind = kinds[r.below(kinds.size())];
    f.at = at;
    f.a = loses_synced(f.kind) ? unlucky : r.below(how.machines);
    f.b = how.machines < 2
              ? f.a
              : (f.a + 1 + r.below(how.machines - 1)) % how.machines;
    const auto& t = of(f.kind);
    f.lasts =
        t.shortest < t.longest ? r.between(t.shortest, t.longest) : t.shortest;
    if (f.kind == fault_kind::pause && r.chance(0.1))
      f.lasts = r.between(5s, 30s);
    f.dice = r.next();
    out.push_back(f);
  }
}

} // namespace banyan::sim
