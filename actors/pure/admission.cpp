#include "actors/pure/admission.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace banyan {
namespace {

constexpr std::size_t samples_max = 1024; ///< of a round; more say no more

} // namespace

admission::admission(admission_options o)
    : options_{o}, under_way_{o.limit_start, 0}, places_{o.waiting_max, 0},
      bytes_{o.bytes_max, 0} {
}

// ---- bounds -----------------------------------------------------------------

admission::found admission::look(const group_id& group) const {
  found f;
  f.apps = apps_.size() + 1;
  if (const auto app = apps_.find(group.app); app != apps_.end()) {
    f.app = &app->second;
    f.apps = apps_.size();
    const auto g = f.app->groups.find(group.shard);
    if (g != f.app->groups.end())
      f.group = &g->second;
  }
  return f;
}

bool admission::app_has_place(const app_state* app, std::size_t apps) const {
  return under_way_.fits(1, app == nullptr ? 0 : app->under_way, apps);
}

bool admission::group_has_place(const group_state& g) const {
  return g.under_way < std::max(options_.group_min, under_way_.max / 4);
}

/// Shared by apps, too: the calls there may be of one app, and all hang.
bool admission::peer_has_place(const node_id& peer, const app_state* app,
                               std::size_t apps) const {
  const auto at = per_peer_.find(peer);
  return at == per_peer_.end()
         || fair_bound{options_.peer_max, at->second}.fits(
             1, app == nullptr ? 0 : app->under_way, apps);
}

/// Nobody is there who came before it, and nothing is in its way.
bool admission::may_go(const found& f, const node_id& peer) const {
  return (f.group == nullptr
          || (f.group->first == nullptr && group_has_place(*f.group)))
         && app_has_place(f.app, f.apps)
         && (peer.is_none() || peer_has_place(peer, f.app, f.apps));
}

bool admission::queue_is_full(const found& f) const {
  return !places_.fits(1, f.app == nullptr ? 0 : f.app->waiting, f.apps);
}

/// Why a call would be refused whatever it is; null: it wouldn't.
const char* admission::refused_for(const found& f, const std::string& client,
                                   std::size_t bytes) const {
  if (queue_is_full(f) && !may_go(f, {}))
    return "too many calls wait at this peer";
  const auto own = f.app == nullptr ? 0 : f.app->bytes;
  const bool fits = bytes_.fits(bytes, own, f.apps);
  if (const auto c = client.empty() ? clients_.end() : clients_.find(client);
      c != clients_.end()) {
    if (c->second.calls >= options_.client_max)
      return "this client has too many calls under way";
    if (fits && c->second.bytes > 0 && bytes > 0
        && c->second.bytes + bytes
               > std::min(options_.client_bytes_max, bytes_.left(own, f.apps)))
      return "the arguments of this client's calls under way have too many "
             "bytes";
  }
  return fits ? nullptr
              : "the arguments of the calls under way at this peer have too "
                "many bytes";
}

/// How long a newcomer of this app waits, by what waits before it.
duration admission::wait_of(const app_state* app) const {
  const auto before = app == nullptr ? 0 : app->waiting;
  const auto turns = queues_.size() + (before == 0 ? 1 : 0);
  return usual_ * static_cast<std::int64_t>((before + 1) * turns)
         / static_cast<std::int64_t>(under_way_.max);
}

duration admission::hint(duration wait) const {
  return std::clamp(wait, options_.retry_min, options_.retry_max);
}

admission::answer admission::refuse(duration wait, const char* why) {
  ++refused_;
  return {verdict::refuse, hint(wait), why};
}

std::optional<admission::answer> admission::refusal(const group_id& group,
                                                    const std::string& client,
                                                    std::size_t bytes) const {
  const auto f = look(group);
  const auto* why = refused_for(f, client, bytes);
  if (why == nullptr)
    return std::nullopt;
  return answer{verdict::refuse, hint(wait_of(f.app)), why};
}

std::optional<admission::answer> admission::turn_away(const group_id& group,
                                                      const std::string& client,
                                                      std::size_t bytes) {
  auto no = refusal(group, client, bytes);
  refused_ += no ? 1 : 0;
  return no;
}

// ---- in ---------------------------------------------------------------------

admission::answer admission::ask(const call& c, time_point now) {
  if (c.exempt)
    return {};
  adapt(now);
  const auto f = look(c.group);
  if (const auto* why = refused_for(f, c.client, c.bytes))
    return refuse(wait_of(f.app), why);
  if (may_go(f, c.peer)) {
    begin(enter(c, now), now);
    return {};
  }
  reached_ |= under_way_.used >= under_way_.max;
  auto wait = wait_of(f.app);
  if (f.group != nullptr && f.group->first != nullptr) // for so long already
    wait = std::max(wait, now - f.group->first->asked);
  if (queue_is_full(f)) // its peer has too many, though its group doesn't
    return refuse(wait, "too many calls wait at this peer");
  // Twice: an estimate is one, and who is answered too late took the place of
  // one that would not have been.
  if (now + 2 * wait + usual_ > c.until)
    return refuse(wait, "it could not be answered by its deadline");
  join_queue(enter(c, now));
  return {verdict::wait, {}, ""};
}

admission::entry& admission::enter(const call& c, time_point now) {
  const auto [at, fresh] = calls_.try_emplace(c.token);
  BANYAN_ASSERT(fresh);
  auto& e = at->second;
  e.token = c.token;
  e.shard = c.group.shard;
  e.app = &apps_[c.group.app];
  e.app->id = c.group.app;
  e.group = &e.app->groups[c.group.shard];
  e.peer = c.peer;
  e.bytes = c.bytes;
  e.until = c.until;
  e.asked = now;
  e.app->bytes += c.bytes;
  bytes_.used += c.bytes;
  if (!c.client.empty()) {
    e.client = &*clients_.try_emplace(c.client).first;
    ++e.client->second.calls;
    e.client->second.bytes += c.bytes;
  }
  return e;
}

void admission::begin(entry& e, time_point now) {
  e.began = now;
  ++under_way_.used;
  ++e.app->under_way;
  ++e.group->under_way;
  if (!e.peer.is_none())
    ++per_peer_[e.peer];
}

void admission::join_queue(entry& e) {
  e.waits = true;
  auto& g = *e.group;
  e.before = g.last;
  (g.last == nullptr ? g.first : g.last->behind) = &e;
  g.last = &e;
  if (g.first == &e)
    e.app->queue.emplace(e.shard, &g);
  if (e.app->waiting++ == 0)
    queues_.emplace(e.app->id, e.app);
  ++places_.used;
  waiting_.emplace(e.until, e.token);
}

// ---- out --------------------------------------------------------------------

void admission::leave_queue(entry& e) {
  BANYAN_ASSERT(e.waits);
  auto& g = *e.group;
  (e.before == nullptr ? g.first : e.before->behind) = e.behind;
  (e.behind == nullptr ? g.last : e.behind->before) = e.before;
  e.before = e.behind = nullptr;
  e.waits = false;
  if (g.first == nullptr)
    e.app->queue.erase(e.shard);
  if (--e.app->waiting == 0)
    queues_.erase(e.app->id);
  --places_.used;
  waiting_.erase({e.until, e.token});
}

void admission::ended(std::uint64_t token, bool sample, time_point now) {
  const auto at = calls_.find(token);
  if (at == calls_.end())
    return; // an exempt one
  auto& e = at->second;
  if (e.waits) {
    leave_queue(e);
  } else {
    --under_way_.used;
    --e.app->under_way;
    --e.group->under_way;
    if (!e.peer.is_none())
      if (const auto p = per_peer_.find(e.peer); --p->second == 0)
        per_peer_.erase(p);
    if (sample)
      measure(now - e.began);
  }
  bytes_.used -= e.bytes;
  e.app->bytes -= e.bytes;
  if (e.client != nullptr) {
    e.client->second.bytes -= e.bytes;
    if (--e.client->second.calls == 0)
      clients_.erase(clients_.find(e.client->first));
  }
  if (e.group->under_way == 0 && e.group->first == nullptr)
    e.app->groups.erase(e.shard);
  if (e.app->groups.empty())
    apps_.erase(apps_.find(e.app->id));
  calls_.erase(at);
}

/// The first of the app's groups, from the one whose turn it is on, that has a
/// place.
admission::entry* admission::next_of(app_state& app) {
  if (!app_has_place(&app, apps_.size()))
    return nullptr;
  auto g = app.queue.lower_bound(app.next);
  for (std::size_t i = 0; i < app.queue.size(); ++i, ++g) {
    if (g == app.queue.end())
      g = app.queue.begin();
    auto* first = g->second->first;
    if (!group_has_place(*g->second)
        || (!first->peer.is_none()
            && !peer_has_place(first->peer, &app, apps_.size())))
      continue;
    app.next = g->first + 1;
    return first;
  }
  return nullptr;
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
  while (fruitless < queues_.size()) {
    auto at = queues_.lower_bound(turn_);
    if (at == queues_.end())
      at = queues_.begin();
    const auto after = std::next(at);
    turn_ = (after == queues_.end() ? queues_.begin() : after)->first;
    auto* e = next_of(*at->second);
    if (e == nullptr) {
      ++fruitless;
      continue;
    }
    fruitless = 0;
    leave_queue(*e);
    begin(*e, now);
    out.go.push_back(e->token);
  }
  return out;
}

time_point admission::deadline() const {
  return waiting_.empty() ? never : waiting_.begin()->first - usual_;
}

// ---- the limit --------------------------------------------------------------

void admission::measure(duration took) {
  // One app's long turns are a few of many: they tell nothing about the others.
  usual_ += (std::min(took, std::max<duration>(4 * usual_, 100ms)) - usual_)
            / 20;
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
  auto& limit = under_way_.max;
  if (median > 3 * std::max(lowest, duration{100us}))
    limit = std::max(options_.limit_min, limit - (limit + 9) / 10);
  else if (reached)
    limit = std::min(options_.limit_max, limit + (limit + 19) / 20);
}

} // namespace banyan
