#include "actors/pure/uptime/far.hpp"

#include <algorithm>

namespace banyan {
namespace {

node_id last_of_all() {
  std::array<std::uint8_t, node_id::size> all{};
  all.fill(0xFF);
  return node_id{all};
}

} // namespace

std::optional<far_days::wish>
far_days::begin(const node_id& about, const std::vector<node_id>& observers,
                std::uint32_t last, time_point now) {
  if (busy() || knows(about, last))
    return std::nullopt;
  auto& q = under_way_.emplace(inquiry{});
  q.about = about;
  q.last = last;
  q.first = last + 1 > days_kept ? last + 1 - days_kept : 0;
  if (const auto at = known_.find(about); at != known_.end())
    q.first = std::max(q.first, at->second.asked_up_to + 1);
  q.whom.push_back(about);
  for (const auto& o : observers)
    if (o != about && q.whom.size() < asked_max)
      q.whom.push_back(o);
  return ask(std::nullopt, now);
}

std::optional<far_days::wish>
far_days::ask(std::optional<day_archive::place> after, time_point now) {
  auto& q = *under_way_;
  q.until = now + answer_within;
  wish w;
  w.whom = q.whom.front();
  w.what.about = q.about;
  w.what.have = q.came.fingerprints_of(q.about);
  // Behind all of the day before the first that is wanted.
  if (!after && q.first > 0)
    after = day_archive::place{q.first - 1, last_of_all()};
  w.what.after = after;
  return w;
}

bool far_days::awaits(const node_id& from,
                      const std::optional<node_id>& about) const {
  return busy() && about == under_way_->about
         && from == under_way_->whom.front();
}

std::optional<far_days::wish>
far_days::on_given(const node_id& from, arrived a, time_point now,
                   const day_archive::counts& who) {
  if (!busy() || from != under_way_->whom.front())
    return std::nullopt;
  auto& q = *under_way_;
  bool fresh = false;
  for (auto& [d, o] : a.days)
    if (o.day >= q.first && o.day <= q.last && q.came.size() < documents_max
        && who(observer_of(d), q.about))
      fresh |= q.came.put(d, std::move(o)) == day_archive::outcome::kept;
  // Who says there is more must have given something, or it never ends.
  if (a.more && a.end && fresh)
    return ask(a.end, now);
  return next(now, who);
}

std::optional<far_days::wish>
far_days::on_tick(time_point now, const day_archive::counts& who) {
  if (!busy() || now < under_way_->until)
    return std::nullopt;
  return next(now, who);
}

std::optional<far_days::wish> far_days::next(time_point now,
                                             const day_archive::counts& who) {
  under_way_->whom.pop_front();
  if (!under_way_->whom.empty())
    return ask(std::nullopt, now);
  add_up(who);
  under_way_.reset();
  return std::nullopt;
}

void far_days::add_up(const day_archive::counts& who) {
  auto& q = *under_way_;
  if (q.came.size() == 0)
    return; // nobody answered, or has anything: asked again another time
  auto& r = known_[q.about];
  r.asked_up_to = q.last;
  q.came.refresh(who);
  if (const auto* days = q.came.results(q.about))
    for (const auto& [day, result] : *days)
      r.days[day].minutes = result.minutes;
  while (!r.days.empty() && r.days.begin()->first + days_kept <= q.last)
    r.days.erase(r.days.begin());
}

const day_results* far_days::results(const node_id& node) const {
  const auto at = known_.find(node);
  return at == known_.end() ? nullptr : &at->second.days;
}

bool far_days::knows(const node_id& node, std::uint32_t last) const {
  const auto at = known_.find(node);
  return at != known_.end() && at->second.asked_up_to >= last;
}

} // namespace banyan
