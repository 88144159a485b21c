#include "actors/node/modules.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/pure/module_wire.hpp"
#include "base/target.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr std::size_t reads_max = 32;  ///< for peers, at once
constexpr duration tell_every = 500ms; ///< how far fetches are
constexpr duration sweep_every = 10s;
constexpr duration upload_patience = 15s; ///< then it is fetched from peers

std::string name_of(const digest& hash) {
  return to_hex(hash.view()).substr(0, 16);
}

std::string mebibytes(std::uint64_t n) {
  return std::to_string((n + (1U << 19)) >> 20) + " MiB";
}

} // namespace

std::uint16_t module_standing::permille() const {
  if (now == state::here)
    return 1000;
  if (size == 0)
    return 0;
  return static_cast<std::uint16_t>(
      std::min<std::uint64_t>(bytes * 1000 / size, 999));
}

std::string words_of(const module_standing& s) {
  switch (s.now) {
  case module_standing::state::here:
    return "module is here";
  case module_standing::state::checking:
    return "checking module";
  case module_standing::state::fetching:
    return "fetching module: " + std::to_string(s.permille() / 10) + " %";
  case module_standing::state::waiting:
    break;
  }
  return "waiting for module: no linked peer has it, or there was no room for "
         "it; deploy again to upload it";
}

module_shell::module_shell(node_context& ctx, bool local_mesh)
    : ctx_{ctx}, disk_{*ctx.disk.modules}, local_{local_mesh},
      sweep_at_{ctx.loop.now() + sweep_every}, timer_{ctx.loop} {
  arm();
}

// ---- what is wanted
// ------------------------------------------------------------

void module_shell::set_named(const std::string& source,
                             std::vector<named_module> modules) {
  if (local_)
    return;
  if (modules.empty() && named_.count(source) == 0)
    return;
  named_[source] = std::move(modules);
  refresh();
}

void module_shell::refresh() {
  std::set<digest> named;
  std::map<digest, std::uint64_t> wanted;
  for (const auto& [source, list] : named_)
    for (const auto& m : list) {
      named.insert(m.hash);
      if (m.fetch)
        wanted[m.hash] = m.size;
    }
  keep_.name(named, ctx_.loop.now());
  const auto& held = disk_.list();
  for (const auto& hash : fetch_.want(wanted))
    if (const auto at = held.find(hash);
        at != held.end() && dropping_.count(hash) == 0)
      fetch_.on_held(hash, at->second.bytes, at->second.whole);
  for (const auto& hash : named)
    if (const auto at = held.find(hash); at != held.end() && at->second.whole)
      check(hash);
  step();
}

// A file that was whole when it was written: is it still?
void module_shell::check(const digest& hash) {
  if (here(hash) || dropping_.count(hash) != 0
      || !checking_.insert(hash).second)
    return;
  disk_.check(hash, [this, hash](const result<void, store::store_error>& r) {
    checking_.erase(hash);
    if (r.ok())
      return came(hash, "is whole");
    if (r.error().code == store::store_errc::damaged) {
      ++counters_.damaged;
      ctx_.event(event_kind::module_refused, {},
                 "module " + name_of(hash) + " had rotted on this disk");
    }
    ctx_.log(log_level::error, "module " + name_of(hash) + ": "
                                   + r.error().message
                                   + "; it is fetched again from others");
    fetch_.on_held(hash, 0, false);
    step();
  });
}

void module_shell::came(const digest& hash, const char* how) {
  verified_.insert(hash);
  fetch_.on_held(hash, 0, true);
  const auto at = disk_.list().find(hash);
  ctx_.log(log_level::info,
           "module " + name_of(hash) + " " + how + " ("
               + mebibytes(at == disk_.list().end() ? 0 : at->second.bytes)
               + ")");
  tell_held(true);
  if (const auto w = waiters_.find(hash); w != waiters_.end()) {
    const auto list = std::move(w->second);
    waiters_.erase(w);
    for (const auto& x : list)
      if (!x.who.expired())
        x.f();
  }
  step();
}

module_standing module_shell::standing(const digest& hash) const {
  module_standing s;
  const auto at = disk_.list().find(hash);
  if (at != disk_.list().end())
    s.bytes = at->second.bytes;
  if (here(hash)) {
    s.now = module_standing::state::here;
    s.size = s.bytes;
    return s;
  }
  if (checking_.count(hash) != 0) {
    s.now = module_standing::state::checking;
    s.size = s.bytes;
    return s;
  }
  const auto all = fetch_.under_way();
  if (const auto f = all.find(hash); f != all.end()) {
    s.size = f->second.size;
    if (f->second.checking)
      s.now = module_standing::state::checking;
    else if (f->second.source)
      s.now = module_standing::state::fetching;
  }
  return s;
}

std::string module_shell::file(const digest& hash) const {
  return disk_.path(hash);
}

void module_shell::when_here(const digest& hash, std::weak_ptr<void> who,
                             std::function<void()> f) {
  if (here(hash))
    return f();
  auto& list = waiters_[hash];
  list.erase(std::remove_if(list.begin(), list.end(),
                            [](const waiter& w) { return w.who.expired(); }),
             list.end());
  list.push_back({std::move(who), std::move(f)});
}

std::uint16_t module_shell::permille_at(const node_id& node,
                                        const digest& hash) const {
  if (node == ctx_.self())
    return standing(hash).permille();
  const auto p = peers_.find(node);
  if (p == peers_.end())
    return 0;
  const auto m = p->second.find(hash);
  return m == p->second.end() ? 0 : m->second;
}

bool module_shell::somewhere(const digest& hash) const {
  if (here(hash))
    return true;
  for (const auto& [node, held] : peers_)
    if (const auto m = held.find(hash); m != held.end() && m->second == 1000)
      return true;
  return false;
}

// ---- fetching
// ------------------------------------------------------------------

void module_shell::step() {
  module_fetch_effects effects;
  fetch_.step(ctx_.loop.now(), effects);
  carry_out(std::move(effects));
  tell_held(false);
  arm();
}

void module_shell::carry_out(module_fetch_effects effects) {
  while (!effects.empty()) {
    module_fetch_effects more;
    for (auto& e : effects)
      std::visit([&](auto& x) { carry(x, more); }, e);
    effects = std::move(more);
  }
}

void module_shell::carry(module_ask& e, module_fetch_effects&) {
  if (!ctx_.send(e.from, net::channel::group,
                 encoded_control(module_wanted{e.hash, e.offset, e.size})))
    fetch_.on_refused(e.from, e.hash, false, ctx_.loop.now());
}

void module_shell::carry(module_finish& e, module_fetch_effects&) {
  if (uploading_.count(e.hash) != 0) // whoever brings it ends it
    return fetch_.pause(e.hash, ctx_.loop.now() + upload_patience);
  disk_.finish(
      e.hash, [this, hash = e.hash](const result<void, store::store_error>& r) {
        module_fetch_effects effects;
        if (r.ok()) {
          fetch_.on_checked(hash, true, ctx_.loop.now(), effects);
          ++counters_.fetched;
          ctx_.event(event_kind::module_fetched, {},
                     "module " + name_of(hash) + " was fetched");
          return came(hash, "was fetched");
        }
        if (r.error().code == store::store_errc::mismatch) {
          ++counters_.wrong;
          ctx_.log(log_level::warning, r.error().message
                                           + ": they are dropped, and it is "
                                             "fetched anew");
          fetch_.on_checked(hash, false, ctx_.loop.now(), effects);
        } else {
          ctx_.log(log_level::error,
                   "module " + name_of(hash) + ": " + r.error().message);
          fetch_.on_store_failed(hash, ctx_.loop.now(), effects);
        }
        carry_out(std::move(effects));
        step();
      });
}

void module_shell::carry(module_discard& e, module_fetch_effects&) {
  if (uploading_.count(e.hash) != 0 || here(e.hash))
    return;
  disk_.drop(e.hash, nullptr);
}

void module_shell::carry(module_wrong& e, module_fetch_effects&) {
  ctx_.log(log_level::error,
           "node " + short_string(e.from) + " sent other bytes as module "
               + name_of(e.hash) + "; it isn't asked for them for a while");
  ctx_.event(event_kind::module_refused, {},
             "it sent other bytes as module " + name_of(e.hash), std::nullopt,
             e.from);
}

void module_shell::on_piece(const node_id& from, const_bytes payload) {
  module_piece p;
  if (!decode(payload, p)) {
    ++ctx_.counters.frames_bad;
    return;
  }
  if (uploading_.count(p.hash) != 0
      || !fetch_.on_piece(from, p.hash, p.offset, p.data.size(),
                          ctx_.loop.now()))
    return step();
  counters_.bytes_in += p.data.size();
  const auto end = p.offset + p.data.size();
  disk_.append(
      p.hash, p.offset, std::move(p.data),
      [this, hash = p.hash, end](const result<void, store::store_error>& r) {
        if (r.ok()) {
          fetch_.on_stored(hash, end);
          return step();
        }
        ctx_.log(log_level::warning,
                 "module " + name_of(hash) + ": " + r.error().message);
        module_fetch_effects effects;
        fetch_.on_store_failed(hash, ctx_.loop.now(), effects);
        carry_out(std::move(effects));
        step();
      });
  step();
}

void module_shell::arm() {
  const auto now = ctx_.loop.now();
  auto due = fetch_.deadline(now);
  if (!disk_.list().empty())
    due = std::min(due, std::max(sweep_at_, now));
  if (due == never)
    return timer_.cancel();
  timer_.arm(
      due,
      [this] {
        if (ctx_.loop.now() >= sweep_at_)
          sweep();
        step();
      },
      "modules");
}

void module_shell::sweep() {
  const auto now = ctx_.loop.now();
  sweep_at_ = now + sweep_every;
  std::set<digest> all;
  for (const auto& [hash, held] : disk_.list())
    if (dropping_.count(hash) == 0 && uploading_.count(hash) == 0)
      all.insert(hash);
  for (const auto& hash : keep_.useless(all, now)) {
    ctx_.log(log_level::info,
             "module " + name_of(hash) + " is dropped: no app names it");
    ++counters_.dropped;
    const bool had = verified_.erase(hash) != 0;
    dropping_.insert(hash);
    disk_.drop(hash, [this, hash](const result<void, store::store_error>&) {
      dropping_.erase(hash);
      fetch_.on_held(hash, 0, false); // wanted again meanwhile
      step();
    });
    if (had)
      tell_held(true);
  }
}

// ---- peers
// ---------------------------------------------------------------------

modules_held module_shell::mine() const {
  std::map<digest, std::uint16_t> all;
  for (const auto& hash : verified_)
    all[hash] = 1000;
  for (const auto& [hash, f] : fetch_.under_way())
    if (all.count(hash) == 0)
      all[hash] = standing(hash).permille();
  modules_held out;
  for (const auto& [hash, permille] : all)
    out.modules.push_back({hash, permille});
  return out;
}

// At once when something is whole or gone; how far a fetch is, now and then.
void module_shell::tell_held(bool whole_changed) {
  const auto now = ctx_.loop.now();
  if (!whole_changed
      && (now < tell_at_ || fetch_.under_way().empty()
          || ctx_.links == nullptr))
    return;
  const auto held = mine();
  std::map<digest, std::uint16_t> permille;
  for (const auto& m : held.modules)
    permille[m.hash] = m.permille;
  if (permille == told_permille_ || (held.modules.empty() && !told_))
    return;
  told_ = true;
  told_permille_ = std::move(permille);
  tell_at_ = now + tell_every;
  ctx_.broadcast(net::channel::group, encoded_control(held));
}

void module_shell::on_peer_up(const node_id& node) {
  const auto held = mine();
  if (!held.modules.empty() || told_)
    ctx_.send(node, net::channel::group, encoded_control(held));
}

void module_shell::on_peer_gone(const node_id& node) {
  peers_.erase(node);
  fetch_.on_peer_gone(node);
  step();
}

bool module_shell::on_control(const node_id& from, const control_frame& f) {
  if (const auto* held = std::get_if<modules_held>(&f)) {
    std::set<digest> whole;
    auto& theirs = peers_[from];
    theirs.clear();
    for (const auto& m : held->modules) {
      theirs[m.hash] = m.permille;
      if (m.permille == 1000)
        whole.insert(m.hash);
    }
    fetch_.on_peer(from, std::move(whole));
    step();
  } else if (const auto* wanted = std::get_if<module_wanted>(&f)) {
    serve(from, *wanted);
  } else if (const auto* no = std::get_if<module_refused>(&f)) {
    fetch_.on_refused(from, no->hash,
                      no->why == module_refused::reason::not_here,
                      ctx_.loop.now());
    step();
  } else {
    return false;
  }
  return true;
}

void module_shell::serve(const node_id& to, const module_wanted& w) {
  const auto refuse = [this, to, hash = w.hash,
                       offset = w.offset](module_refused::reason why) {
    ctx_.send(to, net::channel::group,
              encoded_control(module_refused{hash, offset, why}));
  };
  if (!here(w.hash) || !keep_.may_serve(w.hash, ctx_.loop.now()))
    return refuse(module_refused::reason::not_here);
  if (reads_ >= reads_max)
    return refuse(module_refused::reason::busy);
  ++reads_;
  disk_.read(w.hash, w.offset, static_cast<std::size_t>(w.size),
             [this, to, w, refuse](result<bytes, store::store_error> r) {
               --reads_;
               if (!r.ok() || r->empty())
                 return refuse(module_refused::reason::not_here);
               const auto n = r->size();
               bytes b;
               encode(module_piece{w.hash, w.offset, std::move(*r)}, b);
               if (!ctx_.send(to, net::channel::module, b))
                 return refuse(module_refused::reason::busy);
               counters_.bytes_out += n;
             });
}

// ---- operators
// -----------------------------------------------------------------

void module_shell::upload(const digest& hash, std::uint64_t offset,
                          std::uint64_t size, bytes piece,
                          answer_function done) {
  const auto refuse = [&](reply_status s, std::string why) {
    answer a;
    a.status = s;
    a.message = std::move(why);
    done(std::move(a));
  };
  if (local_)
    return refuse(reply_status::forbidden,
                  "in the mesh `local` modules come only from --apps: put the "
                  "file there, or make a mesh with `banyan init NAME`");
  if (size > module_bytes_max)
    return refuse(reply_status::too_large,
                  "a module has at most 512 MiB, this one has "
                      + mebibytes(size) + "; strip it, or split the app");
  if (size == 0 || piece.empty() || offset > size
      || piece.size() > size - offset)
    return refuse(reply_status::invalid_argument,
                  "offset, size and the bytes don't fit: a piece has at least "
                  "one byte and ends within the module");
  const auto& list = disk_.list();
  const auto held = list.find(hash);
  if (held != list.end() && held->second.whole && dropping_.count(hash) == 0)
    return uploaded(hash, std::move(done));
  if (dropping_.count(hash) != 0 || uploading_.count(hash) != 0)
    return refuse(reply_status::overloaded,
                  "this peer is busy with that module; go on a little later");
  if (const auto now = standing(hash).now;
      now == module_standing::state::fetching
      || now == module_standing::state::checking)
    return refuse(reply_status::overloaded,
                  "this peer fetches that module from another one: wait for "
                  "it, as GET /v1/modules/HASH shows");
  const auto have = held == list.end() ? 0 : held->second.bytes;
  if (offset != have)
    return refuse(reply_status::conflict, "this peer has "
                                              + std::to_string(have)
                                              + " bytes of it: go on there");
  if (keep_.upload(hash, size, ctx_.loop.now())
      == module_keep::verdict::too_many)
    return refuse(reply_status::overloaded,
                  "too many modules were uploaded here that no app names; "
                  "deploy them, or wait 10 minutes until they are dropped");
  fetch_.pause(hash, ctx_.loop.now() + upload_patience);
  uploading_.insert(hash);
  counters_.bytes_in += piece.size();
  const auto end = offset + piece.size();
  disk_.append(hash, offset, std::move(piece),
               [this, hash, end, size, done = std::move(done)](
                   const result<void, store::store_error>& r) mutable {
                 uploading_.erase(hash);
                 answer a;
                 if (!r.ok()) { // a full disk must not stay full of this
                   disk_.drop(hash, nullptr);
                   fetch_.on_held(hash, 0, false);
                   a.status = r.error().code == store::store_errc::full
                                  ? reply_status::disk_full
                                  : reply_status::app_failed;
                   a.message =
                       r.error().message + "; nothing of the module was kept";
                   done(std::move(a));
                   return arm();
                 }
                 fetch_.on_held(hash, end, false);
                 fetch_.pause(hash, ctx_.loop.now() + upload_patience);
                 arm();
                 if (end < size) {
                   a.have = end;
                   return done(std::move(a));
                 }
                 uploaded(hash, std::move(done));
               });
}

// All of its bytes are here.
void module_shell::uploaded(const digest& hash, answer_function done) {
  const auto whole = [this, hash](const answer_function& f) {
    answer a;
    a.complete = true;
    if (const auto at = disk_.list().find(hash); at != disk_.list().end())
      a.have = at->second.bytes;
    static_cast<void>(keep_.upload(hash, a.have, ctx_.loop.now()));
    f(std::move(a));
  };
  if (here(hash))
    return whole(done);
  const auto at = disk_.list().find(hash);
  const bool again = at != disk_.list().end() && at->second.whole;
  if (again && checking_.count(hash) != 0) {
    answer a;
    a.status = reply_status::overloaded;
    a.message = "this peer is hashing that module; ask again a little later";
    return done(std::move(a));
  }
  const auto judged = [this, hash, whole, done = std::move(done)](
                          const result<void, store::store_error>& r) {
    uploading_.erase(hash);
    if (r.ok()) {
      ++counters_.uploaded;
      came(hash, "was uploaded");
      return whole(done);
    }
    answer a;
    const bool wrong = r.error().code == store::store_errc::mismatch
                       || r.error().code == store::store_errc::damaged;
    a.status = wrong ? reply_status::invalid_argument
               : r.error().code == store::store_errc::full
                   ? reply_status::disk_full
                   : reply_status::app_failed;
    a.message = wrong ? "the bytes don't have that hash: nothing was kept; is "
                        "the file still being written? deploy again"
                      : r.error().message;
    fetch_.on_held(hash, 0, false);
    done(std::move(a));
    step();
  };
  uploading_.insert(hash);
  if (again)
    disk_.check(hash, judged);
  else
    disk_.finish(hash, judged);
}

void module_shell::head(const digest& hash, std::function<void(bytes)> done) {
  disk_.read(hash, 0, library_head_bytes,
             [done = std::move(done)](result<bytes, store::store_error> r) {
               done(r.ok() ? std::move(*r) : bytes{});
             });
}

// ---- specs
// ---------------------------------------------------------------------

const module_ref* module_for(const app_spec& s, const std::string& target) {
  for (const auto& m : s.modules)
    if (m.target == target)
      return &m;
  return nullptr;
}

bool has_code(const node_context& ctx, const app_spec& s) {
  return why_no_code(ctx, s).empty();
}

std::string why_no_code(const node_context& ctx, const app_spec& s) {
  if (s.modules.empty())
    return ctx.hosts.has(s.module)
               ? ""
               : "no module '" + s.module + "' here: put " + s.module
                     + ".so into a directory given by --apps";
  const auto* m = module_for(s, ctx.settings.target);
  if (m == nullptr)
    return "the spec names no module for " + ctx.settings.target;
  if (ctx.modules == nullptr)
    return "modules by hash aren't to be had here";
  const auto how = ctx.modules->standing(m->hash);
  return how.now == module_standing::state::here ? "" : words_of(how);
}

caf::behavior modules_actor(caf::stateful_actor<modules_actor_state>* self,
                            std::shared_ptr<module_shell> shell) {
  quiet(self);
  self->state.shell = std::move(shell);
  return {[](leave_in) {}};
}

} // namespace banyan::actors
