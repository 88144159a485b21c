#include "actors/pure/instances.hpp"

#include <algorithm>

namespace banyan {
namespace {

/// How far the policy keeps a member from taking an instance; it takes none for
/// another reason: `cant`.
enum class keep_off : std::uint8_t { none, hold, evacuated, cant };

keep_off kept_off(const why_member& m) {
  if (m.away == away::none)
    return keep_off::none;
  if (is_hold(m.away))
    return keep_off::hold;
  return m.away == away::evacuated ? keep_off::evacuated : keep_off::cant;
}

/// The least by which any member that fits is kept off.
keep_off best_of(const placement_need& need,
                 const std::vector<why_member>& members) {
  auto best = keep_off::cant;
  for (const auto& m : members)
    if (why_unfit(m.as, need) == unfit::none)
      best = std::min(best, kept_off(m));
  return best;
}

bool may_run_at(keep_off best, const why_member& m) {
  const auto is = kept_off(m);
  return is != keep_off::cant && (is <= best || may_run(m));
}

} // namespace

placed place_instances(const digest& hash, const placement_need& need,
                       const std::vector<why_member>& members) {
  const auto best = best_of(need, members);
  std::vector<candidate> all;
  std::vector<candidate> serving;
  for (const auto& m : members) {
    if (!may_run_at(best, m))
      continue;
    all.push_back(m.as);
    if (m.serves)
      serving.push_back(m.as);
  }
  if (best == keep_off::none)
    return place(hash, need, all);
  auto out = place(hash, need, serving);
  while (out.nodes.size() < need.voters)
    if (const auto next =
            next_candidate(hash, need, all, out.nodes, out.nodes, std::nullopt))
      out.nodes.push_back(*next);
    else
      break;
  out.missing = need.voters - static_cast<std::uint32_t>(out.nodes.size());
  return out;
}

bool is_covered(const digest& hash, const placement_need& need,
                const std::vector<why_member>& members, const node_id& self,
                bool serving) {
  const auto me =
      std::find_if(members.begin(), members.end(),
                   [&](const why_member& m) { return m.as.node == self; });
  const auto mine = me == members.end() ? keep_off::cant : kept_off(*me);
  if (!serving && (mine == keep_off::none || mine == keep_off::cant))
    return true;
  const auto best = best_of(need, members);
  // Where others aren't evacuated one that is has to go.
  const bool counts =
      mine != keep_off::cant && mine <= std::max(best, keep_off::hold);
  std::vector<candidate> all;
  for (const auto& m : members)
    if (m.as.node == self ? serving && counts : m.serves && may_run_at(best, m))
      all.push_back(m.as);
  const auto p = place(hash, need, all);
  if (counts && !serving)
    return p.nodes.size() >= need.voters;
  return !p.nodes.empty()
         && std::find(p.nodes.begin(), p.nodes.end(), self) == p.nodes.end();
}

bool instance_keeper::stays(const instance_facts& f, time_point now) {
  const bool spare = !f.placed && f.covered;
  if (!spare)
    spare_since_ = never;
  else if (spare_since_ == never)
    spare_since_ = now;
  if (f.leaving || f.wanted == 0 || (f.evacuated && spare))
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
      why = f.wanted == 0                         ? instance_end::gone
            : f.leaving || (f.evacuated && !here) ? instance_end::leaving
            : here                                ? instance_end::host
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
