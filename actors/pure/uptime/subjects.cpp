#include "actors/pure/uptime/subjects.hpp"

#include <algorithm>
#include <set>

namespace banyan {

bool uptime_subjects::put(const node_id& node, state s) {
  const auto [at, fresh] = states_.emplace(node, s);
  if (!fresh && at->second == s)
    return false;
  living_ -= !fresh && at->second == state::living ? 1 : 0;
  living_ += s == state::living ? 1 : 0;
  at->second = s;
  const auto index = order_->add(node);
  by_index_.resize(std::max<std::size_t>(by_index_.size(), index + 1),
                   state::left);
  by_index_[index] = s;
  return true;
}

std::vector<uptime_subjects::subject>
uptime_subjects::subjects_of(const node_id& self) const {
  std::map<node_id, bool> found;
  if (full()) {
    for (const auto& [node, s] : states_)
      if (node != self && s != state::left)
        found.emplace(node, s == state::dead);
  } else if (const auto me = order_->find(self)) {
    const auto there = [&](net::ring_order::index i) {
      return by_index_[i] != state::left;
    };
    for (std::size_t ring = 0; ring < net::ring_count; ++ring) {
      auto at = *me;
      for (unsigned n = 0; n < reach; ++n) {
        const auto next = order_->next(ring, at, there);
        if (!next || *next == *me)
          break;
        at = *next;
        const bool dead = by_index_[at] == state::dead;
        found.emplace(order_->node(at), dead);
        if (!dead)
          break;
      }
    }
  }
  std::vector<subject> out;
  for (const bool dead : {false, true})
    for (const auto& [node, is_dead] : found)
      if (is_dead == dead)
        out.push_back({node, dead});
  return out;
}

std::vector<node_id> uptime_subjects::observers_of(const node_id& about) const {
  std::set<node_id> out;
  const auto of = order_->find(about);
  if (full())
    for (const auto& [node, s] : states_) {
      if (node != about && s == state::living)
        out.insert(node);
    }
  else if (of) {
    const auto living = [&](net::ring_order::index i) {
      return by_index_[i] == state::living;
    };
    for (std::size_t ring = 0; ring < net::ring_count; ++ring)
      if (const auto by = order_->prev(ring, *of, living); by && *by != *of)
        out.insert(order_->node(*by));
  }
  return {out.begin(), out.end()};
}

bool uptime_subjects::counts(const node_id& observer,
                             const node_id& about) const {
  if (observer == about || !is_member(observer) || !is_member(about))
    return false;
  if (full())
    return true;
  const auto of = order_->find(about);
  const auto by = order_->find(observer);
  const auto any = [](net::ring_order::index) { return true; };
  for (std::size_t ring = 0; ring < net::ring_count; ++ring) {
    auto at = *of;
    for (unsigned n = 0; n < reach; ++n) {
      at = *order_->prev(ring, at, any);
      if (at == *by)
        return true;
    }
  }
  return false;
}

} // namespace banyan
