// The start, and what the state is good for: pending, lost or whole.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration ask_state_every = std::chrono::milliseconds{500};
/// How long "I have no state" is believed without being said again.
constexpr duration lacking_for = std::chrono::seconds{3};
constexpr duration hand_over_again = std::chrono::seconds{1};
constexpr duration mark_pause = std::chrono::seconds{1};

} // namespace

bool replica_core::impl::start(recovered_replica recovered, time_point now) {
  BANYAN_ASSERT(!raft_);
  const bool found = recovered.log.has_value();
  if (!start_log(recovered.log.value_or(store::recovered_log{}), found, now))
    return false;
  if (failed_)
    return true;
  if (recovered.state)
    take_state(*recovered.state, now);
  else
    set_phase(state_phase::pending, false, "the state is being verified");
  return true;
}

/// Votes and appends need no more than this.
bool replica_core::impl::start_log(store::recovered_log log, bool found,
                                   time_point now) {
  if (found
      && ((log.damaged && !planted(planted_bug::damaged_log_is_taken_as_it_is))
          || log.replica != config_.self.replica || log.group != config_.group))
    return false;
  for (std::size_t i = 0; i < log.entries.size(); ++i)
    if (log.entries[i].index.value() != log.base.index.value() + i + 1)
      return false;
  if (!log.entries.empty() && log.hard.term < log.entries.back().term)
    return false;
  raft::restart_state from;
  from.state = log.hard;
  from.base = log.base;
  from.applied = log.base.index;
  // Behind a cut the state knows the configuration, if no entry does. Who
  // doesn't know it doesn't stand, and needs it for nothing else.
  if (log.base.index == log_index{})
    from.configuration.voters = raft::replica_set{config_.genesis_voters};
  from.entries = log.entries;
  hashes_base_ = log.base.index;
  hash_base_ = log.base.hash;
  for (const auto& e : log.entries) {
    log_bytes_ += e.data.size();
    hashes_.push_back(
        store::chain_hash(hashes_.empty() ? hash_base_ : hashes_.back(), e));
  }
  if (found && (hashes_.empty() ? hash_base_ : hashes_.back()) != log.end_hash)
    return false;
  for (const auto& e : log.entries)
    if (e.kind == entry_kind::command
        && replica::is_later(e.data.view(), config_.features)) {
      fail_on_later(e.index);
      return true;
    }
  raft_ = std::make_unique<raft::core>(config_.self, config_.raft, random_,
                                       std::move(from), now);
  raft_->set_incarnation(config_.incarnation);
  raft_->set_may_lead(now, false);
  committed_ = log.base.index;
  overlay_.reset(committed_);
  log_time_at_ = now;
  return true;
}

void replica_core::impl::on_state_recovered(recovered_rows state,
                                            time_point now) {
  if (!raft_ || failed_)
    return;
  process_raft(now);
  if (failed_ || phase_ != state_phase::pending || readable_)
    return;
  take_state(state, now);
}

void replica_core::impl::take_state(recovered_rows& state, time_point now) {
  const auto& log = raft_->log();
  raft::configuration conf;
  if (!state.meta) {
    if (log.base().index != log_index{} || !state.small_rows.empty())
      return lose_state("there is no state", false, now);
    // From nothing by the whole log; or nothing was ever applied.
    conf.voters = raft::replica_set{config_.genesis_voters};
    if (!conf.voters.empty())
      state_meta_.configuration = raft::encode(conf);
    state_digest_ = store::state_digest{};
    const bool known = raft_->state_known(now, {}, conf);
    BANYAN_ASSERT(known);
    committed_configuration_ = conf;
    become_whole(now);
    return;
  }
  const auto& meta = *state.meta;
  replica::meta_opaque opaque;
  if (!replica::decode(meta.opaque, opaque)
      || !raft::decode(meta.configuration, conf))
    return lose_state("the state can't be read", false, now);
  if (meta.index < log.base().index)
    return lose_state("the state is older than the log's beginning", false,
                      now);
  for (const auto& row : state.small_rows)
    if (row.key == replica::given_up_row())
      return lose_state("the state was given up before", false, now);
  for (const auto& row : state.small_rows) {
    if (replica::kind_of(row.key) > static_cast<row_kind>(row_kind_last))
      return fail_on_later(row.index);
    if (!tables_.apply(row.key, row.value, row.index))
      return lose_state("a row of the state can't be read", false, now);
  }
  if (!knows(config_.features, tables_.features))
    return fail_on_later(meta.index);
  const log_base at{meta.index, meta.term, meta.hash};
  if (log.matches(at.index, at.term)
      && (!knows_hash(at.index) || hash_at(at.index) != at.hash))
    return lose_state("state and log are not of one history", false, now);
  if (raft_->state_known(now, at, conf)) {
    while (hashes_base_ < at.index) {
      hashes_base_ = hashes_base_.next();
      hashes_.pop_front();
    }
  } else if (raft_->install(now, at, conf)) {
    // A crash came between a snapshot's switch and the log's new beginning.
    hashes_.clear();
    hashes_base_ = at.index;
    log_bytes_ = 0;
  } else {
    return lose_state("state and log are not of one history", false, now);
  }
  hash_base_ = at.hash;
  state_meta_ = meta;
  state_digest_ = state.digest;
  log_time_ = opaque.log_time;
  committed_ = at.index;
  overlay_.reset(at.index);
  committed_configuration_ = conf;
  readable_ = true;
  for (auto& key : state.damaged) {
    if (!is_small_row(key))
      continue; // met again when it is needed
    open_damage(key, now);
    if (!readable_)
      return;
    damage_[key].needed = true;
  }
  if (damage_.empty())
    return become_whole(now);
  set_phase(state_phase::pending, false, "rows of the group's own are damaged");
}

void replica_core::impl::set_phase(state_phase phase, bool quarantined,
                                   std::string why) {
  phase_ = phase;
  quarantined_ = quarantined;
  ask_state_at_ = phase == state_phase::whole ? never : time_point{};
  out_.emplace_back(state_phase_changed{phase, quarantined, std::move(why)});
}

/// Rows and meta can be relied upon: memory follows the log, and whatever
/// needs a state may begin.
void replica_core::impl::become_whole(time_point now) {
  const bool was_lost = phase_ == state_phase::lost;
  readable_ = true;
  if (phase_ != state_phase::whole)
    set_phase(state_phase::whole, false, {});
  for (auto& key : std::exchange(rows_gone_, {})) {
    ++rows_mended_;
    out_.emplace_back(row_mended{std::move(key)});
  }
  asked_for_state_ = 0;
  hand_over_at_ = never;
  checkpoint_at_ = std::max(checkpoint_at_, state_meta_.index);
  raft_->set_may_lead(now, true);
  const auto to = raft_->committed_index();
  if (!catch_up(to, false))
    return;
  for (auto i = committed_.next(); i <= to; i = i.next())
    if (overlay_.at(i)->checkpoint)
      checkpoints_.push_back(i);
  committed_ = std::max(committed_, to);
  overlay_.committed(committed_);
  commit_due_ = never;
  set_commit_due(now);
  const auto& log = raft_->log();
  replica::entry e;
  if (!was_lost && state_digest_ && state_meta_.index > log.base().index
      && log.at(state_meta_.index).kind == entry_kind::command
      && replica::decode(log.at(state_meta_.index).data.view(), e)
      && std::holds_alternative<replica::checkpoint_entry>(e.body)) {
    report_ = {state_meta_.index, *state_digest_};
    report_settled_ = false;
    reported_ = 0;
    report_next_ = now;
  }
  resume_leading(now);
}

/// Raft may have led on through what memory could not follow.
void replica_core::impl::resume_leading(time_point now) {
  if (!raft_->leads() || leading_)
    return;
  // Snapshots that were being sent ended with the state.
  for (const auto& p : raft_->peers())
    if (p.state == raft::peer_state::snapshot)
      raft_->snapshot_failed(now, p.peer);
  leading_term_ = raft_->term();
  take_over(now);
  released_ = leading_ && raft_->leads_committed();
  report_role();
}

/// For the next start. It means the rows that stand there now: a snapshot that
/// is about to take their place doesn't get it.
void replica_core::impl::mark_given_up() {
  order_commit mark;
  mark.commit.order = next_order();
  mark.commit.rows.push_back(
      {replica::given_up_row(), shared_bytes{bytes{1}}, log_index{}});
  mark.commit.essential = true;
  mark_ = mark.commit.order.number;
  mark_at_ = never;
  submit(std::move(mark));
}

/// True when it was the mark. Without it these rows would count again after a
/// restart: nobody sees what is wrong with them before the next checkpoint.
bool replica_core::impl::on_marked(const store::order_id& order, bool stored,
                                   time_point now) {
  if (mark_ == 0 || order.number != mark_)
    return false;
  mark_ = 0;
  if (!stored)
    mark_at_ = now + mark_pause;
  return true;
}

void replica_core::impl::mark_again(time_point now) {
  if (mark_at_ > now)
    return;
  if (install_ && install_->finishing)
    mark_at_ = now + mark_pause;
  else
    mark_given_up();
}

/// Nothing is deleted by this: the rows stay where they are until another
/// replica's snapshot, compared by its digest, takes their place.
void replica_core::impl::lose_state(std::string why, bool quarantined,
                                    time_point now, bool rows_are_right) {
  const auto base = raft_->log().base();
  if (leading_)
    step_down();
  if (readable_ && !rows_are_right) {
    if (install_ && install_->finishing)
      mark_at_ = now + mark_pause;
    else
      mark_given_up();
  }
  readable_ = false;
  while (!offers_.empty())
    drop_offer(offers_.begin()->first);
  while (!copies_.empty())
    end_copy(copies_.begin()->first, "its state was lost");
  leave_damage();
  mending_ = 0;
  parked_reads_.clear();
  reads_.clear();
  runs_.clear();
  while (!queries_.empty()) {
    const auto& q = queries_.begin()->second;
    answer(q.call, not_leader(false));
    drop_query(q.id);
  }
  tables_ = {};
  version_told_.reset();
  cache_.clear();
  committed_ = base.index;
  overlay_.reset(base.index);
  log_time_ = {};
  state_meta_ = {};
  state_digest_.reset();
  commit_.reset();
  commit_due_ = never;
  checkpoints_.clear();
  report_.reset();
  report_next_ = never;
  set_phase(state_phase::lost, quarantined, std::move(why));
  raft_->set_may_lead(now, false);
  leave_the_lead(now);
  if (role_ == role::leader)
    report_role();
}

void replica_core::impl::on_state_inconsistent(time_point now) {
  if (raft_ && !failed_ && readable_)
    lose_state("its rows don't add up to its digest", false, now);
}

void replica_core::impl::leave_the_lead(time_point now) {
  hand_over_at_ = never;
  if (whole() || !raft_->leads())
    return;
  hand_over_at_ = now + hand_over_again;
  const raft::peer_status* best = nullptr;
  const auto peers = raft_->peers();
  for (const auto& p : peers)
    if (p.voter && !lacks_state(p.peer, now)
        && (!best || best->match < p.match
            || (best->match == p.match && best->heard < p.heard)))
      best = &p;
  if (best)
    raft_->transfer(now, best->peer);
}

bool replica_core::impl::lacks_state(const replica_ref& who,
                                     time_point now) const {
  const auto it = lacking_.find(who);
  return it != lacking_.end() && it->second > now;
}

/// Whoever might help: the configuration may be unknown, but those who know it
/// speak to this replica sooner or later.
std::vector<replica_ref> replica_core::impl::fellows() const {
  std::set<replica_ref> all = heard_;
  for (const auto& r : raft_->configuration().members())
    all.insert(r);
  for (const auto& r : config_.genesis_voters)
    all.insert(r);
  all.erase(config_.self);
  return {all.begin(), all.end()};
}

void replica_core::impl::ask_for_state(time_point now) {
  if (whole()) {
    ask_state_at_ = never;
    return;
  }
  ask_state_at_ = now + ask_state_every;
  replica::state_wanted m;
  m.pending = phase_ == state_phase::pending;
  m.base = raft_->log().base().index;
  m.base_term = raft_->log().base().term;
  const auto& leader = raft_->leader();
  const bool coming = install_ && now - install_->last_heard < 3s;
  // The leader first; it may be the one that can't, or there is none.
  const bool everybody =
      !m.pending && !coming
      && (!leader || *leader == config_.self || asked_for_state_ % 4 == 3);
  if (!m.pending && !coming)
    ++asked_for_state_;
  else
    m.pending = true; // only so that nobody hands over to it
  for (const auto& r : fellows())
    if (everybody || leader == r)
      send_frame(r, group_frame_kind::state_wanted, replica::encode(m), false);
}

void replica_core::impl::on_state_wanted(const replica_ref& from,
                                         const_bytes payload, time_point now) {
  replica::state_wanted m;
  if (!replica::decode(payload, m))
    return;
  lacking_[from] = now + lacking_for;
  if (m.pending)
    return;
  raft_->learn_committed(now, m.base, m.base_term);
  if (!whole() || !raft_->configuration().contains(from))
    return;
  if (state_meta_.index < m.base || state_meta_.index == log_index{}) {
    if (committed_ > state_meta_.index)
      commit_due_ = now; // it asks again
    return;
  }
  if (offers_.count(from) == 0)
    start_offer(from, true, now);
}

/// The chain behind `base` over what the log holds, durable.
void replica_core::impl::rebuild_hashes(const log_base& base) {
  hashes_.clear();
  hashes_base_ = base.index;
  hash_base_ = base.hash;
  auto hash = base.hash;
  for (auto i = base.index.next(); i <= raft_->persisted_index(); i = i.next())
    hashes_.push_back(hash = store::chain_hash(hash, raft_->log().at(i)));
}

} // namespace banyan
