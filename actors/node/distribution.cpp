// What the supervisor does about apps' code: which modules its apps need here,
// who may host or lead for having them, and what is refused before any papers
// are taken.
#include "actors/node/app.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/placing.hpp"
#include "actors/node/supervisor.hpp"
#include "base/target.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

/// Of the time that a leader waits for a replica to be made.
constexpr duration code_patience = 4s;
/// Whoever was asked to host an app keeps its code for so long.
constexpr duration asked_for = 10min;
constexpr duration name_again = 5s; ///< members and replicas change
constexpr duration give_way_pause = 2s;

std::string list_of(const std::vector<node_id>& nodes) {
  std::string out;
  for (const auto& n : nodes)
    out += (out.empty() ? "" : ", ") + short_string(n);
  return out;
}

} // namespace

bool group_supervisor::may_host(const app_record& a) const {
  for (const auto& [g, r] : replicas_)
    if (g.app == a.id)
      return true;
  if (asked_to_host_.count(a.id) != 0)
    return true;
  if (const auto i = instances_.find(a.id);
      i != instances_.end() && (i->second.placed || i->second.actor))
    return true;
  if (ctx_.members == nullptr || !ctx_.members->full())
    return false; // where everybody is linked everybody may host everything
  // As others see it, whatever becomes of its link to itself.
  const auto me = ctx_.members->find(ctx_.self());
  if (!me)
    return false;
  candidate c;
  c.node = ctx_.self();
  c.region = me->record.region;
  c.tier = tier_of(ctx_, me->record);
  const auto why = why_unfit(c, need_of(a.version.spec));
  return why == unfit::none || why == unfit::weight;
}

void group_supervisor::name_modules() {
  const auto now = ctx_.loop.now();
  modules_named_at_ = now;
  for (auto i = asked_to_host_.begin(); i != asked_to_host_.end();)
    i = now >= i->second ? asked_to_host_.erase(i) : std::next(i);
  std::vector<named_module> named;
  for (const auto& [id, a] : apps_) {
    if (a.deleted || a.version.spec.modules.empty())
      continue;
    const auto* mine = module_for(a.version.spec, ctx_.settings.target);
    const bool hosts = mine != nullptr && may_host(a);
    for (const auto& m : a.version.spec.modules)
      named.push_back({m.hash, m.size, hosts && &m == mine});
  }
  // And what groups here still run, or may go back to.
  for (const auto& [id, seat] : seats_) {
    const auto app = apps_.find(id.first);
    const auto spec = app == apps_.end() || app->second.deleted
                              || id.second == app->second.number
                          ? std::nullopt
                          : spec_of(app->second, id.second);
    const auto* m = spec ? module_for(*spec, ctx_.settings.target) : nullptr;
    if (m != nullptr)
      named.push_back({m->hash, m->size, true});
  }
  ctx_.modules->set_named("papers", std::move(named));
}

void group_supervisor::await_code(
    const app_record& a, std::function<void()> then,
    std::function<void(std::string why)> otherwise) {
  const auto& spec = a.version.spec;
  const auto* m = module_for(spec, ctx_.settings.target);
  if (m == nullptr)
    return otherwise(why_no_code(ctx_, spec));
  const auto now = ctx_.loop.now();
  asked_to_host_[a.id] = now + asked_for;
  name_modules();
  auto& w = code_waits_.emplace_back();
  w.life = std::make_shared<char>();
  w.otherwise = std::move(otherwise);
  w.hash = m->hash;
  w.until = now + code_patience;
  ctx_.modules->when_here(
      m->hash, w.life,
      [weak = weak_from_this(), life = std::weak_ptr{w.life},
       then = std::move(then)] {
        const auto self = weak.lock();
        if (self == nullptr)
          return;
        self->code_waits_.remove_if(
            [&](const code_wait& x) { return x.life == life.lock(); });
        then();
      });
}

void group_supervisor::end_waits(time_point now) {
  for (auto i = code_waits_.begin(); i != code_waits_.end();) {
    if (i->until > now) {
      ++i;
      continue;
    }
    const auto w = std::move(*i);
    i = code_waits_.erase(i);
    w.otherwise("its code isn't there yet: "
                + words_of(ctx_.modules->standing(w.hash)));
  }
  if (now - modules_named_at_ >= name_again)
    name_modules();
}

std::vector<candidate> group_supervisor::with_code(std::vector<candidate> all,
                                                   const app_spec& s) const {
  // In a large mesh few others say what they have: who is asked fetches it.
  if (s.modules.empty() || !ctx_.full_mesh())
    return all;
  std::vector<candidate> have;
  for (const auto& c : all) {
    const auto member = ctx_.members->find(c.node);
    const auto* m = member ? module_for(s, member->record.target) : nullptr;
    if (m != nullptr && ctx_.modules->permille_at(c.node, m->hash) == 1000)
      have.push_back(c);
  }
  return have.empty() ? all : have;
}

void group_supervisor::lead_where_the_code_is(const group_id& g,
                                              local_replica& r,
                                              time_point now) {
  const auto app = apps_.find(g.app);
  if (app == apps_.end()
      || (r.gave_way != time_point{} && now - r.gave_way < give_way_pause))
    return;
  const auto& newest = app->second.version.spec;
  if (running(r) == app->second.number
      && (newest.modules.empty() || has_code(ctx_, newest)))
    return;
  const auto spec = spec_of(app->second, running(r));
  if (!spec || spec->modules.empty() || has_code(ctx_, *spec))
    return;
  for (const auto& v : r.configuration.voters) {
    const auto member = ctx_.members->find(v.node);
    if (v.node == ctx_.self() || !member || !ctx_.members->hears(v.node))
      continue;
    const auto* m = module_for(*spec, member->record.target);
    if (m == nullptr || ctx_.modules->permille_at(v.node, m->hash) < 1000)
      continue;
    r.gave_way = now;
    ctx_.log(log_level::info,
             app->second.genesis.name + "/" + std::to_string(g.shard)
                 + ": leadership moves to " + short_string(v.node)
                 + ", which has the module");
    ctx_.group_event(event_kind::leadership_moved, g,
                     "the leader's node lacks the module", v.node);
    group_order o;
    o.what = group_order::kind::transfer;
    o.who = v;
    ctx_.tell_replica(g, std::move(o));
    return;
  }
}

// ---- papers that an operator brings
// --------------------------------------------

std::vector<node_id> group_supervisor::refusing(const owner_id& owner) const {
  std::vector<node_id> out;
  const auto in = [&](const std::vector<owner_id>& list) {
    return std::find(list.begin(), list.end(), owner) != list.end();
  };
  if (!in(start_.trusted))
    out.push_back(ctx_.self());
  for (const auto& [node, owners] : trusts_)
    if (ctx_.members->hears(node) && !in(owners))
      out.push_back(node);
  return out;
}

void group_supervisor::take_papers(papers_in& m) {
  const auto refuse = [&](reply_status s, std::string why) {
    deploy_answer a;
    a.status = s;
    a.message = std::move(why);
    m.done(std::move(a));
  };
  if (const auto no = refusing(m.papers.genesis.signer); !no.empty())
    return refuse(reply_status::forbidden,
                  "the owner that signed this is not trusted by node"
                      + std::string{no.size() == 1 ? " " : "s "} + list_of(no)
                      + ": add the line `owner "
                      + to_string(m.papers.genesis.signer)
                      + "` to the mesh files there, or sign with an owner of "
                        "this mesh");
  const auto opened = open_papers(m.papers, ctx_.settings.mesh, start_.trusted);
  const bool is_new = opened.ok() && !opened->deleted
                      && (apps_.count(opened->id) == 0
                          || apps_.at(opened->id).number < opened->number);
  if (!is_new) // nothing to open, or `adopt` says what is wrong
    return papers_judged(m);
  const auto held = std::make_shared<papers_in>(std::move(m));
  const auto end = [this, held, id = opened->id](const std::string& wrong,
                                                 std::uint32_t version = 0) {
    deploy_answer a;
    a.status = reply_status::invalid_argument;
    a.message = wrong;
    if (const auto old = apps_.find(id);
        wrong.empty() && version != 0 && old != apps_.end()) {
      a.status = reply_status::conflict;
      a.message = why_too_low(old->second, version);
    }
    if (a.message.empty())
      return papers_judged(*held);
    held->done(std::move(a));
  };
  judge_modules(opened->version.spec, [this, end, spec = opened->version.spec](
                                          const std::string& why) {
    const bool none_here = !spec.modules.empty()
                           && module_for(spec, ctx_.settings.target) == nullptr;
    if (!why.empty() || none_here) // then this peer can't try it
      return end(why);
    try_module(spec, end);
  });
}

void group_supervisor::papers_judged(papers_in& m) {
  adopt(m.papers, nullptr, std::move(m.done));
}

void group_supervisor::judge_modules(
    const app_spec& s, std::function<void(std::string why)> done) {
  if (s.modules.empty())
    return done(ctx_.hosts.has(s.module)
                    ? ""
                    : "this peer has no module '" + s.module + "': put "
                          + s.module
                          + ".so into a directory given by --apps, or let the "
                            "spec name its file under [module]");
  if (start_.local_owner)
    return done("in the mesh `local` modules come only from --apps: write "
                "module = \"NAME\"");
  const auto& disk = ctx_.modules->on_disk();
  std::vector<module_ref> here;
  for (const auto& m : s.modules) {
    const auto at = disk.find(m.hash);
    if (at == disk.end() || !at->second.whole) {
      if (m.target != ctx_.settings.target && ctx_.modules->somewhere(m.hash))
        continue;
      return done("the module for " + m.target + " with hash "
                  + to_hex(m.hash.view())
                  + " is not here: `banyan deploy` uploads it first");
    }
    if (at->second.bytes != m.size)
      return done("the module for " + m.target + " has "
                  + std::to_string(at->second.bytes) + " bytes, the spec says "
                  + std::to_string(m.size) + ": deploy again");
    here.push_back(m);
  }
  struct judging {
    std::size_t open = 0;
    std::string why;
    std::function<void(std::string why)> done;
  };
  const auto j = std::make_shared<judging>();
  j->open = here.size() + 1;
  j->done = std::move(done);
  const auto one_less = [j] {
    if (--j->open == 0)
      j->done(std::move(j->why));
  };
  for (const auto& m : here)
    ctx_.modules->head(m.hash, [j, m, one_less](const bytes& head) {
      const auto target = target_of_library(head);
      if (target != m.target)
        j->why = target.empty()
                     ? "the module for " + m.target
                           + " is no shared library that a peer could load"
                     : "the module for " + m.target + " is compiled for "
                           + target
                           + ": name it for that target, or build it for this "
                             "one";
      one_less();
    });
  one_less();
}

} // namespace banyan::actors
