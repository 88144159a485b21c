#include "net/link/detail/table.hpp"

#include <algorithm>

namespace banyan::net {

link_table::state::state(link_config config, link_limits limits, streams& io,
                         random_source& random, link_events& events)
    : config_{std::move(config)}, limits_{limits}, io_{io}, random_{random},
      events_{events}, static_key_{noise::dh_keypair::generate(random)},
      rations_{limits.rations}, seen_{limits.rations.ephemerals_max},
      forwarder_{limits.relay,
                 config_.key.id(),
                 {[this](const node_id& to, const relay_frame& f) {
                    return send_relayed(to, f);
                  },
                  [this](const node_id& n) { return neighbour(n) != nullptr; },
                  [this](const node_id& n) { return may_relay_(n); }},
                 counters_.relay},
      ends_{limits.relay,
            [this](const node_id& via, const relay_frame& f) {
              return send_relayed(via, f);
            },
            counters_.relay} {
  keys_.key = &config_.key;
  keys_.static_key = &static_key_;
  keys_.mesh = config_.mesh;
  keys_.prologue = make_prologue(config_.mesh_name);
  if (config_.client_key) {
    dial_psk_ = config_.client_key->clone();
  } else {
    BANYAN_ASSERT(!config_.mesh_keys.empty() && config_.mesh_keys.size() <= 4);
    dial_psk_ = derive_psk(config_.mesh_keys.front(), link_role::peer);
    for (const auto role : {link_role::peer, link_role::client}) {
      for (const auto& key : config_.mesh_keys)
        keys_.accepted.push_back({derive_psk(key, role), role});
    }
  }
  keys_.dial_psk = &dial_psk_;
}

connection* link_table::state::find(stream_id id) const {
  const auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second.get();
}

void link_table::state::drop(connection& c, ending how) {
  changed();
  if (c.has_slot)
    rations_.release(c.slot_known);
  if (auto* const t = find_target(c.purpose);
      t != nullptr && t->dialling == c.stream)
    t->dialling = {};
  if (c.info) {
    const auto it = current_.find(c.info->node);
    BANYAN_ASSERT(it == current_.end() || it->second != &c);
  }
  if (how == ending::close)
    stream_close(c.stream);
  else if (how == ending::reset)
    stream_reset(c.stream);
  connections_.erase(c.stream);
}

void link_table::state::closed(connection& c, stream_end why, time_point now) {
  if (c.phase <= phase::confirming) {
    if (c.dialled) {
      dial_failed(
          c, c.relayed() ? dial_error::unreachable : dial_error::hung_up, now);
    } else {
      ++counters_.handshakes_cut;
      drop(c, ending::gone);
    }
    return;
  }
  const auto end = c.heard_goodbye                    ? link_end::goodbye
                   : c.relayed()                      ? link_end::relay_lost
                   : why == stream_end::end_of_stream ? link_end::end_of_stream
                   : why == stream_end::timed_out     ? link_end::timed_out
                   : why == stream_end::local         ? link_end::local
                                                      : link_end::reset;
  went_down(c, end, now);
  drop(c, ending::gone);
}

void link_table::state::timed_out(connection& c, time_point now) {
  switch (c.phase) {
  case phase::dialling:
  case phase::shaking:
  case phase::confirming:
    if (c.heard_goodbye) {
      dial_failed(c, dial_error::hung_up, now);
      return;
    }
    ++counters_.handshake_timeouts;
    if (c.dialled)
      dial_failed(c, dial_error::timed_out, now);
    else
      drop(c, ending::reset);
    return;
  case phase::up:
    if (c.heard_goodbye) {
      went_down(c, link_end::goodbye, now);
      drain(c, now);
    } else {
      refresh(c, now);
    }
    return;
  case phase::draining:
    went_down(c, link_end::replaced, now);
    drop(c, ending::reset);
    return;
  }
}

void link_table::state::on_time(time_point now) {
  std::vector<stream_id> late;
  for (const auto& [id, c] : connections_) {
    if (c->due <= now)
      late.push_back(id);
  }
  for (const auto id : late) {
    if (auto* const c = find(id))
      timed_out(*c, now);
  }
  if (may_relay_) {
    forwarder_.on_time(now);
    ends_.on_time(now);
  }
  dial_due(now);
}

time_point link_table::state::deadline() {
  if (deadline_known_)
    return deadline_;
  auto due = never;
  for (const auto& [id, c] : connections_)
    due = std::min(due, c->due);
  const auto visit = [&](const auto& targets) {
    for (const auto& [key, t] : targets) {
      if (!stopping_ && !t.given_up && t.dialling == stream_id{}
          && !satisfied(t))
        due = std::min(due, t.next_dial);
    }
  };
  visit(by_node_);
  visit(by_address_);
  deadline_ = due;
  deadline_known_ = true;
  return due;
}

void link_table::state::stop(time_point now) {
  stopping_ = true;
  io_.stop_listening();
  by_node_.clear();
  by_address_.clear();
  // While the links that carry them still stand.
  std::vector<stream_id> relayed;
  for (auto& [id, c] : connections_)
    if (c->relayed())
      relayed.push_back(id);
  for (const auto id : relayed) {
    auto& c = *find(id);
    c.silent = true;
    if (const auto it = current_.find(c.info ? c.info->node : node_id{});
        it != current_.end() && it->second == &c)
      current_.erase(it);
    if (c.phase == phase::up) {
      drain(c, now);
      pump(c, now);
    }
    if (auto* const still = find(id))
      drop(*still, ending::close);
  }
  flush(now);
  current_.clear();
  std::vector<connection*> all;
  for (auto& [id, c] : connections_)
    all.push_back(c.get());
  for (auto* c : all) {
    if (c->phase <= phase::confirming) {
      drop(*c, ending::reset);
      continue;
    }
    c->silent = true;
    if (c->phase == phase::up)
      drain(*c, now);
  }
  flush(now);
}

void link_table::state::finish(time_point now) {
  now_ = now;
  for (;;) {
    // What a relayed link says is one more word for the link below it.
    while (std::exchange(words_waiting_, false))
      flush(now);
    if (delivering_)
      return;
    deliver();
    // Only now the frames that a relayed stream came in are done with.
    auto next = ends_.take_event();
    if (!next)
      break;
    relay_event(*next, now);
  }
}

/// Hands events over in their order. A handler may call back into the table;
/// what that adds comes after.
void link_table::state::deliver() {
  if (delivering_)
    return;
  delivering_ = true;
  while (!pending_.empty()) {
    const auto next = std::move(pending_.front());
    pending_.pop_front();
    if (const auto* up = std::get_if<up_event>(&next))
      events_.on_link_up(*up->info, up->replaces);
    else if (const auto* down = std::get_if<down_event>(&next))
      events_.on_link_down(*down->info, down->why);
    else if (const auto* frames = std::get_if<frames_event>(&next))
      events_.on_frames(*frames->info, batch_.frames());
    else if (const auto* failed = std::get_if<failed_event>(&next))
      events_.on_dial_failed(failed->what, failed->why, failed->retry_at);
    else if (const auto* writable = std::get_if<writable_event>(&next))
      events_.on_writable(*writable->info, writable->which);
    else if (const auto* probed = std::get_if<probed_event>(&next))
      events_.on_probed(probed->token, probed->answer);
    else if (const auto* own = std::get_if<own_key_event>(&next))
      events_.on_own_key_met(own->boot, own->at);
    else if (const auto* who = std::get_if<unlisted_event>(&next))
      events_.on_unlisted(who->node, who->at);
  }
  delivering_ = false;
}

} // namespace banyan::net
