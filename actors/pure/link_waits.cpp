#include "actors/pure/link_waits.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration told_again = std::chrono::seconds{5};
/// What a frame costs beside its bytes.
constexpr std::size_t frame_bytes = 64;

} // namespace

bool link_waits::put(const node_id& to, net::channel c, const_bytes payload,
                     time_point now) {
  const auto size = payload.size() + frame_bytes;
  const auto at = nodes_.find(to);
  const auto there = at == nodes_.end() ? 0 : at->second.bytes;
  if (bytes_ + size > bytes_max || there + size > node_bytes_max)
    return false;
  auto& w = nodes_.try_emplace(to, waiting{now, 0, {}}).first->second;
  w.bytes += size;
  bytes_ += size;
  w.frames.push_back({c, payload.copy()});
  return true;
}

std::vector<waiting_frame> link_waits::take(const node_id& to) {
  const auto at = nodes_.find(to);
  if (at == nodes_.end())
    return {};
  auto out = std::move(at->second.frames);
  bytes_ -= at->second.bytes;
  nodes_.erase(at);
  return out;
}

std::vector<node_id> link_waits::late(time_point now) const {
  std::vector<node_id> out;
  for (const auto& [node, w] : nodes_)
    if (now >= w.since + patience)
      out.push_back(node);
  return out;
}

time_point link_waits::deadline() const {
  auto at = never;
  for (const auto& [node, w] : nodes_)
    at = std::min(at, w.since + patience);
  return at;
}

bool link_waits::used(const node_id& node, time_point now) {
  if (uses_.size() >= uses_max && uses_.count(node) == 0)
    uses_.erase(std::min_element(uses_.begin(), uses_.end(),
                                 [](const auto& a, const auto& b) {
                                   return a.second.at < b.second.at;
                                 }));
  const auto [at, fresh] = uses_.try_emplace(node, use{now, now});
  at->second.at = now;
  if (!fresh && now < at->second.told + told_again)
    return false;
  at->second.told = now;
  return true;
}

void link_waits::forget(const node_id& node) {
  uses_.erase(node);
  calls_.erase(node);
}

std::vector<node_id> link_waits::idlest(time_point now) {
  drop_late(now);
  std::vector<std::pair<time_point, node_id>> all;
  for (const auto& [node, u] : uses_)
    if (nodes_.count(node) == 0 && calls_.count(node) == 0)
      all.emplace_back(u.at, node);
  std::sort(all.begin(), all.end());
  std::vector<node_id> out;
  for (const auto& [at, node] : all)
    out.push_back(node);
  return out;
}

void link_waits::call_began(const node_id& node, caller whose,
                            std::uint64_t call, time_point until) {
  auto& c = calls_[node];
  (whose == caller::here ? c.here : c.there).insert(call);
  c.until = std::max(c.until, until);
}

void link_waits::call_ended(const node_id& node, caller whose,
                            std::uint64_t call) {
  const auto at = calls_.find(node);
  if (at == calls_.end())
    return;
  auto& c = at->second;
  (whose == caller::here ? c.here : c.there).erase(call);
  if (c.here.empty() && c.there.empty())
    calls_.erase(at);
}

/// Answers that never came are nobody's call any more.
void link_waits::drop_late(time_point now) {
  for (auto i = calls_.begin(); i != calls_.end();)
    i = i->second.until < now ? calls_.erase(i) : std::next(i);
}

std::vector<node_id> link_waits::held(time_point now) {
  std::vector<node_id> out;
  if (now < held_due())
    return out;
  held_at_ = now;
  drop_late(now);
  for (const auto& [node, c] : calls_)
    if (!c.here.empty())
      out.push_back(node);
  return out;
}

time_point link_waits::held_due() const {
  return calls_.empty() ? never : held_at_ + held_again;
}

} // namespace banyan
