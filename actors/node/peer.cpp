#include "actors/node/peer.hpp"

#include "actors/host/process_host.hpp"
#include "actors/host/thread_host.hpp"
#include "actors/node/evacuation.hpp"
#include "actors/node/lead_balance.hpp"
#include "actors/node/region_look.hpp"
#include "actors/node/router.hpp"
#include "actors/node/scrub.hpp"
#include "actors/node/sent_calls.hpp"
#include "actors/node/uptime.hpp"

#include <caf/all.hpp>

#include <filesystem>
#include <future>

namespace banyan::actors {

void on_loop(io::loop& l, const std::function<void()>& f) {
  if (l.on_thread())
    return f();
  std::promise<void> done;
  l.post(
      [&] {
        f();
        done.set_value();
      },
      "peer");
  done.get_future().wait();
}

peer::peer(peer_parts parts)
    : parts_{std::move(parts)}, system_{make_system(parts_.loop)},
      ctx_{parts_.loop,     parts_.random, parts_.key,
           parts_.settings, parts_.disk,   *parts_.hosts} {
}

bool peer::begin(std::string& error) {
  BANYAN_ASSERT(!begun_);
  auto& p = parts_;
  if (auto words = kept_out(*p.disk.documents, ctx_.unix_ms())) {
    error = std::move(*words);
    return false;
  }
  const auto given_up = recollect(*p.disk.documents, ctx_.settings.marks);
  if (!given_up.ok()) {
    error = given_up.error().message;
    return false;
  }
  if (*given_up)
    ctx_.log(log_level::error,
             "this node gives up its replicas, which come back as learners: "
                 + **given_up);
  net::link_config link{p.key.clone(),
                        p.mesh.name,
                        p.mesh.id,
                        {},
                        std::nullopt,
                        {},
                        net::boot_id{p.random.array<16>()},
                        ctx_.settings.features,
                        {}};
  for (const auto& k : p.mesh.keys)
    link.mesh_keys.push_back(k.clone());
  node_start n{std::move(link), p.link_limits, p.listen,   p.advertise,
               p.seeds,         p.capacity,    p.liveness, p.fatal};
  p.disk.log->on_done([this](const std::vector<store::log_done>& list) {
    for (const auto& d : list) {
      if (!ctx_.tell_replica(d.order.group, log_done_in{d}))
        caf::anon_send(ctx_.supervisor, log_done_in{d});
      if (d.error == store::store_errc::full)
        share_full_log(d);
    }
  });
  node_ = node_shell::open(ctx_, std::move(n), *p.streams, error);
  if (node_ == nullptr)
    return false;
  begun_ = true;
  ctx_.known.set_liveness(
      [this](const node_id& who) { return ctx_.reaches(who); });
  ctx_.known.set_nearness([this](const node_id& who) {
    return who == ctx_.self() || ctx_.same_region(ctx_.self(), who);
  });
  listening_ = node_->bound();
  auto& sys = system_->get();
  auto start = std::make_shared<supervisor_start>();
  start->trusted = p.mesh.owners;
  if (p.mesh.name == local_mesh_name)
    start->local_owner = local_mesh_owner();
  start->raft = p.raft;
  start->fatal = p.fatal;
  modules_ =
      std::make_shared<module_shell>(ctx_, p.mesh.name == local_mesh_name);
  ctx_.modules = modules_.get();
  modules_actor_ = sys.spawn(modules_actor, modules_);
  ctx_.router = sys.spawn(router_actor, &ctx_);
  ctx_.sent_calls = sys.spawn(sent_calls_actor, &ctx_);
  ctx_.node = sys.spawn(node_actor, &ctx_, node_);
  node_->start();
  ctx_.supervisor = sys.spawn(supervisor_actor, &ctx_, start);
  ctx_.scrub = sys.spawn(scrub_actor, &ctx_);
  lead_balance_ = sys.spawn(lead_balance_actor, &ctx_);
  region_look_ = sys.spawn(region_look_actor, &ctx_);
  uptime_ = std::make_shared<uptime_shell>(ctx_, p.mesh.owners);
  ctx_.uptime = uptime_.get();
  uptime_actor_ = sys.spawn(uptime_actor, uptime_, &ctx_);
  hardware_ = std::make_shared<hardware_shell>(ctx_, p.probe);
  ctx_.hardware = hardware_.get();
  hardware_actor_ = sys.spawn(hardware_actor, hardware_, &ctx_);
  gateway_ = std::make_shared<http_gateway>(
      ctx_, gateway_start{p.admin_token, p.mesh.name == local_mesh_name});
  gateway_actor_ = sys.spawn(gateway_actor, gateway_);
  ctx_.event(event_kind::peer_started, {}, "version " + ctx_.settings.version,
             std::nullopt, ctx_.self());
  return true;
}

/// One log serves all groups: it gets room only if all of them let go of its
/// oldest segment.
void peer::share_full_log(const store::log_done& d) {
  constexpr duration pause = 200ms;
  constexpr duration full_disk_pause = 1min;
  const auto now = parts_.loop.now();
  if (full_log_shared_ && now - *full_log_shared_ < pause)
    return;
  if (!full_disk_told_ || now - *full_disk_told_ >= full_disk_pause) {
    full_disk_told_ = now;
    ctx_.event(event_kind::disk_full, {},
               "the log finds no room: commands are refused until there is",
               std::nullopt, ctx_.self());
  }
  full_log_shared_ = now;
  for (const auto& [group, replica] : ctx_.replicas)
    if (group != d.order.group)
      caf::anon_send(replica, log_done_in{d});
}

void peer::stop(std::function<void()> done) {
  hand_over([this, done = std::move(done)] { leave(done); });
}

void peer::hand_over(std::function<void()> done) {
  ctx_.event(event_kind::peer_stops, {}, "it was asked to", std::nullopt,
             ctx_.self());
  caf::anon_send(ctx_.supervisor, stop_in{std::move(done)});
}

void peer::leave(std::function<void()> done) {
  node_->leave();
  ctx_.loop.after(20ms, std::move(done), "goodbye");
}

peer::~peer() {
  const auto end = [this](const auto& collect) {
    std::vector<caf::actor> roots;
    on_loop(parts_.loop, [&] { collect(roots); });
    return system_->shut_down(std::move(roots));
  };
  // The supervisor first: whatever came in before, it makes no actors now.
  end([this](auto& roots) {
    if (ctx_.supervisor)
      roots.push_back(ctx_.supervisor);
  });
  const auto left = end([this](auto& roots) {
    for (auto& [group, actor] : ctx_.replicas)
      roots.push_back(actor);
    for (auto& [name, actor] : ctx_.apps)
      roots.push_back(actor);
    for (auto& [app, actor] : ctx_.instances)
      roots.push_back(actor);
    for (auto* a : {&ctx_.router, &ctx_.sent_calls, &ctx_.node, &ctx_.scrub,
                    &gateway_actor_, &modules_actor_, &lead_balance_,
                    &region_look_, &uptime_actor_, &hardware_actor_})
      if (*a)
        roots.push_back(*a);
  });
  BANYAN_ASSERT(left == 0);
  on_loop(parts_.loop, [this] {
    ctx_.replicas.clear();
    ctx_.apps.clear();
    ctx_.instances.clear();
    ctx_.node = ctx_.supervisor = ctx_.router = ctx_.sent_calls = ctx_.scrub =
        gateway_actor_ = modules_actor_ = lead_balance_ = region_look_ =
            uptime_actor_ = hardware_actor_ = nullptr;
    ctx_.uptime = nullptr;
    uptime_.reset();
    ctx_.hardware = nullptr;
    hardware_.reset();
    node_.reset();
    gateway_.reset();
    ctx_.modules = nullptr;
    modules_.reset();
    parts_.streams.reset();
    // What the disk's threads have posted counts for nothing from here on.
    parts_.disk.log.reset();
    parts_.disk.state.reset();
    parts_.disk.documents.reset();
    parts_.disk.modules.reset();
  });
  system_.reset();
}

const net::address& peer::listening() const {
  return listening_;
}

void peer::call(call_request request, answer_function answer) {
  caf::anon_send(ctx_.router,
                 call_in{std::move(request), std::move(answer), {}, 0});
}

module_directory::module_directory(io::loop& l,
                                   std::vector<std::string> directories,
                                   const host_catalog* linked,
                                   std::optional<host_program> program)
    : loop_{l}, directories_{std::move(directories)}, linked_{linked},
      program_{std::move(program)} {
}

std::string module_directory::find(const std::string& module) const {
  for (const auto& d : directories_) {
    const auto file = std::filesystem::path{d} / (module + ".so");
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored))
      return file.string();
  }
  return {};
}

bool module_directory::has(const std::string& module) const {
  return !find(module).empty()
         || (linked_ != nullptr && linked_->find(module).ok());
}

std::unique_ptr<host> module_directory::make(host_options options,
                                             host_handlers handlers,
                                             std::string& error) {
  if (options.file.empty())
    options.file = find(options.module);
  if (options.file.empty() && !has(options.module)) {
    error = "no module '" + options.module + "' on this peer: put "
            + options.module + ".so into a directory given by --apps";
    return nullptr;
  }
  if (!trails_.empty() && !options.app.empty())
    options.trail = trails_ + "/" + trail_name(options.app, ++trails_made_);
  if (options.own_process && program_ && !options.file.empty()) {
    io::child_process::program p{
        program_->file, {"banyan-host:" + options.module}, -1};
    p.words.insert(p.words.end(), program_->words.begin(),
                   program_->words.end());
    return std::make_unique<process_host>(
        std::move(options), std::move(handlers), program_->loop, std::move(p));
  }
  return std::make_unique<thread_host>(
      std::move(options), std::move(handlers),
      [&l = loop_](std::function<void()> f) { l.post(std::move(f), "host"); },
      [&l = loop_] { return l.now(); }, linked_);
}

} // namespace banyan::actors
