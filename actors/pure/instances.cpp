#include "actors/pure/instances.hpp"

#include <algorithm>

namespace banyan {

bool instance_keeper::stays(const instance_facts& f, time_point now) {
  const bool spare = !f.placed && f.covered;
  if (!spare)
    spare_since_ = never;
  else if (spare_since_ == never)
    spare_since_ = now;
  if (f.leaving || f.wanted == 0)
    return false;
  return !spare || now - spare_since_ < spare_after;
}

void instance_keeper::on_tick(const instance_facts& f, time_point now,
                              std::vector<instance_step>& out) {
  const bool here = stays(f, now);
  const auto newest = f.hosts.find(f.wanted);
  // Who stands in for another brings what is new, too.
  const bool stands_in =
      !f.covered
      && std::any_of(f.hosts.begin(), f.hosts.end(),
                     [](const auto& h) { return h.second.up; });
  if (here && (f.placed || stands_in)
      && (newest == f.hosts.end() || !newest->second.begun))
    out.emplace_back(start_instance{f.wanted});
  // The newest if it is up, else the one that serves, else any: highest first.
  std::uint64_t best = 0;
  const auto is_up = [&](std::uint64_t number) {
    const auto h = f.hosts.find(number);
    return h != f.hosts.end() && h->second.up;
  };
  if (here) {
    if (is_up(f.wanted))
      best = f.wanted;
    else if (is_up(serving_))
      best = serving_;
    else
      for (const auto& [number, host] : f.hosts)
        if (host.up)
          best = number;
  }
  if (best != serving_) {
    auto why = instance_end::none;
    if (best == 0)
      why = f.wanted == 0 ? instance_end::gone
            : f.leaving   ? instance_end::leaving
            : here        ? instance_end::host
                          : instance_end::spare;
    out.emplace_back(
        tell_instance{best != 0 ? best : serving_, best != 0, why});
    serving_ = best;
  }
  for (auto d = draining_.begin(); d != draining_.end();)
    d = f.hosts.count(d->first) == 0 ? draining_.erase(d) : std::next(d);
  for (const auto& [number, host] : f.hosts) {
    if (!host.begun) {
      if (!here || number != f.wanted)
        out.emplace_back(stop_instance{number});
      continue;
    }
    // What served until a better one came may be what serves again.
    const bool needed =
        here && (number == f.wanted || number == serving_ || serving_ == 0);
    if (needed) {
      draining_.erase(number);
      continue;
    }
    const auto [since, fresh] = draining_.emplace(number, now);
    if (!fresh && (host.outstanding == 0 || now - since->second >= drain_max))
      out.emplace_back(stop_instance{number});
  }
}

} // namespace banyan
