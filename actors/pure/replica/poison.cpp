// Who is suspected of having ended a host or a leader, and who is no more: a
// node that comes back knows by a file what it was running.
#include "actors/pure/replica/impl.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t cleared_max = 1000; ///< requests in one frame
constexpr std::size_t request_bytes_max = 1024;
constexpr duration say_again = 1s;

bool is_of(const replica::poison_record& r, const node_id& node,
           incarnation since, incarnation until) {
  return r.node == node && since <= r.incarnation && r.incarnation < until;
}

} // namespace

bool replica_core::impl::is_suspect(const bytes& request) const {
  const auto* records = request.empty() ? nullptr : tables_.poison(request);
  return records != nullptr && !records->empty();
}

/// One death counts once, however often it is told.
bool replica_core::impl::is_recorded(const bytes& request,
                                     const replica::poison_record& r) const {
  const auto* records = tables_.poison(request);
  return records != nullptr
         && std::any_of(records->begin(), records->end(), [&](const auto& x) {
              return x.node == r.node && x.incarnation == r.incarnation;
            });
}

/// A death of this node's last process, which died in another turn.
bool replica_core::impl::is_cleared(const bytes& request,
                                    const replica::poison_record& r) const {
  const auto& left = config_.left;
  return left && is_of(r, config_.self.node, left->since, left->until)
         && std::find(left->requests.begin(), left->requests.end(), request)
                == left->requests.end();
}

/// Says so to the leader, again and again until the records are gone here.
void replica_core::impl::clear_suspects(time_point now) {
  if (!config_.left || tables_.all_poison().empty()) {
    clear_at_ = never;
    return;
  }
  std::vector<bytes> cleared;
  for (const auto& [request, poisoned] : tables_.all_poison())
    for (const auto& r : poisoned.records)
      if (cleared.size() < cleared_max && is_cleared(request, r)) {
        cleared.push_back(request);
        break;
      }
  if (cleared.empty()) {
    clear_at_ = never;
    return;
  }
  if (clear_at_ != never && now < clear_at_)
    return;
  clear_at_ = now + say_again;
  const auto& left = *config_.left;
  if (may_propose())
    return strike_out(cleared, config_.self.node, left.since, left.until, now);
  const auto& leader = raft_->leader();
  if (!leader || *leader == config_.self)
    return;
  bytes out;
  writer w{out};
  w.array(3).id(left.since).id(left.until).array(cleared.size());
  for (const auto& request : cleared)
    w.blob(request);
  send_frame(*leader, group_frame_kind::cleared, std::move(out), false);
}

void replica_core::impl::on_cleared(const replica_ref& from,
                                    const_bytes payload, time_point now) {
  reader r{payload};
  incarnation since;
  incarnation until;
  r.require(r.array(3) == 3);
  r.id(since);
  r.id(until);
  std::vector<bytes> requests;
  for (auto n = r.array(cleared_max); n > 0 && r.ok(); --n)
    requests.push_back(r.blob(request_bytes_max).copy());
  if (r.done() && may_propose())
    strike_out(requests, from.node, since, until, now);
}

/// By an entry: a request that is cleared of everything keeps an empty list
/// until it is answered, as versions before this one would have it.
void replica_core::impl::strike_out(const std::vector<bytes>& requests,
                                    const node_id& node, incarnation since,
                                    incarnation until, time_point now) {
  if (raft_->transferring())
    return; // it is said again
  replica::poison_entry e;
  for (const auto& request : requests) {
    const auto* known = tables_.poison(request);
    if (known == nullptr)
      continue;
    auto records = *known;
    const auto struck =
        std::remove_if(records.begin(), records.end(), [&](const auto& r) {
          return is_of(r, node, since, until);
        });
    if (struck == records.end())
      continue;
    records.erase(struck, records.end());
    e.items.push_back({request, std::move(records)});
  }
  if (!e.items.empty())
    propose(std::move(e), now);
}

} // namespace banyan
