#include "actors/pure/uptime/verdicts.hpp"

namespace banyan {

void verdict_book::begin(bool full) {
  kept_.clear();
  if (full)
    fetched_.clear();
}

verdict verdict_book::of(const node_id& node) const {
  if (const auto at = kept_.find(node); at != kept_.end())
    return at->second;
  const auto at = fetched_.find(node);
  return at == fetched_.end() ? verdict{} : at->second;
}

standing verdict_book::acting(const node_id& node,
                              const mesh_policy& policy) const {
  return policy.enforce ? of(node).is : standing::normal;
}

std::optional<node_id> verdict_book::next_fetched(const node_id& from) const {
  const auto at = fetched_.lower_bound(from);
  if (at == fetched_.end())
    return std::nullopt;
  return at->first;
}

} // namespace banyan
