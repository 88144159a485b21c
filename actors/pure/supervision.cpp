#include "actors/pure/supervision.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace banyan {

std::size_t restart_ladder::failures(time_point now) const {
  return static_cast<std::size_t>(
      std::count_if(failures_.begin(), failures_.end(),
                    [&](time_point t) { return now < t + cfg_.window; }));
}

time_point restart_ladder::failed(time_point now) {
  running_since_.reset();
  if (std::exchange(excused_, false))
    return now;
  while (!failures_.empty() && failures_.front() + cfg_.window <= now)
    failures_.pop_front();
  if (parked_) {
    const auto wait = retry_;
    retry_ = std::min(retry_ * 2, cfg_.parked_retry_max);
    return now + wait;
  }
  const auto step = std::min(failures_.size(), cfg_.delays.size() - 1);
  // One more than the budget is all that is ever asked about.
  if (failures_.size() > cfg_.budget)
    failures_.pop_front();
  failures_.push_back(now);
  return now + cfg_.delays[step];
}

void restart_ladder::reset() {
  failures_.clear();
  running_since_.reset();
  parked_ = false;
  excused_ = false;
}

void restart_ladder::started(time_point now) {
  running_since_ = now;
  excused_ = false;
}

bool restart_ladder::exhausted(time_point now) const {
  return parked_ || failures(now) > cfg_.budget;
}

bool restart_ladder::worn(time_point now) const {
  const auto n = failures(now);
  return parked_
         || (n > 0
             && cfg_.delays[std::min(n, cfg_.delays.size()) - 1]
                    > cfg_.elsewhere_after);
}

time_point restart_ladder::next_change(time_point now) const {
  auto at = never;
  if (parked_ && running_since_)
    at = *running_since_ + cfg_.window;
  for (const auto t : failures_)
    if (now < t + cfg_.window)
      at = std::min(at, t + cfg_.window);
  return at;
}

void restart_ladder::park() {
  if (std::exchange(parked_, true))
    return;
  retry_ = cfg_.parked_retry;
}

bool restart_ladder::recovered(time_point now) const {
  return parked_ && running_since_ && *running_since_ + cfg_.window <= now;
}

exhaustion_step after_exhaustion(const node_id& self,
                                 const std::vector<node_id>& voters,
                                 const std::set<node_id>& exhausted,
                                 const std::set<node_id>& reached) {
  bool all = true;
  for (const auto& v : voters) {
    if (v == self || exhausted.count(v) > 0)
      continue;
    all = false;
    if (reached.count(v) > 0)
      return {exhaustion_step::kind::move, v};
  }
  return {all ? exhaustion_step::kind::park : exhaustion_step::kind::stay, {}};
}

void voter_watch::set_voters(const std::vector<replica_ref>& voters) {
  voters_ = {voters.begin(), voters.end()};
  for (auto i = lost_.begin(); i != lost_.end();)
    i = voters_.count(i->first) > 0 ? std::next(i) : lost_.erase(i);
}

void voter_watch::reached(const replica_ref& voter) {
  const auto i = lost_.find(voter);
  if (i != lost_.end() && i->second.how != why::gone)
    lost_.erase(i);
}

void voter_watch::unreached(const replica_ref& voter, time_point now) {
  lose(voter, now, why::unreached);
}

void voter_watch::drained(const replica_ref& voter, time_point now) {
  lose(voter, now, why::drained);
}

void voter_watch::give_up(const replica_ref& voter, time_point now) {
  lose(voter, now, why::gone);
}

/// What it is lost for counts from when it began; gone is for good.
void voter_watch::lose(const replica_ref& voter, time_point now, why how) {
  if (voters_.count(voter) == 0)
    return;
  auto& l = lost_.try_emplace(voter, loss{now, how}).first->second;
  if (l.how != how && l.how != why::gone)
    l = {now, how};
}

time_point voter_watch::due_at(const loss& l) const {
  return l.how == why::unreached ? l.since + cfg_.replace_after : l.since;
}

duration voter_watch::patience() const {
  return std::min(cfg_.other_region_after, cfg_.replace_after);
}

std::optional<voter_watch::due> voter_watch::next(time_point now) const {
  const std::pair<const replica_ref, loss>* first = nullptr;
  for (const auto& l : lost_)
    if (due_at(l.second) <= now
        && (first == nullptr || due_at(l.second) < due_at(first->second)))
      first = &l;
  if (first == nullptr)
    return std::nullopt;
  return due{first->first, due_at(first->second) + patience() <= now};
}

time_point voter_watch::deadline(time_point now) const {
  auto at = never;
  for (const auto& [voter, l] : lost_)
    for (const auto t : {due_at(l), due_at(l) + patience()})
      if (now < t)
        at = std::min(at, t);
  return at;
}

std::vector<std::size_t> transfers_to_begin(const std::vector<transfer>& wanted,
                                            const std::vector<transfer>& run,
                                            transfer_limits limits) {
  std::map<node_id, std::size_t> in;
  std::map<node_id, std::size_t> out;
  for (const auto& t : run) {
    ++in[t.to];
    ++out[t.from];
  }
  std::vector<std::size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(
      order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const auto& x = wanted[a];
        const auto& y = wanted[b];
        return x.redundancy != y.redundancy ? x.redundancy < y.redundancy
                                            : x.group < y.group;
      });
  std::vector<std::size_t> chosen;
  for (const auto i : order) {
    const auto& t = wanted[i];
    if (in[t.to] >= limits.in_max || out[t.from] >= limits.out_max)
      continue;
    ++in[t.to];
    ++out[t.from];
    chosen.push_back(i);
  }
  return chosen;
}

bool may_take_in(const std::vector<replica_here>& here,
                 transfer_limits limits) {
  using told = replica_here::told;
  const auto comes = std::count_if(here.begin(), here.end(), [](const auto& r) {
    return r.as == told::catching
           || (r.as == told::nothing && r.age && *r.age < arrival_patience);
  });
  return static_cast<std::size_t>(comes) < limits.in_max;
}

bool intake_waits::goes_on(const node_id& node, time_point now) {
  for (auto i = waits_.begin(); i != waits_.end();)
    i = now - i->second.last > intake_patience ? waits_.erase(i) : std::next(i);
  auto& w = waits_.try_emplace(node, wait{now, now}).first->second;
  w.last = now;
  return now - w.since < intake_patience;
}

} // namespace banyan
