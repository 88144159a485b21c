#include "actors/pure/admission.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace banyan {
namespace {

constexpr std::size_t samples_max = 1024; ///< of a round; more say no more

} // namespace

admission::admission(admission_options o) : options_{o}, limit_{o.limit_start} {
}

// ---- bounds -----------------------------------------------------------------

std::size_t admission::group_max() const {
  return std::max(options_.group_min, limit_ / 4);
}

bool admission::has_place(const call& c) const {
  const auto app = per_app_.find(c.group.app);
  const auto own = app == per_app_.end() ? 0 : app->second;
  // Calls of another app that all hang (it lost its quorum) don't shut out one
  // that has hardly any under way.
  if (under_way_ >= limit_ + (own < limit_ / 16 ? limit_ / 8 : 0))
    return false;
  const auto group = per_group_.find(c.group);
  if (group != per_group_.end() && group->second >= group_max())
    return false;
  const auto peer = per_peer_.find(c.peer);
  return c.peer.is_none() || peer == per_peer_.end()
         || peer->second < options_.peer_max;
}

/// How long a newcomer of this app waits, by what waits before it.
duration admission::wait_of(const app_id& app) const {
  const auto q = queues_.find(app);
  const auto before = q == queues_.end() ? 0 : q->second.size;
  const auto share = queues_.size() + (q == queues_.end() ? 1 : 0);
  return usual_ * static_cast<std::int64_t>((before + 1) * share)
         / static_cast<std::int64_t>(limit_);
}

/// The first that waits for that group has waited for so long already.
duration admission::waited_at(const group_id& group, time_point now) const {
  if (!is_behind(group))
    return {};
  const auto& first = queues_.at(group.app).groups.at(group.shard).front();
  return now - calls_.at(first).asked;
}

admission::answer admission::refuse(duration wait, const char* why) {
  ++refused_;
  return {verdict::refuse,
          std::clamp(wait, options_.retry_min, options_.retry_max), why};
}

/// Somebody waits for that group.
bool admission::is_behind(const group_id& group) const {
  const auto q = queues_.find(group.app);
  return q != queues_.end() && q->second.groups.count(group.shard) != 0;
}

/// A queue full of one app's calls is not full for another's.
bool admission::is_full(const app_id& app) const {
  if (waiting_.size() < options_.waiting_max)
    return false;
  const auto q = queues_.find(app);
  const auto own = q == queues_.end() ? 0 : q->second.size;
  const auto apps = queues_.size() + (q == queues_.end() ? 1 : 0);
  return own >= options_.waiting_max / apps;
}

std::optional<admission::answer>
admission::refusal(const group_id& group, const std::string& client) const {
  const auto wait =
      std::clamp(wait_of(group.app), options_.retry_min, options_.retry_max);
  call c;
  c.group = group;
  if ((is_behind(group) || !has_place(c)) && is_full(group.app))
    return answer{verdict::refuse, wait, "too many calls wait at this peer"};
  if (client.empty())
    return std::nullopt;
  const auto mine = per_client_.find(client);
  if (mine == per_client_.end() || mine->second < options_.client_max)
    return std::nullopt;
  return answer{verdict::refuse, wait,
                "this client has too many calls under way"};
}

std::optional<admission::answer>
admission::turn_away(const group_id& group, const std::string& client) {
  auto no = refusal(group, client);
  refused_ += no ? 1 : 0;
  return no;
}

// ---- in ---------------------------------------------------------------------

admission::answer admission::ask(const call& c, time_point now) {
  if (c.exempt)
    return {};
  adapt(now);
  if (const auto no = refusal(c.group, c.client))
    return refuse(no->retry_after, no->why);
  entry e{c, false, now, {}};
  if (!is_behind(c.group) && has_place(c)) {
    if (!c.client.empty())
      ++per_client_[c.client];
    begin(e, now);
    const bool fresh = calls_.emplace(c.token, std::move(e)).second;
    BANYAN_ASSERT(fresh);
    return {};
  }
  reached_ |= under_way_ >= limit_;
  const auto wait = std::max(wait_of(c.group.app), waited_at(c.group, now));
  if (is_full(c.group.app)) // its peer has too many, though its group doesn't
    return refuse(wait, "too many calls wait at this peer");
  // Twice: an estimate is one, and who is answered too late took the place of
  // one that would not have been.
  if (now + 2 * wait + usual_ > c.until)
    return refuse(wait, "it could not be answered by its deadline");
  if (!c.client.empty())
    ++per_client_[c.client];
  e.waits = true;
  auto& q = queues_[c.group.app];
  q.groups[c.group.shard].push_back(c.token);
  ++q.size;
  waiting_.emplace(c.until, c.token);
  const bool fresh = calls_.emplace(c.token, std::move(e)).second;
  BANYAN_ASSERT(fresh);
  return {verdict::wait, {}, ""};
}

void admission::begin(entry& e, time_point now) {
  e.waits = false;
  e.began = now;
  ++under_way_;
  ++per_group_[e.c.group];
  ++per_app_[e.c.group.app];
  if (!e.c.peer.is_none())
    ++per_peer_[e.c.peer];
}

// ---- out --------------------------------------------------------------------

template <class Map, class Key>
void admission::uncount(Map& map, const Key& key) {
  const auto at = map.find(key);
  BANYAN_ASSERT(at != map.end() && at->second > 0);
  if (--at->second == 0)
    map.erase(at);
}

void admission::leave_queue(const entry& e) {
  const auto at = queues_.find(e.c.group.app);
  BANYAN_ASSERT(at != queues_.end());
  auto& q = at->second;
  const auto group = q.groups.find(e.c.group.shard);
  BANYAN_ASSERT(group != q.groups.end());
  auto& list = group->second;
  const auto place = std::find(list.begin(), list.end(), e.c.token);
  BANYAN_ASSERT(place != list.end());
  list.erase(place);
  if (list.empty())
    q.groups.erase(group);
  waiting_.erase({e.c.until, e.c.token});
  if (--q.size == 0)
    queues_.erase(at);
}

void admission::ended(std::uint64_t token, bool sample, time_point now) {
  const auto at = calls_.find(token);
  if (at == calls_.end())
    return; // an exempt one
  const auto e = std::move(at->second);
  calls_.erase(at);
  if (!e.c.client.empty())
    uncount(per_client_, e.c.client);
  if (e.waits)
    return leave_queue(e);
  --under_way_;
  uncount(per_group_, e.c.group);
  uncount(per_app_, e.c.group.app);
  if (!e.c.peer.is_none())
    uncount(per_peer_, e.c.peer);
  if (sample)
    measure(now - e.began, now);
}

/// The first of the app's groups, from the one whose turn it is on, that has a
/// place.
std::optional<std::uint64_t> admission::next_of(app_queue& q) {
  auto g = q.groups.lower_bound(q.next);
  for (std::size_t i = 0; i < q.groups.size(); ++i, ++g) {
    if (g == q.groups.end())
      g = q.groups.begin();
    const auto token = g->second.front();
    if (!has_place(calls_.at(token).c))
      continue;
    q.next = g->first + 1;
    return token;
  }
  return std::nullopt;
}

void admission::drop_late(time_point now, turn& out) {
  while (!waiting_.empty() && waiting_.begin()->first <= now + usual_) {
    const auto token = waiting_.begin()->second;
    ++late_;
    out.late.push_back(token);
    ended(token, false, now);
  }
}

admission::turn admission::release(time_point now) {
  turn out;
  adapt(now);
  drop_late(now, out);
  std::size_t fruitless = 0;
  while (!queues_.empty() && under_way_ < limit_ + limit_ / 8
         && fruitless < queues_.size()) {
    auto at = queues_.lower_bound(turn_);
    if (at == queues_.end())
      at = queues_.begin();
    const auto after = std::next(at);
    turn_ = (after == queues_.end() ? queues_.begin() : after)->first;
    const auto token = next_of(at->second);
    if (!token) {
      ++fruitless;
      continue;
    }
    fruitless = 0;
    auto& e = calls_.at(*token);
    leave_queue(e);
    begin(e, now);
    out.go.push_back(*token);
  }
  return out;
}

time_point admission::deadline() const {
  return waiting_.empty() ? never : waiting_.begin()->first - usual_;
}

// ---- the limit --------------------------------------------------------------

void admission::measure(duration took, time_point) {
  usual_ += (took - usual_) / 20;
  if (samples_.size() < samples_max)
    samples_.push_back(took);
}

void admission::adapt(time_point now) {
  if (round_ == time_point{})
    round_ = now + options_.adapt_every;
  if (now < round_)
    return;
  round_ = now + options_.adapt_every;
  if (samples_.size() < options_.samples_min)
    return; // they are few: some more make a round
  const bool reached = std::exchange(reached_, false);
  const auto middle =
      samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 2);
  std::nth_element(samples_.begin(), middle, samples_.end());
  const auto median = *middle;
  samples_.clear();
  medians_.push_back(median);
  if (medians_.size() > options_.adapt_memory)
    medians_.pop_front();
  const auto lowest = *std::min_element(medians_.begin(), medians_.end());
  if (median > 3 * std::max(lowest, duration{100us}))
    limit_ = std::max(options_.limit_min, limit_ - (limit_ + 9) / 10);
  else if (reached)
    limit_ = std::min(options_.limit_max, limit_ + (limit_ + 19) / 20);
}

} // namespace banyan
