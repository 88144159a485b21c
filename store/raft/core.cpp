#include "store/raft/core.hpp"

#include "base/planted.hpp"
#include "store/raft/quorum.hpp"

#include <algorithm>

namespace banyan::raft {

core::core(replica_ref self, options opts, random_source& random,
           restart_state from, time_point now)
    : self_{self}, opts_{opts}, random_{random}, hard_{from.state},
      log_{from.base, from.entries}, committed_{from.applied}, idle_since_{
                                                                   now} {
  BANYAN_ASSERT(from.applied >= from.base.index);
  BANYAN_ASSERT(from.applied <= log_.last_index());
  if (hard_.term < log_.last_term()) {
    // A snapshot was stored, and the crash came before the log heard of it.
    hard_ = {log_.last_term(), std::nullopt};
    state_dirty_ = true;
  }
  if (planted(planted_bug::forget_the_vote_on_restart))
    hard_.vote.reset();
  configurations_.push_back({from.base.index, std::move(from.configuration)});
  for (const auto& e : from.entries)
    configuration_entry(e);
  forget_old_configurations();
  effects_.clear(); // the caller knows what it gave
  arm_election(now);
  confirm_number_ = random_.next();
  const auto& c = configuration();
  if (!c.joint() && c.voters.size() == 1 && c.voters.contains(self_))
    election_at_ = now;
}

// --- inputs ---------------------------------------------------------------

void core::step(time_point now, const message& m) {
  if (m.to.node != self_.node || m.from == self_) {
    ++refused_;
    return;
  }
  if (const auto* lost = std::get_if<no_such_replica>(&m.body)) {
    on(now, m, *lost);
    return;
  }
  if (m.to.replica != self_.replica) {
    effects_.emplace_back(send{no_such_replica_answer(m)});
    return;
  }
  if (const auto* stopped = std::get_if<stopped_leading>(&m.body))
    on(now, m, *stopped); // before a higher term makes us forget the leader
  if (const auto* asked = std::get_if<pre_vote>(&m.body)) {
    on(now, m, *asked); // moves no term
    return;
  }
  if (const auto* said = std::get_if<pre_vote_answer>(&m.body);
      said && m.term <= hard_.term) {
    on(now, m, *said); // who answers may be in an older term than who asks
    return;
  }
  if (m.term > hard_.term)
    become_follower(now, m.term, std::nullopt);
  if (m.term < hard_.term
      && !planted(planted_bug::take_messages_of_an_older_term)) {
    answer_old_term(m);
    return;
  }
  if (auto* p = find(m.from))
    p->heard = now;
  std::visit([&](const auto& body) { on(now, m, body); }, m.body);
}

void core::answer_old_term(const message& m) {
  if (const auto* b = std::get_if<vote>(&m.body))
    post(m.from, vote_answer{b->campaign, false});
  else if (leads())
    post(m.from, beat{}); // whoever asks learns the new term and leader
  else if (std::holds_alternative<append>(m.body)
           || std::holds_alternative<beat>(m.body)
           || std::holds_alternative<sleep>(m.body)
           || std::holds_alternative<round_question>(m.body)
           || std::holds_alternative<probe>(m.body)
           || std::holds_alternative<confirm_question>(m.body))
    post(m.from, beat_answer{}); // it learns that its term is over
}

void core::tick(time_point now) {
  if (!held_pre_votes_.empty() && held_pre_votes_.front().until <= now)
    expire_pre_votes(now);
  if (leads()) {
    tick_leader(now);
    return;
  }
  if (election_at_ <= now)
    stand(now, false);
}

void core::tick_leader(time_point now) {
  if (transfer_ && transfer_->until <= now) {
    effects_.emplace_back(transfer_ended{transfer_->to, false});
    transfer_.reset();
    if (leads_committed() && configurations_.size() == 1)
      go_on_from_configuration(now); // it was not to change meanwhile
    if (!leads())
      return;
  }
  if (quorum_check_ <= now) {
    const auto heard = quorum::committed(configuration(), [&](const auto& r) {
      const auto* p = find(r);
      const auto at = r == self_ ? now : p ? p->heard : time_point{};
      return static_cast<std::uint64_t>(at.time_since_epoch().count());
    });
    const auto quorum_heard =
        time_point{duration{static_cast<duration::rep>(heard)}};
    quorum_check_ = (planted(planted_bug::no_check_quorum) ? now : quorum_heard)
                    + opts_.quorum_timeout;
    if (quorum_check_ <= now) {
      become_follower(now, hard_.term, std::nullopt);
      return;
    }
  }
  if (beat_at_ <= now) {
    beat_at_ = now + opts_.beat_interval;
    if (!offer_sleep(now))
      send_beats(now);
  }
}

time_point core::deadline() const {
  time_point at = never;
  if (!held_pre_votes_.empty())
    at = held_pre_votes_.front().until;
  if (!leads())
    return std::min(at, election_at_);
  at = std::min({at, beat_at_, quorum_check_});
  return transfer_ ? std::min(at, transfer_->until) : at;
}

void core::persisted(time_point now, std::uint64_t number) {
  if (number > write_number_ || number <= write_synced_) {
    BANYAN_ASSERT(number <= write_number_);
    return;
  }
  write_synced_ = number;
  bool vote_durable = false;
  while (!writes_.empty() && writes_.front().number <= number) {
    // Only a vote of the present term counts: the candidacy of an older one
    // is over.
    vote_durable |= writes_.front().vote_of == hard_.term;
    writes_.pop_front();
  }
  log_.synced(number);
  release_held();
  if (vote_durable && role_ == role::candidate) {
    own_vote_durable_ = true;
    votes_[self_] = true;
    count_votes(now);
  }
  if (leads())
    count_commit(now);
}

void core::flush(time_point now, std::vector<effect>& out) {
  order_write(now);
  if (leads()) {
    send_appends(now);
    if (round_.number == 0)
      start_round(now);
  }
  release_held();
  if (out.empty()) {
    out.swap(effects_);
    return;
  }
  out.insert(out.end(), std::make_move_iterator(effects_.begin()),
             std::make_move_iterator(effects_.end()));
  effects_.clear();
}

result<log_index, propose_errc> core::propose(time_point now,
                                              shared_bytes data) {
  if (!leads())
    return failure{propose_errc::not_leader};
  if (transfer_)
    return failure{propose_errc::transferring};
  if (data.size() > entry_bytes_max)
    return failure{propose_errc::too_large};
  busy(now);
  add_entry(entry_kind::command, std::move(data));
  return log_.last_index();
}

result<log_index, change_errc>
core::propose_change(time_point now, const std::vector<change>& changes) {
  if (!leads())
    return failure{change_errc::not_leader};
  if (transfer_)
    return failure{change_errc::transferring};
  if (!leads_committed())
    return failure{change_errc::no_own_commit};
  if (change_pending())
    return failure{change_errc::pending};
  auto next = simple(configuration(), changes);
  if (!next && next.error() == change_errc::not_simple)
    next = enter_joint(configuration(), changes, true);
  if (!next)
    return failure{next.error()};
  busy(now);
  add_entry(entry_kind::configuration, shared_bytes{encode(*next)});
  return log_.last_index();
}

bool core::transfer(time_point now, const replica_ref& to) {
  if (!leads() || transfer_ || to == self_
      || !configuration().voters.contains(to))
    return false;
  busy(now);
  transfer_ = transfer_state{to, now + opts_.transfer_timeout, false};
  advance_transfer();
  return true;
}

void core::advance_transfer() {
  if (!transfer_ || transfer_->told)
    return;
  const auto* p = find(transfer_->to);
  if (p && p->match == log_.last_index()) {
    post(transfer_->to, timeout_now{});
    transfer_->told = true;
  }
}

void core::set_may_lead(time_point now, bool may) {
  may_lead_ = may;
  if (may)
    return;
  if (!leads()) {
    if (role_ != role::follower)
      become_follower(now, hard_.term, std::nullopt);
    return;
  }
  if (const auto* best = best_heir())
    transfer(now, best->peer);
}

const progress* core::best_heir() const {
  const progress* best = nullptr;
  for (const auto& p : peers_)
    if (configuration().voters.contains(p.peer)
        && (!best || best->match < p.match
            || (best->match == p.match && best->heard < p.heard)))
      best = &p;
  return best;
}

// --- snapshots and log ------------------------------------------------------

void core::snapshot_started(time_point now, const replica_ref& peer,
                            log_index index) {
  auto* p = find(peer);
  if (!p || !log_.knows(index))
    return;
  busy(now);
  p->become_snapshot(index);
}

void core::snapshot_finished(time_point now, const replica_ref& peer,
                             log_index index) {
  auto* p = find(peer);
  if (!p || p->state != peer_state::snapshot)
    return;
  busy(now);
  p->become_probe();
  p->next =
      std::clamp(index.next(), p->durable.next(), log_.last_index().next());
}

void core::snapshot_failed(time_point now, const replica_ref& peer) {
  auto* p = find(peer);
  if (!p || p->state != peer_state::snapshot)
    return;
  p->become_snapshot({});
  p->snapshot_wanted = now;
}

bool core::install(time_point now, const log_base& base,
                   const raft::configuration& conf) {
  if (base.index <= committed_ || (leads() && base.term <= hard_.term))
    return false;
  if (base.term > hard_.term)
    become_follower(now, base.term, std::nullopt);
  committed_ = base.index;
  // The snapshot has what was committed and not handed out yet.
  effects_.erase(std::remove_if(effects_.begin(), effects_.end(),
                                [](const effect& e) {
                                  return std::holds_alternative<committed>(e);
                                }),
                 effects_.end());
  // Entries behind the base may be acknowledged as soon as their write is
  // synced: they stay, written or not.
  if (log_.matches(base.index, base.term)) {
    trim(base.index); // the log goes on behind it
    forget_old_configurations();
  } else {
    if (log_.last_index() > base.index)
      effects_.emplace_back(truncated{base.index.next()});
    log_.reset(base);
    reset_ = base;
    configurations_.assign(1, {base.index, conf});
    effects_.emplace_back(configuration_changed{base.index, conf, true});
  }
  if (leader_) {
    arm_election(now);
    post_durable(*leader_, append_answer{base.index, false, {}, {}});
  }
  return true;
}

bool core::state_known(time_point now, const log_base& at,
                       const raft::configuration& conf) {
  if (!log_.matches(at.index, at.term))
    return false;
  configurations_.assign(1, {log_.base().index, conf});
  for (auto i = std::max(at.index, log_.base().index).next();
       i <= log_.last_index(); i = i.next()) {
    const auto& e = log_.at(i);
    raft::configuration c;
    if (e.kind == entry_kind::configuration) {
      const bool readable = decode(e.data.view(), c);
      BANYAN_ASSERT(readable); // checked before it came into the log
      configurations_.push_back({i, std::move(c)});
    }
  }
  commit_to(now, at.index);
  forget_old_configurations();
  effects_.emplace_back(configuration_changed{
      configurations_.front().index, configurations_.front().conf, true});
  if (configurations_.size() > 1)
    effects_.emplace_back(configuration_changed{configurations_.back().index,
                                                configuration(), false});
  if (leads())
    refresh_peers(now, log_.last_index().next());
  const auto& c = configuration();
  if (!leads() && !c.joint() && c.voters.size() == 1
      && c.voters.contains(self_))
    election_at_ = now;
  return true;
}

void core::recover(time_point now) {
  become_follower(now, hard_.term.next(), std::nullopt);
  raft::configuration alone;
  alone.voters = replica_set{self_};
  log_entry e{hard_.term, log_.last_index().next(), entry_kind::configuration,
              shared_bytes{encode(alone)}};
  log_.push(e);
  configuration_entry(e);
  election_at_ = now;
}

void core::learn_committed(time_point now, log_index index, banyan::term t) {
  if (!leads() && log_.matches(index, t))
    commit_to(now, index);
}

log_index core::trim(log_index index) {
  index = std::min({index, committed_, log_.persisted()});
  for (const auto& [handle, at] : pins_)
    index = std::min(index, at);
  for (const auto& p : peers_)
    if (p.state == peer_state::snapshot && p.snapshot.value() != 0)
      index = std::min(index, p.snapshot);
  log_.trim(index);
  return log_.base().index;
}

std::uint64_t core::pin(log_index index) {
  pins_.emplace(++pin_number_, index);
  return pin_number_;
}

void core::unpin(std::uint64_t handle) {
  pins_.erase(handle);
}

// --- what it knows ----------------------------------------------------------

bool core::leads_committed() const {
  return leads() && committed_ >= term_start_;
}

const raft::configuration& core::configuration() const {
  return configurations_.back().conf;
}

const raft::configuration& core::committed_configuration() const {
  return configurations_.front().conf;
}

bool core::change_pending() const {
  return configurations_.size() > 1 || configuration().joint();
}

std::vector<peer_status> core::peers() const {
  std::vector<peer_status> out;
  out.reserve(peers_.size());
  for (const auto& p : peers_)
    out.push_back(
        {p.peer, configuration().is_voter(p.peer), p.match, p.state, p.heard});
  return out;
}

time_point core::oldest_write() const {
  return writes_.empty() ? never : writes_.front().ordered;
}

// --- writes and what waits for them -----------------------------------------

void core::post(const replica_ref& to, message_body body) {
  effects_.emplace_back(send{{self_, to, hard_.term, std::move(body)}});
}

void core::post_durable(const replica_ref& to, message_body body) {
  const auto after = write_number_ + (unordered() ? 1 : 0);
  // A later acknowledgement to the same leader says all that this one does.
  if (const auto* ack = std::get_if<append_answer>(&body);
      ack && !held_.empty() && held_.back().after == after
      && held_.back().message.to == to
      && held_.back().message.term == hard_.term) {
    if (auto* last = std::get_if<append_answer>(&held_.back().message.body)) {
      last->index = std::max(last->index, ack->index);
      return;
    }
  }
  held_.push_back({after, {self_, to, hard_.term, std::move(body)}});
}

void core::release_held() {
  while (!held_.empty()
         && (held_.front().after <= write_synced_
             || planted(std::holds_alternative<append_answer>(
                            held_.front().message.body)
                            ? planted_bug::acknowledge_before_sync
                            : planted_bug::vote_before_it_is_synced))) {
    // What was promised in an older term is of no use to anybody now.
    if (held_.front().message.term == hard_.term)
      effects_.emplace_back(send{std::move(held_.front().message)});
    held_.pop_front();
  }
}

bool core::unordered() const {
  return state_dirty_ || reset_ || log_.has_unwritten();
}

void core::order_write(time_point now) {
  // A message may wait for a write that a truncation has emptied meanwhile.
  if (!unordered() && (held_.empty() || held_.back().after <= write_number_))
    return;
  persist order;
  order.number = ++write_number_;
  order.term = hard_.term;
  order.reset = std::exchange(reset_, std::nullopt);
  if (std::exchange(state_dirty_, false))
    order.state = hard_;
  order.entries = log_.unwritten();
  log_.ordered(order.number);
  open_write w{order.number, now, {}};
  if (order.state && hard_.vote == self_)
    w.vote_of = hard_.term;
  writes_.push_back(w);
  effects_.emplace_back(std::move(order));
}

void core::check_invariants() const {
  log_.check_invariants();
  BANYAN_ASSERT(committed_ <= log_.last_index());
  BANYAN_ASSERT(committed_ >= log_.base().index);
  BANYAN_ASSERT(log_.last_term() <= hard_.term);
  BANYAN_ASSERT(!configurations_.empty());
  BANYAN_ASSERT(configurations_.front().index <= committed_);
  for (std::size_t i = 1; i < configurations_.size(); ++i) {
    BANYAN_ASSERT(configurations_[i - 1].index < configurations_[i].index);
    BANYAN_ASSERT(configurations_[i].index > committed_);
  }
  BANYAN_ASSERT(configurations_.back().index <= log_.last_index());
  BANYAN_ASSERT(write_synced_ <= write_number_);
  BANYAN_ASSERT(leads() == (leader_ == self_));
  if (leads()) {
    BANYAN_ASSERT(hard_.vote == self_);
    BANYAN_ASSERT(term_start_ <= log_.last_index());
    BANYAN_ASSERT(asleep_ || peers_.empty() || beat_at_ != never);
  } else {
    BANYAN_ASSERT(peers_.empty() && !transfer_);
    BANYAN_ASSERT(waiting_reads_.empty() && round_.number == 0);
    BANYAN_ASSERT(asleep_ || election_at_ != never);
    BANYAN_ASSERT(!asleep_ || leader_);
  }
  for (const auto& p : peers_)
    BANYAN_ASSERT(p.match < p.next && p.next <= log_.last_index().next());
}

} // namespace banyan::raft
