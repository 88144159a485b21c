// How the core joins a large mesh and helps others to: the joiner's orders
// carried out, pages given, and members looked for when the neighbours that
// this node knows of are gone.
#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

/// A mesh that is larger by so few is no reason to join it anew.
constexpr std::size_t few_more = 8;
constexpr duration dialled_for = 5s;
constexpr std::size_t sought_at_once = 4;
constexpr duration seek_first = 2s; // as at the start
constexpr duration seek_last = 8s;

} // namespace

/// Members that come one by one are rationed: whoever lacks many takes them in
/// pages, on its first start or, once in each later one, after a long absence.
/// A view that doesn't say how many it has is of a build that gives no pages.
bool membership::state::wants_to_join(const root_message& m) const {
  if (join_.active())
    return false;
  const auto mine = book_.size();
  if (!joined_ && full())
    return m.members && *m.members > mine + few_more;
  return !rejoined_ && m.members
         && *m.members > mine + mine / 8 + cfg_.admissions_burst;
}

void membership::state::join_at(const node_id& giver, std::size_t members,
                                time_point now, membership_effects& out) {
  rejoined_ = true;
  claimed_ = std::min(members, cfg_.members_max);
  join_told_at_ = now;
  join_orders orders;
  join_.begin(giver, members, now, orders);
  carry_out(std::move(orders), now, out);
  tell_progress(out);
}

bool membership::state::joining_frame(const node_id& from,
                                      const membership_message& m,
                                      time_point now, membership_effects& out) {
  join_orders orders;
  if (const auto* wanted = std::get_if<page_wanted_message>(&m)) {
    if (!knows_little())
      pages_.asked(from, *wanted, now);
    give_pages(now, out);
  } else if (const auto* roll = std::get_if<roll_message>(&m)) {
    if (roll->hashes)
      join_.on_roll(from, *roll, now, orders);
    else if (!knows_little())
      pages_.asked(from, *roll, now);
    give_pages(now, out);
  } else if (const auto* page = std::get_if<page_message>(&m)) {
    join_.on_page(from, *page, now, orders);
  } else {
    return false;
  }
  carry_out(std::move(orders), now, out);
  return true;
}

void membership::state::give_pages(time_point now, membership_effects& out) {
  std::vector<page_giver::answer> answers;
  pages_.step(book_, now, answers);
  for (const auto& a : answers)
    send(a.to, a.what, out);
}

void membership::state::step_joining(time_point now, membership_effects& out) {
  give_pages(now, out);
  if (!join_.active())
    return;
  join_orders orders;
  join_.step(linked(), now, orders);
  if (!join_.active()
      && std::none_of(orders.begin(), orders.end(), [](const auto& o) {
           return std::holds_alternative<join_done>(o);
         }))
    rejoined_ = false; // nobody gave anything: at the next one who may
  carry_out(std::move(orders), now, out);
  if (join_.active() && join_told_at_ + 1s <= now) {
    join_told_at_ = now;
    tell_progress(out);
  }
}

time_point membership::state::joining_due() const {
  return std::min(join_.deadline(), pages_.deadline());
}

void membership::state::tell_progress(membership_effects& out) const {
  join_progress p;
  p.giver = join_.giver();
  p.have = join_.progress().have;
  p.total = join_.progress().total;
  out.emplace_back(p);
}

void membership::state::carry_out(join_orders&& orders, time_point now,
                                  membership_effects& out) {
  for (auto& order : orders) {
    if (auto* ask = std::get_if<join_ask>(&order)) {
      send(ask->to, ask->what, out);
    } else if (auto* take = std::get_if<join_take>(&order)) {
      take_joined(std::move(take->member), now, out);
    } else if (auto* dial = std::get_if<join_dial>(&order)) {
      const auto node = dial->member.record.node;
      take_joined(std::move(dial->member), now, out);
      dial_for_now(node, now, out);
    } else if (const auto* said = std::get_if<join_take_report>(&order)) {
      if (said->report.observer != self_
          && book_.put(said->report) == report_outcome::stored) {
        ++counters_.reports_new;
        count_dirty_ = true;
      }
    } else if (const auto* blame = std::get_if<join_blame>(&order)) {
      bad_frame(blame->node, blame->what, out);
    } else if (const auto* done = std::get_if<join_done>(&order)) {
      joined(*done, now, out);
    }
  }
}

/// A member that two have named. Whom to keep links with is looked at when all
/// are here.
void membership::state::take_joined(member_document&& d, time_point now,
                                    membership_effects& out) {
  const auto node = d.record.node;
  if (node == self_)
    return own_record_met(d, {}, false, now, out);
  if (is_member(node) || book_.size() >= cfg_.members_max)
    return;
  book_.put_trusted(std::move(d));
  ++counters_.records_new;
  count_dirty_ = true;
  members_dirty_ = true;
  waiting_.erase(node);
  if (newcomers_.find(node) != nullptr)
    newcomers_.came_in(node, now);
  pages_.added(node);
  if (auto* p = find_peer(node); p != nullptr && p->link)
    note_member(node, now, out);
  else
    out.emplace_back(member_changed{node, std::nullopt, member_state::alive});
}

void membership::state::joined(const join_done& done, time_point now,
                               membership_effects& out) {
  // One that gave much less than it promised, and nobody else was asked: then
  // this was no joining, and the next one who has more is asked again.
  if (done.witnesses == 0 && book_.size() + few_more < claimed_)
    rejoined_ = false;
  else
    joined_ = true;
  wired_ = 0;
  join_progress p;
  p.giver = done.giver;
  p.have = p.total = done.taken;
  p.done = true;
  p.witnesses = done.witnesses;
  p.unconfirmed = done.unconfirmed;
  p.withheld = done.withheld;
  out.emplace_back(p);
  if (links_all())
    book_.each([&](const node_id& node, const auto&) {
      if (node != self_ && find_peer(node) == nullptr) {
        peer_of(node).since = now;
        want(node, out);
      }
    });
  if (const auto* g = find_peer(done.giver); g != nullptr && g->link)
    send_summary(done.giver, out);
  retry_waiting(now, out);
}

void membership::state::dial_for_now(const node_id& node, time_point now,
                                     membership_effects& out) {
  if (node == self_ || !is_member(node))
    return;
  const bool known = find_peer(node) != nullptr;
  auto& p = peer_of(node);
  if (!known)
    p.since = now;
  p.used_until = std::max(p.used_until, now + dialled_for);
  want(node, out);
}

/// Members that were known on the last day may be gone on this one. A node that
/// less than half of its neighbours answer tries others, a few at a time and
/// ever less often: all of those that it knows are candidates.
void membership::state::seek(time_point now, membership_effects& out) {
  std::size_t answering = 0;
  for (const auto& node : around_) {
    const auto* p = find_peer(node);
    answering += p != nullptr && p->link ? 1U : 0U;
  }
  if (links_all() || 2 * answering >= around_.size()) {
    seek_wait_ = seek_first;
    seek_at_ = now + seek_first;
    return;
  }
  if (now < seek_at_)
    return;
  seek_at_ = now + seek_wait_;
  seek_wait_ = std::min(2 * seek_wait_, seek_last);
  for (std::size_t n = 0; n < sought_at_once; ++n) {
    auto node = book_.after(node_id{random_.array<node_id::size>()});
    if (!node)
      node = book_.after(node_id{});
    if (node && book_.find(*node)->record().word != member_word::left)
      dial_for_now(*node, now, out);
  }
}

std::optional<join_progress> membership::state::joining() const {
  if (!join_.active())
    return std::nullopt;
  join_progress p;
  p.giver = join_.giver();
  p.have = join_.progress().have;
  p.total = join_.progress().total;
  return p;
}

} // namespace banyan::net
