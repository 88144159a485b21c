// Snapshots: a leader serves rows and entries, a follower installs them.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration offer_silence_max = std::chrono::seconds{10};
constexpr duration pull_repeat = std::chrono::milliseconds{500};
constexpr std::size_t entries_bytes = std::size_t{256} << 10;

} // namespace

// ---- the sender -------------------------------------------------------------

void replica_core::impl::on_effect(const raft::needs_snapshot& e,
                                   time_point now) {
  start_offer(e.peer, false, now);
}

void replica_core::impl::start_offer(const replica_ref& to, bool rebuild,
                                     time_point now) {
  if (!whole() || state_meta_.index == log_index{})
    return; // asked again once there is a state
  drop_offer(to);
  auto& offer = offers_[to];
  offer.rebuild = rebuild;
  offer.number = random_.next() >> 1;
  offer.index = state_meta_.index;
  offer.last_heard = offer.offered = now;
  if (rebuild)
    offer.pin = raft_->pin(offer.index);
  else
    raft_->snapshot_started(now, to, offer.index);
  send_frame(to, group_frame_kind::snapshot_offer,
             replica::encode(replica::snapshot_offer{
                 offer.number, offer.index, raft_->log().base().index}),
             false);
}

void replica_core::impl::drop_offer(const replica_ref& to) {
  const auto it = offers_.find(to);
  if (it == offers_.end())
    return;
  if (it->second.rebuild)
    raft_->unpin(it->second.pin);
  offers_.erase(it);
}

void replica_core::impl::on_pull(const replica_ref& from, const_bytes payload,
                                 time_point now) {
  replica::snapshot_pull pull;
  const auto it = offers_.find(from);
  if (it == offers_.end() || !whole() || (!leading_ && !it->second.rebuild)
      || !replica::decode(payload, pull) || pull.number != it->second.number)
    return;
  it->second.last_heard = now;
  switch (pull.what) {
  case replica::snapshot_pull::part::rows: {
    order_scan scan;
    scan.order = next_order();
    scan.request.from = std::move(pull.from);
    scan.request.bytes_max = config_.snapshot_chunk_bytes;
    read_wait w;
    w.snapshot = pull.number;
    w.snapshot_peer = from;
    w.key = scan.request.from;
    // A scan sees every commit ordered before it, returned or not.
    w.applied = commit_ ? commit_->meta.index : state_meta_.index;
    reads_[scan.order.number] = std::move(w);
    out_.emplace_back(std::move(scan));
    return;
  }
  case replica::snapshot_pull::part::entries:
    send_entries(from, pull, now);
    return;
  case replica::snapshot_pull::part::done:
    lacking_.erase(from);
    if (!it->second.rebuild)
      raft_->snapshot_finished(now, from, pull.index);
    drop_offer(from);
    return;
  case replica::snapshot_pull::part::mismatch:
    // Its rows or ours: a look at ours tells.
    out_.emplace_back(state_doubted{"a snapshot of it didn't add up"});
    if (!it->second.rebuild)
      raft_->snapshot_failed(now, from);
    drop_offer(from);
    return;
  }
}

void replica_core::impl::send_chunk(const read_wait& w,
                                    const store::scan_page& page) {
  const auto it = offers_.find(w.snapshot_peer);
  if (it == offers_.end() || it->second.number != w.snapshot)
    return;
  replica::snapshot_chunk chunk;
  chunk.number = w.snapshot;
  chunk.from = w.key;
  chunk.next = page.next;
  chunk.applied = w.applied;
  chunk.rows = page.rows;
  chunk.hash = replica::hash_rows(chunk.rows);
  send_frame(w.snapshot_peer, group_frame_kind::snapshot_chunk,
             replica::encode(chunk), true);
}

void replica_core::impl::send_entries(const replica_ref& to,
                                      const replica::snapshot_pull& p,
                                      time_point now) {
  // Up to what a returned commit holds: there the meta is known.
  const auto& log = raft_->log();
  const auto end = state_meta_.index;
  if (p.index > end.next())
    return; // not there yet: it asks again
  if (p.index <= log.base().index) {
    // It began under an earlier offer, and what it lacks is cut by now.
    const auto offer = offers_.find(to);
    start_offer(to, offer != offers_.end() && offer->second.rebuild, now);
    return;
  }
  replica::snapshot_entries m;
  m.number = p.number;
  std::size_t size = 0;
  auto at = p.index;
  for (; at <= end && size < entries_bytes; at = at.next()) {
    m.entries.push_back(log.at(at));
    size += 32 + m.entries.back().data.size();
  }
  if (at > end)
    m.meta = state_meta_;
  if (m.meta && damage_.empty())
    m.digest = state_digest_;
  send_frame(to, group_frame_kind::snapshot_entries, replica::encode(m), true);
}

void replica_core::impl::snapshot_tick(time_point now) {
  for (auto it = offers_.begin(); it != offers_.end();) {
    auto& offer = it->second;
    if (now - offer.last_heard < 1s || now - offer.offered < 1s) {
      ++it;
      continue;
    }
    if (now - offer.last_heard >= offer_silence_max) {
      const auto to = (it++)->first;
      if (!offer.rebuild)
        raft_->snapshot_failed(now, to);
      drop_offer(to);
      continue;
    }
    offer.offered = now; // the offer, or the first pull, was lost
    send_frame(it->first, group_frame_kind::snapshot_offer,
               replica::encode(replica::snapshot_offer{
                   offer.number, offer.index, raft_->log().base().index}),
               false);
    ++it;
  }
  if (install_ && install_->staging == 0 && !install_->finishing
      && now - install_->last_pull >= pull_repeat)
    pull(now);
}

// ---- the receiver -----------------------------------------------------------

void replica_core::impl::on_offer(const replica_ref& from, const_bytes payload,
                                  time_point now) {
  replica::snapshot_offer offer;
  if (!replica::decode(payload, offer))
    return;
  if (phase_ == state_phase::pending) {
    // What is here may do. It may also lack what only a snapshot can bring.
    if (readable_ && offer.index > raft_->log().last_index())
      lose_state("a snapshot is on its way", false, now, true);
    else
      return;
  }
  if (!whole() && offer.index < raft_->log().base().index)
    return; // what lies between is nowhere
  if (whole() && (offer.index <= committed_ || leading_)) {
    // It came after all by the log, or by an earlier offer.
    replica::snapshot_pull done;
    done.number = offer.number;
    done.what = replica::snapshot_pull::part::done;
    done.index = committed_;
    send_frame(from, group_frame_kind::snapshot_pull, replica::encode(done),
               false);
    return;
  }
  if (install_ && install_->finishing)
    return;
  if (install_ && install_->from == from && install_->number == offer.number)
    return;
  if (install_ && offer.log_base <= install_->begin
      && offer.index >= install_->begin) {
    // Another offer, perhaps of another leader: what is here stays.
    install_->from = from;
    install_->number = offer.number;
  } else {
    abandon_install();
    install_.emplace();
    install_->from = from;
    install_->number = offer.number;
    install_->begin = offer.index;
    install_->next_entry = offer.index.next();
    install_->stage = next_order();
    stage(order_stage::step::begin, {}, {});
  }
  install_->last_heard = now;
  if (install_->staging == 0)
    pull(now);
}

void replica_core::impl::pull(time_point now) {
  auto& i = *install_;
  replica::snapshot_pull p;
  p.number = i.number;
  if (i.rows_done) {
    p.what = replica::snapshot_pull::part::entries;
    p.index = i.next_entry;
  } else {
    p.from = i.position;
  }
  i.last_pull = now;
  send_frame(i.from, group_frame_kind::snapshot_pull, replica::encode(p),
             false);
}

void replica_core::impl::stage(order_stage::step what,
                               std::vector<store::row_change> rows,
                               store::applied_meta meta) {
  order_stage effect;
  effect.what = what;
  effect.order = install_->stage;
  effect.rows = std::move(rows);
  effect.meta = std::move(meta);
  if (what == order_stage::step::finish)
    effect.expected = install_->digest;
  ++install_->staging;
  out_.emplace_back(std::move(effect));
}

void replica_core::impl::abandon_install() {
  if (!install_)
    return;
  stage(order_stage::step::abort, {}, {});
  install_.reset();
}

void replica_core::impl::on_chunk(const replica_ref& from, const_bytes payload,
                                  time_point now) {
  replica::snapshot_chunk chunk;
  if (!install_ || install_->from != from || install_->rows_done
      || install_->staging != 0 || !replica::decode(payload, chunk)
      || chunk.number != install_->number || chunk.from != install_->position)
    return; // a repeated or damaged chunk: the next pull asks again
  auto& i = *install_;
  std::vector<store::row_change> rows;
  rows.reserve(chunk.rows.size());
  for (auto& row : chunk.rows) {
    if ((replica::kind_of(row.key) == row_kind::session
         && planted(planted_bug::snapshot_without_sessions))
        || (replica::kind_of(row.key) == row_kind::outbox
            && planted(planted_bug::snapshot_without_outbox)))
      continue;
    if (!i.tables.apply(row.key, row.value, row.index)) {
      abandon_install();
      return;
    }
    rows.push_back({std::move(row.key), std::move(row.value), row.index});
  }
  i.newest = std::max(i.newest, chunk.applied);
  i.position = std::move(chunk.next);
  i.rows_done = i.position.empty();
  i.last_pull = i.last_heard = now;
  if (rows.empty())
    pull(now);
  else
    stage(order_stage::step::put, std::move(rows), {});
}

void replica_core::impl::on_entries(const replica_ref& from,
                                    const_bytes payload, time_point now) {
  replica::snapshot_entries m;
  if (!install_ || install_->from != from || !install_->rows_done
      || install_->staging != 0 || install_->finishing
      || !replica::decode(payload, m) || m.number != install_->number)
    return;
  auto& i = *install_;
  if (!m.entries.empty() && m.entries.front().index != i.next_entry)
    return;
  std::vector<store::row_change> rows;
  for (const auto& e : m.entries) {
    if (e.index != i.next_entry)
      return abandon_install();
    i.next_entry = e.index.next();
    if (e.kind != entry_kind::command
        || planted(planted_bug::snapshot_without_its_tail))
      continue;
    replica::entry decoded;
    if (!replica::decode(e.data.view(), decoded)
        || replica::is_later(e.data.view(), config_.features)) {
      refuse_later(e.index);
      return abandon_install();
    }
    std::vector<store::row_change> changes;
    replica::derive(decoded, e.index, i.tables, changes);
    for (auto& c : changes) {
      if (!i.tables.apply(c.key, c.value, c.index))
        return abandon_install();
      rows.push_back(std::move(c));
    }
  }
  // Rows read later than where the entries end need the entries in between.
  if (m.meta && m.meta->index >= i.newest
      && m.meta->index.next() == i.next_entry) {
    i.meta = std::move(m.meta);
    i.digest = m.digest;
  }
  i.last_pull = i.last_heard = now;
  if (!rows.empty())
    stage(order_stage::step::put, std::move(rows), {});
  else if (i.meta)
    finish_install(now);
  else if (!m.entries.empty())
    pull(now);
}

void replica_core::impl::finish_install(time_point) {
  auto& i = *install_;
  replica::meta_opaque opaque;
  raft::configuration conf;
  const bool late = whole() ? i.meta->index <= committed_
                            : i.meta->index < raft_->log().base().index;
  if (leading_ || late || !replica::decode(i.meta->opaque, opaque)
      || !raft::decode(i.meta->configuration, conf))
    return abandon_install();
  if (!commits_out_.empty())
    return; // on their way to the rows that are switched away: not after it
  if (!knows(config_.features, i.tables.features)) {
    refuse_later(i.meta->index);
    return abandon_install();
  }
  i.finishing = true;
  i.log_time = opaque.log_time;
  stage(order_stage::step::finish, {}, *i.meta);
}

void replica_core::impl::on_staged(
    const store::order_id& order, order_stage::step step,
    result<store::digest_at, store::store_errc> done, time_point now) {
  if (!raft_ || failed_ || !install_ || install_->stage != order)
    return;
  auto& i = *install_;
  --i.staging;
  if (!done) {
    // Where even another replica's rows can't be written, the whole file is
    // bad: the check at the next start sets it aside.
    if (done.error() == store::store_errc::io
        || done.error() == store::store_errc::damaged) {
      fail("the state can't be written: "
           + std::string{store::to_string(done.error())});
      return;
    }
    if (done.error() == store::store_errc::mismatch) {
      replica::snapshot_pull m;
      m.number = i.number;
      m.what = replica::snapshot_pull::part::mismatch;
      send_frame(i.from, group_frame_kind::snapshot_pull, replica::encode(m),
                 false);
    }
    install_.reset(); // full or replaced, too: it is offered again
    if (mark_at_ != never)
      mark_given_up();
    return;
  }
  if (step != order_stage::step::finish) {
    if (i.staging != 0)
      return;
    if (i.meta && !i.finishing)
      finish_install(now);
    else if (!i.finishing)
      pull(now);
    return;
  }
  process_raft(now);
  if (!failed_ && install_ && install_->stage == order)
    install_done(done->digest, now);
}

/// The state has switched: memory follows, then the log begins behind it.
void replica_core::impl::install_done(const store::state_digest& sum,
                                      time_point now) {
  auto done = std::move(*install_);
  install_.reset();
  raft::configuration conf;
  const bool readable = raft::decode(done.meta->configuration, conf);
  BANYAN_ASSERT(readable);
  const log_base base{done.meta->index, done.meta->term, done.meta->hash};
  if (leading_)
    step_down(); // it was elected meanwhile; see the end
  // A lost state leaves a log that goes on, and that may not know who is in it.
  const bool goes_on = !whole() && raft_->state_known(now, base, conf);
  const bool anew = !goes_on && raft_->install(now, base, conf);
  if (!goes_on && !anew && !raft_->log().knows(base.index)) {
    fail("a snapshot came while the log went on elsewhere");
    return;
  }
  while (!copies_.empty())
    end_copy(copies_.begin()->first, "its state was replaced meanwhile");
  const bool reset = raft_->log().last_index() == base.index
                     && raft_->log().base().index == base.index;
  state_meta_ = std::move(*done.meta);
  state_digest_ = sum;
  tables_ = std::move(done.tables);
  version_told_.reset();
  cache_.clear();
  runs_.clear();
  reads_.clear();
  parked_reads_.clear();
  leave_damage(); // of rows that are no more
  mending_ = 0;
  mark_ = 0;
  mark_at_ = never;
  while (!queries_.empty()) {
    const auto& q = queries_.begin()->second;
    answer(q.call, not_leader(false));
    drop_query(q.id);
  }
  overlay_.reset(base.index);
  checkpoints_.clear();
  log_time_ = done.log_time;
  commit_.reset();
  commit_due_ = never;
  if (reset) {
    log_bytes_ = 0;
    hashes_.clear();
    hashes_base_ = base.index;
    hash_base_ = base.hash;
  } else {
    rebuild_hashes(base);
  }
  committed_ = base.index;
  committed_configuration_ = conf;
  become_whole(now);
  replica::snapshot_pull end;
  end.number = done.number;
  end.what = replica::snapshot_pull::part::done;
  end.index = base.index;
  send_frame(done.from, group_frame_kind::snapshot_pull, replica::encode(end),
             false);
}

} // namespace banyan
