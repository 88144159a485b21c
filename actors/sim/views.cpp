#include "actors/sim/views.hpp"

namespace banyan::sim {

opinion opinion_of(net::member_state s) noexcept {
  switch (s) {
  case net::member_state::alive:
    return opinion::alive;
  case net::member_state::suspect:
    return opinion::suspect;
  case net::member_state::dead:
    return opinion::dead;
  case net::member_state::left:
    return opinion::left;
  }
  return opinion::unknown;
}

void view_table::add() {
  rows_.emplace_back();
  counts_.emplace_back();
  counted_.push_back(false);
}

void view_table::set(index observer, index subject, opinion now) {
  auto& row = rows_[observer];
  if (row.size() <= subject)
    row.resize(rows_.size(), opinion::unknown);
  const auto before = std::exchange(row[subject], now);
  if (!counted_[observer])
    return;
  auto& c = counts_[subject];
  if (before != opinion::unknown)
    --c[std::size_t(before)];
  if (now != opinion::unknown)
    ++c[std::size_t(now)];
}

void view_table::forget(index observer) {
  const bool counts = counted_[observer];
  count_in(observer, false);
  rows_[observer].clear();
  count_in(observer, counts);
}

void view_table::count_in(index observer, bool counts) {
  if (counted_[observer] == counts)
    return;
  counted_[observer] = counts;
  observers_ += counts ? 1U : -1U;
  const auto& row = rows_[observer];
  for (std::size_t subject = 0; subject < row.size(); ++subject)
    if (row[subject] != opinion::unknown)
      counts_[subject][std::size_t(row[subject])] += counts ? 1U : -1U;
}

std::uint32_t view_table::count(index subject, opinion o) const {
  const auto& c = counts_[subject];
  if (o != opinion::unknown)
    return c[std::size_t(o)];
  auto known = std::uint32_t{};
  for (const auto n : c)
    known += n;
  return observers_ - known;
}

} // namespace banyan::sim
