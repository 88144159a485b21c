#include "actors/node/node.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/amnesia.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/names.hpp"
#include "actors/node/unlisted.hpp"
#include "actors/node/uptime.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr const char* rolled_back_words =
    "this data directory is older than what the mesh has seen of this node";

bytes number_bytes(std::uint64_t v) {
  bytes out;
  writer{out}.uint(v);
  return out;
}

bytes read_members(const store::documents& documents) {
  const auto found = documents.find(
      static_cast<std::uint8_t>(document_kind::members), const_bytes{});
  return found ? found->view().copy() : bytes{};
}

event_kind kind_of(const net::member_changed& e) {
  switch (e.to) {
  case net::member_state::alive:
    return e.from ? event_kind::member_alive : event_kind::member_joined;
  case net::member_state::suspect:
    return event_kind::member_suspect;
  case net::member_state::dead:
    return event_kind::member_dead;
  case net::member_state::left:
    return event_kind::member_left;
  }
  return event_kind::member_alive;
}

} // namespace

node_shell::node_shell(node_context& ctx, node_start start)
    : ctx_{ctx}, start_{std::move(start)}, link_timer_{ctx.loop},
      member_timer_{ctx.loop} {
}

std::shared_ptr<node_shell> node_shell::open(node_context& ctx,
                                             node_start start, net::streams& io,
                                             std::string& error) {
  std::shared_ptr<node_shell> n{new node_shell{ctx, std::move(start)}};
  auto& s = n->start_;
  auto key = s.link.key.clone();
  const auto mesh = s.link.mesh;
  const auto boot = s.link.boot;
  const auto features = s.link.features;
  n->links_ = std::make_unique<net::link_table>(std::move(s.link), s.limits, io,
                                                ctx.random, *n);
  io.set_events(*n);
  auto bound = n->links_->listen(s.listen);
  if (!bound.ok()) {
    error = "can't listen at " + to_string(s.listen) + " ("
            + net::to_string(bound.error())
            + "); stop what uses that port or choose another with --listen";
    return nullptr;
  }
  n->bound_ = *bound;
  net::membership_config m{std::move(key)};
  m.mesh = mesh;
  m.boot = boot;
  m.features = features;
  m.disk_incarnation = read_incarnation(*ctx.disk.documents);
  m.persisted_members = read_members(*ctx.disk.documents);
  m.advertise = s.advertise;
  m.listen = n->bound_;
  m.seeds = s.seeds;
  m.region = ctx.settings.region;
  m.zone = ctx.settings.zone;
  m.target = ctx.settings.target;
  m.capacity = s.capacity;
  m.liveness = s.liveness;
  n->members_ = std::make_unique<net::membership>(std::move(m), ctx.random,
                                                  ctx.loop.now());
  n->links_->set_relaying([members = n->members_.get()](const node_id& who) {
    const auto state = members->state_of(who);
    return state && *state != net::member_state::left;
  });
  n->members_->set_allowed(
      [&ctx](const node_id& who) { return lets_in(ctx, who); });
  n->links_->set_allowed([&ctx, members = n->members_.get()](const auto& who) {
    return lets_in(ctx, who) || members->state_of(who);
  });
  ctx.links = n->links_.get();
  ctx.members = n->members_.get();
  n->reach_ = std::make_unique<reach>(
      ctx,
      reach::wiring{[s = n.get()](const node_id& who) {
                      s->member_input([&](auto& core, auto now, auto& out) {
                        core.use_link(who, now, out);
                      });
                    },
                    [s = n.get()](const node_id& who) {
                      bool gone = false;
                      s->member_input([&](auto& core, auto now, auto& out) {
                        gone = core.release_link(who, now, out);
                      });
                      return gone;
                    }});
  ctx.far = n->reach_.get();
  // Those of an earlier boot too: no change tells of them, and ranks of an
  // election must be the same on every voter.
  n->members_->each([&](const net::member_record& known, net::member_state) {
    ctx.regions[known.node] = known.region;
  });
  ctx.regions[ctx.self()] = ctx.settings.region;
  return n;
}

node_shell::~node_shell() {
  ctx_.far = nullptr;
  ctx_.links = nullptr;
  ctx_.members = nullptr;
}

void node_shell::start() {
  member_input([](auto& m, auto now, auto& out) { m.start(now, out); });
}

void node_shell::probe(const node_id& node) {
  links_->hurry(node, ctx_.loop.now());
  arm();
}

void node_shell::leave() {
  stopping_ = true;
  member_input([](auto& m, auto now, auto& out) { m.leave(now, out); });
  links_->flush(ctx_.loop.now());
  links_->stop(ctx_.loop.now());
}

void node_shell::set_hardware(const own_hardware_in& own) {
  member_input([&](auto& m, auto now, auto& out) {
    m.set_own(own.tier.value_or(m.own().tier),
              own.capacity.value_or(m.own().capacity), now, out);
    if (own.doubts)
      m.set_doubts(*own.doubts, now, out);
  });
}

// ---- links ------------------------------------------------------------------

void node_shell::on_link_up(const net::link_info& info, net::link_id) {
  if (info.role != link_role::peer)
    return;
  member_input(
      [&](auto& m, auto now, auto& out) { m.on_link_up(info, now, out); });
  links_changed_ = true;
  ctx_.known.forget_instances(info.node); // it says them anew
  caf::anon_send(ctx_.supervisor, peer_up_in{info.node});
  if (ctx_.modules != nullptr)
    ctx_.modules->on_peer_up(info.node);
  if (ctx_.uptime != nullptr)
    ctx_.uptime->on_peer_up(info.node);
  caf::anon_send(ctx_.router,
                 link_change_in{info.node, info.incarnation, true});
  if (ctx_.process_seen(info.node, info.boot)) {
    ctx_.events.met(info.node);
    for (const auto& [group, actor] : ctx_.replicas)
      caf::anon_send(actor, node_seen_in{info.node, info.incarnation});
  }
  tell_all_replicas(info.node, node_evidence::link_up);
  reach_->on_link_up(info.node);
}

void node_shell::on_link_down(const net::link_info& info, net::link_end why) {
  ctx_.guard.on_link_gone(info.id);
  if (info.role != link_role::peer)
    return;
  ctx_.log(log_level::debug, "link " + std::to_string(info.id.value()) + " to "
                                 + short_string(info.node)
                                 + " ended: " + net::to_string(why));
  member_input([&](auto& m, auto now, auto& out) {
    m.on_link_down(info, why, now, out);
  });
  if (why == net::link_end::replaced)
    return;
  if (ctx_.modules != nullptr)
    ctx_.modules->on_peer_gone(info.node);
  caf::anon_send(ctx_.router,
                 link_change_in{info.node, info.incarnation, false});
  reach_->on_link_down(info.node, why);
  // What becomes of its drain it tells those that it is linked with.
  if (!ctx_.full_mesh())
    ctx_.draining.erase(info.node);
}

void node_shell::on_dial_failed(const net::dial_target& target,
                                net::dial_error why, time_point) {
  ctx_.log(log_level::debug,
           "dial to " + to_string(target.at) + " failed: " + to_string(why));
  if (why == net::dial_error::not_a_peer || why == net::dial_error::wrong_node
      || why == net::dial_error::hung_up)
    ctx_.log(log_level::warning,
             "no link to " + to_string(target.at) + ": " + to_string(why));
  if (why == net::dial_error::not_allowed)
    tell_not_allowed(target.at);
  if (!target.node.is_none())
    member_input([&](auto& m, auto now, auto& out) {
      m.on_dial_failed(target.node, why, now, out);
    });
  if (!target.node.is_none())
    reach_->on_dial_failed(target.node);
}

void node_shell::on_own_key_met(const net::boot_id& boot,
                                const net::address& at) {
  member_input([&](auto& m, auto now, auto& out) {
    m.on_own_key_met(boot, at, now, out);
  });
}

void node_shell::on_writable(const net::link_info&, net::lane) {
}

void node_shell::on_probed(
    std::uint64_t token,
    const result<net::probe_answer, net::dial_error>& answer) {
  member_input([&](auto& m, auto now, auto& out) {
    m.on_probed(token, answer, now, out);
  });
}

// ---- membership
// ---------------------------------------------------------------

void node_shell::carry_out() {
  // Effects of effects come behind them, in order.
  while (!effects_.empty()) {
    auto list = std::move(effects_);
    effects_.clear();
    for (auto& e : list)
      std::visit([this](auto& x) { carry(x); }, e);
  }
  arm();
}

// A timer that is armed too early costs one idle call; only an earlier deadline
// is worth arming anew.
void node_shell::arm() {
  if (const auto due = links_->deadline(); due < links_due_) {
    links_due_ = due;
    link_timer_.arm(
        due,
        [this] {
          links_due_ = never;
          links_->on_time(ctx_.loop.now());
          arm();
        },
        "links");
  }
  if (stopping_)
    return;
  if (const auto due = members_->deadline(); due < members_due_) {
    members_due_ = due;
    member_timer_.arm(
        due,
        [this] {
          members_due_ = never;
          refresh_leads();
          refresh_known(ctx_.loop.now());
          refresh_seeds(ctx_.loop.now());
          member_input(
              [](auto& m, auto now, auto& out) { m.on_tick(now, out); });
        },
        "membership");
  }
}

void node_shell::on_opened(net::stream_id id, const net::address& remote,
                           bool inbound, time_point now) {
  links_->on_opened(id, remote, inbound, now);
  arm();
}

void node_shell::on_dial_failed(net::stream_id id, net::stream_end why,
                                time_point now) {
  links_->on_dial_failed(id, why, now);
  arm();
}

void node_shell::on_data(net::stream_id id, const_bytes data, time_point now) {
  links_->on_data(id, data, now);
  arm();
}

void node_shell::on_drained(net::stream_id id, time_point now) {
  links_->on_drained(id, now);
  arm();
}

void node_shell::on_closed(net::stream_id id, net::stream_end why,
                           time_point now) {
  links_->on_closed(id, why, now);
  arm();
}

void node_shell::refresh_leads() {
  const auto pending = ctx_.disk.log->oldest_pending();
  members_->set_oldest_fsync(
      pending == never ? std::nullopt : std::optional<time_point>{pending});
  const auto views = ctx_.known.views_changed();
  if (views == leads_of_ && !links_changed_)
    return;
  leads_of_ = views;
  links_changed_ = false;
  for (const auto& node : members_->linked())
    members_->set_leads(node, ctx_.leads_hash(ctx_.self(), node));
}

/// In a large mesh once per second at most: somebody comes or goes all the
/// time.
void node_shell::refresh_known(time_point now) {
  if (!known_changed_ || (!members_->full() && now < known_at_))
    return;
  known_changed_ = false;
  known_at_ = now + 1s;
  std::vector<net::address> known;
  members_->each([&](const net::member_record& record, net::member_state) {
    known.push_back(record.address);
  });
  links_->set_known(known);
}

/// In a large mesh nobody keeps a link with the peer that it joined at: all
/// would. Who has lost all links looks for it again.
void node_shell::refresh_seeds(time_point now) {
  if (now < seeds_at_)
    return;
  seeds_at_ = now + 1s;
  const bool wanted = members_->full() || members_->linked().empty();
  if (std::exchange(seeds_wanted_, wanted) == wanted)
    return;
  for (const auto& s : start_.seeds)
    if (wanted)
      links_->want(s.at, s.pinned, now);
    else
      links_->unwant(s.at);
}

void node_shell::tell_all_replicas(const node_id& node, node_evidence what) {
  for (const auto& [group, actor] : ctx_.replicas)
    caf::anon_send(actor, evidence_in{node, what});
}

void node_shell::carry(net::send_frame& e) {
  ctx_.send(e.to, e.channel, e.payload);
}
void node_shell::carry(net::want_link& e) {
  links_->want(e.node, e.at, std::move(e.relays), e.wait, ctx_.loop.now());
}
void node_shell::carry(net::unwant_link& e) {
  links_->unwant(e.node);
}
void node_shell::carry(net::want_seed& e) {
  links_->want(e.at, e.pinned, ctx_.loop.now());
}
void node_shell::carry(net::unwant_seed& e) {
  links_->unwant(e.at);
}
void node_shell::carry(net::hurry_link& e) {
  links_->hurry(e.node, ctx_.loop.now());
}
void node_shell::carry(net::cut_link& e) {
  links_->cut(e.node, ctx_.loop.now());
}
void node_shell::carry(net::close_link& e) {
  links_->close(e.node, ctx_.loop.now());
}
void node_shell::carry(net::probe_address& e) {
  links_->probe(e.at, e.token, ctx_.loop.now());
}

void node_shell::carry(net::persist_incarnation& e) {
  store::documents::change c;
  c.kind = static_cast<std::uint8_t>(document_kind::incarnation);
  c.content = number_bytes(e.value.value());
  if (ctx_.incarnation == incarnation{}) { // at the start, before any order
    if (const auto done = ctx_.disk.documents->put_now({std::move(c)});
        !done.ok())
      return start_.fatal(1, done.error().message);
    members_->on_incarnation_persisted(e.value, ctx_.loop.now(), effects_);
    return;
  }
  std::vector<store::documents::change> changes;
  if (rollback_suspected_)
    changes = give_up_changes(*ctx_.disk.documents, rolled_back_words, {});
  changes.push_back(std::move(c));
  ctx_.disk.documents->put(
      std::move(changes), [weak = weak_from_this(), value = e.value](
                              const result<void, store::store_error>& done) {
        const auto self = weak.lock();
        if (self == nullptr)
          return;
        if (!done.ok())
          return self->start_.fatal(1, done.error().message);
        self->member_input([&](auto& m, auto now, auto& out) {
          m.on_incarnation_persisted(value, now, out);
        });
      });
}

void node_shell::carry(net::incarnation_ready& e) {
  ctx_.incarnation = e.value;
  if (ctx_.booted == incarnation{})
    ctx_.booted = e.value;
  links_->set_incarnation(e.value);
}

void node_shell::carry(net::persist_members& e) {
  store::documents::change c;
  c.kind = static_cast<std::uint8_t>(document_kind::members);
  c.content = std::move(e.encoded);
  ctx_.disk.documents->put({std::move(c)},
                           [](const result<void, store::store_error>&) {});
}

void node_shell::carry(net::advertised& e) {
  links_->set_listen(e.at);
}

void node_shell::carry(net::peer_silent& e) {
  caf::anon_send(ctx_.router, link_change_in{e.node, {}, false});
  tell_all_replicas(e.node, node_evidence::silent);
}

void node_shell::carry(net::peer_gone& e) {
  tell_all_replicas(e.node, node_evidence::link_down);
}

void node_shell::carry(net::peer_back& e) {
  caf::anon_send(ctx_.router, link_change_in{e.node, {}, true});
  tell_all_replicas(e.node, node_evidence::link_up);
}

// A peer leads other groups with us than we think: whoever sleeps under it
// asks, and we say anew what we lead. At most once a second per peer, since
// views may be on their way.
void node_shell::carry(net::beat_heard& e) {
  if (e.leads == ctx_.leads_hash(e.node, ctx_.self())) {
    mismatches_.erase(e.node);
    return;
  }
  const auto now = ctx_.loop.now();
  auto& since = mismatches_.try_emplace(e.node, now).first->second;
  if (now - since < 1s)
    return;
  since = now;
  for (const auto& [group, actor] : ctx_.replicas)
    if (const auto* v = ctx_.known.view(group);
        v == nullptr || v->leader.node == e.node)
      caf::anon_send(actor, wake_in{});
  caf::anon_send(ctx_.supervisor, peer_up_in{e.node});
}

void node_shell::carry(net::member_changed& e) {
  const auto m = members_->find(e.node);
  if (!m)
    return;
  ctx_.regions[e.node] = m->record.region;
  if (e.from && *e.from == e.to)
    return;
  if (!e.from && members_->joining())
    return; // one of many; how many, `join_progress` says
  ctx_.log(log_level::info, "member " + short_string(e.node) + " at "
                                + to_string(m->record.address) + " is "
                                + net::to_string(e.to));
  if (e.node != ctx_.self())
    ctx_.event(kind_of(e), {},
               short_string(e.node) + " at " + to_string(m->record.address)
                   + " is " + net::to_string(e.to),
               std::nullopt, e.node);
  known_changed_ = true;
  refresh_known(ctx_.loop.now());
}

void node_shell::carry(net::rolled_back_suspected&) {
  rollback_suspected_ = true;
  caf::anon_send(ctx_.supervisor, halt_replicas_in{});
}

// Its logs and votes are old: as voters they could vote twice. They are given
// up on disk before the process ends, so that no start brings them back; the
// next one begins above what the mesh has seen, and isn't told so again.
void node_shell::carry(net::rolled_back& e) {
  if (!ctx_.supervisor) { // found in the directory itself; nothing has run yet
    if (const auto done = ctx_.disk.documents->put_now(
            give_up_changes(*ctx_.disk.documents, {}, e.seen));
        !done.ok())
      return start_.fatal(1, done.error().message);
    ctx_.log(log_level::error, std::string{rolled_back_words}
                                   + ": its replicas come back as learners");
    return;
  }
  caf::anon_send(
      ctx_.supervisor,
      rolled_back_in{
          e.seen, [fatal = start_.fatal, seen = e.seen.value()] {
            fatal(1,
                  "this data directory is older than what the mesh has seen of "
                  "this node (incarnation "
                      + std::to_string(seen)
                      + "): it was restored from an image. Start it again: its "
                        "replicas come back as learners");
          }});
}

void node_shell::carry(net::cloned& e) {
  start_.fatal(3,
               "another process runs with this node's key: one is at "
                   + to_string(e.ours) + ", the other at " + to_string(e.theirs)
                   + ". A copied data directory needs a key of its own: stop "
                     "one of the two and remove its DIR/node.key and "
                     "everything else in DIR");
}

void node_shell::carry(net::join_progress& e) {
  const auto who = short_string(e.giver);
  if (!e.done) {
    ctx_.log(log_level::info,
             e.giver.is_none()
                 ? "joining: nobody gives the members; trying others"
                 : "joining at " + who + ": " + std::to_string(e.have) + " of "
                       + (e.total == 0 ? "?" : std::to_string(e.total))
                       + " members");
    return;
  }
  ctx_.log(log_level::info, "joined: " + std::to_string(e.total)
                                + " members from " + who + ", compared with "
                                + std::to_string(e.witnesses) + " others");
  if (e.unconfirmed > 0)
    ctx_.log(log_level::warning,
             std::to_string(e.unconfirmed)
                 + " members were named by one peer only and don't count until "
                   "another names them");
  if (e.withheld > 0)
    ctx_.log(log_level::warning, "peer " + who + " did not name "
                                     + std::to_string(e.withheld)
                                     + " members that others know");
  known_changed_ = true;
  refresh_known(ctx_.loop.now());
}

void node_shell::carry(net::members_damaged& e) {
  ctx_.log(log_level::warning,
           "the members that were kept on disk are damaged: "
               + (e.kept == 0 && e.lost == 0
                      ? std::string{"none of them can be read"}
                      : std::to_string(e.kept) + " can be read, "
                            + std::to_string(e.lost) + " can't")
               + "; the mesh tells the rest, once a peer of it is met");
}

void node_shell::carry(net::misbehaved& e) {
  ctx_.log(log_level::warning,
           "peer " + short_string(e.node) + " misbehaved: " + e.what);
}

caf::behavior node_actor(caf::stateful_actor<node_actor_state>* self,
                         node_context* ctx, std::shared_ptr<node_shell> shell) {
  quiet(self);
  static_cast<void>(ctx);
  auto* n = shell.get();
  self->state.shell = std::move(shell);
  return {
      [n](const probe_in& m) { n->probe(m.node); },
      [n](leave_in) { n->leave(); },
      [n](const own_hardware_in& m) { n->set_hardware(m); },
  };
}

} // namespace banyan::actors
