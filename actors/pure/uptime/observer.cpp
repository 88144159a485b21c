#include "actors/pure/uptime/observer.hpp"

#include <algorithm>

namespace banyan {

namespace {

constexpr std::uint32_t looks_of_an_hour = 60 * day_observer::looks_a_minute;

} // namespace

void clock_trust::on_look(std::uint32_t day) {
  const bool jumped = day < day_ || day > day_ + 1;
  day_ = day;
  looks_ = jumped ? 0 : std::min(looks_ + 1, looks_of_an_hour);
}

bool clock_trust::steady() const {
  return looks_ >= looks_of_an_hour;
}

std::uint32_t clock_trust::forget_before() const {
  return steady() && day_ >= days_kept ? day_ - days_kept : 0;
}

void day_observer::resume(observation written) {
  if (over_.count(written.day) != 0)
    return;
  open_ = std::move(written);
  now_ = {open_.day, 0};
  begun_ = true;
}

seen_day* day_observer::of(const node_id& node) {
  auto& all = open_.subjects;
  const auto at = std::lower_bound(all.begin(), all.end(), node,
                                   [](const observation::subject& s,
                                      const node_id& n) { return s.node < n; });
  if (at != all.end() && at->node == node)
    return &at->seen;
  if (all.size() >= subjects_max)
    return nullptr;
  return &all.insert(at, {node, {}})->seen;
}

bool day_observer::end_minute() {
  const auto looks = std::exchange(looks_, 0);
  const auto minute = std::exchange(minute_, {});
  if (!begun_ || looks * 2 < looks_a_minute || over_.count(open_.day) != 0)
    return false;
  bool written = false;
  for (const auto& [node, m] : minute) {
    if (m.planned || m.looks * 2 < looks)
      continue;
    auto* seen = of(node);
    if (seen == nullptr || seen->observed.test(now_.minute))
      continue;
    seen->observed.set(now_.minute);
    if (m.heard * 2 >= m.looks)
      seen->up.set(now_.minute);
    written = true;
  }
  return written;
}

day_observer::outcome
day_observer::on_look(const std::vector<subject_look>& subjects, day_time now) {
  outcome out;
  if (begun_ && (now.day != now_.day || now.minute != now_.minute))
    out.written = end_minute();
  if (!begun_ || now.day != open_.day) {
    if (begun_ && open_.day < now.day && !open_.subjects.empty()
        && over_.insert(open_.day).second)
      out.over = std::move(open_);
    open_ = {};
    open_.day = now.day;
    out.written = false;
    begun_ = true;
  }
  now_ = now;
  while (!over_.empty() && *over_.begin() + 2 * days_kept < now.day)
    over_.erase(over_.begin());
  std::size_t there = 0;
  std::size_t heard = 0;
  for (const auto& s : subjects) {
    if (s.planned)
      minute_[s.node].planned = true;
    if (s.planned || s.dead)
      continue;
    ++there;
    heard += s.heard ? 1 : 0;
  }
  if (there == 0 || heard * 2 < there)
    return out;
  ++looks_;
  for (const auto& s : subjects) {
    auto& m = minute_[s.node];
    ++m.looks;
    m.heard += s.heard ? 1 : 0;
  }
  return out;
}

} // namespace banyan
