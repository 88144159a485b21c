// How those become members here whom somebody else let in: they wait until
// somebody has met them whom this node has reason to believe (ADR 0041). That
// is itself, those who would observe them on the rings, or most of its
// neighbours.
#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

constexpr std::size_t vouchers_per_frame = 64;
constexpr duration renewal_interval = 1s;   ///< of the record of one that waits
constexpr duration names_interval = 500ms;  ///< between questions of one peer
constexpr duration own_names_interval = 1s; ///< between questions of this node

} // namespace

bool membership::state::is_linked(const node_id& node) const {
  const auto i = peers_.find(node);
  return i != peers_.end() && i->second.link;
}

const member_document*
membership::state::document_of(const node_id& node) const {
  if (const auto* m = book_.find(node))
    return &m->document();
  return newcomers_.document(node).get();
}

/// In its place on the rings this node would be the one to watch it.
bool membership::state::would_observe(const node_id& node) const {
  const auto all = book_.on_rings().would_observe(node);
  return std::find(all.begin(), all.end(), self_) != all.end();
}

/// Whose word about others counts: in a full mesh all members with a link.
std::vector<node_id> membership::state::linked_neighbours() const {
  std::vector<node_id> out;
  for (const auto& [node, p] : peers_)
    if (p.link && is_member(node) && (full() || around_.count(node) > 0))
      out.push_back(node);
  return out;
}

/// Somebody's record, known by gossip alone.
put_outcome membership::state::let_wait(const node_id& from,
                                        const member_document& d,
                                        time_point now,
                                        membership_effects& out) {
  const auto node = d.record.node;
  if (!d.admitted || d.admitted->sponsor == node
      || !is_member(d.admitted->sponsor))
    return put_outcome::unsponsored;
  const auto held = newcomers_.document(node);
  if (held
      && (!d.record.newer_than(held->record)
          || now < newcomers_.find(node)->renewed_at + renewal_interval))
    return held->record.newer_than(d.record) ? put_outcome::older
                                             : put_outcome::known;
  if (book_.size() >= cfg_.members_max)
    return put_outcome::full;
  const auto* before = newcomers_.find(node);
  if (newcomers_.refused(node, now)
      && (before == nullptr || !proved_by_names(*before, linked_neighbours())))
    return put_outcome::rationed;
  if (!cfg_.verify->genuine(d, cfg_.mesh)
      || !cfg_.verify->genuine(*d.admitted, cfg_.mesh, node))
    return put_outcome::forged;
  if (!held && !book_.admit(d.admitted->sponsor, now))
    return put_outcome::rationed;
  auto newer = d;
  if (held)
    newer.admitted = held->admitted;
  else
    ++counters_.newcomers_waiting;
  waiting_.erase(node);
  newcomers_.wait(cfg_.verify->keep(std::move(newer)), now);
  drop_newcomers(out);
  flood_record(node, from);
  if (!take_in_if_proved(node, now, out))
    dial_newcomer(node, now, out);
  return put_outcome::awaited;
}

void membership::state::take_in(const node_id& node, time_point now,
                                membership_effects& out) {
  if (book_.size() >= cfg_.members_max)
    return;
  book_.put_trusted(member_document{*newcomers_.document(node)});
  ++counters_.records_new;
  count_dirty_ = true;
  members_dirty_ = true;
  came_in(node, now, out);
  retry_waiting(now, out);
}

void membership::state::came_in(const node_id& node, time_point now,
                                membership_effects& out) {
  waiting_.erase(node);
  newcomers_.came_in(node, now);
  drop_newcomers(out);
  pages_.added(node);
  join_.counts(node, now);
  note_member(node, now, out);
  vouch_for(node);
}

/// On the rings: it is by one who would observe that node, of whom there
/// aren't enough yet.
bool membership::state::counts_voucher(const newcomer* of,
                                       const report& r) const {
  const auto places = book_.on_rings().would_observe(r.subject);
  return std::find(places.begin(), places.end(), r.observer) != places.end()
         && (of == nullptr || !of->in || !proved_by_vouchers(*of, places));
}

/// Whether it is a member now.
bool membership::state::take_in_if_proved(const node_id& node, time_point now,
                                          membership_effects& out) {
  const auto* n = newcomers_.find(node);
  if (n == nullptr || !n->document)
    return false;
  if (!is_linked(node) && !proved_by_names(*n, linked_neighbours())
      && (full()
          || !proved_by_vouchers(*n, book_.on_rings().would_observe(node))))
    return false;
  take_in(node, now, out);
  return is_member(node);
}

/// `from` has one as a member that isn't a member here.
bool membership::state::is_named(const node_id& from,
                                 const digest_message::entry& e, time_point now,
                                 membership_effects& out) {
  if (join_.active())
    return true; // it takes all in pages
  auto& n = newcomers_.spoken_of(e.node, now);
  n.named_by.insert(from);
  if (take_in_if_proved(e.node, now, out))
    return true;
  if (!n.document)
    return !newcomers_.refused(e.node, now)
           || proved_by_names(n, linked_neighbours());
  const auto& mine = n.document->record;
  return e.incarnation != mine.incarnation ? mine.incarnation < e.incarnation
                                           : mine.number < e.number;
}

void membership::state::on_names(const node_id& from, peer& p,
                                 const name_message& m, time_point now,
                                 membership_effects& out) {
  if (!m.asks) {
    for (const auto& node : m.nodes)
      if (auto* n = newcomers_.find(node); n != nullptr && n->document) {
        n->named_by.insert(from);
        take_in_if_proved(node, now, out);
      }
    return;
  }
  if (now < p.names_asked_at + names_interval)
    return;
  p.names_asked_at = now;
  name_message mine;
  for (const auto& node : m.nodes)
    if (is_member(node))
      mine.nodes.push_back(node);
  if (!mine.nodes.empty())
    send(from, mine, out);
}

void membership::state::on_vouchers(const node_id& from, const vouch_message& m,
                                    time_point now, membership_effects& out) {
  for (const auto& r : m.vouchers) {
    if (r.down || r.number != 0) {
      bad_frame(from, "a voucher that is none", out);
      return;
    }
    // Who is about to take all in pages will know the observers later.
    if (r.observer == self_ || r.subject == self_ || r.observer == r.subject
        || (!is_member(r.observer) && !join_.active()))
      continue;
    const auto* known = newcomers_.find(r.subject);
    if (known == nullptr && is_member(r.subject))
      continue; // for long: it needs none
    if (known != nullptr) {
      const auto& all = known->vouchers;
      if (std::any_of(all.begin(), all.end(), [&](const auto& held) {
            return held->observer == r.observer;
          })) {
        find_peer(from)->news_vouchers.erase({r.observer, r.subject});
        continue;
      }
      if (all.size() >= newcomers_.bounds().vouchers_max)
        continue;
    }
    // While a mesh forms each newcomer is vouched for by many, who all know a
    // few others only: what would count for nothing isn't even verified.
    if (!full() && !join_.active() && !counts_voucher(known, r))
      continue;
    if (!said_.allows(r.observer, now)) {
      ++counters_.reports_rationed;
      continue;
    }
    if (!cfg_.verify->genuine(r, cfg_.mesh)) {
      ++counters_.signatures_bad;
      out.emplace_back(misbehaved{from, "a voucher with a bad signature"});
      return;
    }
    said_.taken(r.observer);
    newcomers_.spoken_of(r.subject, now)
        .vouchers.push_back(cfg_.verify->keep(r));
    flood_voucher(r, from);
    take_in_if_proved(r.subject, now, out);
  }
}

/// In this node's name, for one that came of late and that it has met.
void membership::state::vouch_for(const node_id& node) {
  auto* n = newcomers_.find(node);
  if (n == nullptr || !n->in || full() || !running() || leaving_
      || join_.active() || !is_linked(node) || !is_member(node)
      || !would_observe(node))
    return;
  if (std::any_of(n->vouchers.begin(), n->vouchers.end(),
                  [this](const auto& r) { return r->observer == self_; }))
    return;
  report r;
  r.observer = self_;
  r.subject = node;
  r.observer_incarnation = own_.incarnation;
  r.subject_incarnation = book_.find(node)->record().incarnation;
  r.sign(cfg_.key, cfg_.mesh);
  n->vouchers.push_back(cfg_.verify->keep(r));
  flood_voucher(r, self_);
}

/// After a change of the rings.
void membership::state::vouch_for_recent() {
  if (full())
    return;
  for (const auto& node : newcomers_.recent())
    vouch_for(node);
}

void membership::state::send_vouchers(const node_id& to, peer& p,
                                      membership_effects& out) {
  vouch_message m;
  while (!p.news_vouchers.empty() && m.vouchers.size() < vouchers_per_frame) {
    const auto [observer, subject] = *p.news_vouchers.begin();
    p.news_vouchers.erase(p.news_vouchers.begin());
    if (const auto* n = newcomers_.find(subject))
      for (const auto& r : n->vouchers)
        if (r->observer == observer)
          m.vouchers.push_back(*r);
  }
  if (!m.vouchers.empty())
    send(to, m, out);
}

/// Whoever links with everybody meets it itself; on the rings those who would
/// observe it do.
void membership::state::dial_newcomer(const node_id& node, time_point now,
                                      membership_effects& out) {
  auto* n = newcomers_.find(node);
  if (n == nullptr || !n->document || !running())
    return;
  const auto& r = n->document->record;
  const auto relays = relays_of(r);
  if (r.word == member_word::left || (r.address.empty() && relays.empty())
      || !(links_all() || would_observe(node))
      || (!n->dialled && !newcomers_.may_dial(*n)))
    return;
  auto& p = peer_of(node);
  p.used_until = now + newcomers_.bounds().dialled_for;
  if (p.wanted && p.wanted_at == r.address && p.wanted_relays == relays)
    return;
  if (!std::exchange(n->dialled, true))
    n->dialled_at = now;
  p.wanted = true;
  p.wanted_at = r.address;
  p.wanted_relays = relays;
  out.emplace_back(want_link{node, r.address, relays, duration{}});
  seek_relay(node, now, out);
}

/// Of those that wait no more nobody wants a link.
void membership::state::drop_newcomers(membership_effects& out) {
  for (const auto& node : newcomers_.take_dropped()) {
    ++counters_.newcomers_dropped;
    auto* p = find_peer(node);
    if (p == nullptr || p->link || is_member(node))
      continue;
    if (p->wanted)
      out.emplace_back(unwant_link{node});
    p->wanted = false;
    if (!p->shares_group && p->leads == 0)
      peers_.erase(node);
  }
}

/// Once a second.
void membership::state::tend_newcomers(time_point now,
                                       membership_effects& out) {
  newcomers_.expire(now);
  drop_newcomers(out);
  for (const auto& node : newcomers_.end_dials(now))
    if (auto* p = find_peer(node); p != nullptr && !p->link)
      if (std::exchange(p->wanted, false))
        out.emplace_back(unwant_link{node});
  for (const auto& node : newcomers_.waiting())
    if (!take_in_if_proved(node, now, out))
      dial_newcomer(node, now, out);
  vouch_for_recent();
  if (full()) // everybody dials it, which is sooner most often
    ask_about_newcomers(now, out);
}

/// What was told of them and isn't enough: the rest.
void membership::state::ask_about_newcomers(time_point now,
                                            membership_effects& out) {
  if (now < ask_newcomers_due())
    return;
  names_sent_at_ = now;
  const auto neighbours = linked_neighbours();
  if (neighbours.empty())
    return;
  auto unsure = newcomers_.ask(now);
  if (!unsure.names.empty()) {
    unsure.names.resize(std::min(unsure.names.size(), want_ids_max));
    const name_message question{true, std::move(unsure.names)};
    for (const auto& node : neighbours)
      send(node, question, out);
  }
  if (!unsure.records.empty()) {
    // It missed their flood, and its neighbours hardly all of them.
    unsure.records.resize(std::min(unsure.records.size(), want_ids_max));
    send(neighbours[random_.below(neighbours.size())],
         want_message{std::move(unsure.records), {}}, out);
  }
}

time_point membership::state::ask_newcomers_due() const {
  return std::max(newcomers_.ask_due(), names_sent_at_ + own_names_interval);
}

} // namespace banyan::net
