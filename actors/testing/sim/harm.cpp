#include "actors/testing/sim/harm.hpp"

#include "actors/node/messages.hpp"

#include <caf/send.hpp>

#include <algorithm>

namespace banyan::sim {
namespace {

/// Until a restored image was told from a disk that was merely off.
constexpr duration recognition = 3s;
constexpr auto aftermath = world::aftermath;
constexpr duration look_every = 50ms; ///< for changes of voters
/// A host that hangs is noticed only after its longest turn.
constexpr duration host_hang_max = 11s;

void move_leaders(machine& from) {
  if (!from.up() || from.paused())
    return;
  auto& context = from.peer().context();
  for (const auto& [group, actor] : context.replicas)
    context.tell_replica(group, actors::group_order{});
}

} // namespace

// A rollback is told by those who saw what came after. That nobody can who has
// it is what peers don't promise to get over (docs/reliability.md).
bool harm::others_well(std::size_t n) const {
  for (std::size_t i = 0; i < count(); ++i)
    if (i != n && (!world_.well(i) || !world_.well(i, n)))
      return false;
  return true;
}

bool harm::begin(const fault& f) {
  if (world_.now() < quiet_until_)
    return false;
  calm_ = false;
  seeded_random dice{f.dice};
  const auto k = f.kind;
  bool began = false;
  if (k < fault_kind::cut)
    began = to_machine(f, dice);
  else if (k < fault_kind::slow_disk)
    began = count() > 1 && to_network(f, dice);
  else if (k < fault_kind::slow_host)
    began = to_disk(f, dice);
  else
    began = to_apps(f, dice);
  if (began)
    came_about(f);
  return began;
}

void harm::came_about(const fault& f) {
  ++counts_[to_string(f.kind)];
  world_.trace("fault: " + to_string(f));
  // What it leaves behind is part of it; a rolling restart takes one machine
  // after the other.
  auto until = world_.now() + f.lasts + 1s;
  if (f.kind == fault_kind::rolling_restart)
    until += static_cast<duration::rep>(count()) * (f.lasts + 1s);
  running_.push_back({to_string(f.kind), until});
}

/// A fault counts as one during a change of voters if one was under way at any
/// moment from its beginning until its end.
void harm::look_for_changes() {
  later(look_every, [this] { look_for_changes(); });
  running_.erase(
      std::remove_if(running_.begin(), running_.end(),
                     [&](const auto& r) { return r.until < world_.now(); }),
      running_.end());
  if (running_.empty())
    return;
  const auto groups = world_.logs.groups();
  if (std::none_of(groups.begin(), groups.end(), [&](const auto& g) {
        const auto* c = world_.logs.configuration(g);
        return c != nullptr && (c->joint() || !c->learners.empty());
      }))
    return;
  for (const auto& r : running_)
    ++changing_[r.name];
  running_.clear();
}

void harm::play(const schedule& s,
                const std::function<bool(std::size_t)>& skip) {
  look_for_changes();
  for (std::size_t i = 0; i < s.size(); ++i)
    if (!skip(i))
      later(s[i].at, [this, f = s[i]] { static_cast<void>(begin(f)); });
}

void harm::later(duration d, std::function<void()> f) {
  world_.after(d, [this, round = round_, f = std::move(f)] {
    if (round == round_)
      f();
  });
}

// ---- processes and machines ------------------------------------------------

void harm::down(std::size_t n, machine::end how, duration for_how_long) {
  world_.at(n).kill(how);
  boot_later(n, for_how_long);
}

void harm::boot_later(std::size_t n, duration d) {
  world_.troubled(n, d + aftermath);
  later(d, [this, n, boots = world_.at(n).boots()] {
    auto& m = world_.at(n);
    if (m.up() || m.boots() != boots)
      return;
    world_.trace("boot of " + std::to_string(n));
    m.boot();
  });
}

// One after the other, each asked to stop and waited for.
void harm::stop_next(std::size_t first, std::size_t done, duration rest) {
  if (done == count())
    return;
  const auto n = (first + done) % count();
  auto& m = world_.at(n);
  const auto go_on = [this, first, done, rest] {
    later(rest,
          [this, first, done, rest] { stop_next(first, done + 1, rest); });
  };
  if (!m.up() || m.paused())
    return go_on();
  world_.troubled(n, 30s);
  m.stop([this, n, rest, go_on, round = round_] {
    if (round != round_)
      return world_.at(n).boot(); // healed meanwhile
    boot_later(n, rest);
    go_on();
  });
}

bool harm::to_machine(const fault& f, seeded_random& dice) {
  auto& m = world_.at(f.a);
  switch (f.kind) {
  case fault_kind::kill:
  case fault_kind::quick_kill:
    if (m.up())
      down(f.a, machine::end::process, f.lasts);
    else
      return false;
    return true;
  case fault_kind::power_cut:
    if (!m.up())
      return false;
    down(f.a, machine::end::power, f.lasts);
    return true;
  case fault_kind::crash_at_write:
    if (!m.up())
      return false;
    world_.troubled(f.a, 5s);
    m.disk().crash_at_change(1 + dice.below(40), [this, f, round = round_] {
      // On the machine's loop: it ends after this turn, unlike its disk.
      world_.after(0ms, [this, f, round] {
        if (!world_.at(f.a).up())
          return;
        world_.at(f.a).kill(machine::end::power);
        if (round == round_)
          boot_later(f.a, f.lasts);
        else
          world_.at(f.a).boot(); // healed before it happened
      });
    });
    m.expect_fatal();
    return true;
  case fault_kind::all_die: {
    const auto how =
        dice.chance(0.5) ? machine::end::process : machine::end::power;
    for (std::size_t i = 0; i < count(); ++i)
      if (world_.at(i).up())
        down(i, how, dice.between(1ms, f.lasts + 1ms));
    return true;
  }
  case fault_kind::blackout:
    for (std::size_t i = 0; i < count(); ++i)
      sync_delay(i, dice.between(5ms, 50ms), f.lasts);
    later(f.lasts, [this, f] {
      seeded_random r{f.dice + 1};
      for (std::size_t i = 0; i < count(); ++i)
        if (world_.at(i).up())
          down(i, machine::end::power, r.between(1ms, 500ms));
    });
    return true;
  case fault_kind::rolling_restart:
    stop_next(f.a, 0, f.lasts);
    return true;
  case fault_kind::long_absence:
    if (!m.up())
      return false;
    down(f.a, dice.chance(0.5) ? machine::end::process : machine::end::power,
         f.lasts);
    return true;
  case fault_kind::pause:
    if (!m.up() || m.paused())
      return false;
    m.pause();
    world_.troubled(f.a, f.lasts + aftermath);
    later(f.lasts, [this, n = f.a, boots = m.boots()] {
      auto& paused = world_.at(n);
      if (paused.boots() == boots && paused.paused())
        paused.resume();
    });
    return true;
  case fault_kind::slow_cpu:
    m.slow_cpu(dice.between(50us, 2ms));
    world_.troubled(f.a, f.lasts + aftermath);
    later(f.lasts, [&m] { m.slow_cpu(0ms); });
    return true;
  case fault_kind::clock_jump:
    m.jump_wall_clock(dice.between(-3600s, 3600s));
    return true;
  case fault_kind::clock_drift:
    m.drift(static_cast<std::int64_t>(dice.below(100'001)) - 50'000);
    later(f.lasts, [&m] { m.drift(0); });
    return true;
  default:
    return false;
  }
}

// ---- network ---------------------------------------------------------------

void harm::hold(std::size_t from, std::size_t to, duration d) {
  world_.troubled(from, to, d + aftermath);
  if (++cuts_[{from, to}] == 1)
    world_.net.cut_one_way(world_.at(from).host(), world_.at(to).host());
  later(d, [this, from, to] {
    if (--cuts_[{from, to}] == 0)
      world_.net.heal_one_way(world_.at(from).host(), world_.at(to).host());
  });
}

void harm::flip(std::size_t a, std::size_t b, time_point until,
                std::uint64_t dice) {
  if (world_.now() >= until)
    return;
  seeded_random r{dice};
  const auto cut = r.between(10ms, 400ms);
  const auto whole = r.between(10ms, 400ms);
  hold(a, b, cut);
  hold(b, a, cut);
  later(cut + whole,
        [this, a, b, until, next = r.next()] { flip(a, b, until, next); });
}

// What loss looks like to those who use TCP: it waits for the retransmission,
// or gives the connection up.
void harm::lose(std::size_t a, std::size_t b, time_point until,
                std::uint64_t dice) {
  if (world_.now() >= until)
    return;
  seeded_random r{dice};
  const auto& from = world_.at(a).host();
  const auto& to = world_.at(b).host();
  if (r.chance(0.1))
    world_.net.reset_streams(from, to);
  else if (r.chance(0.5))
    world_.net.stall(from, to, r.between(200ms, 800ms));
  else
    world_.net.stall(to, from, r.between(200ms, 800ms));
  later(r.between(20ms, 300ms),
        [this, a, b, until, next = r.next()] { lose(a, b, until, next); });
}

void harm::path(std::size_t from, std::size_t to, net::virtual_network::path p,
                duration d) {
  world_.troubled(from, to, d + aftermath);
  world_.net.set_path(world_.at(from).host(), world_.at(to).host(), p);
  later(d, [this, from, to] {
    world_.net.set_path(world_.at(from).host(), world_.at(to).host(),
                        world_.usual_path(from, to));
  });
}

bool harm::to_network(const fault& f, seeded_random& dice) {
  const auto each_other = [&](const auto& what) {
    for (std::size_t i = 0; i < count(); ++i)
      if (i != f.a)
        what(i);
  };
  const auto& from = world_.at(f.a).host();
  const auto& to = world_.at(f.b).host();
  switch (f.kind) {
  case fault_kind::cut:
    hold(f.a, f.b, f.lasts);
    hold(f.b, f.a, f.lasts);
    return true;
  case fault_kind::cut_one_way:
    hold(f.a, f.b, f.lasts);
    return true;
  case fault_kind::isolate:
    each_other([&](auto i) { hold(f.a, i, f.lasts), hold(i, f.a, f.lasts); });
    return true;
  case fault_kind::deafen:
    each_other([&](auto i) { hold(i, f.a, f.lasts); });
    return true;
  case fault_kind::split:
    for (std::size_t i = 0; i < count(); ++i)
      for (std::size_t j = 0; j < count(); ++j)
        if (i <= f.a && j > f.a)
          hold(i, j, f.lasts), hold(j, i, f.lasts);
    return true;
  case fault_kind::flip_flop:
    flip(f.a, f.b, world_.now() + f.lasts, f.dice);
    world_.troubled(f.a, f.b, f.lasts + aftermath);
    return true;
  case fault_kind::stall:
    world_.troubled(f.a, f.b, f.lasts + aftermath);
    world_.net.stall(from, to, f.lasts);
    return true;
  case fault_kind::reset:
    world_.troubled(f.a, f.b, aftermath);
    world_.net.reset_streams(from, to);
    return true;
  case fault_kind::loss:
    lose(f.a, f.b, world_.now() + f.lasts, f.dice);
    world_.troubled(f.a, f.b, f.lasts + 800ms + aftermath);
    return true;
  case fault_kind::slow_link: {
    auto p = world_.usual_path(f.a, f.b);
    p.delay_low = dice.between(50ms, 500ms);
    p.delay_high = p.delay_low + dice.between(1ms, 100ms);
    path(f.a, f.b, p, f.lasts);
    return true;
  }
  case fault_kind::jitter:
    for (std::size_t i = 0; i < count(); ++i)
      for (std::size_t j = 0; j < count(); ++j)
        if (i != j) {
          auto p = world_.usual_path(i, j);
          p.delay_low = 100us;
          p.delay_high = dice.between(5ms, 100ms);
          path(i, j, p, f.lasts);
        }
    return true;
  case fault_kind::clog:
    each_other([&](auto i) {
      auto p = world_.usual_path(f.a, i);
      p.bytes_per_second = 2000 + dice.below(20'000);
      path(f.a, i, p, f.lasts);
    });
    // What is queued by then must still get through.
    world_.troubled(f.a, 2 * f.lasts + aftermath);
    world_.words_late(2 * f.lasts + aftermath);
    return true;
  default:
    return false;
  }
}

// ---- disks -----------------------------------------------------------------

void harm::sync_delay(std::size_t n, duration more, duration d) {
  world_.at(n).disk().set_sync_delay(more);
  world_.troubled(n, d + more + aftermath);
  later(d, [this, n] { world_.at(n).disk().set_sync_delay(0ms); });
}

bool harm::to_disk(const fault& f, seeded_random& dice) {
  auto& m = world_.at(f.a);
  switch (f.kind) {
  case fault_kind::slow_disk:
    sync_delay(f.a, dice.between(5ms, 80ms), f.lasts);
    return true;
  case fault_kind::slow_sync:
    sync_delay(f.a, f.lasts, f.lasts);
    return true;
  case fault_kind::disk_full:
    m.disk().set_full(true);
    world_.troubled(f.a, f.lasts + aftermath);
    later(f.lasts, [&m] { m.disk().set_full(false); });
    return true;
  case fault_kind::sync_error:
  case fault_kind::write_error:
  case fault_kind::commit_error:
    if (!m.up())
      return false;
    m.expect_fatal();
    if (f.kind == fault_kind::sync_error)
      m.disk().fail_next_sync();
    else if (f.kind == fault_kind::write_error)
      m.disk().fail_next_write();
    else
      m.disk().fail_next_commit();
    world_.troubled(f.a, 2s);
    return true;
  default:
    return m.up() && to_synced(f);
  }
}

/// Everybody else that runs has heard of a later incarnation.
bool harm::known_above(const node_id& who, incarnation then) const {
  for (const auto& m : world_.machines) {
    if (!m->up() || m->id() == who)
      continue;
    const auto* members = m->peer().context().members;
    const auto found = members ? members->find(who) : std::nullopt;
    if (!found || found->record.incarnation <= then)
      return false;
  }
  return true;
}

/// Into what it was a while ago, in the same boot: no incarnation tells of it.
/// Only a leader can that had its acknowledgements in between, and still leads.
void harm::roll_back(const fault& f) {
  const auto n = f.a;
  auto& m = world_.at(n);
  if (!m.up())
    return;
  later(f.lasts, [this, f, n, boots = m.boots(), image = m.disk().copy(),
                  before = world_.leaders.leaderships()] {
    auto& old = world_.at(n);
    if (!old.up() || old.boots() != boots || !others_well(n)
        || world_.leaders.leaderships() != before)
      return;
    for (const auto& g : world_.logs.groups())
      if (world_.leaders.serving(g).value_or(n) == n)
        return;
    quiet_until_ = world_.now() + recognition;
    came_about(f);
    world_.logs.loses(old.id());
    old.expect_fatal();
    down(n, machine::end::power, 50ms);
    old.disk().restore(image);
  });
}

bool harm::to_synced(const fault& f) {
  auto& m = world_.at(f.a);
  world_.logs.loses(m.id());
  m.expect_fatal();
  // Its replicas may be given up: no voters, until they are replaced.
  world_.troubled(f.a, 1h);
  switch (f.kind) {
  case fault_kind::wipe:
    down(f.a, machine::end::power, f.lasts);
    m.wipe();
    return true;
  case fault_kind::old_image:
    // It has booted since, and peers have seen the later incarnation: that is
    // what tells an old image from a disk that was merely off.
    later(f.lasts / 2, [this, n = f.a] {
      if (world_.at(n).up())
        down(n, machine::end::process, 10ms);
    });
    later(f.lasts,
          [this, n = f.a, image = m.disk().copy(),
           then = m.up() ? m.peer().context().incarnation : incarnation{}] {
            auto& old = world_.at(n);
            if (!old.up() || !known_above(old.id(), then) || !others_well(n))
              return;
            quiet_until_ = world_.now() + recognition;
            old.expect_fatal();
            world_.logs.loses(old.id());
            down(n, machine::end::power, 50ms);
            old.disk().restore(image);
          });
    return true;
  case fault_kind::rot_log:
    down(f.a, machine::end::process, f.lasts);
    return m.disk().rot_log();
  case fault_kind::rot_documents:
    down(f.a, machine::end::process, f.lasts);
    return m.disk().rot_documents();
  case fault_kind::rot_state:
    down(f.a, machine::end::process, f.lasts);
    return m.disk().rot_state();
  case fault_kind::rot_row:
    return m.disk().rot_row();
  case fault_kind::rot_meta:
    return m.disk().rot_meta();
  case fault_kind::misplaced_batch:
    m.disk().misdirect_next_batch();
    later(f.lasts, [this, n = f.a] {
      world_.logs.loses(world_.at(n).id());
      if (world_.at(n).up())
        down(n, machine::end::process, 100ms);
    });
    return true;
  case fault_kind::misplaced_row:
    m.disk().misdirect_next_row();
    later(f.lasts, [this, n = f.a] {
      if (world_.at(n).up())
        down(n, machine::end::process, 100ms);
    });
    return true;
  case fault_kind::lost_row:
    down(f.a, machine::end::process, f.lasts);
    return m.disk().lose_row();
  case fault_kind::rolled_back:
    move_leaders(m);
    later(aftermath, [this, f] { roll_back(f); });
    return false; // counted as it comes about
  default:
    return false;
  }
}

// ---- app hosts and operators -----------------------------------------------

bool harm::to_apps(const fault& f, seeded_random& dice) {
  auto& m = world_.at(f.a);
  switch (f.kind) {
  case fault_kind::slow_host:
    m.host_delays(5ms, 100ms);
    world_.troubled(f.a, f.lasts + aftermath);
    later(f.lasts, [&m] { m.host_delays(20us, 200us); });
    return true;
  case fault_kind::late_host:
    m.host_delays(200ms, 2s);
    world_.troubled(f.a, f.lasts + 2s + aftermath);
    later(dice.between(10ms, f.lasts), [&m] { move_leaders(m); });
    later(f.lasts, [&m] { m.host_delays(20us, 200us); });
    return true;
  case fault_kind::host_dies:
    world_.troubled(f.a, 1s);
    return m.kill_a_host();
  case fault_kind::host_hangs:
    world_.troubled(f.a, host_hang_max + aftermath);
    return m.hang_a_host();
  case fault_kind::transfer:
    if (!m.up() || m.paused())
      return false;
    move_leaders(m);
    return true;
  case fault_kind::move:
    return move_a_voter(f.a, dice);
  case fault_kind::drain:
    return drain(f.a, f.b, f.lasts);
  default:
    return false;
  }
}

/// Whether all of a group's voters run: an operator moves none while another is
/// lost, since the group would take the healthy one's successor for its repair.
bool harm::all_voters_run(const group_id& g) const {
  for (const auto& v : world_.logs.configuration(g)->voters) {
    bool runs = false;
    for (const auto& m : world_.machines)
      runs = runs
             || (m->id() == v.node && m->up() && !m->paused()
                 && m->peer().context().replicas.count(g) != 0);
    if (!runs)
      return false;
  }
  return true;
}

/// Its leader's supervisor hears that it is gone, and replaces it: where there
/// is another machine, that one's replica comes, and the old one leaves.
bool harm::move_a_voter(std::size_t n, seeded_random& dice) {
  std::vector<std::pair<group_id, replica_ref>> voters;
  for (const auto& g : world_.logs.groups())
    if (const auto* c = world_.logs.configuration(g);
        c != nullptr && !c->joint() && c->members().size() < count()
        && world_.leaders.serving(g).value_or(n) != n && all_voters_run(g))
      for (const auto& v : c->voters)
        if (v.node == world_.at(n).id())
          voters.emplace_back(g, v);
  if (voters.empty())
    return false;
  const auto& [group, who] = voters[dice.below(voters.size())];
  auto& leader = world_.at(*world_.leaders.serving(group));
  if (!leader.up())
    return false;
  caf::anon_send(leader.peer().context().supervisor,
                 actors::replica_news{group, replica_lost{who}});
  return true;
}

/// An operator orders it at another machine, where there is a further one that
/// may take what it has; never by force: that would let groups shrink to less
/// than outlives the loss of a disk.
bool harm::drain(std::size_t n, std::size_t by, duration d) {
  auto& m = world_.at(n);
  auto& asked = world_.at(by);
  if (count() < 4 || !m.up() || m.paused() || !asked.up() || asked.paused()
      || asked.peer().context().is_drained(m.id())
      || m.peer().context().replicas.empty())
    return false;
  actors::operate_in in;
  in.what = operator_wish::drain;
  in.from = m.id();
  in.done = [this, n](const actors::operate_answer& a) {
    world_.trace("drain of " + std::to_string(n) + ": "
                 + (a.status == reply_status::ok ? "begun" : a.message));
  };
  caf::anon_send(asked.peer().context().supervisor, std::move(in));
  drained_.insert(n);
  later(d, [this, n] { take_back(n); });
  return true;
}

void harm::take_back(std::size_t n) {
  auto& m = world_.at(n);
  if (!m.up() || m.paused() || !m.peer().context().is_drained(m.id()))
    return; // if it comes back drained, it stays so until all is healed
  actors::operate_in in;
  in.what = operator_wish::keep;
  in.from = m.id();
  in.done = [](const actors::operate_answer&) {};
  caf::anon_send(m.peer().context().supervisor, std::move(in));
}

/// An order may still be on its way, and an older disk may have come back.
void harm::take_back_all() {
  if (!calm_)
    return;
  for (const auto n : drained_)
    take_back(n);
  later(look_every, [this] { take_back_all(); });
}

// ---- the end of it ---------------------------------------------------------

void harm::heal() {
  ++round_;
  quiet_until_ = {};
  running_.clear();
  cuts_.clear();
  world_.trace("heal");
  world_.net.heal_all();
  for (std::size_t i = 0; i < count(); ++i)
    for (std::size_t j = 0; j < count(); ++j)
      if (i != j)
        world_.net.set_path(world_.at(i).host(), world_.at(j).host(),
                            world_.usual_path(i, j));
  for (const auto& m : world_.machines) {
    m->disk().set_sync_delay(0ms);
    m->disk().set_full(false);
    m->disk().fail_nothing(); // an idle disk may not have met its error yet
    m->host_delays(20us, 200us);
    m->slow_cpu(0ms);
    m->drift(0);
    if (!m->up())
      m->boot();
    else if (m->paused())
      m->resume();
  }
  calm_ = true;
  take_back_all();
}

} // namespace banyan::sim
