#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

/// What one item adds to a frame beyond its own bytes, at most.
constexpr std::size_t record_overhead = 64 + 32 + 64 + 24;
constexpr std::size_t report_bytes = 32 + 32 + 64 + 3 * 9 + 12;
constexpr duration dial_back_interval = 1s;

/// The same on every node: it chooses the rings that the item goes along.
std::uint64_t item_of(const node_id& author, const node_id& about,
                      std::uint64_t number) {
  std::uint64_t h = number;
  for (const auto* id : {&author, &about})
    for (std::size_t i = 0; i < 8; ++i)
      h = (h ^ id->array()[i]) * 1099511628211ULL;
  return h ^ h >> 32U;
}

} // namespace

void membership::state::send(const node_id& to, const membership_message& m,
                             membership_effects& out) {
  ++counters_.frames_out;
  out.emplace_back(send_frame{to, channel::membership, encode(m)});
}

void membership::state::bad_frame(const node_id& from, const char* what,
                                  membership_effects& out) {
  ++counters_.frames_bad;
  out.emplace_back(misbehaved{from, what});
}

bool membership::state::frame(const node_id& from, channel on,
                              const_bytes payload, time_point now,
                              membership_effects& out) {
  auto* p = find_peer(from);
  if (p == nullptr || !p->link || !running())
    return false;
  if (on == channel::beat) {
    beat_message m;
    if (decode(payload, m))
      return beat(from, m, now, out);
    bad_frame(from, "malformed beat", out);
    return heard(from, now, out);
  }
  membership_message m;
  if (decode(payload, m)) {
    message(from, m, now, out);
  } else {
    ++counters_.frames_in;
    heard(from, now, out);
    bad_frame(from, "malformed membership frame", out);
  }
  return true;
}

bool membership::state::beat(const node_id& from, const beat_message& m,
                             time_point now, membership_effects& out) {
  auto* p = find_peer(from);
  if (p == nullptr || !p->link || !running())
    return false;
  const bool back = heard(from, now, out);
  if (is_member(from))
    on_beat(from, *p, m, now, out);
  return back;
}

void membership::state::message(const node_id& from,
                                const membership_message& message,
                                time_point now, membership_effects& out) {
  auto* p = find_peer(from);
  if (p == nullptr || !p->link || !running())
    return;
  heard(from, now, out);
  ++counters_.frames_in;
  if (const auto* hello = std::get_if<hello_message>(&message)) {
    on_hello(from, *p, *hello, now, out);
    return;
  }
  if (!is_member(from))
    return; // let in first
  if (const auto* news = std::get_if<news_message>(&message)) {
    on_news(from, *news, now, out);
  } else if (const auto* sum = std::get_if<summary_message>(&message)) {
    on_summary(from, *p, *sum, now, out);
  } else if (const auto* root = std::get_if<root_message>(&message)) {
    if (may_compare(*p, now))
      on_root(from, *root, now, out);
  } else if (const auto* ranges = std::get_if<ranges_message>(&message)) {
    if (may_compare(*p, now))
      on_ranges(from, *p, *ranges, out);
  } else if (joining_frame(from, message, now, out)) {
    return;
  } else if (const auto* vouches = std::get_if<vouch_message>(&message)) {
    on_vouchers(from, *vouches, now, out);
  } else if (const auto* names = std::get_if<name_message>(&message)) {
    on_names(from, *p, *names, now, out);
  } else if (const auto* digest = std::get_if<digest_message>(&message)) {
    if (digest->first == digest->last || may_digest(*p, now))
      on_digest(from, *p, *digest, now, out);
  } else if (const auto* want = std::get_if<want_message>(&message)) {
    on_want(*p, *want);
  } else if (const auto* own = std::get_if<own_record_message>(&message)) {
    if (own->own.record.node == self_)
      own_record_met(own->own, own->seen, true, now, out);
    else
      bad_frame(from, "another node's record as mine", out);
  } else if (const auto* verdict = std::get_if<verdict_message>(&message)) {
    if (verdict->incarnation == own_.incarnation)
      raise(own_.incarnation);
  } else if (const auto* ask = std::get_if<dial_back_message>(&message)) {
    on_dial_back(from, *p, *ask, now, out);
  } else if (const auto* said =
                 std::get_if<dial_back_result_message>(&message)) {
    if (said->token != dial_back_token_ || dial_back_token_ == 0)
      return;
    dial_back_token_ = 0;
    reach_told(from, said->reached);
    if (said->reached && own_.address.empty()) {
      own_.address = dial_back_at_;
      out.emplace_back(advertised{own_.address});
      sign_own();
    }
  }
}

void membership::state::send_beat(const node_id& to, peer& p, bool ask,
                                  time_point now, membership_effects& out) {
  // All beats of a node share one grid, so one timer serves many peers.
  const auto interval = interval_of(p);
  const auto ticks = (now - started_) / interval + 1;
  p.next_beat = started_ + ticks * interval;
  beat_message m;
  m.number = ++p.beat_number;
  p.beat_sent[m.number % p.beat_sent.size()] = now;
  m.echo = p.beat_in;
  m.echo_delay = p.beat_in == 0 ? duration{} : now - p.beat_in_at;
  m.interval = interval;
  m.answer = ask;
  m.leads = p.leads;
  if (oldest_fsync_)
    m.fsync_age = now - *oldest_fsync_;
  if (p.hears_told != hears_version_) {
    p.hears_told = hears_version_;
    auto& list = m.hears.emplace();
    for (const auto& [node, other] : peers_)
      if (other.saw == sight::heard && list.size() < heard_max)
        list.push_back(node);
  }
  if (const auto* far = book_.find(to); !full() && far != nullptr)
    m.needed = needs_link(to, *far);
  ++counters_.beats_out;
  out.emplace_back(send_frame{to, channel::beat, encode(m)});
}

void membership::state::on_beat(const node_id& from, peer& p,
                                const beat_message& m, time_point now,
                                membership_effects& out) {
  ++counters_.beats_in;
  if (p.life.beat(m.interval, now))
    late_beats_ = {late_beats_[1], now};
  if (m.echo != 0 && m.echo <= p.beat_number
      && p.beat_number - m.echo < p.beat_sent.size()) {
    const auto sent = p.beat_sent[m.echo % p.beat_sent.size()];
    p.life.round_trip(now - sent - m.echo_delay);
  }
  // Numbers only grow on one link; anything else is no beat to echo.
  if (p.beat_in < m.number) {
    p.beat_in = m.number;
    p.beat_in_at = now;
  }
  if (m.hears)
    p.hears = {m.hears->begin(), m.hears->end()};
  p.fsync_age = m.fsync_age;
  p.far_needs = m.needed.value_or(true);
  out.emplace_back(beat_heard{from, m.leads, m.fsync_age});
  if (m.answer && p.pinged_at + cfg_.flood_interval <= now) {
    p.pinged_at = now;
    send_beat(from, p, false, now, out);
  }
}

void membership::state::on_hello(const node_id& from, peer& p,
                                 const hello_message& m, time_point now,
                                 membership_effects& out) {
  const auto& record = m.own.record;
  if (record.node != from) {
    bad_frame(from, "a hello with another's record", out);
    return;
  }
  if (record.boot != p.link->boot)
    return; // from a link that was replaced meanwhile
  const auto outcome = take_record(from, m.own, now, out);
  if (outcome == put_outcome::forged)
    return;
  if (const auto* held = book_.find(from)) {
    const auto& known = held->document();
    if (known.record.boot != record.boot
        && (outcome == put_outcome::older
            || outcome == put_outcome::conflict)) {
      // Two boots of one node: each gets to know of the other.
      p.rival = cfg_.verify->keep(member_document{m.own});
      p.rival_at = p.link->listen.is_wildcard() || p.link->listen.empty()
                       ? address{p.link->remote.host, p.link->listen.port}
                       : p.link->listen;
      tell_own_record(from, p, known, known.record.address, now, out);
    }
  } else {
    p.applicant = cfg_.verify->keep(member_document{m.own});
    take_applicant(from, p, now, out);
  }
  learn_address(from, m.seen, out);
}

/// This node completed a handshake with it: that admits it, ration allowing.
void membership::state::take_applicant(const node_id& from, peer& p,
                                       time_point now,
                                       membership_effects& out) {
  auto d = *std::exchange(p.applicant, nullptr);
  d.admitted = admission::make(cfg_.key, cfg_.mesh, from);
  const auto outcome = take_record(from, d, now, out);
  if (outcome == put_outcome::rationed || outcome == put_outcome::full) {
    p.applicant = cfg_.verify->keep(std::move(d));
    return;
  }
  if (outcome != put_outcome::added)
    return;
  p.news_records.insert(from); // so that it can show its admission
  watch(now, out);
  send_summary(from, out);
}

/// A member's newer record is in the book: what it changes for its link.
void membership::state::renewed(const node_id& node, peer& p,
                                const member_record& before,
                                const member_record& now_held, time_point now,
                                membership_effects& out) {
  if (before.boot != now_held.boot) {
    if (p.link && p.link->boot != now_held.boot) {
      p.link.reset();
      out.emplace_back(cut_link{node});
    }
    if (!p.link)
      restarted(node, p, now, out);
  } else if (before.incarnation != now_held.incarnation && !p.link) {
    see(node, p, sight::unheard, now); // it refuted: a new chance
  }
  want(node, out);
  reconcile_report(node, p, now);
}

put_outcome membership::state::take_record(const node_id& from,
                                           const member_document& d,
                                           time_point now,
                                           membership_effects& out) {
  const auto node = d.record.node;
  if (node == self_) {
    own_record_met(d, {}, false, now, out);
    return put_outcome::known;
  }
  const auto* held = book_.find(node);
  if (held == nullptr && allowed_ && !allowed_(node)) {
    ++counters_.admissions_unlisted;
    return put_outcome::rationed; // until the owner lets it in
  }
  const auto before = held ? held->record() : member_record{};
  const bool believed =
      held == nullptr && from != self_ && join_.second_names(from, node, now);
  const auto outcome = held != nullptr || believed || is_linked(node)
                           ? book_.put(d, now, believed)
                           : let_wait(from, d, now, out);
  switch (outcome) {
  case put_outcome::added:
  case put_outcome::replaced: {
    ++counters_.records_new;
    count_dirty_ = true;
    members_dirty_ = true;
    if (outcome == put_outcome::added) {
      came_in(node, now, out);
    } else {
      if (auto* p = links_all() ? &peer_of(node) : find_peer(node))
        renewed(node, *p, before, d.record, now, out);
      if (const auto s = book_.find(node)->state; true)
        out.emplace_back(member_changed{node, s, s});
    }
    flood_record(node, from);
    if (outcome == put_outcome::added)
      retry_waiting(now, out);
    break;
  }
  case put_outcome::awaited: // let_wait has done it all
    break;
  case put_outcome::known:
  case put_outcome::older:
    ++counters_.records_known;
    break;
  case put_outcome::conflict:
    ++counters_.records_known;
    if (auto* p = find_peer(node); p != nullptr && p->link && from != node
                                   && p->link->boot != d.record.boot)
      tell_own_record(node, *p, d, d.record.address, now, out);
    break;
  case put_outcome::forged:
    ++counters_.signatures_bad;
    out.emplace_back(misbehaved{from, "a record with a bad signature"});
    break;
  case put_outcome::unsponsored:
    if (d.admitted && d.admitted->sponsor != node
        && waiting_.size() < cfg_.waiting_max && waiting_.count(node) == 0) {
      // What waits is genuine: later nobody is there to be blamed for it.
      if (!cfg_.verify->genuine(d, cfg_.mesh)
          || !cfg_.verify->genuine(*d.admitted, cfg_.mesh, node)) {
        ++counters_.signatures_bad;
        out.emplace_back(misbehaved{from, "a record with a bad signature"});
        return put_outcome::forged;
      }
      ++counters_.admissions_waiting;
      waiting_[node] = d;
    }
    break;
  case put_outcome::rationed:
  case put_outcome::full:
    ++counters_.admissions_rationed;
    break;
  }
  return outcome;
}

/// Members whose sponsor came to be known meanwhile.
void membership::state::retry_waiting(time_point now, membership_effects& out) {
  const auto waiting = std::exchange(waiting_, {});
  for (const auto& [node, d] : waiting)
    if (!is_member(d.admitted->sponsor)
        || take_record(self_, d, now, out) == put_outcome::rationed)
      waiting_.emplace(node, d);
}

void membership::state::tell_own_record(const node_id& to, peer& p,
                                        const member_document& d,
                                        const address& seen, time_point now,
                                        membership_effects& out) {
  if (now < p.own_told_at + membership_patience)
    return;
  p.own_told_at = now;
  send(to, own_record_message{d, seen}, out);
}

void membership::state::on_news(const node_id& from, const news_message& m,
                                time_point now, membership_effects& out) {
  for (const auto& d : m.records) {
    const auto outcome = take_record(from, d, now, out);
    if (outcome == put_outcome::forged)
      return;
    if (auto* p = find_peer(from);
        !wired_full_ && p != nullptr && outcome == put_outcome::known)
      p->news_records.erase(d.record.node); // it has what this one has
  }
  for (const auto& r : m.reports) {
    if (r.observer == self_)
      continue;
    if (!said_.allows(r.observer, now)) {
      ++counters_.reports_rationed;
      continue;
    }
    const bool over = proved_dead(r.subject);
    switch (book_.put(r)) {
    case report_outcome::stored:
      said_.taken(r.observer);
      ++counters_.reports_new;
      count_dirty_ = true;
      if (!over)
        flood_report(r, from);
      if (!full())
        recount(now, out); // the next ones may be about one who is dead by now
      if (auto* p = find_peer(r.subject); r.down && p != nullptr) {
        reconcile_report(r.subject, *p, now); // it waited for a second one
        // Somebody misses it: look at once.
        if (p->link && p->pinged_at + cfg_.liveness.beat_group <= now) {
          p->pinged_at = now;
          send_beat(r.subject, *p, true, now, out);
        } else if (!p->link && p->wanted && p->saw == sight::heard) {
          out.emplace_back(hurry_link{r.subject});
        }
      }
      break;
    case report_outcome::known:
      if (auto* p = find_peer(from);
          !wired_full_ && p != nullptr
          && book_.find_report(r.observer, r.subject)->number == r.number)
        p->news_reports.erase({r.observer, r.subject});
      [[fallthrough]];
    case report_outcome::stale:
      ++counters_.reports_known;
      break;
    case report_outcome::unplaced:
      ++counters_.reports_unplaced;
      break;
    case report_outcome::forged:
      ++counters_.signatures_bad;
      out.emplace_back(misbehaved{from, "a report with a bad signature"});
      return;
    }
  }
}

/// On the rings a report about one that is dead, as others can be shown, is
/// passed on no more.
bool membership::state::proved_dead(const node_id& node) const {
  const auto* m = book_.find(node);
  return !full() && m != nullptr && m->state == member_state::dead
         && book_.proved(node);
}

/// To those who may lack an item of `author` that came from `from`. An author
/// tells everybody whom it is linked with itself; whoever has the item from
/// another passes it on to all in a full mesh, else to some.
template <class Add>
void membership::state::pass_on(const node_id& author, const node_id& from,
                                bool to_all, std::uint64_t item, Add add) {
  const auto* by = author == self_ ? nullptr : find_peer(author);
  const auto offer = [&](const node_id& to, peer& p) {
    const bool told = to == from || to == author
                      || (by != nullptr && by->saw == sight::heard
                          && by->hears.count(to) > 0);
    if (p.link && !told && held(to, p) != nullptr)
      add(p);
  };
  if (to_all) {
    for (auto& [to, p] : peers_)
      offer(to, p);
    return;
  }
  for (const auto& to : passed_on_to(item))
    if (auto* p = find_peer(to))
      offer(to, *p);
}

void membership::state::flood_record(const node_id& node, const node_id& from) {
  const auto& record = document_of(node)->record;
  pass_on(node, from, wired_full_ || node == self_ || from == self_,
          item_of(node, node, record.incarnation.value() * 31 + record.number),
          [&](peer& p) { p.news_records.insert(node); });
}

void membership::state::flood_report(const report& r, const node_id& from) {
  pass_on(r.observer, from, wired_full_ || r.observer == self_,
          item_of(r.observer, r.subject, r.number),
          [&](peer& p) { p.news_reports.emplace(r.observer, r.subject); });
}

void membership::state::flood_voucher(const report& r, const node_id& from) {
  pass_on(r.observer, from, wired_full_ || r.observer == self_,
          item_of(r.observer, r.subject, r.number),
          [&](peer& p) { p.news_vouchers.emplace(r.observer, r.subject); });
}

/// One frame of what waits for a peer; the rest goes with the next.
void membership::state::send_news(const node_id& to, peer& p, time_point now,
                                  membership_effects& out) {
  p.news_sent = now;
  news_message m;
  std::size_t size = 0;
  while (!p.news_records.empty() && m.records.size() < news_records_max) {
    const auto first = p.news_records.begin();
    if (const auto* held = document_of(*first)) {
      const auto more = held->body.size() + record_overhead;
      if (size > 0 && size + more > cfg_.frame_bytes_max)
        break;
      size += more;
      m.records.push_back(*held);
    }
    p.news_records.erase(first);
  }
  while (p.news_records.empty() && !p.news_reports.empty()
         && m.reports.size() < news_reports_max) {
    const auto first = p.news_reports.begin();
    if (const auto* r = book_.find_report(first->first, first->second)) {
      if (size > 0 && size + report_bytes > cfg_.frame_bytes_max)
        break;
      size += report_bytes;
      m.reports.push_back(*r);
    }
    p.news_reports.erase(first);
  }
  if (!m.records.empty() || !m.reports.empty())
    send(to, m, out);
  if (!p.news_vouchers.empty())
    send_vouchers(to, p, out);
}

/// Only where the asker itself is seen, or where its record says it is (who
/// wants a link dials that anyway): nobody makes this node dial others.
void membership::state::on_dial_back(const node_id& from, peer& p,
                                     const dial_back_message& m, time_point now,
                                     membership_effects& out) {
  constexpr std::size_t probes_max = 64;
  const auto* asker = book_.find(from);
  const bool its_own = asker != nullptr && asker->record().address == m.at;
  if (p.link->relayed() || (m.at.host != p.link->remote.host && !its_own)
      || m.at.port == 0 || now < p.dial_back_at + dial_back_interval
      || probes_.size() >= probes_max)
    return;
  p.dial_back_at = now;
  probes_.emplace(++token_, probe{from, m.token, m.at});
  out.emplace_back(probe_address{token_, m.at});
}

} // namespace banyan::net
