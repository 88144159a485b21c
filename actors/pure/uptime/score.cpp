#include "actors/pure/uptime/score.hpp"

#include <algorithm>

namespace banyan {
namespace {

/// Counts up to 127 votes for each minute of a word at once: bit `i` of plane
/// `p` is bit `p` of minute i's number.
class vote_planes {
public:
  void add(std::uint64_t votes) {
    for (auto& plane : planes_) {
      const auto carry = plane & votes;
      plane ^= votes;
      votes = carry;
    }
  }
  /// The minutes with at least `n` votes.
  [[nodiscard]] std::uint64_t at_least(unsigned n) const {
    std::uint64_t larger = 0;
    std::uint64_t equal = ~std::uint64_t{0};
    for (std::size_t p = planes_.size(); p-- > 0;) {
      const auto wanted = (n >> p & 1) != 0 ? ~std::uint64_t{0} : 0;
      larger |= equal & planes_[p] & ~wanted;
      equal &= ~(planes_[p] ^ wanted);
    }
    return larger | equal;
  }

private:
  std::array<std::uint64_t, 7> planes_{};
};

constexpr unsigned votes_min = 2;

std::uint32_t first_of(std::uint32_t last, std::uint32_t days) {
  return last + 1 >= days ? last + 1 - days : 0;
}

template <class F>
void each_day(const day_results& all, std::uint32_t last, std::uint32_t days,
              F f) {
  for (auto i = all.lower_bound(first_of(last, days));
       i != all.end() && i->first <= last; ++i)
    f(i->second);
}

} // namespace

std::optional<basis_points> tally::score() const {
  if (counted == 0)
    return std::nullopt;
  return static_cast<basis_points>(std::uint64_t{up} * basis_points_all
                                   / counted);
}

day_result count_day(std::vector<day_word> words) {
  static_assert(subjects_max < 128);
  std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) {
    return a.observer < b.observer;
  });
  if (words.size() > subjects_max)
    words.resize(subjects_max);
  const auto needed =
      std::max(votes_min, static_cast<unsigned>(words.size() / 2 + 1));
  minute_bits up;
  minute_bits down;
  for (std::size_t i = 0; i < minute_bits::words; ++i) {
    vote_planes for_up;
    vote_planes for_down;
    for (const auto& w : words) {
      const auto observed = w.seen.observed.word(i);
      const auto is_up = w.seen.up.word(i) & observed;
      for_up.add(is_up);
      for_down.add(observed & ~is_up);
    }
    up.set_word(i, for_up.at_least(needed));
    down.set_word(i, for_down.at_least(needed));
  }
  day_result out;
  out.minutes.up = up.count();
  out.minutes.counted = out.minutes.up + down.count();
  for (const auto& w : words) {
    observer_tally t;
    t.observer = w.observer;
    const auto is_up = w.seen.up & w.seen.observed;
    t.observed = w.seen.observed.count();
    t.up = is_up.count();
    const auto with_up = (up & w.seen.observed).count();
    const auto with_down = (down & w.seen.observed).count();
    t.counted = with_up + with_down;
    t.contradicted = (down & is_up).count() + with_up - (up & is_up).count();
    out.observers.push_back(t);
  }
  return out;
}

tally sum_of(const day_results& all, std::uint32_t last, std::uint32_t days) {
  tally out;
  each_day(all, last, days, [&](const day_result& d) { out += d.minutes; });
  return out;
}

std::uint32_t observed_days(const day_results& all, std::uint32_t last,
                            std::uint32_t days) {
  std::uint32_t n = 0;
  each_day(all, last, days,
           [&](const day_result& d) { n += d.observed() ? 1 : 0; });
  return n;
}

std::vector<observer_tally>
observers_of(const day_results& all, std::uint32_t last, std::uint32_t days) {
  std::map<node_id, observer_tally> sums;
  each_day(all, last, days, [&](const day_result& d) {
    for (const auto& o : d.observers) {
      auto& s = sums[o.observer];
      s.observer = o.observer;
      s.observed += o.observed;
      s.up += o.up;
      s.counted += o.counted;
      s.contradicted += o.contradicted;
    }
  });
  std::vector<observer_tally> out;
  for (auto& [node, s] : sums)
    out.push_back(s);
  return out;
}

std::uint32_t last_judged(day_time now) {
  const auto back = now.minute < judged_after_minutes ? 2U : 1U;
  return now.day < back ? 0 : now.day - back;
}

verdict judge(const day_results& all, std::uint32_t last,
              const mesh_policy& policy, bool empty) {
  verdict v;
  v.day = sum_of(all, last, 1).score();
  v.week = sum_of(all, last, policy.window_days).score();
  v.month = sum_of(all, last, days_kept).score();
  v.days = observed_days(all, last, days_kept);
  const auto become = [&](standing s, std::uint32_t on) {
    if (v.is == s)
      return;
    v.is = s;
    v.since = on;
    v.good_days = 0;
  };
  const auto first = first_of(last, days_kept);
  for (auto day = first; day <= last; ++day) {
    v.judged = false;
    if (observed_days(all, day, day - first + 1) < policy.observed_days_min)
      continue;
    const auto score = sum_of(all, day, policy.window_days).score();
    if (!score) {
      if (v.is == standing::hold || v.is == standing::evacuate)
        become(standing::probation, day);
      v.good_days = 0;
      continue;
    }
    v.judged = true;
    if (*score < policy.evacuate_below)
      become(standing::evacuate, day);
    else if (*score < policy.hold_below && v.is != standing::evacuate)
      become(standing::hold, day);
    else if (*score >= policy.hold_below
             && (v.is == standing::hold || v.is == standing::evacuate))
      become(standing::probation, day);
    else if (const auto today = all.find(day); v.is == standing::probation
                                               && today != all.end()
                                               && today->second.observed()) {
      const auto good = today->second.minutes.score() >= policy.hold_below;
      v.good_days = good ? v.good_days + 1 : 0;
      if (v.good_days >= policy.probation_days)
        become(standing::normal, day);
    }
    v.must_go = v.is == standing::evacuate && *score < policy.exclude_below;
  }
  if (!v.judged)
    v.must_go = false;
  if (v.must_go && empty)
    v.is = standing::excluded;
  return v;
}

} // namespace banyan
