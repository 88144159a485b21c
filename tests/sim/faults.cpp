#include "sim/faults.hpp"

#include "actors/node/messages.hpp"

namespace banyan::sim {

const char* to_string(faults::kind k) noexcept {
  switch (k) {
  case faults::kind::kill:
    return "kill";
  case faults::kind::quick_kill:
    return "quick kill";
  case faults::kind::power:
    return "power cut";
  case faults::kind::all_die:
    return "all die";
  case faults::kind::blackout:
    return "blackout";
  case faults::kind::cut:
    return "cut";
  case faults::kind::cut_one_way:
    return "one-way cut";
  case faults::kind::isolate:
    return "isolate";
  case faults::kind::pause:
    return "pause";
  case faults::kind::stall:
    return "stall";
  case faults::kind::reset:
    return "reset";
  case faults::kind::slow_disk:
    return "slow disk";
  case faults::kind::slow_host:
    return "slow host";
  case faults::kind::host_dies:
    return "host dies";
  case faults::kind::host_hangs:
    return "host hangs";
  case faults::kind::transfer:
    return "transfer";
  case faults::kind::disk_full:
    return "disk full";
  case faults::kind::wipe:
    return "wipe";
  case faults::kind::rot_log:
    return "log rot";
  case faults::kind::rot_row:
    return "row rot";
  }
  return "?";
}

void faults::next() {
  using k = kind;
  static constexpr k table[] = {
      k::kill,        k::kill,       k::quick_kill, k::quick_kill, k::power,
      k::power,       k::all_die,    k::blackout,   k::blackout,   k::cut,
      k::cut_one_way, k::isolate,    k::isolate,    k::pause,      k::pause,
      k::stall,       k::reset,      k::slow_disk,  k::slow_host,  k::host_dies,
      k::host_dies,   k::host_hangs, k::transfer,   k::transfer,   k::disk_full,
      k::wipe,        k::rot_log,    k::rot_row};
  world_.after(random_.between(100ms, 2500ms), [this] {
    if (stopped_)
      return;
    harm(table[random_.below(std::size(table))]);
    next();
  });
}

void faults::down(std::size_t n, machine::end how, duration for_how_long) {
  world_.at(n).kill(how);
  world_.after(for_how_long, [this, n] {
    if (!world_.at(n).up()) {
      world_.trace("fault: boot " + std::to_string(n));
      world_.at(n).boot();
    }
  });
}

void faults::harm(kind k) {
  const bool loses =
      k == kind::wipe || k == kind::rot_log || k == kind::rot_row;
  const auto n = loses ? unlucky_ : any();
  const auto b = other(n);
  auto& m = world_.at(n);
  auto& net = world_.net;
  const auto& host = m.host();
  const auto& far = world_.at(b).host();
  const auto while_ = random_.between(100ms, 3s);
  const auto shortly = random_.between(1ms, 150ms);
  switch (k) {
  case kind::kill:
  case kind::quick_kill:
  case kind::power:
  case kind::pause:
  case kind::transfer:
  case kind::wipe:
  case kind::rot_log:
    if (!m.up())
      return;
    break;
  default:
    break;
  }
  world_.trace(std::string{"fault: "} + to_string(k) + " of "
               + std::to_string(n) + " (" + std::to_string(b) + ") for "
               + std::to_string(to_ms(while_)) + " ms");
  ++counts_[to_string(k)];
  switch (k) {
  case kind::kill:
    return down(n, machine::end::process, while_);
  case kind::quick_kill:
    return down(n, machine::end::process, shortly);
  case kind::power:
    return down(n, machine::end::power, random_.chance(0.3) ? shortly : while_);
  case kind::all_die: {
    const auto how =
        random_.chance(0.5) ? machine::end::process : machine::end::power;
    for (std::size_t i = 0; i < world_.machines.size(); ++i)
      if (world_.at(i).up())
        down(i, how, random_.between(1ms, 1500ms));
    return;
  }
  case kind::blackout:
    for (const auto& each : world_.machines)
      each->disk().set_sync_delay(random_.between(5ms, 50ms));
    world_.after(random_.between(300ms, 600ms), [this] {
      for (std::size_t i = 0; i < world_.machines.size(); ++i) {
        world_.at(i).disk().set_sync_delay(0ms);
        if (!stopped_ && world_.at(i).up())
          down(i, machine::end::power, random_.between(1ms, 500ms));
      }
    });
    return;
  case kind::cut:
    net.cut(host, far);
    break;
  case kind::cut_one_way:
    net.cut_one_way(host, far);
    break;
  case kind::isolate:
    for (std::size_t i = 0; i < world_.machines.size(); ++i)
      if (i != n)
        net.cut(host, world_.at(i).host());
    break;
  case kind::pause: {
    if (m.paused())
      return;
    m.pause();
    world_.after(random_.between(100ms, 5s), [this, n, boot = m.boots()] {
      auto& paused = world_.at(n);
      if (paused.boots() == boot && paused.up() && paused.paused())
        paused.resume();
    });
    return;
  }
  case kind::stall:
    net.stall(host, far, while_);
    return;
  case kind::reset:
    net.reset_streams(host, far);
    return;
  case kind::slow_disk:
    m.disk().set_sync_delay(random_.chance(0.3) ? 1500ms
                                                : random_.between(5ms, 80ms));
    world_.after(while_, [&m] { m.disk().set_sync_delay(0ms); });
    return;
  case kind::slow_host:
    m.host_delays(5ms, 100ms);
    world_.after(while_, [&m] { m.host_delays(20us, 200us); });
    return;
  case kind::host_dies:
    m.kill_a_host();
    return;
  case kind::host_hangs:
    m.hang_a_host();
    return;
  case kind::transfer:
    for (const auto& [group, actor] : m.peer().context().replicas)
      m.peer().context().tell_replica(group, actors::group_order{});
    return;
  case kind::disk_full:
    m.disk().set_full(true);
    world_.after(while_, [&m] { m.disk().set_full(false); });
    return;
  case kind::wipe:
    down(n, machine::end::power, shortly);
    m.wipe();
    return;
  case kind::rot_log:
    down(n, machine::end::process, shortly);
    m.disk().rot_log();
    return;
  case kind::rot_row:
    m.disk().rot_row();
    return;
  }
  world_.after(while_, [this, n] {
    for (std::size_t i = 0; i < world_.machines.size(); ++i)
      if (i != n)
        world_.net.heal(world_.at(n).host(), world_.at(i).host());
  });
}

void faults::heal() {
  stopped_ = true;
  world_.trace("heal");
  world_.net.heal_all();
  for (const auto& m : world_.machines) {
    m->disk().set_sync_delay(0ms);
    m->disk().set_full(false);
    m->host_delays(20us, 200us);
    if (!m->up())
      m->boot();
    else if (m->paused())
      m->resume();
  }
}

} // namespace banyan::sim
