// Nodes of a swarm: their processes, what these are charged for, and what they
// ask for.
#include "actors/sim/detail/swarm_state.hpp"

#include <algorithm>

namespace banyan::sim {

namespace {

constexpr duration parting = 100ms;   ///< between `left` and the end
constexpr duration start_spread = 1s; ///< so that not all beat at once
constexpr std::uint16_t port = 7600;

net::address address_of(index i) {
  return {"10." + std::to_string(i >> 16U & 255U) + "."
              + std::to_string(i >> 8U & 255U) + "." + std::to_string(i & 255U),
          port};
}

} // namespace

std::optional<index> swarm::state::at_address(const net::address& a) const {
  const auto ip = net::ip_bytes(a.host);
  if (ip.size() != 4 || ip[0] != 10 || a.port != port)
    return std::nullopt;
  const auto i = index{ip[1]} << 16U | index{ip[2]} << 8U | index{ip[3]};
  return i < machines_.size() ? std::optional{i} : std::nullopt;
}

index swarm::state::add(std::size_t region) {
  BANYAN_ASSERT(region < cfg_.places.size());
  const auto i = static_cast<index>(machines_.size());
  auto m = std::make_unique<machine>(identity::generate(network_));
  m->region = static_cast<std::uint32_t>(region);
  if (cfg_.last_mile > 0ms)
    m->last_mile = network_.between(0ms, cfg_.last_mile);
  numbers_.emplace(m->key.id(), i);
  machines_.push_back(std::move(m));
  views_.add();
  return i;
}

void swarm::state::start(index i, const std::vector<index>& seeds) {
  BANYAN_ASSERT(!at(i).core);
  at(i).boot = net::boot_id{network_.array<16>()};
  boot(i, seeds);
}

void swarm::state::boot(index i, const std::vector<index>& seeds) {
  auto& m = at(i);
  net::membership_config cfg{m.key.clone()};
  cfg.mesh = mesh_;
  cfg.boot = m.boot;
  cfg.disk_incarnation = m.disk;
  cfg.settled = m.members_on_disk;
  cfg.persist_interval = 24h; // they leave `settled` for the next boot
  cfg.listen = address_of(i);
  cfg.region = cfg_.places.name(m.region);
  cfg.zone = zone_of(i);
  cfg.verify = verify_;
  cfg.order = order_;
  for (const auto s : seeds)
    cfg.seeds.push_back({address_of(s), std::nullopt});
  if (cfg_.every)
    cfg_.every(cfg);
  ++m.life;
  m.powered = m.ran = true;
  m.left = false;
  m.armed = -1;
  m.busy_until = now();
  m.core = std::make_unique<net::membership>(std::move(cfg), random_, now());
  views_.forget(i);
  set_opinion(i, i, opinion::alive, now());
  m.core->each([&](const net::member_record& r, net::member_state s) {
    if (const auto known = numbers_.find(r.node); known != numbers_.end())
      set_opinion(i, known->second, opinion_of(s), now());
  });
  count_in(i);
  call(i, [](auto& core, auto t, auto& out) { core.start(t, out); });
  for (const auto p : m.partners)
    m.core->set_shares_group(at(p).key.id(), true);
}

void swarm::state::start_settled() {
  auto all = std::make_shared<net::settled_members>();
  all->order = order_;
  for (index i = 0; i < machines_.size(); ++i) {
    auto& m = at(i);
    m.boot = net::boot_id{network_.array<16>()};
    m.disk = incarnation{1};
    net::member_record r;
    r.node = m.key.id();
    r.incarnation = m.disk;
    r.number = 1;
    r.boot = m.boot;
    r.address = address_of(i);
    r.region = cfg_.places.name(m.region);
    r.zone = zone_of(i);
    auto d = net::member_document::make(m.key, mesh_, r);
    if (i > 0)
      d.admitted = net::admission::make(at(0).key, mesh_, r.node);
    all->put(std::make_shared<const net::member_document>(std::move(d)));
  }
  for (index i = 0; i < machines_.size(); ++i) {
    at(i).members_on_disk = all;
    outside_.at(now() + network_.between(0ms, start_spread),
                [this, i] { boot(i, {}); });
  }
  run_until(now() + start_spread);
}

std::string swarm::state::zone_of(index i) const {
  return cfg_.places.name(at(i).region) + "-" + std::to_string(i % 3);
}

/// A process has run there and runs no more.
void swarm::state::end_process(index i) {
  auto& m = at(i);
  m.members_on_disk = m.core->settled();
  m.core.reset();
  ++m.life;
  m.frozen = false;
  m.wakes = false;
  m.armed = -1;
  m.inbox.clear();
  m.links.clear();
  m.targets.clear();
  count_in(i);
}

void swarm::state::kill(index i) {
  auto& m = at(i);
  if (!m.core)
    return;
  for (auto& l : m.links)
    transmit(
        i, l,
        {net::channel::link, std::uint64_t(net::link_end::end_of_stream), {}},
        now());
  end_process(i);
}

void swarm::state::unplug(index i) {
  auto& m = at(i);
  if (!m.core)
    return;
  m.powered = false;
  end_process(i);
}

void swarm::state::freeze(index i) {
  at(i).frozen = at(i).core != nullptr;
  count_in(i);
}

void swarm::state::thaw(index i) {
  auto& m = at(i);
  if (!m.frozen)
    return;
  m.frozen = false;
  count_in(i);
  if (!m.inbox.empty())
    wake(i);
}

void swarm::state::leave(index i) {
  auto& m = at(i);
  if (!m.core || m.frozen)
    return;
  call(i, [](auto& core, auto t, auto& out) { core.leave(t, out); });
  m.left = true;
  event e;
  e.kind = what::stop;
  e.node = i;
  e.life = m.life;
  push(now() + parting, std::move(e));
}

void swarm::state::count_in(index i) {
  views_.count_in(i, at(i).core != nullptr && !at(i).frozen);
}

void swarm::state::share_group(index a, index b, bool shares) {
  for (const auto& [i, far] : {std::pair{a, b}, std::pair{b, a}}) {
    auto& m = at(i);
    m.partners.erase(std::remove(m.partners.begin(), m.partners.end(), far),
                     m.partners.end());
    if (shares)
      m.partners.push_back(far);
    if (!m.core)
      continue;
    m.core->set_shares_group(at(far).key.id(), shares);
    arm(i);
  }
}

void swarm::state::call(
    index i, const std::function<void(net::membership&, time_point,
                                      net::membership_effects&)>& f) {
  auto& m = at(i);
  BANYAN_ASSERT(m.core != nullptr);
  net::membership_effects out;
  const auto t = std::max(now(), m.busy_until);
  f(*m.core, t, out);
  m.busy_until = t;
  carry_out(i, out, t);
  arm(i);
}

/// A process takes one thing at a time, and nothing while it is frozen.
void swarm::state::input(event&& e) {
  auto& m = at(e.node);
  if (!m.core || (e.life != 0 && e.life != m.life))
    return;
  if (!m.frozen && m.inbox.empty() && m.busy_until < now() + 1ms)
    return run(std::move(e));
  const auto i = e.node;
  m.inbox.push_back(std::move(e));
  if (!m.frozen)
    wake(i);
}

void swarm::state::wake(index i) {
  auto& m = at(i);
  if (m.wakes)
    return;
  m.wakes = true;
  event e;
  e.kind = what::wake;
  e.node = i;
  push(m.busy_until, std::move(e));
}

void swarm::state::go_on(index i) {
  auto& m = at(i);
  m.wakes = false;
  std::size_t done = 0;
  while (m.core && !m.frozen && done < m.inbox.size()
         && m.busy_until < now() + 1ms) {
    auto e = std::move(m.inbox[done++]);
    if (e.life == 0 || e.life == m.life)
      run(std::move(e));
  }
  if (!m.core)
    return;
  m.inbox.erase(m.inbox.begin(), m.inbox.begin() + std::ptrdiff_t(done));
  if (!m.inbox.empty() && !m.frozen)
    wake(i);
}

void swarm::state::run(event&& e) {
  const auto i = e.node;
  auto& m = at(i);
  auto& core = *m.core;
  const auto t = std::max(now(), m.busy_until);
  net::membership_effects out;
  auto cost = cfg_.costs.input;
  verify_->take_asked();
  const auto lost = [&](net::link_end why) {
    net::link_info l;
    l.id = net::link_id{e.link};
    l.node = at(e.other).key.id();
    forget_link(i, e.link);
    core.on_link_down(l, why, t, out);
    if (auto* w = wanted(i, e.other))
      dial_later(i, *w, t);
  };
  switch (e.kind) {
  case what::frame: {
    const auto* l = side(i, e.other);
    if (l == nullptr || l->link != e.link)
      return; // it was closed while this waited
    core.on_frame(at(e.other).key.id(), e.on, e.payload, t, out);
    break;
  }
  case what::stream_end: {
    const auto* l = side(i, e.other);
    if (l == nullptr || l->link != e.link)
      return;
    lost(net::link_end(e.number));
    break;
  }
  case what::link_up: {
    const auto& far = at(e.other);
    net::link_info l;
    l.id = net::link_id{e.link};
    l.node = far.key.id();
    l.boot = far.boot;
    l.incarnation = far.disk;
    l.listen = address_of(e.other);
    l.remote = {l.listen.host, 40'000};
    l.dialled = e.dialled;
    l.round_trip = latency(i, e.other) + latency(e.other, i);
    l.up_since = t;
    cost += cfg_.costs.handshake;
    core.on_link_up(l, t, out);
    break;
  }
  case what::dial_failed:
    core.on_dial_failed(at(e.other).key.id(), net::dial_error(e.number), t,
                        out);
    break;
  case what::timer:
    core.on_tick(t, out);
    break;
  case what::persisted:
    m.disk = incarnation{e.number};
    core.on_incarnation_persisted(m.disk, t, out);
    break;
  case what::probed: {
    result<net::probe_answer, net::dial_error> answer =
        failure{net::dial_error::refused};
    if (e.link != 0)
      answer = net::probe_answer{
          at(e.other).key.id(), at(e.other).boot, at(e.other).disk, {}};
    core.on_probed(e.number, answer, t, out);
    break;
  }
  default:
    BANYAN_ASSERT(false);
  }
  const auto asked = verify_->take_asked();
  signatures_ += asked;
  cost += cfg_.costs.verify * std::int64_t(asked);
  m.busy_until = t + duration{std::int64_t(double(cost.count()) * m.slowness)};
  carry_out(i, out, m.busy_until);
  arm(i);
}

/// Asks for a call at the core's deadline, unless one comes sooner.
void swarm::state::arm(index i) {
  auto& m = at(i);
  if (!m.core)
    return;
  const auto due = m.core->deadline();
  if (due == never)
    return;
  const auto when = std::max(tick_of(due), calendar_.now() + 1);
  if (m.armed >= 0 && m.armed <= when)
    return;
  m.armed = when;
  event e;
  e.kind = what::timer;
  e.node = i;
  e.life = m.life;
  e.number = std::uint64_t(when);
  push(time_of(when), std::move(e));
}

void swarm::state::timer(event&& e) {
  auto& m = at(e.node);
  if (e.life != m.life || m.armed != tick(e.number))
    return; // an earlier one took its place
  m.armed = -1;
  if (now() < m.core->deadline())
    return arm(e.node);
  input(std::move(e));
}

void swarm::state::set_opinion(index observer, index subject, opinion o,
                               time_point now) {
  const auto before = views_.of(observer, subject);
  if (before == o)
    return;
  views_.set(observer, subject, o);
  if (outside_.on_view_change)
    outside_.on_view_change(observer, subject, before, o, now);
}

void swarm::state::carry_out(index i, net::membership_effects& effects,
                             time_point now) {
  for (auto& effect : effects) {
    if (auto* f = std::get_if<net::send_frame>(&effect)) {
      send(i, f->to, f->channel, std::move(f->payload), now);
      continue;
    }
    if (std::holds_alternative<net::beat_heard>(effect))
      continue;
    if (const auto* c = std::get_if<net::member_changed>(&effect)) {
      // One that somebody made up is nobody's opinion.
      if (const auto subject = numbers_.find(c->node);
          subject != numbers_.end()) {
        note(std::uint64_t{i} << 32U | subject->second, std::uint64_t(c->to));
        set_opinion(i, subject->second, opinion_of(c->to), now);
      }
    } else if (const auto* n = std::get_if<net::persist_incarnation>(&effect)) {
      event e;
      e.kind = what::persisted;
      e.node = i;
      e.life = at(i).life;
      e.number = n->value.value();
      push(now + cfg_.costs.fsync, std::move(e));
    } else if (const auto* w = std::get_if<net::want_link>(&effect)) {
      want(i, w->node, now);
    } else if (const auto* u = std::get_if<net::unwant_link>(&effect)) {
      unwant(i, u->node);
    } else if (const auto* s = std::get_if<net::want_seed>(&effect)) {
      want_seed(i, s->at, now);
    } else if (const auto* x = std::get_if<net::unwant_seed>(&effect)) {
      unwant_seed(i, x->at);
    } else if (const auto* h = std::get_if<net::hurry_link>(&effect)) {
      if (const auto far = numbers_.find(h->node); far != numbers_.end())
        hurry(i, far->second, now);
    } else if (const auto* cut = std::get_if<net::cut_link>(&effect)) {
      const auto far = numbers_.at(cut->node);
      end_link(i, far, net::link_end::reset, now);
      hurry(i, far, now);
    } else if (const auto* g = std::get_if<net::close_link>(&effect)) {
      end_link(i, numbers_.at(g->node), net::link_end::goodbye, now);
    } else if (const auto* a = std::get_if<net::probe_address>(&effect)) {
      probe(i, a->token, a->at, now);
    }
    if (outside_.on_effect)
      outside_.on_effect(i, effect, now);
  }
  effects.clear();
}

} // namespace banyan::sim
