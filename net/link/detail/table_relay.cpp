// Relayed streams, which the rest of the table treats like those of `io_`.
#include "net/link/detail/table.hpp"

#include <algorithm>

namespace banyan::net {

void link_table::state::stream_write(stream_id id, const_bytes data) {
  if (is_relayed(id))
    ends_.write(id, data);
  else
    io_.write(id, data);
}

std::size_t link_table::state::stream_unsent(stream_id id) const {
  return is_relayed(id) ? ends_.unsent(id) : io_.unsent(id);
}

void link_table::state::stream_close(stream_id id) {
  if (is_relayed(id))
    ends_.close(id, now_);
  else
    io_.close(id);
}

void link_table::state::stream_reset(stream_id id) {
  if (is_relayed(id))
    ends_.reset(id);
  else
    io_.reset(id);
}

connection* link_table::state::neighbour(const node_id& node) const {
  if (!may_relay_ || (config_.features & feature_relay) == 0)
    return nullptr;
  auto* const link = current(node);
  const bool carries = link != nullptr && !link->relayed()
                       && link->role == link_role::peer
                       && (link->info->features & feature_relay) != 0;
  return carries ? link : nullptr;
}

bool link_table::state::send_relayed(const node_id& to, const relay_frame& f) {
  auto* const link = neighbour(to);
  if (link == nullptr)
    return false;
  BANYAN_ASSERT(open_frame_ == nullptr);
  writer w{link->out->begin(channel::relay)};
  encode(f, w);
  if (!link->out->end()) {
    ++counters_.sends_refused;
    return false;
  }
  ++counters_.frames_out;
  mark_dirty(*link);
  words_waiting_ = true; // nobody else asks for it to go
  return true;
}

bool link_table::state::relay_came(connection& c, const_bytes payload,
                                   time_point now) {
  relay_frame f;
  if (c.relayed() || c.role != link_role::peer || !decode(payload, f)) {
    ++counters_.relay.frames_bad;
    return false;
  }
  now_ = now;
  if (f.forwarded)
    ends_.on_frame(c.info->node, f);
  else
    forwarder_.on_frame(c.info->node, f, now);
  return true;
}

void link_table::state::relay_event(relay_ends::event& e, time_point now) {
  using kind = relay_ends::event::kind;
  if (e.what == kind::opened) {
    const auto* const by = neighbour(e.via);
    if (by == nullptr || (e.inbound && connections_.count(e.id) > 0)) {
      stream_reset(e.id);
      if (auto* const c = find(e.id))
        closed(*c, stream_end::reset, now);
      return;
    }
    opened(e.id, by->remote, e.inbound, now);
    if (auto* const c = find(e.id); c != nullptr && e.inbound) {
      ++counters_.relay.answered;
      c->via = e.via;
    }
    return;
  }
  auto* const c = find(e.id);
  if (c == nullptr)
    return;
  switch (e.what) {
  case kind::opened:
    return;
  case kind::data:
    if (c->reader)
      records(*c, e.data, now);
    else
      shake(*c, e.data, now);
    return;
  case kind::drained:
    return pump(*c, now);
  case kind::closed:
    return closed(*c, stream_end::reset, now);
  }
}

void link_table::state::neighbour_lost(const node_id& node, time_point now) {
  if (!may_relay_)
    return;
  forwarder_.link_gone(node, now);
  ends_.link_gone(node);
}

void link_table::state::relay_found(const node_id& neighbour, time_point now) {
  for (auto& [node, t] : by_node_) {
    if (current(node) != nullptr
        || std::find(t.relays.begin(), t.relays.end(), neighbour)
               == t.relays.end())
      continue;
    t.next_dial = std::min(t.next_dial, now + t.wait);
    dial_no_longer(t);
  }
}

void link_table::state::dial_no_longer(target& t) {
  auto* const c = find(t.dialling);
  if (c == nullptr || c->phase != phase::dialling || c->relayed())
    return;
  t.turn = 0;
  drop(*c, ending::reset);
}

node_id link_table::state::next_relay(target& t) const {
  const auto n = t.relays.size();
  if (t.turn > n || (t.turn == n && t.what.at.empty()))
    t.turn = 0;
  for (; t.turn < n; ++t.turn) {
    const auto& by = t.relays[(t.first_relay + t.turn) % n];
    if (by != t.what.node && neighbour(by) != nullptr)
      return by;
  }
  return {};
}

void link_table::state::relay_failed(target& t, const node_id& via) {
  const auto i = std::find(t.relays.begin(), t.relays.end(), via);
  if (i != t.relays.end())
    t.first_relay = static_cast<std::size_t>(i - t.relays.begin()) + 1;
  t.turn = 0;
}

} // namespace banyan::net
