#include "actors/node/context.hpp"

#include "actors/node/reach.hpp"
#include "actors/node/uptime.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {

node_context::node_context(io::loop& l, random_source& r, const identity& k,
                           node_settings s, store::disk& d, host_factory& h)
    : loop{l}, random{r}, key{k}, settings{std::move(s)}, disk{d}, hosts{h},
      guard{k.id()}, events{k.id()} {
  standing_of = [this](const node_id& who) {
    return uptime == nullptr ? standing::normal : uptime->acting(who);
  };
}

std::optional<app_directory::app>
node_context::find(std::string_view name) const {
  const auto* a = known.find_app(name);
  const auto l = lineages.find(std::string{name});
  if (a == nullptr || l == lineages.end())
    return std::nullopt;
  return app{a->id, l->second, a->shards};
}

const directory::app* node_context::app_named(const std::string& name,
                                              std::string_view id,
                                              std::string& why) const {
  const auto* shown = known.find_app(name);
  if (const auto among = conflicts.find(name); among != conflicts.end()) {
    const auto* chosen = choose(among->second, id);
    if (chosen == nullptr)
      why = contested_words(name, among->second);
    return chosen == nullptr ? nullptr : known.find_app(chosen->id);
  }
  if (shown == nullptr)
    why = "no app named '" + name + "'; `banyan apps` lists what there is";
  else if (to_string(shown->id).compare(0, id.size(), id) != 0) {
    why = "'" + name + "' has the id " + to_string(shown->id) + ", not "
          + std::string{id};
    return nullptr;
  }
  return shown;
}

namespace {

template <class T>
constexpr bool is_for_instances =
    std::is_same_v<
        T,
        request_in> || std::is_same_v<T, turn_results_in> || std::is_same_v<T, host_up_in> || std::is_same_v<T, host_down_in>;

} // namespace

template <class T>
bool node_context::tell_replica(const group_id& g, T message) {
  const auto r = replicas.find(g);
  if (r == replicas.end()) {
    if constexpr (is_for_instances<T>)
      if (const auto i = instances.find(g.app); i != instances.end()) {
        caf::anon_send(i->second, std::move(message));
        return true;
      }
    return false;
  }
  caf::anon_send(r->second, std::move(message));
  return true;
}

template <class T>
void node_context::tell_host(const app_host_id& host, T message) {
  const auto a = apps.find(host);
  if (a != apps.end())
    caf::anon_send(a->second, std::move(message));
}

template <class T>
void node_context::tell_hosts(const app_id& app_of, const T& message) {
  for (auto a = apps.lower_bound({app_of, 0});
       a != apps.end() && a->first.first == app_of; ++a)
    caf::anon_send(a->second, message);
}

const handler_info* node_context::handler(const std::string& app_name,
                                          std::string_view command) const {
  const auto versions_here = handlers.find(app_name);
  if (versions_here == handlers.end())
    return nullptr;
  const auto& all = versions_here->second;
  for (auto i = all.rbegin(); i != all.rend(); ++i)
    if (const auto* h = i->second.find(command))
      return h;
  return nullptr;
}

bool node_context::same_region(const node_id& a, const node_id& b) const {
  const auto ra = regions.find(a);
  const auto rb = regions.find(b);
  return ra != regions.end() && rb != regions.end() && ra->second == rb->second;
}

feature_bits node_context::features_of(const node_id& who) const {
  if (who == self())
    return settings.features;
  const auto m = members == nullptr ? std::nullopt : members->find(who);
  return m ? m->record.features : feature_bits{0};
}

bool node_context::process_seen(const node_id& who, const net::boot_id& boot) {
  auto& last = processes[who];
  if (last.number != 0 && last.boot == boot)
    return false;
  last = {boot, ++processes_seen};
  return true;
}

std::uint64_t node_context::process_of(const node_id& who) const {
  const auto at = processes.find(who);
  return at == processes.end() ? 0 : at->second.number;
}

state_phase node_context::state_of(const group_id& g,
                                   const replica_ref& who) const {
  const auto theirs = unready_states.find(who.node);
  if (theirs == unready_states.end())
    return state_phase::whole;
  const auto at = theirs->second.find(g);
  return at != theirs->second.end() && at->second.id == who.replica
             ? at->second.phase
             : state_phase::whole;
}

std::uint64_t node_context::leads_hash(const node_id& leader,
                                       const node_id& other) const {
  std::uint64_t sum = 0;
  known.each_view([&](const group_view& v) {
    const auto is_other = [&](const replica_view& r) {
      return r.who.node == other;
    };
    if (v.leader.node != leader
        || (std::none_of(v.voters.begin(), v.voters.end(), is_other)
            && std::none_of(v.learners.begin(), v.learners.end(), is_other)))
      return;
    std::uint64_t h = std::hash<group_id>{}(v.group);
    h ^= (v.term.value() + 1) * 0x9E3779B97F4A7C15;
    h *= 0xBF58476D1CE4E5B9;
    sum += h ^ (h >> 31);
  });
  return sum;
}

bool node_context::full_mesh() const {
  return members == nullptr || members->full();
}

bool node_context::is_linked(const node_id& who) const {
  return links != nullptr && links->find(who) != nullptr;
}

bool node_context::hears(const node_id& who) const {
  return who == self() || (members != nullptr && members->hears(who));
}

std::map<node_id, standing> node_context::standings() const {
  std::map<node_id, standing> out;
  if (members != nullptr)
    members->each([&](const net::member_record& r, net::member_state) {
      if (const auto as = standing_of(r.node); as != standing::normal)
        out.emplace(r.node, as);
    });
  return out;
}

bool node_context::reaches(const node_id& who) const {
  if (who == self())
    return true;
  if (members == nullptr)
    return false;
  return members->hears(who)
         || (!members->full() && !is_linked(who)
             && members->state_of(who) == net::member_state::alive);
}

void node_context::use_link(const node_id& who) {
  if (far != nullptr)
    far->use(who);
}

void node_context::ask_view(const group_id& g, bool doubted) {
  if (far != nullptr)
    far->ask(g, doubted);
}

bool node_context::send(const node_id& to, net::channel c,
                        const_bytes payload) {
  if (links == nullptr)
    return false;
  if (const auto sent = links->send(to, c, payload); !sent) {
    if (sent.error() == net::send_errc::not_linked && far != nullptr
        && far->send(to, c, payload))
      return true;
    ++counters.sends_refused;
    return false;
  }
  if (far != nullptr)
    far->used(to, c);
  flush_links_later();
  return true;
}

bool node_context::tell(const node_id& to, net::channel c,
                        const_bytes payload) {
  if (links == nullptr || !links->send(to, c, payload))
    return false;
  flush_links_later();
  return true;
}

void node_context::prove(const node_id& to, const group_id& g) {
  const auto* link = links == nullptr ? nullptr : links->find(to);
  if (link == nullptr)
    return;
  const auto proof = guard.prove(*link, g);
  if (!proof)
    return;
  send(to, net::channel::group, encoded_control(secret_proof{g, *proof}));
}

void node_context::send_group(const node_id& to, const group_id& g, bool bulk,
                              const_bytes frame) {
  if (!is_linked(to)) // what is proved is proved on a link
    return use_link(to);
  prove(to, g);
  send(to, bulk ? net::channel::bulk : net::channel::raft, frame);
}

void node_context::broadcast(net::channel c, const_bytes payload) {
  if (links == nullptr)
    return;
  for (const auto& l : links->links())
    if (l.role == link_role::peer && !tell(l.node, c, payload))
      ++counters.sends_refused;
}

void node_context::answer_to(const node_id& router_of, std::uint64_t call,
                             reply r) {
  counters.requests_refused += r.status == reply_status::overloaded ? 1 : 0;
  if (far != nullptr)
    far->call_ended(router_of, link_waits::caller::there, call);
  reply_frame f{call, std::move(r)};
  if (router_of == self()) {
    caf::anon_send(router, reply_in{router_of, std::move(f)});
    return;
  }
  bytes b;
  encode(f, b);
  send(router_of, net::channel::reply, b);
}

void node_context::send_stream(const stream_frame& f) {
  const auto& to = addressee(f);
  if (stateless.count(to.app) != 0) {
    caf::anon_send(sent_calls, sent_in{f});
    return;
  }
  const auto leader = known.leader(to);
  if (!leader) // it is sent again
    return ask_view(to);
  if (far != nullptr)
    far->check(to, *leader);
  if (*leader == self()) {
    tell_replica(to, stream_in{f});
    return;
  }
  if (!is_linked(*leader))
    return use_link(*leader);
  prove(*leader, f.is_ack ? f.to : f.from);
  bytes b;
  encode(f, b);
  send(*leader, net::channel::outbox, b);
}

void node_context::publish(const group_view& v) {
  if (!known.put_view(v))
    return;
  caf::anon_send(router, view_in{v.group});
  if (full_mesh() || far == nullptr)
    return broadcast(net::channel::group, encoded_control(v));
  far->publish(v);
}

void node_context::event(event_kind k, std::string app_name, std::string text,
                         std::optional<std::uint32_t> shard,
                         std::optional<node_id> about) {
  mesh_event e;
  e.app = std::move(app_name);
  e.text = std::move(text);
  e.shard = shard;
  e.about = about;
  const auto& kept = events.add(k, std::move(e), unix_ms());
  if (is_told(k) && events.may_tell(loop.now())) {
    broadcast(net::channel::group, encoded_control(event_told{kept}));
    if (const auto untold = events.take_untold(); untold > 0)
      event(event_kind::events_left_out, {},
            std::to_string(untold)
                + " events of this node were not told to the others: ask it");
  }
  if (on_event)
    on_event();
}

void node_context::group_event(event_kind k, const group_id& g,
                               std::string text, std::optional<node_id> about) {
  const auto* of = known.find_app(g.app);
  event(k, of == nullptr ? std::string{} : of->name, std::move(text), g.shard,
        about);
}

void node_context::hear_event(const node_id& from, mesh_event e) {
  if (!events.hear(from, std::move(e), unix_ms(), loop.now()))
    ++counters.frames_bad;
  else if (on_event)
    on_event();
}

void node_context::flush_links_later() {
  if (links_dirty_)
    return;
  links_dirty_ = true;
  loop.flush_later([this, alive = std::weak_ptr<bool>{alive_}] {
    if (alive.expired())
      return;
    links_dirty_ = false;
    if (links != nullptr)
      links->flush(loop.now());
  });
}

void node_context::commit(store::group_commit c) {
  commits_.push_back(std::move(c));
  if (commits_.size() > 1)
    return;
  loop.flush_later([this, alive = std::weak_ptr<bool>{alive_}] {
    if (!alive.expired())
      flush_commits();
  });
}

void node_context::flush_commits() {
  auto batch = std::move(commits_);
  commits_.clear();
  std::vector<store::order_id> orders;
  orders.reserve(batch.size());
  for (const auto& c : batch)
    orders.push_back(c.order);
  ++counters.state_commits;
  disk.state->commit(
      std::move(batch), [this, orders = std::move(orders)](
                            const store::state::commit_results& done) {
        for (std::size_t i = 0; i < orders.size(); ++i)
          if (done[i].ok())
            tell_replica(orders[i].group, committed_in{orders[i], *done[i]});
          else
            tell_replica(
                orders[i].group,
                committed_in{orders[i], failure{done[i].error().code}});
      });
}

template bool node_context::tell_replica(const group_id&, group_frame_in);
template bool node_context::tell_replica(const group_id&, stream_in);
template bool node_context::tell_replica(const group_id&, answers_in);
template bool node_context::tell_replica(const group_id&, evidence_in);
template bool node_context::tell_replica(const group_id&, node_seen_in);
template bool node_context::tell_replica(const group_id&, wake_in);
template bool node_context::tell_replica(const group_id&, log_done_in);
template bool node_context::tell_replica(const group_id&, committed_in);
template bool node_context::tell_replica(const group_id&, row_read_in);
template bool node_context::tell_replica(const group_id&, page_in);
template bool node_context::tell_replica(const group_id&, staged_in);
template bool node_context::tell_replica(const group_id&, turn_results_in);
template bool node_context::tell_replica(const group_id&, host_up_in);
template bool node_context::tell_replica(const group_id&, host_down_in);
template bool node_context::tell_replica(const group_id&, health_in);
template bool node_context::tell_replica(const group_id&, request_in);
template bool node_context::tell_replica(const group_id&, state_in);
template bool node_context::tell_replica(const group_id&, row_damaged_in);
template bool node_context::tell_replica(const group_id&,
                                         state_inconsistent_in);
template bool node_context::tell_replica(const group_id&, report_in);
template bool node_context::tell_replica(const group_id&, copy_step_in);
template bool node_context::tell_replica(const group_id&, closing_in);
template bool node_context::tell_replica(const group_id&, recovery_in);
template bool node_context::tell_replica(const group_id&, standing_in);
template bool node_context::tell_replica(const group_id&, group_order);
template bool node_context::tell_replica(const group_id&, stop_leading_in);
template void node_context::tell_host(const app_host_id&, turns_in);
template void node_context::tell_host(const app_host_id&, park_host);
template void node_context::tell_hosts(const app_id&, const replica_joined&);
template void node_context::tell_hosts(const app_id&, const restart_host&);

} // namespace banyan::actors
