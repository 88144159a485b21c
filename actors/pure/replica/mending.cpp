// Damaged rows: asked of the others by key, put back, and only then served.
//
// The state is damaged at index a. A fellow answers from a state at f >= a.
// Once this state stands at f or later, the answer is what belongs here, unless
// an entry has written the row since; then the commit with that entry has
// mended it already.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

#include <algorithm>

namespace banyan {

using replica::row_given;

void replica_core::impl::on_row_damaged(bytes key, time_point now) {
  if (raft_ && !failed_ && readable_)
    open_damage(std::move(key), now);
}

void replica_core::impl::open_damage(bytes key, time_point now) {
  if (key.size() > store::row_key_plain_max)
    // No row of ours has such a key: the tree itself is broken there.
    return lose_state("a row stands under a key that nobody wrote", false, now);
  const auto [it, fresh] = damage_.try_emplace(key);
  if (!fresh)
    return;
  auto& d = it->second;
  d.number = ++ids_;
  d.since = d.next_ask = now;
  d.hopeless_at = now + config_.row_patience;
  d.at_least = state_meta_.index;
  d.term = state_meta_.term;
  if (commit_ && overlay_.writes(commit_->meta.index, key))
    d.rewritten_by = commit_->order.number;
  out_.emplace_back(row_damaged{std::move(key), false});
}

void replica_core::impl::close_damage(const std::vector<bytes>& keys) {
  bool any = false;
  for (const auto& key : keys) {
    if (damage_.erase(key) == 0)
      continue;
    any = true;
    ++rows_mended_;
    out_.emplace_back(row_mended{key});
  }
  if (!any)
    return;
  auto waiting = std::exchange(parked_reads_, {});
  for (auto& w : waiting)
    order_parked(std::move(w));
}

/// Others take the place of all rows: what was damaged is mended with that.
void replica_core::impl::leave_damage() {
  for (const auto& [key, d] : damage_)
    rows_gone_.push_back(key);
  damage_.clear();
}

// ---- turns and queries that met one -----------------------------------------

void replica_core::impl::park(read_wait w) {
  parked_reads_.push_back(std::move(w));
}

void replica_core::impl::order_parked(read_wait w) {
  const auto at = runs_.find(w.run);
  if (at == runs_.end())
    return; // nobody waits for it any more
  auto& r = *at->second;
  if (w.range || w.erase_all) {
    order_scan scan;
    scan.order = next_order();
    scan.request.prefix = replica::table_prefix(r.actor);
    scan.request.from = w.range ? r.ranges[*w.range].from : w.key;
    if (w.range)
      scan.request.rows_max =
          std::min<std::size_t>(r.ranges[*w.range].found.range.limit, 10'000)
          + 1;
    reads_[scan.order.number] = std::move(w);
    out_.emplace_back(std::move(scan));
    return;
  }
  order_read read;
  read.order = next_order();
  read.key = w.key;
  reads_[read.order.number] = std::move(w);
  out_.emplace_back(std::move(read));
}

// ---- asking -----------------------------------------------------------------

void replica_core::impl::mending_tick(time_point now) {
  for (auto& [key, d] : damage_) {
    if (!d.answer && d.next_ask <= now)
      ask_for_row(key, d, now);
    if (d.hopeless_at <= now) {
      d.hopeless_at = now + config_.row_patience;
      out_.emplace_back(row_damaged{key, true});
    }
  }
}

void replica_core::impl::ask_for_row(const bytes& key, damaged_row& d,
                                     time_point now) {
  auto wait = config_.ask_again_min * (1u << std::min(d.asked, 10u));
  wait = std::min<duration>(wait, config_.ask_again_max);
  d.next_ask = now + wait;
  const auto others = fellows();
  if (others.empty())
    return;
  auto to = others[(d.number + d.asked) % others.size()];
  const auto& leader = raft_->leader();
  if (d.asked == 0 && leader && *leader != config_.self)
    to = *leader;
  ++d.asked;
  replica::row_wanted m;
  m.number = d.number;
  m.key = key;
  m.at_least = d.at_least;
  m.term = d.term;
  send_frame(to, group_frame_kind::row_wanted, replica::encode(m), false);
}

// ---- answering --------------------------------------------------------------

void replica_core::impl::on_row_wanted(const replica_ref& from,
                                       const_bytes payload, time_point now) {
  replica::row_wanted m;
  if (!replica::decode(payload, m))
    return;
  row_given none;
  none.number = m.number;
  raft_->learn_committed(now, m.at_least, m.term);
  if (!readable_ || damage_.count(m.key) != 0) {
    none.answer = row_given::what::unable;
  } else if (state_meta_.index < m.at_least
             && !planted(planted_bug::mend_from_a_state_behind)) {
    none.answer = row_given::what::behind;
    if (whole() && committed_ > state_meta_.index)
      commit_due_ = now;
  } else {
    read_wait w;
    w.key = m.key;
    w.row_for = {from, m.number};
    order_row_for(std::move(w));
    return;
  }
  none.applied = state_meta_.index;
  send_frame(from, group_frame_kind::row_given, replica::encode(none), false);
}

void replica_core::impl::order_row_for(read_wait w) {
  order_read read;
  read.order = next_order();
  read.key = w.key;
  reads_[read.order.number] = std::move(w);
  out_.emplace_back(std::move(read));
}

void replica_core::impl::give_row(
    const read_wait& w,
    const result<std::optional<store::row>, store::store_errc>& r) {
  row_given m;
  m.number = w.row_for->second;
  m.applied = state_meta_.index;
  if (!r)
    m.answer = row_given::what::unable;
  else if (commit_ && overlay_.writes(commit_->meta.index, w.key))
    m.answer = row_given::what::behind; // it may have seen that commit or not
  else if (!r->has_value())
    m.answer = row_given::what::absent;
  else if ((*r)->index > m.applied)
    m.answer = row_given::what::behind;
  else {
    m.answer = row_given::what::row;
    m.value = (*r)->value;
    m.index = (*r)->index;
  }
  send_frame(w.row_for->first, group_frame_kind::row_given, replica::encode(m),
             true);
}

// ---- putting back -----------------------------------------------------------

void replica_core::impl::on_row_given(const replica_ref&, const_bytes payload,
                                      time_point now) {
  row_given m;
  if (!replica::decode(payload, m))
    return;
  const auto it =
      std::find_if(damage_.begin(), damage_.end(),
                   [&](const auto& d) { return d.second.number == m.number; });
  if (it == damage_.end() || it->second.answer)
    return;
  auto& d = it->second;
  if (m.answer == row_given::what::behind || m.answer == row_given::what::unable
      || (m.applied < d.at_least
          && !planted(planted_bug::mend_from_a_state_behind)))
    return; // the next one is asked in its time
  d.answer = std::move(m);
  if (d.needed) {
    std::optional<shared_bytes> value;
    if (d.answer->answer == row_given::what::row)
      value = d.answer->value;
    if (!tables_.apply(it->first, value, d.answer->index))
      return lose_state("a row that was given can't be read", false, now);
    d.needed = false;
    d.was_needed = true;
  }
  mend(now);
}

/// Once enough is known and stored.
void replica_core::impl::mend(time_point now) {
  if (damage_.empty() || !readable_)
    return;
  if (phase_ == state_phase::pending) {
    process_raft(now);
    if (failed_ || phase_ != state_phase::pending)
      return;
    // Rows newer than the state are right once the entries up to them are
    // executed over them: effects are absolute.
    const auto committed = raft_->committed_index();
    if (std::all_of(damage_.begin(), damage_.end(), [&](const auto& d) {
          return !d.second.needed
                 && (!d.second.answer || d.second.answer->applied <= committed);
        }))
      become_whole(now);
  }
  if (install_ && install_->finishing)
    return; // all rows are about to be others
  // One order at a time, with all that is ready: the store reads all rows anew
  // for each order that overwrites damage.
  if (mending_ != 0)
    return;
  order_commit effect;
  std::size_t size = 0;
  for (auto& [key, d] : damage_) {
    if (!d.answer || d.rewritten_by != 0 || size > config_.state_commit_bytes)
      continue;
    if (state_meta_.index < d.answer->applied) {
      if (whole() && committed_ >= d.answer->applied && !commit_)
        commit_due_ = std::min(commit_due_, now);
      continue;
    }
    if (mending_ == 0) {
      effect.commit.order = next_order();
      mending_ = effect.commit.order.number;
    }
    d.mended_by = mending_;
    store::row_change change;
    change.key = key;
    if (d.answer->answer == row_given::what::row) {
      change.value = d.answer->value;
      change.index = d.answer->index;
      size += d.answer->value.size();
    } else {
      change.index = d.answer->applied;
    }
    effect.commit.rows.push_back(std::move(change));
  }
  if (mending_ != 0)
    submit(std::move(effect));
}

/// True when it was such an order.
bool replica_core::impl::on_mended(
    const store::order_id& order,
    const result<store::digest_at, store::store_errc>& done, time_point now) {
  if (mending_ == 0 || order.number != mending_)
    return false;
  mending_ = 0;
  std::vector<bytes> keys;
  bool was_needed = false;
  for (auto& [key, d] : damage_)
    if (std::exchange(d.mended_by, 0) == order.number) {
      keys.push_back(key);
      was_needed |= d.was_needed;
    }
  if (done) {
    // What was put back is what stood there: the digest is as it was.
    const bool here = done->index == state_meta_.index;
    if (state_digest_ && here && !was_needed
        && *state_digest_ != done->digest) {
      lose_state("its rows don't add up to its digest", false, now);
      return true;
    }
    state_digest_.reset();
    if (here)
      state_digest_ = done->digest;
    close_damage(keys);
    mend(now);
    return true;
  }
  if (done.error() == store::store_errc::full) {
    for (const auto& key : keys) {
      auto& d = damage_.at(key);
      d.answer.reset(); // asked again; there may be room by then
      d.next_ask = now + config_.ask_again_max;
    }
  } else if (done.error() == store::store_errc::stale) {
    lose_state("the state is gone", false, now);
  } else if (done.error() == store::store_errc::damaged) {
    lose_state("a page of the state is damaged", false, now);
  } else {
    fail("the state can't be written: "
         + std::string{store::to_string(done.error())});
  }
  return true;
}

} // namespace banyan
