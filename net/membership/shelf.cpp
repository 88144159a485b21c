#include "net/membership/shelf.hpp"

namespace banyan::net {

std::size_t number_table::find(index key) const {
  auto at = home(key);
  while (cells_[at].key != key && cells_[at].key != none)
    at = next(at);
  return at;
}

std::uint32_t number_table::get(index key) const {
  return used_ == 0 ? none : cells_[find(key)].value;
}

void number_table::grow() {
  const auto before = std::exchange(cells_, {});
  bits_ = before.empty() ? 2 : bits_ + 1;
  cells_.resize(std::size_t{1} << bits_);
  for (const auto& c : before)
    if (c.key != none)
      cells_[find(c.key)] = c;
}

void number_table::set(index key, std::uint32_t value) {
  if ((used_ + 1) * 4 > cells_.size() * 3)
    grow();
  auto& c = cells_[find(key)];
  used_ += c.key == none ? 1U : 0U;
  c = {key, value};
}

/// What stands behind it moves up, where that brings it nearer its home.
void number_table::erase(index key) {
  if (get(key) == none)
    return;
  auto hole = find(key);
  const auto mask = cells_.size() - 1;
  for (auto at = next(hole); cells_[at].key != none; at = next(at)) {
    const auto from_home = (at - home(cells_[at].key)) & mask;
    if (from_home >= ((at - hole) & mask)) {
      cells_[hole] = cells_[at];
      hole = at;
    }
  }
  cells_[hole] = {};
  --used_;
}

std::uint32_t report_shelf::where(index observer, index subject) const {
  auto i = about_.get(subject);
  while (i != none && slots_[i].observer != observer)
    i = slots_[i].next_about;
  return i;
}

const report* report_shelf::find(index observer, index subject) const {
  const auto i = where(observer, subject);
  return i == none ? nullptr : slots_[i].held.get();
}

std::size_t report_shelf::count_by(index observer) const {
  std::size_t n = 0;
  by(observer, [&](index, const shared_report&) { ++n; });
  return n;
}

void report_shelf::put(index observer, index subject, shared_report r) {
  if (const auto i = where(observer, subject); i != none) {
    slots_[i].held = std::move(r);
    return;
  }
  auto i = free_;
  if (i == none) {
    i = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    free_ = slots_[i].next_about;
  }
  slots_[i] = {std::move(r), observer, subject, about_.get(subject), none};
  about_.set(subject, i);
  auto last = by_.get(observer);
  if (last == none) {
    by_.set(observer, i);
    return;
  }
  while (slots_[last].next_by != none)
    last = slots_[last].next_by;
  slots_[last].next_by = i;
}

void report_shelf::drop(index observer, index subject) {
  const auto gone = where(observer, subject);
  if (gone == none)
    return;
  const auto unlink = [&](number_table& heads, index key,
                          std::uint32_t slot::*next) {
    auto i = heads.get(key);
    if (i != gone) {
      while (slots_[i].*next != gone)
        i = slots_[i].*next;
      slots_[i].*next = slots_[gone].*next;
    } else if (slots_[gone].*next != none) {
      heads.set(key, slots_[gone].*next);
    } else {
      heads.erase(key);
    }
  };
  unlink(about_, subject, &slot::next_about);
  unlink(by_, observer, &slot::next_by);
  slots_[gone] = {};
  slots_[gone].next_about = std::exchange(free_, gone);
}

} // namespace banyan::net
