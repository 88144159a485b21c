// Which calls are given to peers, which wait here and which go away at once.
#include "actors/client/client_core.hpp"
#include "base/assert.hpp"

#include <algorithm>

namespace banyan {
namespace {

/// Whether an app that holds `own` of `max` places may have another one, while
/// `taken` are taken in all. None takes more than three for each that is free
/// (dynamic thresholds, Choudhury and Hahne 1998), and the last sixteenth is
/// for apps with hardly any: however many calls of some apps hang, others go
/// on.
bool leaves_some(std::size_t own, std::size_t taken, std::size_t max) {
  const auto common = max - max / 16;
  if (own < client_core::few)
    return taken < max;
  return taken < common && own < client_core::hog_share * (common - taken);
}

} // namespace

// ---- apps -------------------------------------------------------------------

client_core::app& client_core::app_of(const std::string& name) {
  const auto at = apps_.find(name);
  if (at != apps_.end())
    return at->second;
  if (apps_.size() >= sweep_at_) {
    for (auto i = apps_.begin(); i != apps_.end();) {
      const auto& a = i->second;
      const bool used =
          a.calls > 0 || a.has_turn
          || std::any_of(a.groups.begin(), a.groups.end(),
                         [](const auto& g) { return g.second.session != 0; });
      i = used ? std::next(i) : apps_.erase(i);
    }
    sweep_at_ = std::max(apps_max, 2 * apps_.size());
  }
  auto& a = apps_[name];
  a.name = name;
  return a;
}

bool client_core::has_place(const app& a) const {
  return a.window.has_place()
         && leaves_some(a.window.under_way(), begun_, window);
}

/// How long a newcomer waits: by how quickly places are freed now, and by how
/// long the first of those before it has been waiting.
duration client_core::wait_of(const app& a, time_point now) const {
  if (a.queued == 0)
    return {};
  const auto places = std::max<std::size_t>(a.window.under_way(), 1);
  const auto wait = a.window.usual() * static_cast<std::int64_t>(a.queued + 1)
                    / static_cast<std::int64_t>(places);
  const auto first = calls_.find(a.backlog.front());
  return first == calls_.end() ? wait
                               : std::max(wait, now - first->second.queued_at);
}

reply client_core::overload(duration wait, const char* why) {
  reply r;
  r.status = reply_status::overloaded;
  r.message = why;
  r.retry_after = std::clamp(wait, retry_min, retry_max);
  return r;
}

// ---- in ---------------------------------------------------------------------

std::optional<reply> client_core::refusal(const pending& c,
                                          time_point now) const {
  const auto& a = *c.home;
  if (!leaves_some(a.calls, calls_.size(), calls_max))
    return overload(wait_of(a, now),
                    "this client has too many calls under way");
  if (const auto pause = left_alone(c); pause > now) {
    if (!may_be_held(c, pause, now))
      return overload(pause - now, "a peer has too many of these calls");
    return std::nullopt;
  }
  if ((a.queued == 0 && has_place(a)) || may_wait(c, now))
    return std::nullopt;
  return overload(wait_of(a, now),
                  "this client has more calls than its peers can answer by "
                  "their deadlines");
}

/// Three times the wait: it is an estimate, and who is answered too late took
/// the place of one that would not have been.
bool client_core::may_wait(const pending& c, time_point now) const {
  const auto& w = c.home->window;
  return w.usual() == duration{}
         || now + 3 * wait_of(*c.home, now) + w.needed() <= c.until;
}

/// Behind the pause there may be a queue.
bool client_core::may_be_held(const pending& c, time_point until,
                              time_point now) {
  return until + (until - now) + c.home->window.needed() < c.until;
}

/// A call that is new, or may come again after a pause.
void client_core::place_call(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  auto& a = *c.home;
  const bool again = std::exchange(c.at, place::none) == place::held;
  c.retry_at = never;
  if (left_alone(c) > now)
    return hold(id, now, out);
  if (a.queued == 0 && has_place(a))
    return begin(id, now, out);
  if (!a.window.has_place())
    a.window.missed();
  if (again && !may_wait(c, now))
    return shed(id, now, out);
  c.at = place::queued;
  c.queued_at = now;
  ++a.queued;
  a.backlog.push_back(id);
  if (!std::exchange(a.has_turn, true))
    turns_.push_back(&a);
  if (next_look(c) <= now)
    return shed(id, now, out);
  schedule(id, c);
}

void client_core::begin(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  c.at = place::begun;
  ++begun_;
  c.home->window.began();
  if (c.sends == 0)
    overload_budget_ =
        std::min(overload_budget_ + overload_share, overload_reserve);
  start(id, now, out);
}

/// Never from within itself: a call may end as it begins.
void client_core::begin_calls(time_point now, effects& out) {
  if (std::exchange(beginning_, true))
    return;
  std::size_t in_vain = 0;
  while (in_vain < turns_.size() && begun_ < window) {
    auto& a = *turns_.front();
    turns_.pop_front();
    if (a.queued > 0 && !has_place(a)) {
      if (!a.window.has_place())
        a.window.missed();
      turns_.push_back(&a);
      ++in_vain;
      continue;
    }
    if (a.queued > 0) {
      in_vain = 0;
      const auto id = a.backlog.front();
      a.backlog.pop_front();
      auto& c = calls_.at(id);
      const bool hopeless = next_look(c) <= now;
      leave_queue(c);
      if (hopeless)
        shed(id, now, out);
      else if (left_alone(c) > now)
        hold(id, now, out);
      else
        begin(id, now, out);
    }
    a.has_turn = a.queued > 0;
    if (a.has_turn)
      turns_.push_back(&a);
  }
  beginning_ = false;
}

// ---- out --------------------------------------------------------------------

void client_core::leave_queue(pending& c) {
  auto& a = *c.home;
  c.at = place::none;
  --a.queued;
  const auto gone = [&](std::uint64_t id) {
    const auto at = calls_.find(id);
    return at == calls_.end() || at->second.at != place::queued;
  };
  while (!a.backlog.empty() && gone(a.backlog.front()))
    a.backlog.pop_front();
}

void client_core::give_back(pending& c) {
  if (c.at == place::begun) {
    --begun_;
    c.home->window.ended();
  } else if (c.at == place::queued) {
    leave_queue(c);
  }
  c.at = place::none;
}

/// Nothing of it is at a peer, and nothing ran.
void client_core::shed(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  BANYAN_ASSERT(c.asked.empty() && !c.lost);
  ++refused_;
  const auto pause = left_alone(c);
  const auto wait = pause > now ? pause - now : wait_of(*c.home, now);
  finish(id,
         overload(wait, "it waited in this client until it could not be "
                        "answered by its deadline any more"),
         now, out);
}

// ---- what peers refuse ------------------------------------------------------

/// Until when the call's group, or everyone who might be asked, wants no more.
time_point client_core::left_alone(const pending& c) const {
  const auto& a = *c.home;
  if (is_spread(c)) {
    auto until = peers_.empty() ? time_point{} : never;
    for (const auto& p : peers_) {
      const auto at =
          std::find_if(a.loaded.begin(), a.loaded.end(),
                       [&](const auto& l) { return l.first == p.node; });
      until = std::min(until, at == a.loaded.end() ? time_point{} : at->second);
    }
    return until;
  }
  const auto shard = shard_for(c);
  return shard && *shard < a.hints.size() ? a.hints[*shard].left_alone
                                          : time_point{};
}

void client_core::note_overload(const pending& c, const node_id& from,
                                const reply& r, time_point now) {
  auto& a = *c.home;
  a.window.overloaded(now);
  const auto until =
      now
      + std::clamp(r.retry_after.value_or(duration{}), retry_min, retry_max);
  if (is_spread(c)) {
    a.loaded.erase(std::remove_if(a.loaded.begin(), a.loaded.end(),
                                  [&](const auto& l) {
                                    return l.first == from || l.second <= now;
                                  }),
                   a.loaded.end());
    a.loaded.emplace_back(from, until);
  } else if (auto* h = hint_for(c)) {
    h->left_alone = std::max(h->left_alone, until);
  }
}

void client_core::hold(std::uint64_t id, time_point now, effects& out) {
  auto& c = calls_.at(id);
  c.at = place::held;
  c.retry_at = left_alone(c);
  if (!may_be_held(c, c.retry_at, now))
    return shed(id, now, out);
  schedule(id, c);
}

/// One more attempt than a call needs; false when there were too many.
bool client_core::may_repeat() {
  if (overload_budget_ < 1)
    return false;
  overload_budget_ -= 1;
  return true;
}

/// Nothing ran: the same call may come again, when there is room. Its place is
/// another's meanwhile. While others wait for theirs, it would only be later
/// than they.
bool client_core::repeat_overload(std::uint64_t id, const reply& r,
                                  time_point now, effects& out) {
  auto& c = calls_.at(id);
  const auto pause = std::max(r.retry_after.value_or(duration{}), retry_min);
  if (c.home->queued > 0 || c.overloads >= overloads_max
      || pause >= c.until - now || !may_repeat())
    return false;
  ++c.overloads;
  give_back(c);
  c.at = place::held;
  c.retry_at = now + pause;
  schedule(id, c);
  begin_calls(now, out);
  return true;
}

} // namespace banyan
