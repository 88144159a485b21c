#include "actors/testing/sim/fault.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"

#include <cstdio>
#include <iterator>

namespace banyan::sim {
namespace {

struct about {
  const char* name;
  const char* meaning;
  duration shortest; ///< how long it lasts
  duration longest;
};
constexpr about table[] = {
    {"kill", "kill -9 of the node, back after a while", 150ms, 3s},
    {"quick kill", "the same, back within 150 ms", 1ms, 150ms},
    {"power cut", "the node's machine; what was not synced is lost or torn",
     1ms, 3s},
    {"crash at write", "the node's power goes in the midst of some write", 1ms,
     2s},
    {"all die", "every machine at once: a cold start of all", 1ms, 1500ms},
    {"blackout", "slow disks everywhere, then no power, in one instant", 300ms,
     600ms},
    {"rolling restart", "all nodes, one after the other, asked to stop", 20ms,
     500ms},
    {"long absence", "the node is away until its replicas are replaced", 3s,
     8s},
    {"pause", "SIGSTOP of the node", 100ms, 5s},
    {"slow cpu", "each step of the node takes up to some ms", 200ms, 3s},
    {"clock jump", "the node's wall clock, by up to an hour, either way", 0ms,
     0ms},
    {"clock drift", "the node's monotonic clock, by up to 5 %, either way", 1s,
     20s},
    {"cut", "between the node and the other alone, both ways", 100ms, 4s},
    {"one-way cut", "from the node to the other alone", 100ms, 4s},
    {"isolate", "the node from all others", 100ms, 4s},
    {"deafen", "the node hears nobody; the others hear it", 100ms, 4s},
    {"split", "the nodes up to this one from those behind it", 100ms, 4s},
    {"flip-flop", "between the two: cut, healed, cut, ...", 500ms, 5s},
    {"stall", "everything from the node to the other waits", 100ms, 3s},
    {"reset", "connections between the two are torn down", 0ms, 0ms},
    {"loss", "between the two: stalls and resets, again and again", 500ms, 5s},
    {"slow link", "50 to 500 ms from the node to the other", 500ms, 5s},
    {"jitter", "all links: delays of 0.1 to 100 ms", 500ms, 5s},
    {"clog", "all from the node: a few KiB per second", 200ms, 4s},
    {"slow disk", "an fsync of the node takes 5 to 80 ms more", 200ms, 4s},
    {"slow sync", "an fsync of the node takes 1 to 10 s more", 1s, 10s},
    {"disk full", "the node's", 100ms, 4s},
    {"sync error", "an fsync of the node fails", 0ms, 0ms},
    {"write error", "a write of the node fails", 0ms, 0ms},
    {"commit error", "a commit of the node's state fails", 0ms, 0ms},
    {"wipe", "the node's data directory is gone, identity and all", 1ms, 2s},
    {"old image", "the node's disk as it is now is put back later", 200ms, 4s},
    {"log rot", "a bit of the node's log flips while it is down", 1ms, 1s},
    {"row rot", "a bit of a stored row flips", 0ms, 0ms},
    {"meta rot", "a bit of what a group says of its rows flips", 0ms, 0ms},
    {"state rot", "the structure of the node's state is bad at its next start",
     1ms, 1s},
    {"documents rot", "a bit of the documents' file flips while it is down",
     1ms, 1s},
    {"misplaced batch", "a write of the node's log lands elsewhere", 500ms, 2s},
    {"misplaced row", "a row lands under the key of another", 1500ms, 3s},
    {"lost row", "the write of a row never came to the disk", 1ms, 500ms},
    {"rolled back", "an image of the node's disk, from within the same boot",
     300ms, 3s},
    {"slow host", "turns of apps on the node take 5 to 100 ms", 200ms, 3s},
    {"late host", "0.2 to 2 s, and leadership moves meanwhile", 500ms, 3s},
    {"host dies", "one of the node's app hosts", 0ms, 0ms},
    {"host hangs", "one of the node's app hosts", 0ms, 0ms},
    {"transfer", "leaderships of the node move", 0ms, 0ms},
    {"move", "a voter of the node goes to another, though it is well", 1s, 3s},
    {"drain", "the node hands over all it has, until it is taken back", 500ms,
     8s},
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

const char* meaning(fault_kind k) noexcept {
  return of(k).meaning;
}

std::optional<fault_kind> fault_named(std::string_view name) {
  for (std::size_t i = 0; i < fault_kinds; ++i)
    if (name == table[i].name)
      return static_cast<fault_kind>(i);
  return std::nullopt;
}

bool loses_synced(fault_kind k) noexcept {
  return k >= fault_kind::wipe && k <= fault_kind::rolled_back;
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
    // Voters shall change during each of the others.
    const auto liking = r.chance(0.3) ? 4U : r.below(2);
    const bool changes = k == fault_kind::move || k == fault_kind::drain;
    const auto weight = changes ? 4 : liking;
    for (std::uint64_t n = 0; n < (is_heavy(k) ? (weight + 1) / 2 : weight);
         ++n)
      kinds.push_back(k);
  }
  if (!how.kinds.empty())
    kinds = how.kinds;
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
