// The network of a swarm: dials, links, packets that take a while, get lost or
// find no way.
#include "actors/sim/detail/swarm_state.hpp"

#include <algorithm>

namespace banyan::sim {

namespace {

/// Around one frame: a record's length and tag, a fragment's head.
constexpr std::size_t frame_overhead = 2 + 16 + 4;
/// What either side of a handshake sends: messages 1 and 3; message 2 and the
/// welcome.
constexpr std::size_t dialler_bytes = 48 + 832;
constexpr std::size_t answerer_bytes = 864 + frame_overhead + 4;
constexpr std::size_t packet_bytes = 1'400;
/// A stream carries so much without hearing that any of it came.
constexpr std::uint32_t window_bytes = 14'000;
constexpr duration retransmit = 200ms;
constexpr duration retransmit_most = 120s;
constexpr duration dial_timeout = 2s;
constexpr duration backoff_first = 50ms;
constexpr duration backoff_most = 5s;

std::uint64_t pair_of(index a, index b) {
  return a < b ? std::uint64_t{a} << 32U | b : std::uint64_t{b} << 32U | a;
}

} // namespace

swarm::state::link_side* swarm::state::side(index i, index far) {
  for (auto& l : at(i).links)
    if (l.far == far)
      return &l;
  return nullptr;
}

swarm::state::target* swarm::state::wanted(index i, index far) {
  for (auto& t : at(i).targets)
    if (t.far == far)
      return &t;
  return nullptr;
}

bool swarm::state::blocked(index from, index to) const {
  if (!cuts_)
    return false;
  const auto &a = at(from), &b = at(to);
  return a.side != b.side || a.loss_out >= 1 || b.loss_in >= 1
         || (!one_way_.empty()
             && one_way_.count(std::uint64_t{from} << 32U | to) > 0);
}

duration swarm::state::latency(index from, index to) {
  const auto& a = at(from);
  const auto& b = at(to);
  const auto base =
      cfg_.places.one_way(a.region, b.region) + a.last_mile + b.last_mile;
  return base + network_.between(0ns, base / 10 + 100us);
}

/// How long so many bytes take to arrive, with what is lost sent again.
duration swarm::state::transit(index from, index to, std::size_t size) {
  const auto d = latency(from, to);
  const auto pass =
      (1 - loss_) * (1 - at(from).loss_out) * (1 - at(to).loss_in);
  if (pass >= 1)
    return d;
  auto late = duration{};
  for (std::size_t sent = 0; sent < size; sent += packet_bytes) {
    auto packet = duration{};
    for (auto again = retransmit + 2 * d; !network_.chance(pass);
         again = std::min(again * 2, retransmit_most))
      packet += again;
    late = std::max(late, packet);
  }
  return d + late;
}

void swarm::state::send(index from, const node_id& to, net::channel on,
                        bytes&& payload, time_point now) {
  const auto far = numbers_.find(to);
  auto& m = at(from);
  if (m.hook && far != numbers_.end() && !m.hook(far->second, on, payload))
    return;
  auto* via = far == numbers_.end() ? nullptr : side(from, far->second);
  if (via != nullptr)
    transmit(from, *via, {on, 0, std::move(payload)}, now);
}

/// Puts something on a stream. False when it has to wait there.
bool swarm::state::transmit(index from, link_side& via, held&& h,
                            time_point now) {
  auto& m = at(from);
  const auto size = h.payload.size() + frame_overhead;
  m.carried.bytes_out += size;
  ++m.carried.frames_out;
  const bool deaf = cuts_ && blocked(via.far, from);
  if (!via.waits.empty() || blocked(from, via.far)
      || (deaf && via.unanswered + size > window_bytes)) {
    if (via.waits.empty()) {
      via.stalled_at = now;
      stalled_.emplace_back(from, via.link);
    }
    via.waits.push_back(std::move(h));
    return false;
  }
  via.unanswered = deaf ? via.unanswered + std::uint32_t(size) : 0;
  m.uplink_free =
      std::max(m.uplink_free, now)
      + duration{std::int64_t(double(size) * 8e9 / cfg_.bits_per_second)};
  via.clear = std::max(via.clear, m.uplink_free + transit(from, via.far, size));
  event e;
  e.kind = h.end == 0 ? what::frame : what::stream_end;
  e.on = h.on;
  e.node = via.far;
  e.other = from;
  e.link = via.link;
  e.number = h.end;
  e.payload = std::move(h.payload);
  push(via.clear, std::move(e));
  return true;
}

/// At the kernel of `e.node`.
void swarm::state::arrive(event&& e) {
  auto& m = at(e.node);
  if (!m.powered)
    return;
  m.carried.bytes_in += e.payload.size() + frame_overhead;
  ++m.carried.frames_in;
  const auto* l = side(e.node, e.other);
  if (m.core && l != nullptr && l->link == e.link)
    return input(std::move(e));
  // Nobody knows that stream here.
  if (e.kind == what::stream_end || blocked(e.node, e.other))
    return;
  event back;
  back.kind = what::stream_end;
  back.node = e.other;
  back.other = e.node;
  back.link = e.link;
  back.number = std::uint64_t(net::link_end::reset);
  push(now() + latency(e.node, e.other), std::move(back));
}

void swarm::state::forget_link(index i, std::uint64_t link) {
  auto& links = at(i).links;
  links.erase(std::remove_if(links.begin(), links.end(),
                             [&](const auto& l) { return l.link == link; }),
              links.end());
}

/// The near process closes it; the far one sees that when it arrives.
void swarm::state::end_link(index from, index to, net::link_end far_sees,
                            time_point now) {
  auto* l = side(from, to);
  if (l == nullptr)
    return;
  transmit(from, *l, {net::channel::link, std::uint64_t(far_sees), {}}, now);
  forget_link(from, l->link);
}

void swarm::state::want(index i, const node_id& node, time_point now) {
  const auto far = numbers_.find(node);
  if (far == numbers_.end())
    return;
  auto* t = wanted(i, far->second);
  if (t == nullptr) {
    t = &at(i).targets.emplace_back();
    t->far = far->second;
  }
  t->any = false;
  t->backoff = {};
  dial(i, *t, now);
}

void swarm::state::unwant(index i, const node_id& node) {
  const auto far = numbers_.find(node);
  auto& all = at(i).targets;
  if (far != numbers_.end())
    all.erase(
        std::remove_if(all.begin(), all.end(),
                       [&](const auto& t) { return t.far == far->second; }),
        all.end());
}

void swarm::state::want_seed(index i, const net::address& where,
                             time_point now) {
  const auto far = at_address(where);
  if (!far || *far == i || wanted(i, *far) != nullptr)
    return;
  auto& t = at(i).targets.emplace_back();
  t.far = *far;
  t.any = true;
  dial(i, t, now);
}

void swarm::state::unwant_seed(index i, const net::address& where) {
  const auto far = at_address(where);
  auto& all = at(i).targets;
  all.erase(std::remove_if(
                all.begin(), all.end(),
                [&](const auto& t) { return t.any && far && t.far == *far; }),
            all.end());
}

void swarm::state::hurry(index i, index far, time_point now) {
  if (auto* t = wanted(i, far))
    dial(i, *t, now);
}

void swarm::state::dial_later(index i, target& t, time_point now) {
  t.backoff = t.backoff == duration{} ? backoff_first
                                      : std::min(t.backoff * 2, backoff_most);
  t.turn = ++turns_;
  event e;
  e.kind = what::redial;
  e.node = i;
  e.other = t.far;
  e.life = at(i).life;
  e.number = t.turn;
  push(now + t.backoff + network_.between(0ms, t.backoff / 5), std::move(e));
}

void swarm::state::redial(const event& e) {
  auto* t = at(e.node).life == e.life ? wanted(e.node, e.other) : nullptr;
  if (t == nullptr || t->turn != e.number)
    return;
  if (at(e.node).frozen)
    dial_later(e.node, *t, now());
  else
    dial(e.node, *t, now());
}

void swarm::state::dial(index i, target& t, time_point now) {
  t.turn = ++turns_; // no other waits
  if (t.dialling || t.far == i || side(i, t.far) != nullptr)
    return;
  t.dialling = true;
  at(i).carried.bytes_out += dialler_bytes;
  if (blocked(i, t.far))
    return fail_dial(i, t.far, net::dial_error::timed_out,
                     now - this->now() + dial_timeout);
  event e;
  e.kind = what::dialled;
  e.node = t.far;
  e.other = i;
  e.life = at(i).life;
  push(now + transit(i, t.far, 1), std::move(e));
}

void swarm::state::fail_dial(index i, index far, net::dial_error why,
                             duration after) {
  event e;
  e.kind = what::dial_failed;
  e.node = i;
  e.other = far;
  e.life = at(i).life;
  e.number = std::uint64_t(why);
  calls_.emplace(++calls_made_, [this, e]() mutable {
    if (at(e.node).life != e.life)
      return;
    auto* t = wanted(e.node, e.other);
    if (t == nullptr)
      return;
    t->dialling = false;
    if (side(e.node, e.other) != nullptr)
      return; // from the other side
    dial_later(e.node, *t, now());
    if (!t->any)
      input(std::move(e));
  });
  event c;
  c.number = calls_made_;
  push(now() + after, std::move(c));
}

/// The first packet is there.
void swarm::state::dialled(event&& e) {
  const auto to = e.node;
  const auto from = e.other;
  if (at(from).life != e.life)
    return;
  const auto& m = at(to);
  if (!m.powered || m.frozen || blocked(to, from))
    return fail_dial(from, to, net::dial_error::timed_out, dial_timeout);
  if (!m.core)
    return fail_dial(from, to, net::dial_error::refused, latency(to, from));
  e.kind = what::shaken;
  e.number = m.life;
  push(now() + 2 * transit(to, from, 1) + transit(from, to, 1), std::move(e));
}

/// All three messages are through: up here, and there with the welcome.
void swarm::state::shaken(event&& e) {
  const auto to = e.node;
  const auto from = e.other;
  if (at(from).life != e.life)
    return;
  auto& m = at(to);
  if (m.life != e.number || m.frozen || at(from).frozen || blocked(to, from)
      || blocked(from, to))
    return fail_dial(from, to, net::dial_error::timed_out, dial_timeout);
  if (auto* t = wanted(from, to))
    t->dialling = false;
  const auto* here = side(to, from);
  const auto* there = side(from, to);
  if (pending_.count(pair_of(from, to)) > 0
      || (here != nullptr && there != nullptr && here->link == there->link))
    return; // they have one that the other dialled
  const auto link = ++links_made_;
  m.carried.bytes_out += answerer_bytes;
  m.carried.bytes_in += dialler_bytes;
  at(from).carried.bytes_in += answerer_bytes;
  pending_.insert(pair_of(from, to));
  const auto welcome = now() + transit(to, from, 1);
  event up;
  up.kind = what::welcomed;
  up.node = from;
  up.other = to;
  up.life = e.life;
  up.link = link;
  push(welcome, std::move(up)); // before anything that follows it there
  came_up(to, from, link, false, welcome);
}

/// The welcome is there.
void swarm::state::welcomed(const event& e) {
  pending_.erase(pair_of(e.node, e.other));
  if (at(e.node).life == e.life)
    came_up(e.node, e.other, e.link, true, now());
}

/// A link is up at this end; nothing sent here arrives before `clear`.
void swarm::state::came_up(index i, index far, std::uint64_t link, bool dialled,
                           time_point clear) {
  auto& m = at(i);
  if (const auto* old = side(i, far))
    forget_link(i, old->link); // replaced
  auto& l = m.links.emplace_back();
  l.far = far;
  l.link = link;
  l.clear = clear;
  if (auto* t = wanted(i, far)) {
    t->backoff = {};
    t->turn = ++turns_;
    if (t->any)
      m.targets.erase(m.targets.begin() + (t - m.targets.data()));
  }
  event e;
  e.kind = what::link_up;
  e.node = i;
  e.other = far;
  e.life = m.life;
  e.link = link;
  e.dialled = dialled;
  input(std::move(e));
}

void swarm::state::probe(index i, std::uint64_t token, const net::address& at,
                         time_point now) {
  const auto far = at_address(at);
  event e;
  e.kind = what::probed;
  e.node = i;
  e.life = this->at(i).life;
  e.number = token;
  e.other = far.value_or(i);
  e.link = far && this->at(*far).core && !this->at(*far).frozen
                   && !blocked(i, *far) && !blocked(*far, i)
               ? 1
               : 0;
  const auto takes = far ? 3 * (latency(i, *far) + latency(*far, i)) : 2ms;
  push(now + (e.link != 0 || far ? takes : dial_timeout), std::move(e));
}

/// Streams that stand still are tried again as TCP does: 200 ms after they
/// stopped, then after twice as long each time.
void swarm::state::cuts_changed() {
  const auto waiting = std::exchange(stalled_, {});
  for (const auto& [i, link] : waiting) {
    auto& links = at(i).links;
    const auto l =
        std::find_if(links.begin(), links.end(),
                     [&, id = link](const auto& s) { return s.link == id; });
    if (l == links.end() || l->waits.empty())
      continue;
    stalled_.emplace_back(i, link);
    if (blocked(i, l->far))
      continue;
    auto next = l->stalled_at;
    for (auto step = retransmit; next <= now();
         step = std::min(step * 2, retransmit_most))
      next += step;
    event e;
    e.kind = what::retry;
    e.node = i;
    e.other = l->far;
    e.link = link;
    push(next, std::move(e));
  }
}

void swarm::state::retry(const event& e) {
  auto* l = side(e.node, e.other);
  if (l == nullptr || l->link != e.link || blocked(e.node, e.other))
    return;
  auto waits = std::exchange(l->waits, {});
  for (auto& h : waits) {
    at(e.node).carried.bytes_out -= h.payload.size() + frame_overhead;
    --at(e.node).carried.frames_out; // counted when it was sent first
    transmit(e.node, *l, std::move(h), now());
  }
}

} // namespace banyan::sim
