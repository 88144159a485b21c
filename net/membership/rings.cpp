#include "net/membership/rings.hpp"

#include "base/assert.hpp"
#include "crypto/hash.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

const_bytes context() {
  return as_bytes("banyan ring 1");
}

} // namespace

bool ring_order::before(const place& a, std::uint32_t key,
                        const node_id& node) const {
  return a.key != key ? a.key < key : nodes_[a.who] < node;
}

std::size_t ring_order::place_of(std::size_t ring, index i) const {
  if (!numbered() && ++asked_ >= nodes_.size())
    number_places();
  if (numbered())
    return places_[i][ring];
  const auto& r = rings_[ring];
  const auto at =
      std::lower_bound(r.begin(), r.end(), i, [&](const place& a, index who) {
        return before(a, keys_[who][ring], nodes_[who]);
      });
  BANYAN_ASSERT(at != r.end() && at->who == i);
  return std::size_t(at - r.begin());
}

void ring_order::number_places() const {
  places_.resize(nodes_.size());
  ranks_.resize(nodes_.size());
  for (std::size_t ring = 0; ring < ring_count; ++ring)
    for (std::size_t at = 0; at < nodes_.size(); ++at)
      places_[rings_[ring][at].who][ring] = static_cast<std::uint32_t>(at);
  for (std::size_t at = 0; at < nodes_.size(); ++at)
    ranks_[by_id_[at]] = static_cast<std::uint32_t>(at);
}

std::size_t ring_order::first_from(std::size_t ring, std::uint32_t key,
                                   const node_id& node) const {
  const auto& r = rings_[ring];
  const auto at = std::lower_bound(
      r.begin(), r.end(), key,
      [&](const place& a, std::uint32_t k) { return before(a, k, node); });
  return std::size_t(at - r.begin());
}

ring_order::places ring_order::places_by_hash(const node_id& node) const {
  const auto h = hash_of({context(), mesh_.view(), node.view()});
  places keys{};
  for (std::size_t ring = 0; ring < ring_count; ++ring)
    for (std::size_t b = 0; b < 4; ++b)
      keys[ring] = keys[ring] << 8U | h.array()[4 * ring + b];
  return keys;
}

ring_order::index ring_order::add(const node_id& node) {
  const auto i = static_cast<index>(nodes_.size());
  const auto [at, fresh] = numbers_.try_emplace(node, i);
  if (!fresh)
    return at->second;
  const auto keys = places_by_hash(node);
  for (std::size_t ring = 0; ring < ring_count; ++ring) {
    auto& r = rings_[ring];
    const auto where = first_from(ring, keys[ring], node);
    r.insert(r.begin() + std::ptrdiff_t(where), {keys[ring], i});
  }
  keys_.push_back(keys);
  by_id_.insert(by_id_.begin() + std::ptrdiff_t(position(node)), i);
  nodes_.push_back(node);
  asked_ = 0;
  return i;
}

std::size_t ring_order::position(const node_id& node) const {
  const auto at = std::lower_bound(
      by_id_.begin(), by_id_.end(), node,
      [&](index a, const node_id& n) { return nodes_[a] < n; });
  return std::size_t(at - by_id_.begin());
}

std::optional<ring_order::index> ring_order::find(const node_id& node) const {
  const auto at = numbers_.find(node);
  return at == numbers_.end() ? std::nullopt : std::optional{at->second};
}

rings::rings(const mesh_id& mesh, std::shared_ptr<ring_order> order)
    : order_{order ? std::move(order) : std::make_shared<ring_order>(mesh)} {
}

bool rings::set(const node_id& node, bool on) {
  return set(order_->add(node), on);
}

bool rings::set(index i, bool on) {
  if (on_.size() <= i)
    on_.resize(std::max<std::size_t>(order_->size(), i + 1));
  if (on_[i] == on)
    return false;
  on_[i] = on;
  size_ = on ? size_ + 1 : size_ - 1;
  ++version_;
  return true;
}

bool rings::has(const node_id& node) const {
  const auto i = order_->find(node);
  return i && has(*i);
}

rings::numbers_of_all rings::subjects(index i) const {
  numbers_of_all out;
  const auto on = [this](index n) { return has(n); };
  for (std::size_t ring = 0; ring < ring_count; ++ring)
    out[ring] = order_->next(ring, i, on).value_or(i);
  return out;
}

rings::numbers_of_all rings::observers(index i) const {
  numbers_of_all out;
  const auto on = [this](index n) { return has(n); };
  for (std::size_t ring = 0; ring < ring_count; ++ring)
    out[ring] = order_->prev(ring, i, on).value_or(i);
  return out;
}

unsigned rings::places(index observer, index subject) const {
  if (observer == subject || !has(observer) || !has(subject))
    return 0;
  const auto all = observers(subject);
  return unsigned(std::count(all.begin(), all.end(), observer));
}

rings::of_all rings::named(const numbers_of_all& numbers) const {
  of_all out;
  for (std::size_t ring = 0; ring < ring_count; ++ring)
    out[ring] = order_->node(numbers[ring]);
  return out;
}

rings::of_all rings::subjects(const node_id& node) const {
  const auto i = order_->find(node);
  return i ? named(subjects(*i)) : of_all{};
}

rings::of_all rings::observers(const node_id& node) const {
  const auto i = order_->find(node);
  return i ? named(observers(*i)) : of_all{};
}

rings::of_all rings::would_observe(const node_id& node) const {
  const auto keys = order_->places_by_hash(node);
  const auto on = [this](index n) { return has(n); };
  of_all out;
  for (std::size_t ring = 0; ring < ring_count; ++ring) {
    const auto who = order_->prev(ring, keys[ring], node, on);
    out[ring] = who ? order_->node(*who) : node;
  }
  return out;
}

unsigned rings::places(const node_id& observer, const node_id& subject) const {
  const auto o = order_->find(observer);
  const auto s = order_->find(subject);
  return o && s ? places(*o, *s) : 0;
}

} // namespace banyan::net
