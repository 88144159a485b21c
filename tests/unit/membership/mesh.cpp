#include "tests/unit/membership/mesh.hpp"

#include "net/membership/remembering_verifier.hpp"

#include <algorithm>

namespace banyan::net::testing {

void mesh::at(time_point t, std::function<void()> run) {
  tasks_.push({std::max(t, now), ++order_, std::move(run)});
}

std::size_t mesh::add() {
  const auto i = machines_.size();
  machines_.push_back(std::make_unique<machine>(identity::generate(random_)));
  machines_[i]->at = {"10.0.0." + std::to_string(i + 1), 7600};
  enlist(i);
  return i;
}

std::size_t mesh::index_of(const node_id& node, std::size_t from) const {
  auto found = machines_.size();
  const auto all = by_id_.find(node);
  if (all == by_id_.end())
    return found;
  for (const auto i : all->second)
    if (found == machines_.size() || linked(from, i))
      found = i; // of two clones, the one with the link
  return found;
}

std::size_t mesh::clone_of(std::size_t original, const address& elsewhere) {
  const auto i = machines_.size();
  auto& m = *machines_[original];
  machines_.push_back(std::make_unique<machine>(m.key.clone()));
  machines_[i]->at = elsewhere;
  enlist(i);
  machines_[i]->disk = m.disk;
  machines_[i]->members_on_disk = m.members_on_disk;
  return i;
}

void mesh::start(std::size_t i, std::optional<std::size_t> seed,
                 const std::function<void(membership_config&)>& change) {
  auto& m = *machines_[i];
  m.boot = boot_id{random_.array<16>()};
  membership_config cfg{m.key.clone()};
  cfg.mesh = mesh_;
  cfg.boot = m.boot;
  cfg.disk_incarnation = m.disk;
  cfg.persisted_members = m.members_on_disk;
  cfg.settled = m.settled;
  cfg.listen = m.at;
  if (seed)
    cfg.seeds.push_back({machines_[*seed]->at, std::nullopt});
  if (every)
    every(cfg);
  if (change)
    change(cfg);
  m.frozen = false;
  m.held.clear();
  m.wanted.clear();
  m.armed = never;
  m.core = std::make_unique<membership>(std::move(cfg), random_, now);
  call(i, [this](auto& core, auto& out) { core.start(now, out); });
}

void mesh::found(std::size_t n) {
  for (std::size_t i = 0; i < n; ++i)
    add();
  for (std::size_t i = 0; i < n; ++i)
    start(i, i == 0 ? std::nullopt : std::optional<std::size_t>{0});
  const auto took = run_until([this] { return settled(); }, 10s);
  BANYAN_ASSERT(took.has_value());
  run_for(1s); // the beats know their rhythm
}

void mesh::share_all() {
  every = [before = every,
           shared = std::make_shared<remembering_verifier>(mesh_),
           order = std::make_shared<ring_order>(mesh_)](auto& cfg) {
    if (before)
      before(cfg);
    cfg.verify = shared;
    cfg.order = order;
    cfg.admissions_burst = 10'000;
  };
}

void mesh::found_settled(std::size_t n) {
  share_all();
  auto all = std::make_shared<settled_members>();
  all->order = std::make_shared<ring_order>(mesh_);
  every = [shared = every, order = all->order](auto& cfg) {
    shared(cfg);
    cfg.order = order;
  };
  for (std::size_t i = 0; i < n; ++i) {
    add();
    member_record r;
    r.node = id(i);
    r.incarnation = incarnation{1};
    r.number = 1;
    r.address = machines_[i]->at;
    r.boot = boot_id{random_.array<16>()};
    auto d = member_document::make(machines_[i]->key, mesh_, r);
    if (i > 0)
      d.admitted = admission::make(machines_[0]->key, mesh_, id(i));
    all->put(std::make_shared<const member_document>(std::move(d)));
  }
  for (std::size_t i = 0; i < n; ++i) {
    auto& m = *machines_[i];
    m.disk = incarnation{1};
    m.settled = all;
    start(i, std::nullopt,
          [&](auto& cfg) { m.boot = cfg.boot = all->members[i]->record.boot; });
    run_for(1s / std::int64_t(n)); // their beats come at different times
  }
  run_for(5s);
}

void mesh::found_again(std::size_t n) {
  share_all();
  bytes known;
  writer w{known};
  w.array(2).uint(1).array(n);
  for (std::size_t i = 0; i < n; ++i) {
    add();
    member_record r;
    r.node = id(i);
    r.incarnation = incarnation{1};
    r.number = 1;
    r.address = machines_[i]->at;
    auto d = member_document::make(machines_[i]->key, mesh_, r);
    if (i > 0)
      d.admitted = admission::make(machines_[0]->key, mesh_, id(i));
    d.encode(w);
  }
  for (std::size_t i = 0; i < n; ++i) {
    machines_[i]->disk = incarnation{1};
    machines_[i]->members_on_disk = known;
    at(now + random_.between(0ms, 1s), [this, i] { start(i); });
  }
  run_for(1s);
  const auto took = run_until([this] { return agreed(); }, 30s, 100ms);
  BANYAN_ASSERT(took.has_value());
  run_for(5s); // the beats know their rhythm
}

bool mesh::agreed() {
  for (std::size_t i = 0; i < machines_.size(); ++i)
    for (std::size_t j = 0; j < machines_.size(); ++j) {
      if (!machines_[i]->up() || !machines_[j]->up() || i == j)
        continue;
      const auto v = core(i).find(id(j));
      if (!v || v->state != member_state::alive
          || v->record.incarnation != core(j).own().incarnation
          || v->record.number != core(j).own().number)
        return false;
    }
  return true;
}

duration mesh::transit() {
  auto d = latency();
  for (auto again = duration{200ms}; loss > 0 && random_.chance(loss);
       again *= 2)
    d += again;
  return d;
}

void mesh::run_for(duration d) {
  const auto end = now + d;
  while (!tasks_.empty() && tasks_.top().at <= end) {
    auto t = tasks_.top();
    tasks_.pop();
    now = t.at;
    t.run();
  }
  now = end;
}

std::optional<duration> mesh::run_until(const std::function<bool()>& done,
                                        duration limit) {
  const auto begun = now;
  while (!done()) {
    if (tasks_.empty() || begun + limit < tasks_.top().at)
      return std::nullopt;
    auto t = tasks_.top();
    tasks_.pop();
    now = t.at;
    t.run();
  }
  return now - begun;
}

std::optional<duration> mesh::run_until(const std::function<bool()>& done,
                                        duration limit, duration step) {
  const auto begun = now;
  while (!done()) {
    if (begun + limit < now + step)
      return std::nullopt;
    run_for(step);
  }
  return now - begun;
}

void mesh::call(
    std::size_t i,
    const std::function<void(membership&, membership_effects&)>& f) {
  membership_effects out;
  f(*machines_[i]->core, out);
  carry_out(i, std::move(out));
  if (machines_[i]->up())
    arm(i);
}

void mesh::arm(std::size_t i) {
  auto& m = *machines_[i];
  const auto due = m.core->deadline();
  if (due == m.armed || due == never)
    return;
  m.armed = due;
  at(due, [this, i, due, core = m.core.get()] {
    auto& n = *machines_[i];
    if (n.core.get() != core || n.armed != due)
      return;
    n.armed = never;
    deliver(i, [this, i] {
      call(i, [this](auto& c, auto& out) { c.on_tick(now, out); });
    });
  });
}

void mesh::deliver(std::size_t to, std::function<void()> what) {
  auto& m = *machines_[to];
  if (!m.up())
    return;
  if (m.frozen)
    m.held.push_back(std::move(what));
  else
    what();
}

void mesh::inject(std::size_t from, std::size_t to, channel on,
                  const bytes& b) {
  call(to, [&](auto& c, auto& out) { c.on_frame(id(from), on, b, now, out); });
}

bool mesh::linked(std::size_t a, std::size_t b) const {
  return links_.count(key_of(a, b)) > 0;
}

void mesh::carry_out(std::size_t i, membership_effects effects) {
  auto& m = *machines_[i];
  for (auto& effect : effects) {
    trace = trace * 1099511628211ULL + effect.index() + i * 31
            + static_cast<std::uint64_t>(now.time_since_epoch().count());
    if (auto* f = std::get_if<send_frame>(&effect)) {
      const auto to = index_of(f->to, i);
      const auto k = key_of(i, to);
      const auto l = links_.find(k);
      ++frames;
      frame_bytes += f->payload.size();
      const auto kind = f->channel == channel::beat ? 0U : f->payload[1];
      bytes_by_kind[std::min<std::size_t>(kind, 23)] += f->payload.size();
      if (l == links_.end() || cut_between(i, to))
        continue;
      auto& clear = i == k.first ? l->second.clear_a : l->second.clear_b;
      clear = std::max(clear + 1us, now + transit());
      at(clear, [this, i, to, k, link = l->second.id, on = f->channel,
                 payload = std::move(f->payload)] {
        const auto still = links_.find(k);
        if (still == links_.end() || still->second.id != link)
          return;
        deliver(to, [this, i, to, on, payload] { inject(i, to, on, payload); });
      });
      continue;
    }
    if (!std::holds_alternative<beat_heard>(effect))
      m.log.push_back({now, effect});
    if (auto* w = std::get_if<want_link>(&effect)) {
      m.wanted[w->node] = w->at;
      m.backoff.erase(w->node);
      if (!linked(i, index_of(w->node, i)))
        dial(i, w->at, w->node);
    } else if (auto* u = std::get_if<unwant_link>(&effect)) {
      m.wanted.erase(u->node);
    } else if (auto* s = std::get_if<want_seed>(&effect)) {
      dial(i, s->at, {});
    } else if (auto* h = std::get_if<hurry_link>(&effect)) {
      if (m.wanted.count(h->node) > 0 && !linked(i, index_of(h->node, i)))
        dial(i, m.wanted[h->node], h->node);
    } else if (auto* c = std::get_if<cut_link>(&effect)) {
      const auto far = index_of(c->node, i);
      const auto k = key_of(i, far);
      if (links_.count(k) > 0)
        end_link(k, i == k.first ? link_end::local : link_end::end_of_stream,
                 i == k.second ? link_end::local : link_end::end_of_stream);
      dial_later(i, c->node);
    } else if (auto* g = std::get_if<close_link>(&effect)) {
      const auto far = index_of(g->node, i);
      const auto k = key_of(i, far);
      if (links_.count(k) > 0)
        end_link(k, i == k.first ? link_end::local : link_end::goodbye,
                 i == k.second ? link_end::local : link_end::goodbye);
    } else if (auto* p = std::get_if<probe_address>(&effect)) {
      at(now + 2 * latency(), [this, i, token = p->token, to = p->at] {
        result<probe_answer, dial_error> answer = failure{dial_error::refused};
        for (std::size_t j = 0; j < size(); ++j) {
          auto& far = *machines_[j];
          if (far.at != to || !far.up() || far.frozen)
            continue;
          answer = probe_answer{far.key.id(), far.boot, far.disk, {}};
          if (far.key.id() == id(i) && j != i)
            call(j, [&](auto& core, auto& out) {
              core.on_own_key_met(machines_[i]->boot, machines_[i]->at, now,
                                  out);
            });
        }
        deliver(i, [this, i, token, answer] {
          call(i, [&](auto& core, auto& out) {
            core.on_probed(token, answer, now, out);
          });
        });
      });
    } else if (auto* d = std::get_if<persist_incarnation>(&effect)) {
      at(now + 300us, [this, i, value = d->value, was = m.core.get()] {
        auto& n = *machines_[i];
        if (n.core.get() != was)
          return;
        n.disk = value;
        deliver(i, [this, i, value] {
          call(i, [&](auto& core, auto& out) {
            core.on_incarnation_persisted(value, now, out);
          });
        });
      });
    } else if (auto* o = std::get_if<persist_members>(&effect)) {
      m.members_on_disk = o->encoded;
    } else if (std::holds_alternative<cloned>(effect)) {
      at(now, [this, i] { kill(i); });
    }
  }
}

void mesh::dial_later(std::size_t from, const node_id& to) {
  auto& m = *machines_[from];
  auto& wait = m.backoff[to];
  wait = wait == duration{} ? 50ms : std::min<duration>(wait * 2, 5s);
  at(now + wait + random_.between(0ms, 10ms),
     [this, from, to, core = m.core.get()] {
       auto& n = *machines_[from];
       if (n.core.get() == core && n.wanted.count(to) > 0
           && !linked(from, index_of(to, from)))
         dial(from, n.wanted[to], to);
     });
}

void mesh::dial(std::size_t from, const address& to, const node_id& want) {
  at(now + latency(),
     [this, from, to, want, core = machines_[from]->core.get()] {
       auto& m = *machines_[from];
       if (m.core.get() != core)
         return;
       std::size_t far = machines_.size();
       for (std::size_t j = 0; j < machines_.size(); ++j)
         if (machines_[j]->at == to && machines_[j]->up())
           far = j;
       auto why = dial_error::refused;
       auto wait = latency();
       if (far < machines_.size()) {
         if (!cut_between(from, far) && !machines_[far]->frozen && !m.frozen) {
           if (!linked(from, far) && far != from
               && (want.is_none() || want == id(far)))
             connect(from, far);
           return;
         }
         why = dial_error::timed_out;
         wait = 2s;
       }
       at(now + wait, [this, from, want, why, to, core] {
         if (machines_[from]->core.get() != core)
           return;
         if (want.is_none()) {
           at(now + 100ms, [this, from, to, core] {
             if (machines_[from]->core.get() == core)
               dial(from, to, {});
           });
           return;
         }
         dial_later(from, want);
         deliver(from, [this, from, want, why] {
           call(from, [&](auto& c, auto& out) {
             c.on_dial_failed(want, why, now, out);
           });
         });
       });
     });
}

link_info mesh::info(const pair& k, const stream& s,
                     std::size_t seen_by) const {
  const bool a = seen_by == k.first;
  const auto& far = *machines_[a ? k.second : k.first];
  link_info l;
  l.id = s.id;
  l.node = far.key.id();
  l.boot = a ? s.boot_b : s.boot_a;
  l.incarnation = far.disk;
  l.remote = {far.at.host, 40000};
  l.listen = far.at;
  l.dialled = a == s.a_dialled;
  l.round_trip = 500us;
  l.up_since = now;
  return l;
}

void mesh::connect(std::size_t from, std::size_t to) {
  const auto k = key_of(from, to);
  // One link per node pair: of two clones, the later one has it.
  for (const auto& [near, far] : {std::pair{from, to}, std::pair{to, from}})
    for (const auto other : by_id_[id(far)])
      if (other != far && linked(near, other)) {
        const auto old = key_of(near, other);
        end_link(old,
                 near == old.first ? link_end::replaced : link_end::goodbye,
                 near == old.second ? link_end::replaced : link_end::goodbye);
      }
  auto& s = links_[k];
  s.id = link_id{++links_made_};
  s.boot_a = machines_[k.first]->boot;
  s.boot_b = machines_[k.second]->boot;
  s.a_dialled = from == k.first;
  machines_[from]->backoff.erase(id(to));
  machines_[to]->backoff.erase(id(from));
  const auto first = info(k, s, k.first);
  const auto second = info(k, s, k.second);
  for (const auto& [i, l] : {std::pair{k.first, first}, {k.second, second}})
    deliver(i, [this, i = i, l = l] {
      call(i, [&](auto& c, auto& out) { c.on_link_up(l, now, out); });
    });
}

void mesh::end_link(const pair& k, link_end seen_by_a, link_end seen_by_b) {
  const auto s = links_.at(k);
  links_.erase(k);
  const auto tell = [&](std::size_t i, link_end why, bool other) {
    if (!machines_[i]->up())
      return;
    const auto l = info(k, s, i);
    at(why == link_end::local ? now : now + latency(),
       [this, i, l, why, core = machines_[i]->core.get(), other] {
         if (machines_[i]->core.get() != core
             || (other && why != link_end::local
                 && cut_between(i, index_of(l.node, i))))
           return;
         deliver(i, [this, i, l, why] {
           call(i,
                [&](auto& c, auto& out) { c.on_link_down(l, why, now, out); });
         });
       });
  };
  tell(k.first, seen_by_a, true);
  tell(k.second, seen_by_b, true);
}

void mesh::end_links(std::size_t i, link_end why) {
  std::vector<pair> ends;
  for (const auto& [k, s] : links_)
    if (k.first == i || k.second == i)
      ends.push_back(k);
  for (const auto& k : ends)
    end_link(k, why, why);
}

void mesh::kill(std::size_t i) {
  auto& m = *machines_[i];
  if (m.core && m.settled)
    m.settled = m.core->settled();
  m.core.reset();
  end_links(i, link_end::end_of_stream);
}

void mesh::unplug(std::size_t i) {
  for (std::size_t j = 0; j < machines_.size(); ++j)
    if (j != i)
      sever(i, j);
}

void mesh::freeze(std::size_t i) {
  machines_[i]->frozen = true;
}

void mesh::thaw(std::size_t i) {
  auto& m = *machines_[i];
  m.frozen = false;
  const auto held = std::exchange(m.held, {});
  for (const auto& run : held)
    deliver(i, run);
  if (m.up() && m.armed == never)
    arm(i);
}

void mesh::sever(std::size_t a, std::size_t b, bool yes) {
  if (yes)
    severed_.insert(key_of(a, b));
  else
    severed_.erase(key_of(a, b));
}

void mesh::split(const std::set<std::size_t>& side, bool yes) {
  for (std::size_t a = 0; a < machines_.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      if (side.count(a) != side.count(b))
        sever(a, b, yes);
}

report mesh::says(std::size_t observer, std::size_t subject,
                  std::uint64_t number, bool down) {
  report r;
  r.observer = id(observer);
  r.subject = id(subject);
  r.observer_incarnation = core(observer).own().incarnation;
  r.subject_incarnation = core(subject).own().incarnation;
  r.number = number;
  r.down = down;
  r.sign(machines_[observer]->key, mesh_);
  return r;
}

incarnation mesh::boot_from_old_image(std::size_t i) {
  auto& m = *machines_[i];
  const auto image = m.members_on_disk;
  for (int boots = 0; boots < 3; ++boots) {
    kill(i);
    run_for(500ms);
    start(i);
    BANYAN_ASSERT(run_until([&] { return settled(); }, 10s));
  }
  const auto known = core(i).own().incarnation;
  kill(i);
  run_for(500ms);
  m.disk = incarnation{1};
  m.members_on_disk = image;
  m.log.clear();
  start(i);
  return known;
}

bool mesh::all_see(std::size_t whom, member_state s) {
  for (std::size_t i = 0; i < machines_.size(); ++i)
    if (i != whom && machines_[i]->up() && !machines_[i]->frozen
        && sees(i, whom) != s)
      return false;
  return true;
}

bool mesh::settled() {
  for (std::size_t i = 0; i < machines_.size(); ++i)
    for (std::size_t j = 0; j < machines_.size(); ++j) {
      if (!machines_[i]->up() || !machines_[j]->up())
        continue;
      const auto v = core(i).find(id(j));
      if (!v || v->state != member_state::alive || !v->heard
          || v->record.incarnation != core(j).own().incarnation
          || v->record.number != core(j).own().number)
        return false;
    }
  return true;
}

} // namespace banyan::net::testing
