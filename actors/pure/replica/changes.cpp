// What operators and supervision order: transfers, voters, learners, stop.
#include "actors/pure/replica/impl.hpp"

#include <algorithm>

namespace banyan {

void replica_core::impl::end_change(std::uint64_t number, bool done,
                                    std::string why) {
  out_.emplace_back(change_done{number, done, std::move(why)});
}

void replica_core::impl::transfer_leadership(std::uint64_t number,
                                             std::optional<replica_ref> to,
                                             time_point now) {
  if (!raft_ || !may_propose())
    return end_change(number, false, "not the leader");
  if (transfer_number_ != 0)
    return end_change(number, false, "a transfer is under way");
  record_poison(now); // or the next leader wouldn't know of it
  if (!to) {
    // Of two that are as far, the one that was heard last: the other's replica
    // may be gone.
    std::pair<log_index, time_point> best;
    for (const auto& p : raft_->peers())
      if (p.voter && p.state == raft::peer_state::replicate
          && !lacks_state(p.peer, now)
          && (!to || best < std::pair{p.match, p.heard})) {
        to = p.peer;
        best = {p.match, p.heard};
      }
  }
  if (!to || !raft_->transfer(now, *to))
    return end_change(number, false, "no other voter can take over");
  transfer_number_ = number;
}

void replica_core::impl::on_effect(const raft::transfer_ended& e, time_point) {
  if (transfer_number_ != 0)
    end_change(std::exchange(transfer_number_, 0), e.done,
               e.done ? "" : "the voter did not take over in time");
}

void replica_core::impl::order_change(change_order order, time_point now) {
  if (!raft_ || !may_propose())
    return end_change(order.number, false, "not the leader");
  // A change that waits for a replica which now shall go would wait for ever.
  for (auto i = changes_.begin(); i != changes_.end();) {
    const auto goes = [&](const replica_ref& r) {
      return std::find(order.leaving.begin(), order.leaving.end(), r)
             != order.leaving.end();
    };
    if (std::none_of(i->in.begin(), i->in.end(), goes)
        && std::none_of(i->learners.begin(), i->learners.end(), goes)) {
      ++i;
      continue;
    }
    end_change(i->number, false, "another order removes its newcomer");
    i = changes_.erase(i);
  }
  if (changes_.size() >= 16)
    return end_change(order.number, false, "too many changes wait");
  changes_.push_back(std::move(order));
  change_poll_at_ = now;
}

/// One step of the first change towards where it has to end; each step looks
/// at the configuration as it is, so a repeated or half-done change goes on.
void replica_core::impl::step_changes(time_point now) {
  if (changes_.empty() || change_poll_at_ > now)
    return;
  change_poll_at_ = now + 20ms;
  if (!released_ || raft_->change_pending() || raft_->transferring())
    return;
  const auto& c = raft_->configuration();
  const auto& order = changes_.front();
  const auto finish = [&](bool done, std::string why) {
    end_change(order.number, done, std::move(why));
    changes_.pop_front();
    change_poll_at_ = changes_.empty() ? never : now;
  };
  const bool settled =
      std::all_of(order.learners.begin(), order.learners.end(),
                  [&](const auto& r) { return c.contains(r); })
      && std::all_of(order.in.begin(), order.in.end(),
                     [&](const auto& r) { return c.voters.contains(r); })
      && std::none_of(order.leaving.begin(), order.leaving.end(),
                      [&](const auto& r) { return c.contains(r); })
      && std::none_of(order.demoted.begin(), order.demoted.end(),
                      [&](const auto& r) { return c.is_voter(r); });
  if (settled)
    return finish(true, {});

  std::vector<raft::change> steps;
  for (const auto& list : {order.learners, order.in})
    for (const auto& r : list)
      if (!c.contains(r))
        steps.push_back({raft::change::kind::add_learner, r});
  if (steps.empty()) {
    const auto peers = raft_->peers();
    for (const auto& r : order.in) {
      if (c.voters.contains(r))
        continue;
      const auto p = std::find_if(peers.begin(), peers.end(),
                                  [&](const auto& s) { return s.peer == r; });
      // Caught up: a promotion must not make the group wait for it.
      if (p == peers.end() || p->state != raft::peer_state::replicate
          || p->match.value() + 1000 < committed_.value())
        return;
      steps.push_back({raft::change::kind::add_voter, r});
    }
    for (const auto& r : order.leaving)
      if (c.contains(r))
        steps.push_back({raft::change::kind::remove, r});
    for (const auto& r : order.demoted)
      if (c.is_voter(r))
        steps.push_back({raft::change::kind::add_learner, r});
  }
  const auto proposed = raft_->propose_change(now, steps);
  if (proposed || proposed.error() == raft::change_errc::pending
      || proposed.error() == raft::change_errc::no_own_commit
      || proposed.error() == raft::change_errc::transferring)
    return;
  finish(false, proposed.error() == raft::change_errc::no_voters
                    ? "no voter would be left"
                    : "the change is refused");
}

void replica_core::impl::set_stopped(std::uint64_t number, bool stopped,
                                     time_point now) {
  if (!raft_ || !may_propose())
    return end_change(number, false, "not the leader");
  const auto index = propose(replica::stop_entry{stopped}, now);
  if (!index)
    return end_change(number, false, "leadership is being handed over");
  gate_item item;
  item.change = number;
  gate_[*index].push_back(std::move(item));
  if (stopped)
    return;
  // What came meanwhile waits here, one message of each stream in front.
  std::vector<replica::stream_table::source> sources;
  for (const auto& [from, flow] : in_flows_)
    sources.push_back(from);
  for (const auto& from : sources)
    pump_source(from);
}

/// Why nothing runs, as a caller hears it.
banyan::reply replica_core::impl::resting() const {
  banyan::reply r;
  r.term = raft_->term();
  r.status = tables_.stopped ? reply_status::stopped : reply_status::parked;
  r.message = tables_.stopped
                  ? "stopped by its operator; `banyan start " + config_.app_name
                        + "` has it serve again"
                  : "its app failed on every voter and rests; its data is "
                    "kept. `banyan apps` and the peers' logs say why";
  return r;
}

void replica_core::impl::set_parked(bool parked, time_point) {
  parked_ = parked;
}

} // namespace banyan
