// What this node keeps of the members on its disk, for its next start.
#include "net/membership/detail/state.hpp"

namespace banyan::net {

namespace {

/// So many members are encoded in one turn of the loop: 0.2 ms.
constexpr std::size_t at_once = 256;

} // namespace

/// A list is made in slices. Who comes or changes meanwhile may be in it or
/// not, and is in the next one.
void membership::state::persist(time_point now, membership_effects& out) {
  if (!keeping_) {
    if (!members_dirty_ || now < persisted_at_ + persist_interval())
      return;
    members_dirty_ = false;
    persisted_at_ = now;
    keeping_.emplace(kept_list{});
  }
  auto& list = *keeping_;
  writer w{list.documents};
  auto node = book_.after(list.last);
  for (std::size_t n = 0; node && n < at_once; ++n) {
    book_.find(*node)->document().encode(w);
    ++list.count;
    list.last = *node;
    node = book_.after(list.last);
  }
  if (node)
    return;
  persist_members order;
  order.encoded.reserve(list.documents.size() + 16);
  writer{order.encoded}.array(2).uint(members_version).array(list.count);
  order.encoded.insert(order.encoded.end(), list.documents.begin(),
                       list.documents.end());
  if (list.count < 2)
    persisted_at_ = long_ago; // the first that it meets is kept at once
  keeping_.reset();
  out.emplace_back(std::move(order));
}

time_point membership::state::persist_due() const {
  if (keeping_)
    return now_;
  return members_dirty_ ? persisted_at_ + persist_interval() : never;
}

duration membership::state::persist_interval() const {
  const auto members = std::max(book_.size(), at_once);
  return cfg_.persist_interval * std::int64_t(members) / std::int64_t(at_once);
}

} // namespace banyan::net
