// What is done where a node can't be dialled (ADR 0037): how it comes to know,
// what its record then says, and what others make of the loss of a link that a
// neighbour forwards.
#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

/// So many neighbours could dial: no more are asked.
constexpr std::size_t reached_enough = 3;
constexpr duration reach_interval = 3s;  ///< between two questions
constexpr duration reach_again = 1min;   ///< to one that couldn't
constexpr duration reach_patience = 10s; ///< for an answer
/// How long others are tried before a lost relayed link counts as silence:
/// three handshakes by way of a neighbour on another continent.
constexpr duration relay_patience = 1s;

} // namespace

void membership::state::reach_told(const node_id& by, bool reached) {
  reached_by_[by] = reached;
}

std::vector<node_id>
membership::state::relays_of(const member_record& r) const {
  if ((cfg_.features & feature_relay) == 0 || (r.features & feature_relay) == 0)
    return {};
  auto relays = r.relays;
  relays.erase(std::remove(relays.begin(), relays.end(), self_), relays.end());
  return relays;
}

void membership::state::look_after_reach(time_point now,
                                         membership_effects& out) {
  if ((cfg_.features & feature_relay) == 0)
    return;
  const auto direct = [](const peer& p) {
    return p.link && !p.link->relayed()
           && (p.link->features & feature_relay) != 0;
  };
  // What those say who are gone holds until another says otherwise.
  std::size_t reached = 0;
  bool unreached = false;
  for (auto i = reached_by_.begin(); i != reached_by_.end();) {
    const auto* p = find_peer(i->first);
    if ((p == nullptr || !p->link) && reached_by_.size() > 1) {
      i = reached_by_.erase(i);
      continue;
    }
    reached += i->second ? 1 : 0;
    unreached = unreached || !i->second;
    ++i;
  }
  choose_relays();
  if (!links_all())
    for (auto& [node, p] : peers_)
      if (p.wanted && !p.wanted_relays.empty())
        seek_relay(node, now, out);

  if ((dial_back_token_ != 0 && now < dial_back_sent_ + reach_patience)
      || now < reach_asked_at_ + reach_interval
      || (reached >= reached_enough && !unreached))
    return;
  node_id who;
  for (const auto& [node, p] : peers_)
    if (direct(p) && is_member(node) && reached_by_.count(node) == 0
        && p.dial_back_asked + reach_again <= now)
      who = node;
  if (who.is_none())
    for (const auto& [node, p] : peers_) {
      const auto said = reached_by_.find(node);
      if (direct(p) && said != reached_by_.end() && !said->second
          && p.dial_back_asked + reach_again <= now)
        who = node;
    }
  if (who.is_none())
    return;
  auto& p = *find_peer(who);
  const auto at = own_.address.empty()
                      ? address{p.link->seen_as.host, cfg_.listen.port}
                      : own_.address;
  if (at.host.empty() || at.port == 0)
    return;
  reach_asked_at_ = p.dial_back_asked = dial_back_sent_ = now;
  dial_back_token_ = random_.next() | 1U;
  dial_back_at_ = at;
  send(who, dial_back_message{dial_back_token_, at}, out);
}

/// Hidden is whom at least one of its neighbours couldn't dial. It says who
/// forwards to it: the nearest that can be dialled themselves, and those that
/// it named before as long as they hold.
void membership::state::choose_relays() {
  const bool hidden =
      std::any_of(reached_by_.begin(), reached_by_.end(),
                  [](const auto& said) { return !said.second; });
  std::vector<node_id> chosen;
  std::vector<std::pair<duration, node_id>> others;
  for (const auto& [node, p] : peers_) {
    const auto* m = book_.find(node);
    if (!hidden || !p.link || p.link->relayed() || m == nullptr
        || m->state == member_state::dead
        || (p.link->features & feature_relay) == 0
        || !m->record().relays.empty())
      continue;
    if (std::find(own_.relays.begin(), own_.relays.end(), node)
        != own_.relays.end())
      chosen.push_back(node);
    else
      others.emplace_back(p.life.round_trip(), node);
  }
  std::sort(others.begin(), others.end());
  for (const auto& [rtt, node] : others)
    if (chosen.size() < member_record::relays_max)
      chosen.push_back(node);
  std::sort(chosen.begin(), chosen.end());
  if (chosen == own_.relays || (hidden && chosen.empty()) || leaving_)
    return;
  own_.relays = std::move(chosen);
  sign_own();
}

void membership::state::seek_relay(const node_id& node, time_point now,
                                   membership_effects& out) {
  const auto* p = find_peer(node);
  if (links_all() || p == nullptr || (p->link && !p->link->relayed()))
    return;
  if (p->link)
    return use_link(p->link->via, now, out);
  node_id by;
  for (const auto& relay : p->wanted_relays) {
    const auto* m = book_.find(relay);
    if (m == nullptr || m->state == member_state::dead
        || !m->record().relays.empty())
      continue;
    const auto* linked = find_peer(relay);
    if (linked != nullptr && linked->link)
      return use_link(relay, now, out);
    by = relay;
  }
  if (!by.is_none())
    use_link(by, now, out);
}

void membership::state::spare(peer& p, time_point now) {
  if (p.saw == sight::heard)
    p.spared_until = now + relay_patience;
}

} // namespace banyan::net
