#include "net/link/detail/table.hpp"

#include <algorithm>

namespace banyan::net {

void link_table::state::write(connection& c, const_bytes data) {
  counters_.bytes_out += data.size();
  c.bytes_moved += data.size();
  stream_write(c.stream, data);
}

void link_table::state::opened(stream_id id, const address& remote,
                               bool inbound, time_point now) {
  changed();
  if (!inbound) {
    auto* const c = find(id);
    if (c == nullptr) {
      stream_reset(id);
      return;
    }
    c->phase = phase::shaking;
    c->remote = remote;
    c->shake = std::make_unique<link_handshake>(keys_, random_);
    c->sent_at = now;
    c->due = std::min(
        c->started + limits_.handshake,
        now + (c->relayed() ? limits_.relayed_first_byte : limits_.first_byte));
    write(*c, c->shake->write_first());
    return;
  }
  if (stopping_ || !answering_ || keys_.accepted.empty()) {
    stream_reset(id);
    return;
  }
  if (!rations_.admit(remote, now)) {
    ++counters_.refused_rationed;
    stream_reset(id);
    return;
  }
  ++counters_.accepted;
  auto c = std::make_unique<connection>();
  c->stream = id;
  c->phase = phase::shaking;
  c->remote = remote;
  c->started = now;
  c->due = now + std::min(limits_.first_byte, limits_.handshake);
  c->has_slot = true;
  c->slot_known = rations_.is_known(remote);
  connections_[id] = std::move(c);
}

void link_table::state::shake(connection& c, const_bytes data, time_point now) {
  changed();
  counters_.bytes_in += data.size();
  c.due = c.started + limits_.handshake;
  while (c.phase == phase::shaking && !data.empty()) {
    const auto size = c.dialled ? message_2_bytes
                      : c.shake ? message_3_bytes
                                : message_1_bytes;
    const auto n = std::min(size - c.input.size(), data.size());
    append(c.input, data.first(n));
    data = data.from(n);
    if (c.input.size() < size)
      return;
    const bool alive = c.dialled ? take_second(c, now)
                       : c.shake ? take_third(c, now)
                                 : take_first(c, now);
    if (!alive)
      return;
    c.input.clear();
  }
  if (!data.empty()) {
    counters_.bytes_in -= data.size(); // `records` counts them
    records(c, data, now);
  }
}

hello link_table::state::own_hello(const connection& c) const {
  hello h;
  h.node = config_.key.id();
  h.role = c.dialled ? c.role : link_role::peer;
  h.incarnation = config_.incarnation;
  h.boot = config_.boot;
  h.features = config_.features;
  h.listen = config_.listen;
  h.seen = c.relayed() ? address{} : c.remote;
  h.dial = c.dialled ? c.dial : 0;
  return h;
}

bool link_table::state::take_first(connection& c, time_point now) {
  c.shake = std::make_unique<link_handshake>(keys_, random_);
  const auto role = c.shake->read_first(c.input);
  if (!role) {
    ++counters_.refused_strangers;
    drop(c, ending::reset);
    return false;
  }
  // Only what bears a psk is remembered: strangers can't flush the memory.
  if (!seen_.insert(c.shake->remote_ephemeral())) {
    ++counters_.refused_replays;
    drop(c, ending::reset);
    return false;
  }
  c.role = *role;
  if (c.relayed() && c.role != link_role::peer) {
    ++counters_.refused_strangers;
    drop(c, ending::reset);
    return false;
  }
  const auto mine = own_hello(c);
  const auto second = c.shake->write_second(mine);
  if (second.empty()) {
    ++counters_.refused_proofs;
    drop(c, ending::reset);
    return false;
  }
  c.own_incarnation = mine.incarnation;
  c.sent_at = now;
  write(c, second);
  return true;
}

bool link_table::state::take_second(connection& c, time_point now) {
  const auto far = c.shake->read_second(c.input);
  if (!far) {
    ++counters_.refused_proofs;
    dial_failed(c, dial_error::not_a_peer, now);
    return false;
  }
  if (far->node == config_.key.id()) {
    ++counters_.refused_self;
    if (far->boot != config_.boot) {
      // A clone. The third message tells it the same of us.
      say(own_key_event{far->boot, c.remote});
      write(c, c.shake->write_third(own_hello(c)));
      if (c.purpose.what == dial_purpose::kind::probe) {
        say(probed_event{
            c.purpose.token,
            probe_answer{far->node, far->boot, far->incarnation, far->seen}});
        drop(c, ending::close);
        return false;
      }
    }
    dial_failed(c, dial_error::self, now);
    return false;
  }
  if (!c.purpose.node.is_none() && c.purpose.node != far->node) {
    dial_failed(c, dial_error::wrong_node, now);
    return false;
  }
  if (c.purpose.what == dial_purpose::kind::probe) {
    say(probed_event{
        c.purpose.token,
        probe_answer{far->node, far->boot, far->incarnation, far->seen}});
    drop(c, ending::reset);
    return false;
  }
  const auto* const have = current(far->node);
  if (have != nullptr && c.purpose.what != dial_purpose::kind::refresh
      && have->info->incarnation >= far->incarnation
      && (c.relayed() || !have->relayed())) {
    dial_needless(c, far->node);
    return false;
  }
  if (!lets_in(*far, c)) {
    dial_failed(c, dial_error::unlisted, now);
    return false;
  }
  auto mine = own_hello(c);
  if (const auto it = knows_.find(far->node);
      it != knows_.end() && it->second.first == far->boot)
    mine.knows = it->second.second;
  const auto third = c.shake->write_third(mine);
  if (third.empty()) {
    dial_failed(c, dial_error::not_a_peer, now);
    return false;
  }
  write(c, third);
  c.own_incarnation = mine.incarnation;
  c.knows = mine.knows;
  establish(c, *far, now);
  c.phase = phase::confirming;
  return true;
}

bool link_table::state::take_third(connection& c, time_point now) {
  const auto far = c.shake->read_third(c.input);
  if (!far || far->node == config_.key.id()) {
    ++(far ? counters_.refused_self : counters_.refused_proofs);
    if (far && far->boot != config_.boot)
      say(own_key_event{far->boot,
                        far->listen.empty() ? c.remote : far->listen});
    drop(c, ending::reset);
    return false;
  }
  c.dial = far->dial;
  c.knows = far->knows;
  const bool may = lets_in(*far, c);
  establish(c, *far, now);
  if (!may) {
    c.refused = c.silent = true; // whatever it says
    say_word(c, link_word::not_allowed);
    drain(c, now);
  } else if (enter(c, now))
    say_word(c, link_word::welcome);
  else
    drain(c, now);
  return true;
}

bool link_table::state::lets_in(const hello& far, const connection& c) {
  if (!allowed_ || far.role != link_role::peer || allowed_(far.node))
    return true;
  ++counters_.refused_unlisted;
  say(unlisted_event{far.node, far.listen.empty() ? c.remote : far.listen});
  return false;
}

void link_table::state::establish(connection& c, const hello& far,
                                  time_point now) {
  auto info = std::make_shared<link_info>();
  info->id = link_id{++last_link_};
  info->node = far.node;
  info->role = far.role;
  info->incarnation = far.incarnation;
  info->boot = far.boot;
  info->features = far.features;
  info->minor = far.minor;
  info->via = c.via;
  info->remote = c.remote;
  info->listen = far.listen;
  info->seen_as = far.seen;
  info->dialled = c.dialled;
  info->round_trip = now - c.sent_at;
  info->last_heard = now;
  info->handshake_hash = c.shake->hash().copy();
  c.info = std::move(info);
  auto keys = c.shake->split();
  c.shake.reset();
  c.sealer = std::make_unique<record_sealer>(std::move(keys.send));
  c.reader = std::make_unique<record_reader>(std::move(keys.receive), c.role);
  c.out = std::make_unique<lanes>(limits_);
  if (c.has_slot)
    rations_.release(c.slot_known);
  c.has_slot = false;
}

} // namespace banyan::net
