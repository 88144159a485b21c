#include "store/raft/log_view.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace banyan::raft {

log_view::log_view(log_base base, std::vector<log_entry> entries)
    : base_{base}, entries_{std::make_move_iterator(entries.begin()),
                            std::make_move_iterator(entries.end())} {
  ordered_ = persisted_ = last_index();
  check_invariants();
}

log_index log_view::last_index() const noexcept {
  return log_index{base_.index.value() + entries_.size()};
}

term log_view::last_term() const noexcept {
  return entries_.empty() ? base_.term : entries_.back().term;
}

bool log_view::knows(log_index index) const noexcept {
  return index >= base_.index && index <= last_index();
}

const log_entry& log_view::at(log_index index) const {
  BANYAN_ASSERT(index > base_.index && index <= last_index());
  return entries_[index.value() - base_.index.value() - 1];
}

term log_view::term_at(log_index index) const {
  return index == base_.index ? base_.term : at(index).term;
}

bool log_view::matches(log_index index, term t) const noexcept {
  return knows(index) && term_at(index) == t;
}

log_index log_view::last_with_term_at_most(log_index index, term t) const {
  index = std::min(index, last_index());
  while (index > base_.index && at(index).term > t)
    index = index.prev();
  return std::max(index, base_.index);
}

std::vector<log_entry> log_view::slice(log_index from, std::size_t n,
                                       std::size_t bytes_max) const {
  std::vector<log_entry> out;
  std::size_t size = 0;
  for (auto i = from; i <= last_index() && out.size() < n; i = i.next()) {
    const auto& e = at(i);
    size += e.data.size();
    if (!out.empty() && size > bytes_max)
      break;
    out.push_back(e);
  }
  return out;
}

std::vector<log_entry> log_view::range(log_index from, log_index to) const {
  std::vector<log_entry> out;
  if (from <= to)
    out.reserve(to.value() - from.value() + 1);
  for (auto i = from; i <= to; i = i.next())
    out.push_back(at(i));
  return out;
}

void log_view::push(log_entry e) {
  BANYAN_ASSERT(e.index == last_index().next());
  BANYAN_ASSERT(e.term >= last_term());
  entries_.push_back(std::move(e));
}

void log_view::truncate(log_index from) {
  BANYAN_ASSERT(from > base_.index);
  while (last_index() >= from)
    entries_.pop_back();
  const auto left = from.prev();
  ordered_ = std::min(ordered_, left);
  persisted_ = std::min(persisted_, left);
  // A write under way may still land on disk, but what it holds from here on
  // will be replaced by a later one: its completion says nothing about that.
  for (auto& w : writes_)
    w.last = std::min(w.last, left);
}

void log_view::reset(const log_base& base) {
  base_ = base;
  entries_.clear();
  ordered_ = persisted_ = base.index;
  for (auto& w : writes_)
    w.last = log_index{};
}

void log_view::trim(log_index index) {
  if (index <= base_.index)
    return;
  BANYAN_ASSERT(index <= persisted_);
  const auto t = term_at(index);
  const auto n = index.value() - base_.index.value();
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<std::ptrdiff_t>(n));
  base_ = {index, t, {}};
}

bool log_view::has_unwritten() const noexcept {
  return ordered_ < last_index();
}

std::vector<log_entry> log_view::unwritten() const {
  return range(ordered_.next(), last_index());
}

void log_view::ordered(std::uint64_t number) {
  ordered_ = last_index();
  writes_.push_back({number, ordered_});
}

void log_view::synced(std::uint64_t number) {
  while (!writes_.empty() && writes_.front().number <= number) {
    persisted_ = std::max(persisted_, writes_.front().last);
    writes_.pop_front();
  }
}

void log_view::check_invariants() const {
  BANYAN_ASSERT(persisted_ >= base_.index);
  BANYAN_ASSERT(persisted_ <= ordered_);
  BANYAN_ASSERT(ordered_ <= last_index());
  for (const auto& w : writes_)
    BANYAN_ASSERT(w.last <= ordered_);
  if (!entries_.empty()) {
    BANYAN_ASSERT(entries_.front().index == base_.index.next());
    BANYAN_ASSERT(entries_.back().index == last_index());
    BANYAN_ASSERT(entries_.front().term >= base_.term);
  }
}

} // namespace banyan::raft
