#include "sim/history.hpp"

#include <algorithm>

namespace banyan::sim {

std::vector<std::string> counter_history::check() const {
  std::vector<std::string> out;
  const auto say = [&](std::int64_t value, const std::string& what) {
    out.push_back("value " + std::to_string(value) + ": " + what);
  };
  // Exactly once: the answers are 1, 2, … n, each one time.
  const auto n = static_cast<std::int64_t>(adds_.size());
  std::vector<const event*> by_value(adds_.size() + 1, nullptr);
  for (const auto& a : adds_) {
    if (a.value < 1 || a.value > n) {
      say(a.value, "more than the " + std::to_string(n)
                       + " additions: one was applied twice, or one that was "
                         "given up took effect");
      continue;
    }
    auto& slot = by_value[static_cast<std::size_t>(a.value)];
    if (slot != nullptr)
      say(a.value, "two additions got it: one was lost");
    slot = &a;
  }
  // Linearizable: whatever ended before another began saw less of the counter.
  struct seen {
    time_point from;
    time_point until;
    std::int64_t value = 0;
    bool add = false;
  };
  std::vector<seen> all;
  for (const auto& a : adds_)
    all.push_back({a.invoked, a.answered, a.value, true});
  for (const auto& r : reads_)
    if (!r.stale)
      all.push_back({r.invoked, r.answered, r.value, false});
  auto by_end = all;
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.from < b.from; });
  std::sort(by_end.begin(), by_end.end(),
            [](const auto& a, const auto& b) { return a.until < b.until; });
  std::int64_t highest = 0; // of all that ended before
  std::size_t ended = 0;
  for (const auto& e : all) {
    while (ended < by_end.size() && by_end[ended].until < e.from)
      highest = std::max(highest, by_end[ended++].value);
    if (e.add ? e.value <= highest : e.value < highest)
      say(e.value, std::string{e.add ? "an addition" : "a read"}
                       + " that began after " + std::to_string(highest)
                       + " had been answered");
  }
  // Of the past by no more than the bound: what had been answered so long
  // before a stale read began is in it.
  auto stale = reads_;
  stale.erase(std::remove_if(stale.begin(), stale.end(),
                             [](const auto& r) { return !r.stale; }),
              stale.end());
  const auto past = [](const event& r) { return r.invoked - r.age_max; };
  std::sort(stale.begin(), stale.end(),
            [&](const auto& a, const auto& b) { return past(a) < past(b); });
  auto adds = adds_;
  std::sort(adds.begin(), adds.end(), [](const auto& a, const auto& b) {
    return a.answered < b.answered;
  });
  std::int64_t least = 0;
  std::size_t before = 0;
  for (const auto& r : stale) {
    while (before < adds.size() && adds[before].answered < past(r))
      least = std::max(least, adds[before++].value);
    if (r.value < least)
      say(r.value, "a stale read that is older than its bound: "
                       + std::to_string(least) + " had been answered");
  }
  for (const auto& r : reads_) {
    if (r.value < 0 || r.value > n)
      say(r.value, "a read of what never was");
    else if (r.value > 0) {
      const auto* source = by_value[static_cast<std::size_t>(r.value)];
      if (source != nullptr && source->invoked > r.answered)
        say(r.value, "read before the addition was asked for");
    }
  }
  return out;
}

} // namespace banyan::sim
