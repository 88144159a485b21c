#include "actors/pure/lead_balance.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace banyan {
namespace {

bool passed(time_point since, duration least, time_point now) {
  return since == time_point::min() || now - since >= least;
}

std::uint32_t of(const std::map<node_id, std::uint32_t>& counts,
                 const node_id& n) {
  const auto at = counts.find(n);
  return at == counts.end() ? 0 : at->second;
}

std::uint16_t busy_at(const lead_facts& f, const node_id& n) {
  const auto at = f.busy.find(n);
  return at == f.busy.end() ? std::uint16_t{0} : at->second;
}

/// Not all at the same time: the first to move keeps the others waiting.
duration turn_of(const node_id& self) {
  return 500ms * (self.array()[0] % 8);
}

} // namespace

/// What this node did not order itself is a failover, or another node's move:
/// until that has settled nothing is added to it.
void lead_balance::watch(const lead_facts& f, time_point now) {
  if (round_ == 0 || f.members != members_)
    calm_since_ = now;
  members_ = f.members;
  ++round_;
  for (const auto& g : f.groups) {
    auto& s = seen_[g.id];
    s.round = round_;
    if (s.leader == g.leader)
      continue;
    const bool ordered = !s.leader.is_none() && s.ordered_to == g.leader;
    if (!ordered)
      calm_since_ = now;
    s.leader = g.leader;
    s.since = now;
    s.ordered_to = node_id{};
  }
  // Between two leaders a group has none: what is known of it stays a while.
  if (seen_.size() > f.groups.size())
    for (auto i = seen_.begin(); i != seen_.end();)
      i = round_ - i->second.round > 60 ? seen_.erase(i) : std::next(i);
  if (passed(sampled_, options_.sample_every, now)) {
    sampled_ = now;
    busy_for_ = busy_at(f, f.self) >= options_.busy ? busy_for_ + 1 : 0;
  }
}

bool lead_balance::may_move(const lead_facts::group& g, time_point now) const {
  const auto& s = seen_.at(g.id);
  return now - s.since >= options_.led_least
         && passed(s.moved, options_.unmoved, now);
}

std::optional<lead_move> lead_balance::for_spread(const lead_facts& f,
                                                  time_point now) const {
  std::map<app_id, counts> leads;
  counts all;
  for (const auto& g : f.groups) {
    ++leads[g.id.app][g.leader];
    ++all[g.leader];
  }
  const bool patient = now - calm_since_ >= 2 * options_.calm + turn_of(f.self);
  using gain = std::pair<std::uint32_t, std::uint32_t>; // in the app, in all
  gain best;
  std::optional<lead_move> move;
  for (const auto& g : f.groups) {
    if (g.leader != f.self || g.fit.empty() || !may_move(g, now)
        || now < seen_.at(g.id).held_until)
      continue;
    const auto& app = leads[g.id.app];
    // The voter that leads the most gives first, so that two don't push at the
    // same time; what it can't give away, the others do after a while.
    const auto most = [&](const counts& c) {
      return patient
             || std::all_of(g.voters.begin(), g.voters.end(),
                            [&, here = of(c, f.self)](const node_id& n) {
                              const auto theirs = of(c, n);
                              return theirs < here
                                     || (theirs == here && f.self < n);
                            });
    };
    const gain here{of(app, f.self), of(all, f.self)};
    const bool most_of_app = most(app);
    const bool most_of_all = most(all);
    for (const auto& n : g.fit) {
      const gain there{of(app, n), of(all, n)};
      if (there.first >= here.first)
        continue;
      if (!f.leads.empty()
          && std::max(of(f.leads, n), there.second) + 2 > here.second)
        continue;
      const gain less{here.first - there.first,
                      here.second - std::min(there.second, here.second)};
      // One more here than there is as even as one more there than here: then
      // what all apps' leaders weigh decides.
      const bool wanted =
          less.first >= 2 ? most_of_app : less.second >= 3 && most_of_all;
      const bool loaded = busy_at(f, n) > options_.not_busy
                          && busy_at(f, n) > busy_at(f, f.self);
      if (!wanted || loaded || less <= best)
        continue;
      best = less;
      move = lead_move{g.id, n, false};
    }
  }
  return move;
}

std::optional<lead_move> lead_balance::for_load(const lead_facts& f,
                                                time_point now) const {
  const auto here = busy_at(f, f.self);
  if (busy_for_ < options_.busy_samples
      || !passed(moved_, options_.between_for_load, now))
    return std::nullopt;
  // Its only one would bring the same load along.
  if (std::count_if(f.groups.begin(), f.groups.end(),
                    [&](const auto& g) { return g.leader == f.self; })
      < 2)
    return std::nullopt;
  std::optional<lead_move> move;
  std::uint16_t least = 0;
  for (const auto& g : f.groups) {
    if (g.leader != f.self || !may_move(g, now))
      continue;
    for (const auto& n : g.fit) {
      const auto there = busy_at(f, n);
      if (there > options_.not_busy || here - there < options_.busier_by
          || (move && there >= least))
        continue;
      least = there;
      move = lead_move{g.id, n, true};
    }
  }
  return move;
}

std::optional<lead_move> lead_balance::next(const lead_facts& f,
                                            time_point now) {
  watch(f, now);
  resting_ = false;
  if (now - calm_since_ < options_.calm + turn_of(f.self)
      || !passed(moved_, options_.between, now))
    return std::nullopt;
  auto move = for_spread(f, now);
  if (!move)
    move = for_load(f, now);
  resting_ = !move && busy_for_ == 0;
  if (!move)
    return std::nullopt;
  moved_ = now;
  auto& s = seen_.at(move->group);
  s.ordered_to = move->to;
  s.moved = now;
  if (move->for_load) {
    busy_for_ = 0;
    s.held_until = now + options_.load_holds;
  }
  return move;
}

} // namespace banyan
