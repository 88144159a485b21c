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
