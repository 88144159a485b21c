#include "actors/pure/balancer.hpp"

#include <algorithm>
#include <cmath>

namespace banyan {

balancer::balancer(random_source& random, balancer_options o)
    : random_{random}, options_{o}, retries_saved_{o.retry_reserve} {
}

void balancer::set(const std::vector<balanced_instance>& now_there,
                   time_point now) {
  const bool all_new = instances_.empty();
  std::map<node_id, instance> next;
  for (const auto& one : now_there) {
    auto& i = next[one.node];
    if (const auto at = instances_.find(one.node); at != instances_.end())
      i = std::move(at->second);
    else
      i = fresh(one, !all_new, now);
    i.near = one.near;
    i.self = one.self;
  }
  instances_ = std::move(next);
}

balancer::instance balancer::fresh(const balanced_instance& one, bool slowly,
                                   time_point now) {
  instance i;
  i.near = one.near;
  i.self = one.self;
  i.latency = one.expected;
  i.measured = now;
  if (slowly)
    i.since = now;
  return i;
}

void balancer::back(const node_id& node, time_point now) {
  const auto at = instances_.find(node);
  if (at == instances_.end())
    return;
  auto& i = at->second;
  i.failures = i.ejected_times = 0;
  i.ejected_until = i.loaded_until = time_point::min();
  i.on_probation = i.doubted = false;
  i.doubted_until = time_point::min();
  i.since = now;
}

// ---- choosing ---------------------------------------------------------------

/// The part of a latency that still counts. It fades with time, not with
/// calls: who once was slow gets calls again and may show that it no longer is.
double balancer::kept(const instance& i, time_point now) const {
  const auto passed = std::chrono::duration<double>(now - i.measured)
                      / std::chrono::duration<double>(options_.latency_memory);
  return std::exp(-std::max(passed, 0.0));
}

duration balancer::faded(const instance& i, time_point now) const {
  return std::max(
      std::chrono::duration_cast<duration>(i.latency * kept(i, now)),
      options_.latency_floor);
}

duration balancer::latency_of(const instance& i, time_point now) const {
  auto seen = faded(i, now);
  if (!i.under_way.empty())
    seen = std::max(seen, now - i.under_way.begin()->first);
  return seen;
}

std::optional<duration> balancer::quickest(time_point now) const {
  std::optional<duration> least;
  for (const auto& [node, i] : instances_)
    if (now >= i.ejected_until)
      least = std::min(least.value_or(duration::max()), faded(i, now));
  return least;
}

duration balancer::patience(time_point now) const {
  return std::max(options_.stuck_after, 8 * quickest(now).value_or(duration{}));
}

duration balancer::patience_at(const node_id& node, time_point now) const {
  const auto i = instances_.find(node);
  if (i == instances_.end() || !(i->second.doubted || i->second.on_probation))
    return patience(now);
  return std::max(options_.stuck_after / 10,
                  2 * quickest(now).value_or(duration{}));
}

balancer::fitness balancer::fit(const instance& i, time_point now) const {
  bool stuck = false;
  if (!i.under_way.empty()) {
    const auto& oldest = calls_.at(i.under_way.begin()->second);
    stuck = now - oldest.began >= oldest.patience;
  }
  const bool out = now < i.ejected_until || now < i.doubted_until
                   || ((i.on_probation || i.doubted) && !i.under_way.empty());
  return stuck || out || now < i.loaded_until ? fitness::last_choice
                                              : fitness::well;
}

double balancer::cost(const instance& i, time_point now) const {
  return static_cast<double>(i.under_way.size() + 1)
         * std::chrono::duration<double>(latency_of(i, now)).count();
}

double balancer::share(const instance& i, time_point now) const {
  if (i.since == time_point::min() || now >= i.since + options_.slow_start)
    return 1;
  const auto passed = std::chrono::duration<double>(now - i.since)
                      / std::chrono::duration<double>(options_.slow_start);
  return options_.slow_start_from
         + (1 - options_.slow_start_from) * std::max(passed, 0.0);
}

const balancer::candidate*
balancer::better_of_two(const std::vector<candidate>& list, time_point now) {
  if (list.empty())
    return nullptr;
  if (list.size() == 1)
    return list.data();
  auto a = random_.below(list.size());
  for (std::size_t n = 0; n < list.size(); ++n)
    if (list[n].second->self)
      a = n;
  auto b = random_.below(list.size() - 1);
  if (b >= a)
    ++b;
  const auto of_a = cost(*list[a].second, now);
  const auto of_b = cost(*list[b].second, now);
  const auto bears = list[a].second->self ? options_.self_ratio : 1.0;
  return &list[of_b * bears < of_a ? b : a];
}

std::optional<node_id> balancer::best_of(const std::vector<candidate>& list,
                                         time_point now) {
  std::vector<candidate> near;
  std::vector<candidate> far;
  std::vector<candidate> starting; // beyond their share
  std::vector<candidate> rest;
  for (const auto& one : list) {
    const auto& i = *one.second;
    const auto part = share(i, now);
    if (fit(i, now) == fitness::last_choice)
      rest.push_back(one);
    else if (part < 1 && !random_.chance(part))
      starting.push_back(one);
    else
      (i.near ? near : far).push_back(one);
  }
  const auto* here = better_of_two(near, now);
  const auto* there = better_of_two(far, now);
  if (here && there
      && cost(*here->second, now)
             > options_.spill_ratio * cost(*there->second, now))
    here = there;
  if (!here)
    here = there;
  // A share is for the time while there are better ones: who is so much later,
  // as one that froze, is none.
  if (const auto* soon = better_of_two(starting, now);
      soon
      && (!here
          || cost(*here->second, now)
                 > std::max(options_.spill_ratio, 1 / share(*soon->second, now))
                       * cost(*soon->second, now)))
    here = soon;
  if (!here)
    here = better_of_two(rest, now);
  return here ? std::optional{*here->first} : std::nullopt;
}

std::optional<node_id> balancer::choose(const std::set<node_id>& tried,
                                        time_point now) {
  std::vector<candidate> list;
  for (const auto& [node, i] : instances_)
    if (tried.count(node) == 0)
      list.emplace_back(&node, &i);
  if (list.empty() && !tried.empty())
    return choose({}, now);
  return best_of(list, now);
}

std::optional<node_id>
balancer::choose_of(const std::vector<balanced_instance>& some,
                    const std::set<node_id>& tried, time_point now) {
  if (instances_.size() + some.size() > met_max)
    for (auto i = instances_.begin(); i != instances_.end();)
      i = i->second.under_way.empty() ? instances_.erase(i) : std::next(i);
  const bool all_new = instances_.empty();
  std::vector<candidate> list;
  for (const auto& one : some) {
    if (tried.count(one.node) != 0)
      continue;
    const auto [at, met] = instances_.try_emplace(one.node);
    if (met)
      at->second = fresh(one, !all_new, now);
    at->second.near = one.near;
    at->second.self = one.self;
    list.emplace_back(&at->first, &at->second);
  }
  return best_of(list, now);
}

// ---- what calls tell --------------------------------------------------------

void balancer::began(std::uint64_t token, const node_id& at, time_point now) {
  const auto i = instances_.find(at);
  if (i == instances_.end()
      || !calls_.emplace(token, call{at, now, patience_at(at, now)}).second)
    return;
  i->second.under_way.emplace(now, token);
}

void balancer::measure(instance& i, duration took, time_point now) {
  // With many calls a moment each weighs little, with few each weighs much.
  const auto keep = kept(i, now);
  i.measured = now;
  i.latency = took >= i.latency ? took
                                : std::chrono::duration_cast<duration>(
                                    i.latency * keep + took * (1 - keep));
}

void balancer::eject(instance& i, time_point now) {
  std::size_t out = 0;
  for (const auto& [node, other] : instances_)
    if (&other != &i && (now < other.ejected_until || other.on_probation))
      ++out;
  const auto most = std::max<std::size_t>(
      1, instances_.size() * options_.ejected_percent_max / 100);
  if (out >= most)
    return;
  auto pause = options_.eject_first;
  for (auto n = i.ejected_times; n > 0 && pause < options_.eject_max; --n)
    pause *= 2;
  i.ejected_until = now + std::min(pause, options_.eject_max);
  i.on_probation = true;
  ++i.ejected_times;
  ++ejections_;
}

void balancer::ended(std::uint64_t token, balanced_end how, time_point now,
                     duration retry_after) {
  const auto at = calls_.find(token);
  if (at == calls_.end())
    return;
  const auto c = at->second;
  calls_.erase(at);
  const auto found = instances_.find(c.at);
  if (found == instances_.end())
    return;
  auto& i = found->second;
  i.under_way.erase({c.began, token});
  const auto waited = now - c.began;
  const bool hung = waited >= c.patience;
  if (how == balanced_end::given_up && hung)
    how = balanced_end::failed;
  switch (how) {
  case balanced_end::answered:
    i.failures = 0;
    i.doubted = false;
    i.doubted_until = time_point::min();
    if (i.on_probation && now >= i.ejected_until) {
      i.on_probation = false;
      i.ejected_times = 0;
      i.since = now;
    }
    measure(i, waited, now);
    break;
  case balanced_end::failed:
    // However quickly it failed: a fast failure is no fast instance.
    measure(i, std::max(waited, faded(i, now)), now);
    ++i.failures;
    if (hung) {
      i.doubted = true;
      i.doubted_until = now + options_.eject_first;
    }
    if (now >= i.ejected_until
        && (i.on_probation || i.failures >= options_.failures_to_eject))
      eject(i, now);
    break;
  case balanced_end::overloaded:
    i.loaded_until = now + std::max(options_.stuck_after, retry_after);
    break;
  case balanced_end::given_up:
    if (waited > faded(i, now))
      measure(i, waited, now);
    break;
  }
}

// ---- repeating --------------------------------------------------------------

void balancer::count_call() {
  retries_saved_ =
      std::min(retries_saved_ + options_.retry_share, options_.retry_saved_max);
}

bool balancer::may_repeat(time_point now) {
  if (retries_saved_ < options_.retry_reserve) {
    const auto passed = std::chrono::duration<double>(now - refilled_)
                        / std::chrono::duration<double>(options_.retry_refill);
    retries_saved_ = std::min(options_.retry_reserve,
                              retries_saved_ + options_.retry_reserve * passed);
  }
  refilled_ = now;
  if (retries_saved_ < 1)
    return false;
  retries_saved_ -= 1;
  return true;
}

std::vector<balancer::look> balancer::looks(time_point now) const {
  std::vector<look> out;
  for (const auto& [node, i] : instances_)
    out.push_back({node, i.near, now < i.ejected_until, i.under_way.size(),
                   latency_of(i, now)});
  return out;
}

} // namespace banyan
