#include "base/codec.hpp"
#include "base/planted.hpp"
#include "net/link/detail/table.hpp"

#include <algorithm>

namespace banyan::net {
namespace {

constexpr duration refresh_retry = 30s;
constexpr std::size_t knows_max = 4096;

std::optional<link_word> read_word(const_bytes payload) {
  reader r{payload};
  std::uint64_t word = 0;
  std::int64_t k = -1;
  for (auto n = r.map(16); n > 0 && r.ok(); --n) {
    k = r.key(k);
    if (k == 0)
      word = r.uint();
    else
      r.skip();
  }
  if (!r.done())
    return std::nullopt;
  return static_cast<link_word>(word); // an unknown one is skipped
}

} // namespace

connection* link_table::state::current(const node_id& node) const {
  const auto it = current_.find(node);
  return it == current_.end() ? nullptr : it->second;
}

bool link_table::state::beats(const connection& a, const connection& b) const {
  if (a.role != b.role) // a client never takes a peer's place
    return a.role == link_role::peer;
  // Both sides compare the same numbers in the same order.
  const auto& self = config_.key.id();
  const auto& far = a.info->node;
  const auto of = [&](const connection& c, bool smaller) {
    return (self < far) == smaller ? c.own_incarnation : c.info->incarnation;
  };
  for (const bool smaller : {true, false}) {
    if (of(a, smaller) != of(b, smaller)
        && !planted(planted_bug::lower_incarnation_of_a_link))
      return of(a, smaller) > of(b, smaller);
  }
  if (a.relayed() != b.relayed())
    return b.relayed();
  if (a.dialled == b.dialled)
    return a.info->boot != b.info->boot || a.dial > b.dial;
  // Crossed dials, unless one side dialled after it had lost the other link.
  if (a.knows >= b.dial || b.knows >= a.dial)
    return a.knows >= b.dial;
  return a.dialled == (self < far);
}

bool link_table::state::enter(connection& c, time_point now) {
  auto* const old = current(c.info->node);
  link_found(c);
  if (old != nullptr && !beats(c, *old))
    return false;
  if (!c.dialled && c.role == link_role::peer) {
    if (knows_.size() >= knows_max)
      knows_.clear(); // costs a needless dial at worst
    knows_[c.info->node] = {c.info->boot, c.dial};
  }
  c.phase = phase::up;
  c.announced = true;
  c.info->up_since = now;
  c.due = now + (c.dialled ? limits_.refresh : 2 * limits_.refresh);
  current_[c.info->node] = &c;
  ++counters_.links_up;
  say(up_event{c.info, old != nullptr ? old->info->id : link_id{}});
  if (!c.relayed())
    relay_found(c.info->node, now);
  if (old == nullptr)
    return true;
  if (!old->relayed() && old->info->boot != c.info->boot)
    neighbour_lost(c.info->node, now); // another process knows no streams
  ++counters_.links_replaced;
  if (old->info->incarnation < c.info->incarnation) {
    went_down(*old, link_end::replaced, now);
    drop(*old, ending::reset);
  } else {
    drain(*old, now);
  }
  return true;
}

void link_table::state::say_word(connection& c, link_word w) {
  writer{c.out->begin(channel::link)}.map(1).uint(0).uint(
      static_cast<std::uint64_t>(w));
  // Only ever said into empty queues, and those take any frame.
  const auto queued = c.out->end();
  BANYAN_ASSERT(queued.ok());
  mark_dirty(c);
  words_waiting_ = true;
}

void link_table::state::drain(connection& c, time_point now) {
  c.phase = phase::draining;
  words_waiting_ = true;
  c.due = now + limits_.drain;
  changed();
  mark_dirty(c);
}

void link_table::state::mark_dirty(connection& c) {
  if (c.dirty)
    return;
  c.dirty = true;
  dirty_.push_back(c.stream);
}

void link_table::state::flush(time_point now) {
  const auto dirty = std::move(dirty_);
  dirty_.clear();
  for (const auto id : dirty) {
    auto* const c = find(id);
    if (c == nullptr)
      continue;
    c->dirty = false;
    pump(*c, now);
  }
}

void link_table::state::pump(connection& c, time_point now) {
  if (!c.out)
    return;
  // Above `unsent_low` the stream is sure to call again.
  const auto most =
      c.relayed() ? limits_.relayed_unsent_max : limits_.unsent_max;
  const auto enough =
      std::max((c.relayed() ? relay_ends::unsent_low : streams::unsent_low) + 1,
               most - std::min(most, fragment_bytes_max));
  for (;;) {
    if (c.out->empty()) {
      if (c.phase != phase::draining || c.said_goodbye)
        break;
      c.said_goodbye = true;
      say_word(c, link_word::goodbye);
    }
    const auto unsent = stream_unsent(c.stream);
    if (unsent >= enough)
      break;
    sealed_.clear();
    while (!c.out->empty() && sealed_.size() + unsent < most) {
      const auto at = sealed_.size();
      sealed_.resize(at + record_header_bytes);
      c.out->take(sealed_, std::min(record_plaintext_max, most - unsent - at));
      const auto size = sealed_.size() - at - record_header_bytes;
      sealed_.resize(sealed_.size() + record_tag_bytes);
      const auto sealed = c.sealer->seal_in_place(sealed_.data() + at, size);
      BANYAN_ASSERT(sealed.ok());
      ++counters_.records_out;
    }
    write(c, sealed_);
  }
  for (const auto l : {lane::control, lane::request, lane::bulk}) {
    if (c.out->became_writable(l) && c.phase == phase::up)
      say(writable_event{c.info, l});
  }
  if (c.phase == phase::up && c.bytes_moved >= limits_.refresh_bytes)
    refresh(c, now);
  if (c.phase == phase::draining && c.said_goodbye && c.heard_goodbye
      && c.out->empty()) {
    went_down(c, link_end::replaced, now);
    drop(c, ending::close);
  }
}

void link_table::state::refresh(connection& c, time_point now) {
  changed();
  if (!c.dialled) {
    // The dialler should have made a new link long ago.
    const bool late = now >= c.info->up_since + 2 * limits_.refresh
                      || c.bytes_moved / 2 >= limits_.refresh_bytes;
    if (!late)
      return;
    went_down(c, link_end::local, now);
    drain(c, now);
    return;
  }
  if (c.refreshing && now < c.due)
    return;
  c.refreshing = true;
  c.due = now + refresh_retry;
  dial_purpose p;
  p.what = dial_purpose::kind::refresh;
  p.node = c.info->node;
  p.at = c.purpose.at;
  p.via = c.via;
  if (c.relayed() && neighbour(c.via) == nullptr)
    return; // its end is near
  const auto at = p.at;
  open_dial(at, std::move(p), now);
}

void link_table::state::records(connection& c, const_bytes data,
                                time_point now) {
  BANYAN_ASSERT(!delivering_); // the batch is in use
  counters_.bytes_in += data.size();
  c.bytes_moved += data.size();
  const auto records_before = c.reader->records();
  const auto unknown_before = c.reader->unknown();
  batch_.reset(data.size() + record_plaintext_max);
  const auto fed = c.reader->feed(data, batch_);
  const auto came = c.reader->records() - records_before;
  counters_.records_in += came;
  counters_.frames_in += batch_.frames().size();
  counters_.unknown_frames += c.reader->unknown() - unknown_before;
  if (came != 0)
    c.info->last_heard = now;
  if (!own_frames(c, now)) {
    violated(c, read_errc::bad_fragment, now);
    return;
  }
  if (!batch_.frames().empty() && !c.silent)
    say(frames_event{c.info});
  if (!fed) {
    violated(c, fed.error(), now);
    return;
  }
  if (c.phase == phase::up && c.bytes_moved >= limits_.refresh_bytes)
    refresh(c, now);
}

bool link_table::state::own_frames(connection& c, time_point now) {
  auto& frames = batch_.frames();
  std::size_t kept = 0;
  for (const auto& f : frames) {
    if (f.channel != channel::link) {
      if (c.phase == phase::confirming)
        return false; // before the welcome
      if (f.channel != channel::relay || !may_relay_ || c.refused)
        frames[kept++] = f;
      else if (!relay_came(c, f.payload, now))
        return false;
      continue;
    }
    const auto word = read_word(f.payload);
    if (!word)
      return false;
    if (*word == link_word::welcome) {
      if (c.phase != phase::confirming)
        return false;
      auto* const t = find_target(c.purpose);
      if (t != nullptr && t->dialling == c.stream)
        t->dialling = {};
      if (!enter(c, now))
        drain(c, now);
      changed();
    } else if (*word == link_word::not_allowed
               && c.phase == phase::confirming) {
      c.refused = true;
      return false;
    } else if (*word == link_word::goodbye) {
      heard_goodbye(c, now);
    }
  }
  frames.resize(kept);
  return true;
}

void link_table::state::heard_goodbye(connection& c, time_point now) {
  c.heard_goodbye = true;
  words_waiting_ = true;
  changed();
  mark_dirty(c);
  if (c.phase == phase::confirming) {
    // It keeps another link to this node: the dial ends at once.
    c.due = now;
    return;
  }
  if (c.phase != phase::up)
    return;
  // A new link's welcome may still be on its way: then this one is replaced.
  const bool successor = std::any_of(
      connections_.begin(), connections_.end(), [&](const auto& entry) {
        const auto& other = *entry.second;
        return other.phase == phase::confirming
               && other.info->node == c.info->node;
      });
  if (successor) {
    c.due = now + limits_.drain;
    return;
  }
  went_down(c, link_end::goodbye, now);
  drain(c, now);
}

void link_table::state::went_down(connection& c, link_end why, time_point now,
                                  bool redial_at_once) {
  changed();
  if (!c.announced || c.silent)
    return;
  c.silent = true;
  ++counters_.links_down;
  const auto it = current_.find(c.info->node);
  const bool in_use = it != current_.end() && it->second == &c;
  if (in_use)
    current_.erase(it);
  counters_.relay.lost += why == link_end::relay_lost ? 1 : 0;
  say(down_event{c.info, in_use ? why : link_end::replaced});
  if (!in_use)
    return;
  if (!c.relayed())
    neighbour_lost(c.info->node, now);
  const bool on_purpose = why == link_end::local || why == link_end::goodbye
                          || why == link_end::protocol_error;
  link_lost(c, on_purpose ? duration::zero() : now - c.info->up_since,
            redial_at_once, now);
}

void link_table::state::violated(connection& c, read_errc why, time_point now) {
  if (c.refused && c.dialled) { // by the far side
    dial_failed(c, dial_error::not_allowed, now);
    return;
  }
  ++(why == read_errc::forbidden ? counters_.client_violations
                                 : counters_.protocol_errors);
  if (c.phase == phase::confirming) {
    dial_failed(c, dial_error::not_a_peer, now);
    return;
  }
  went_down(c, link_end::protocol_error, now);
  drop(c, ending::reset);
}

} // namespace banyan::net
