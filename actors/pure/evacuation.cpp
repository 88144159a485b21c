#include "actors/pure/evacuation.hpp"

#include "actors/pure/uptime/score.hpp"
#include "base/assert.hpp"
#include "base/codec.hpp"

#include <algorithm>

namespace banyan {
namespace {

bool goes(standing s) noexcept {
  return s == standing::evacuate || s == standing::excluded;
}

/// `2026-12-01`, of days since 1970: the civil calendar, by eras of 400 years.
std::string date_text(std::int64_t days) {
  const auto z = days + 719'468;
  const auto era = (z >= 0 ? z : z - 146'096) / 146'097;
  const auto of_era = z - era * 146'097;
  const auto year =
      (of_era - of_era / 1460 + of_era / 36'524 - of_era / 146'096) / 365;
  const auto of_year = of_era - (365 * year + year / 4 - year / 100);
  const auto m = (5 * of_year + 2) / 153;
  const auto day = of_year - (153 * m + 2) / 5 + 1;
  const auto month = m < 10 ? m + 3 : m - 9;
  const auto two = [](std::int64_t n) {
    return (n < 10 ? "0" : "") + std::to_string(n);
  };
  return std::to_string(year + era * 400 + (month <= 2 ? 1 : 0)) + "-"
         + two(month) + "-" + two(day);
}

constexpr std::int64_t minute_ms = 60'000;
constexpr std::int64_t day_ms = 1440 * minute_ms;

/// `01:00`, of the day.
std::string clock_text(std::int64_t unix_ms) {
  const auto minutes = unix_ms % day_ms / minute_ms;
  const auto two = [](std::int64_t n) {
    return (n < 10 ? "0" : "") + std::to_string(n);
  };
  return two(minutes / 60) + ":" + two(minutes % 60);
}

} // namespace

evacuation::step evacuation::on_tick(standing as, std::size_t held,
                                     time_point now) {
  if (held != 0 || !goes(as))
    empty_since_ = never;
  else if (empty_since_ == never)
    empty_since_ = now;
  if (!goes(as)) {
    if (!on_)
      return step::none;
    on_ = false;
    return step::end;
  }
  if (!on_) {
    on_ = true;
    return step::begin;
  }
  return as == standing::excluded && empty_since_ != never
                 && now - empty_since_ >= empty_for
             ? step::exclude
             : step::none;
}

void evictions::see(const std::map<node_id, standing>& standings,
                    const std::set<node_id>& leaving, time_point now) {
  for (auto i = idle_.begin(); i != idle_.end();) {
    const auto at = standings.find(i->first);
    const bool still = at != standings.end() && goes(at->second)
                       && leaving.count(i->first) == 0;
    i = still ? std::next(i) : idle_.erase(i);
  }
  for (const auto& [node, as] : standings)
    if (goes(as) && leaving.count(node) == 0)
      idle_.emplace(node, now);
}

std::optional<eviction> evictions::next(const std::vector<eviction_group>& led,
                                        time_point now) {
  if (running_)
    return std::nullopt;
  for (auto i = tried_.begin(); i != tried_.end();)
    i = now - i->second >= again_after ? tried_.erase(i) : std::next(i);
  const eviction_group* best = nullptr;
  node_id from;
  for (const auto& g : led) {
    if (tried_.count(g.group) != 0
        || (best != nullptr && g.redundancy >= best->redundancy))
      continue;
    for (const auto& v : g.voters)
      if (const auto at = idle_.find(v);
          at != idle_.end() && now - at->second >= patience) {
        best = &g;
        from = v;
        break;
      }
  }
  if (best == nullptr)
    return std::nullopt;
  running_ = eviction{best->group, from};
  began_ = now;
  return running_;
}

void evictions::over(time_point now) {
  if (!running_)
    return;
  tried_[running_->group] = now;
  running_.reset();
}

exclusion exclusion_of(std::optional<basis_points> score,
                       const mesh_policy& policy, std::int64_t now_unix_ms) {
  const auto days = std::int64_t{policy.window_days};
  exclusion e;
  e.why = "this node is excluded by the mesh's policy: its uptime"
          + (score ? " of " + percent_text(*score) + " %" : std::string{})
          + " over " + std::to_string(days) + " days is below "
          + percent_text(policy.exclude_below) + " %, and it holds no replica";
  // The window has to begin behind today, and be judged; twice that time, for
  // clocks differ.
  e.until_unix_ms = (now_unix_ms / day_ms + days + 1) * day_ms
                    + 2 * judged_after_minutes * minute_ms;
  return e;
}

std::string words_of(const exclusion& e) {
  return e.why + ". It may join again from "
         + date_text(e.until_unix_ms / day_ms) + " "
         + clock_text(e.until_unix_ms)
         + " on (UTC), on probation; nothing on its disk is deleted";
}

bytes encode(const exclusion& e) {
  bytes out;
  writer{out}
      .array(2)
      .text(std::string_view{e.why}.substr(0, exclusion_text_bytes_max))
      .sint(e.until_unix_ms);
  return out;
}

bool decode(const_bytes in, exclusion& out) {
  reader r{in};
  r.require(r.array(2) == 2);
  out.why = std::string{r.text(exclusion_text_bytes_max)};
  out.until_unix_ms = r.sint();
  return r.done();
}

} // namespace banyan
