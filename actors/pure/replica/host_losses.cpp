// The app's host comes and goes; what it, or a leader, died under is recorded
// before it runs again.
#include "actors/pure/replica/impl.hpp"

namespace banyan {

void replica_core::impl::on_host_up(std::uint64_t version, time_point) {
  hosts_up_.insert(version);
  if (raft_ && !failed_ && version == this->version())
    regather();
}

void replica_core::impl::on_host_down(std::uint64_t version,
                                      const turn_suspects& died_of,
                                      time_point now) {
  hosts_up_.erase(version);
  if (!raft_ || failed_)
    return;
  if (version == this->version())
    note_crash(now);
  // Orders that were not handed over yet have not been outstanding.
  std::set<std::uint64_t> kept_back;
  if (launching_version_ == version) {
    for (const auto& o : launching_)
      kept_back.insert(o.key.number);
    launching_.clear();
  }
  std::vector<std::uint64_t> lost;
  for (auto& [number, r] : runs_) {
    if (!r->launched || r->host != version)
      continue;
    r->launched = false;
    if (kept_back.count(number) == 0)
      lost.push_back(number);
  }
  for (auto number : lost) {
    auto& r = *runs_.at(number);
    if (!died_of.suspects(r.key)) {
      restart(r); // runs again once the host is back
      continue;
    }
    if (r.is_query) {
      auto& q = queries_.at(r.owner);
      answer(q.call, reply_status::app_failed, "its host died under it");
      drop_query(q.id);
      continue;
    }
    auto& p = *pendings_.at(r.owner);
    end_run(number);
    const auto actor = p.actor;
    if (p.request.empty()) {
      for (const auto& c : p.callers)
        answer(c.call, reply_status::app_failed, "its host died under it");
      drop_pending(p.id);
    } else {
      p.at = pending::state::recording;
      ++waiting_;
      poison_due_.push_back({p.id, {config_.self.node, config_.incarnation}});
    }
    actor_free(actor);
  }
}

/// One entry for all that wait; they run only once it is committed.
void replica_core::impl::record_poison(time_point now) {
  if (poison_due_.empty() || raft_->transferring())
    return;
  replica::poison_entry e;
  gate_item item;
  for (const auto& due : poison_due_) {
    const auto it = pendings_.find(due.pending);
    if (it == pendings_.end())
      continue;
    const auto& request = it->second->request;
    std::vector<replica::poison_record> records;
    if (const auto* known = tables_.poison(request))
      records = *known;
    records.push_back(due.record);
    e.items.push_back({request, std::move(records)});
    item.recorded.push_back(due.pending);
  }
  if (!e.items.empty()) {
    const auto index = propose(std::move(e), now);
    if (!index)
      return;
    gate_[*index].push_back(std::move(item));
  }
  poison_due_.clear();
}

} // namespace banyan
