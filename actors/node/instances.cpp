// Stateless apps on this node: which of them run here, and what others hear of
// that.
#include "actors/node/instance.hpp"
#include "actors/node/operator_desk.hpp"
#include "actors/node/placing.hpp"
#include "actors/node/reach.hpp"
#include "actors/node/supervisor.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

constexpr duration look_again = 1s;  ///< at membership and placement
constexpr duration tell_again = 10s; ///< a word may have been lost

const char* why(instance_end e) {
  switch (e) {
  case instance_end::none:
    return "";
  case instance_end::host:
    return "its host is not up";
  case instance_end::spare:
    return "others serve in its place";
  case instance_end::leaving:
    return "this node is drained, or stops";
  case instance_end::gone:
    return "the app was removed";
  }
  return "";
}

} // namespace

placed group_supervisor::instances_of(const app_spec& s,
                                      const std::array<std::uint8_t, 16>& nonce,
                                      std::uint32_t count) const {
  auto need = need_of(s);
  need.voters = count;
  return place_instances(placement_hash(nonce, 0), need, members_for(ctx_, &s));
}

bool group_supervisor::should_run(const app_record& a,
                                  const node_id& node) const {
  const auto p =
      instances_of(a.version.spec, a.genesis.nonce, a.version.spec.replicas);
  return std::find(p.nodes.begin(), p.nodes.end(), node) != p.nodes.end();
}

void group_supervisor::place_seat(const app_record& a) {
  auto& seat = seat_of(a);
  const auto hash = placement_hash(a.genesis.nonce, 0);
  const auto need = need_of(a.version.spec);
  const auto members = members_for(ctx_, &a.version.spec);
  const auto p = place_instances(hash, need, members);
  const bool serving = seat.keeper.serving() != 0;
  seat.placed =
      std::find(p.nodes.begin(), p.nodes.end(), ctx_.self()) != p.nodes.end();
  if (!seat.placed && serving)
    ctx_.ask_view({a.id, 0}); // who serves in its place
  seat.covered =
      seat.placed || is_covered(hash, need, members, ctx_.self(), serving);
}

void group_supervisor::keep_instances(time_point now) {
  if (now >= instances_at_) {
    instances_at_ = now + look_again;
    for (const auto& [id, a] : apps_)
      if (a.genesis.stateless() && !a.deleted && ctx_.members != nullptr)
        place_seat(a);
  }
  std::vector<app_id> all;
  for (const auto& [id, seat] : instances_)
    all.push_back(id);
  for (const auto& id : all)
    keep_instance(id, now);
  if (now >= instances_told_at_) {
    instances_told_at_ = now + tell_again;
    for (const auto& l : ctx_.links->links())
      if (l.role == link_role::peer)
        tell_instances(l.node);
  }
}

group_supervisor::instance_seat&
group_supervisor::seat_of(const app_record& a) {
  auto& seat = instances_[a.id];
  if (seat.load == nullptr) {
    seat.load = std::make_shared<instance_load>();
    seat.name = a.genesis.name;
    ctx_.instance_loads[seat.name] = seat.load;
  }
  return seat;
}

void group_supervisor::keep_instance(const app_id& id, time_point now) {
  const auto at = instances_.find(id);
  const auto app = apps_.find(id);
  if (at == instances_.end() || app == apps_.end())
    return;
  auto& seat = at->second;
  const auto& a = app->second;
  instance_facts f;
  f.placed = seat.placed;
  f.covered = seat.covered;
  f.evacuated = desk_->evacuates();
  f.leaving =
      stopping_ || halted_ || (ctx_.is_drained(ctx_.self()) && !f.evacuated);
  f.wanted = a.deleted ? 0 : a.number;
  for (auto s = seats_.lower_bound({id, 0});
       s != seats_.end() && s->first.first == id; ++s) {
    auto& h = f.hosts[s->first.second];
    h.begun = ctx_.apps.count(s->first) != 0;
    h.up = h.begun && s->second.up;
    const auto n = seat.load->outstanding.find(s->first.second);
    h.outstanding = n == seat.load->outstanding.end() ? 0 : n->second;
  }
  std::vector<instance_step> steps;
  seat.keeper.on_tick(f, now, steps);
  for (const auto& step : steps)
    if (const auto* start = std::get_if<start_instance>(&step))
      start_instance_host(a, seat, start->number);
    else if (const auto* tell = std::get_if<tell_instance>(&step))
      tell_instance_word(id, seat, *tell);
    else
      stop_host({id, std::get<stop_instance>(step).number});
  if (f.hosts.empty() && steps.empty() && seat.actor && seat.load->waiting == 0)
    end_instance(id, seat);
}

void group_supervisor::start_instance_host(const app_record& a,
                                           instance_seat& seat,
                                           std::uint64_t number) {
  const auto spec = spec_of(a, number);
  if (!spec || halted_)
    return;
  seat.specs[number] = *spec;
  if (!seat.actor) {
    seat.actor = self_->system().spawn(instance_actor, &ctx_, a.id,
                                       a.genesis.name, seat.load);
    self_->monitor(seat.actor);
    ctx_.instances[a.id] = seat.actor;
  }
  start_host(a, number, *spec);
  const auto host = ctx_.apps.find({a.id, number});
  if (host != ctx_.apps.end())
    caf::anon_send(host->second, replica_joined{{a.id, 0}});
}

void group_supervisor::tell_instance_word(const app_id& id, instance_seat& seat,
                                          const tell_instance& t) {
  if (seat.actor)
    caf::anon_send(seat.actor, use_version{t.up ? t.number : 0});
  ctx_.known.put_instance(id, ctx_.self(), t.up, t.number);
  const auto word = encoded_control(instance_word{id, t.number, t.up});
  ctx_.broadcast(net::channel::group, word);
  if (!ctx_.full_mesh() && ctx_.far != nullptr)
    ctx_.far->tell_keepers({id, 0}, word);
  caf::anon_send(ctx_.router, view_in{{id, 0}});
  seat.load->serving = t.up ? t.number : 0;
  const auto text = "version " + std::to_string(t.number)
                    + (t.up ? " serves here" : " serves here no more: ")
                    + why(t.why);
  ctx_.log(log_level::info, "app " + seat.name + ": " + text);
  ctx_.event(t.up                           ? event_kind::instance_started
             : t.why == instance_end::spare ? event_kind::instance_gave_way
                                            : event_kind::instance_stopped,
             seat.name, text, std::nullopt, ctx_.self());
}

void group_supervisor::tell_instances(const node_id& to) {
  for (const auto& [id, seat] : instances_)
    if (const auto number = seat.keeper.serving(); number != 0)
      ctx_.tell(to, net::channel::group,
                encoded_control(instance_word{id, number, true}));
}

void group_supervisor::end_instance(const app_id& id, instance_seat& seat) {
  if (!seat.actor)
    return;
  ctx_.instances.erase(id);
  self_->demonitor(seat.actor);
  caf::anon_send_exit(seat.actor, caf::exit_reason::user_shutdown);
  seat.actor = nullptr;
}

/// The app is gone, or everything ends here: what is outstanding is lost to
/// its callers, who ask elsewhere.
void group_supervisor::drop_instance(const app_id& id) {
  const auto at = instances_.find(id);
  if (at == instances_.end())
    return;
  if (const auto number = at->second.keeper.serving(); number != 0)
    tell_instance_word(id, at->second, {number, false, instance_end::gone});
  end_instance(id, at->second);
  if (const auto load = ctx_.instance_loads.find(at->second.name);
      load != ctx_.instance_loads.end() && load->second == at->second.load)
    ctx_.instance_loads.erase(load);
  instances_.erase(at);
}

/// Calls run here that stopping should wait for.
bool group_supervisor::instances_busy() const {
  for (const auto& [id, seat] : instances_) {
    if (seat.load->waiting != 0)
      return true;
    for (const auto& [version, n] : seat.load->outstanding)
      if (n != 0)
        return true;
  }
  return false;
}

} // namespace banyan::actors
