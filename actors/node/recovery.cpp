// After a majority of a group was lost for good: what is left of it, and the
// lineages that owners sign.
#include "actors/node/names.hpp"
#include "actors/node/supervisor.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration standing_patience = 3s;
/// Nobody could tell it from one that is lost, and it would go on in the
/// lineage that is given up.
constexpr auto not_of_recoveries =
    " not know of recoveries: update banyan-peer there first";

bytes recovery_name(const group_id& g, const lineage_id& lineage) {
  auto name = shard_name(g.app.view(), g.shard);
  append(name, lineage.view());
  return name;
}

std::string shard_text(const app_record& a, std::uint32_t shard) {
  return a.genesis.name + "/" + std::to_string(shard);
}

} // namespace

void group_supervisor::load_recoveries() {
  for (const auto& [name, content] : ctx_.disk.documents->list(
           static_cast<std::uint8_t>(document_kind::recovery))) {
    signed_document d;
    app_recovery r;
    if (signed_document::decode(content.view(), d)
        && app_recovery::decode(d.body, r))
      recoveries_[{r.app, r.shard}][r.lineage] = d;
  }
}

std::string group_supervisor::older_peers(feature_bits needed) const {
  std::string who;
  std::size_t n = 0;
  constexpr std::size_t named_max = 20;
  ctx_.members->each([&](const net::member_record& r, net::member_state) {
    if (r.node != ctx_.self() && ctx_.reaches(r.node)
        && !knows(r.features, needed)) {
      if (n < named_max)
        who += (n == 0 ? "" : " ") + short_string(r.node);
      ++n;
    }
  });
  if (n == 0)
    return {};
  return (n == 1 ? "node " : "nodes ") + who + (n == 1 ? " does" : " do");
}

lineage_state group_supervisor::lineage_of(const group_id& g) const {
  const auto app = apps_.find(g.app);
  if (app == apps_.end())
    return {};
  std::vector<app_recovery> all;
  if (const auto at = recoveries_.find(g); at != recoveries_.end())
    for (const auto& [lineage, d] : at->second) {
      app_recovery r;
      if (d.signer == app->second.genesis.owner
          && app_recovery::decode(d.body, r))
        all.push_back(std::move(r));
    }
  return resolve_lineage(app->second.genesis.lineage, std::move(all));
}

std::string group_supervisor::why_refused(const signed_document& d,
                                          app_recovery& r,
                                          reply_status& status) const {
  status = reply_status::invalid_argument;
  if (d.kind != sign_kind::recovery || !app_recovery::decode(d.body, r))
    return "this is no recovery";
  const auto app = apps_.find(r.app);
  if (app == apps_.end() || app->second.deleted) {
    status = reply_status::not_found;
    return "a recovery of an app that isn't known here";
  }
  if (r.shard >= app->second.genesis.shards())
    return "the app has no shard " + std::to_string(r.shard);
  status = reply_status::forbidden;
  if (d.signer != app->second.genesis.owner)
    return "only the app's owner recovers it: sign with the file of owner "
           + short_string(app->second.genesis.owner);
  if (!d.verify(ctx_.settings.mesh))
    return "the signature is wrong";
  return {};
}

void group_supervisor::keep_recovery(const signed_document& d,
                                     const app_recovery& r, const node_id* from,
                                     std::function<void()> then) {
  const group_id g{r.app, r.shard};
  const auto before = lineage_of(g).lineage;
  recoveries_[g][r.lineage] = d;
  const auto now = lineage_of(g);
  std::vector<store::documents::change> changes{document(
      document_kind::recovery, recovery_name(g, r.lineage), d.encode())};
  // Who is not the one to go on from never speaks for the group again under
  // the id that it has: log and rows stay on the disk. Whatever the order in
  // which recoveries come, it counts where they have led to.
  const auto name = shard_name(g.app.view(), g.shard);
  const auto mine =
      read_replica(*ctx_.disk.documents, document_kind::replica, name);
  if (mine && next_step(now, {ctx_.self(), *mine}, before) == lineage_step::end)
    changes.push_back(document(document_kind::replica, name, std::nullopt));
  else if (const auto line = unnoted_line(g)) // it stays in it in a conflict
    changes.push_back(
        document(document_kind::recovered, name, line->view().copy()));
  const node_id source = from == nullptr ? node_id{} : *from;
  put_documents(std::move(changes),
                [this, g, d, source, then = std::move(then)] {
                  apply_lineage(g);
                  for (const auto& l : ctx_.links->links())
                    if (l.role == link_role::peer && l.node != source)
                      ctx_.send(l.node, net::channel::group,
                                encoded_control(recovery_told{d}));
                  if (then)
                    then();
                });
}

void group_supervisor::apply_lineage(const group_id& g) {
  const auto app = apps_.find(g.app);
  if (app == apps_.end())
    return;
  const auto now = lineage_of(g);
  if (now.conflicting.empty() == (ctx_.lineage_conflicts.count(g) != 0)) {
    if (now.conflicting.empty()) {
      ctx_.lineage_conflicts.erase(g);
    } else {
      ctx_.lineage_conflicts.insert(g);
      ctx_.group_event(event_kind::conflict, g,
                       "recovered twice from one parent: neither serves until "
                       "the app's owner recovers it again");
      ctx_.log(log_level::error,
               shard_text(app->second, g.shard)
                   + " was recovered twice from one parent: neither serves "
                     "until its owner signs which one goes on (`banyan recover "
                   + app->second.genesis.name + " --accept-loss`)");
    }
    refresh_closed(app->second);
  }
  const auto here = replicas_.find(g);
  if (here == replicas_.end())
    return;
  // Once for each lineage: a document that changes nothing does nothing.
  auto& r = here->second;
  switch (next_step(now, {ctx_.self(), r.id}, r.lineage)) {
  case lineage_step::none:
    return;
  case lineage_step::take_up:
    r.lineage = now.lineage;
    ctx_.tell_replica(g, recovery_in{now.lineage});
    ctx_.group_event(
        event_kind::recovered, g,
        "goes on alone from term " + std::to_string(now.recovery->term.value())
            + ", index " + std::to_string(now.recovery->last.value())
            + ", in lineage " + to_string(now.lineage),
        ctx_.self());
    return;
  case lineage_step::end:
    say_given_up(app->second, g.shard);
    stop_replica(g);
  }
}

void group_supervisor::say_given_up(const app_record& a, std::uint32_t shard) {
  ctx_.log(log_level::warning,
           shard_text(a, shard)
               + ": the replica here is of a lineage that its owner gave up; "
                 "what it has is kept on this disk, and its leader makes "
                 "another");
}

void group_supervisor::on_recovery(const node_id& from,
                                   const recovery_told& t) {
  // Kept whatever is known of the app yet: its papers may come later, or it is
  // removed and may come back.
  app_recovery r;
  const auto& d = t.document;
  if (d.kind != sign_kind::recovery || !app_recovery::decode(d.body, r)
      || std::find(start_.trusted.begin(), start_.trusted.end(), d.signer)
             == start_.trusted.end()
      || !d.verify(ctx_.settings.mesh))
    return;
  if (const auto a = apps_.find(r.app);
      a != apps_.end()
      && (r.shard >= a->second.genesis.shards()
          || d.signer != a->second.genesis.owner))
    return;
  const auto held = recoveries_.find({r.app, r.shard});
  if (held != recoveries_.end() && held->second.count(r.lineage) != 0)
    return;
  keep_recovery(t.document, r, &from, nullptr);
}

void group_supervisor::take_recoveries(recover_in& m) {
  recover_answer a;
  const auto refuse = [&](reply_status s, std::string why) {
    a.status = s;
    a.message = std::move(why);
    m.done(std::move(a));
  };
  std::vector<std::pair<signed_document, app_recovery>> fresh;
  for (const auto& d : m.documents) {
    app_recovery r;
    reply_status status{};
    if (const auto why = why_refused(d, r, status); !why.empty())
      return refuse(status, why);
    const group_id g{r.app, r.shard};
    a.shards.push_back(r);
    if (const auto held = recoveries_.find(g);
        held != recoveries_.end() && held->second.count(r.lineage) != 0)
      continue; // sent again
    const auto now = lineage_of(g);
    const bool decides =
        std::any_of(now.conflicting.begin(), now.conflicting.end(),
                    [&](const auto& c) { return c.lineage == r.parent; });
    if (r.parent != now.lineage && !decides)
      return refuse(reply_status::conflict,
                    "shard " + std::to_string(r.shard)
                        + " went on in another lineage since this was "
                          "prepared: ask again");
    const auto leader = ctx_.known.leader(g);
    // A view outlives the quorum that its leader had.
    const auto own = replicas_.find(g);
    const bool serves =
        leader
        && (*leader == ctx_.self()
                ? own != replicas_.end() && own->second.role.serving
                : ctx_.reaches(*leader) && ctx_.known.majority_alive(g));
    if (!decides && serves)
      return refuse(reply_status::conflict,
                    "shard " + std::to_string(r.shard)
                        + " has a leader: the group serves, nothing is lost");
    fresh.emplace_back(d, std::move(r));
  }
  if (m.documents.empty())
    return refuse(reply_status::invalid_argument, "no recovery was sent");
  if (auto who = older_peers(feature::backups); !fresh.empty() && !who.empty())
    return refuse(reply_status::conflict, who + not_of_recoveries);
  const auto open = std::make_shared<std::size_t>(fresh.size());
  const auto answer = std::make_shared<recover_answer>(std::move(a));
  if (fresh.empty())
    return m.done(*answer);
  for (const auto& [d, r] : fresh)
    keep_recovery(d, r, nullptr, [open, answer, done = m.done] {
      if (--*open == 0)
        done(*answer);
    });
}

// ---- asking around
// -------------------------------------------------------------

void group_supervisor::standings_here(
    const app_id& app,
    std::function<void(std::vector<surviving_replica>)> done) {
  struct gathered {
    std::vector<surviving_replica> all;
    std::size_t open = 1;
    std::function<void(std::vector<surviving_replica>)> done;
  };
  const auto got = std::make_shared<gathered>();
  got->done = std::move(done);
  const auto end = [got] {
    if (--got->open == 0)
      got->done(std::move(got->all));
  };
  for (const auto& [g, r] : replicas_) {
    if (g.app != app)
      continue;
    ++got->open;
    ctx_.tell_replica(g, standing_in{[got, end](const surviving_replica& s) {
                        got->all.push_back(s);
                        end();
                      }});
  }
  end();
}

void group_supervisor::plan_recovery(recover_plan_in& m) {
  const auto* known = ctx_.known.find_app(m.app);
  if (known == nullptr) {
    recover_answer a;
    a.status = reply_status::not_found;
    a.message = "no app named '" + m.app + "'";
    return m.done(std::move(a));
  }
  if (auto who = older_peers(feature::backups); !who.empty()) {
    recover_answer a;
    a.status = reply_status::conflict;
    a.message = who + not_of_recoveries;
    return m.done(std::move(a));
  }
  const auto token = ctx_.random.next();
  auto& p = recovery_plans_[token];
  p.app = known->id;
  p.wanted = std::move(m);
  p.until = ctx_.loop.now() + standing_patience;
  p.open.insert(ctx_.self());
  standings_told question;
  question.token = token;
  question.app = p.app;
  std::set<node_id> asked;
  for (const auto& l : ctx_.links->links())
    if (l.role == link_role::peer)
      asked.insert(l.node);
  // In a large mesh: all that ever were said to have a replica.
  if (!ctx_.full_mesh())
    for (std::uint32_t s = 0; s < known->shards; ++s) {
      for (const auto& r : known->born[s])
        asked.insert(r.node);
      for (const auto& node : ctx_.known.candidates({p.app, s}))
        asked.insert(node);
    }
  asked.erase(ctx_.self());
  for (const auto& node : asked)
    if (ctx_.send(node, net::channel::group, encoded_control(question))
        || ctx_.is_linked(node))
      p.open.insert(node);
  standings_here(p.app, [this, token](std::vector<surviving_replica> all) {
    standings_told mine;
    mine.token = token;
    mine.answer = true;
    mine.replicas = std::move(all);
    on_standings(ctx_.self(), mine);
  });
}

void group_supervisor::on_standings(const node_id& from, standings_told& t) {
  if (!t.answer)
    return standings_here(t.app, [this, from, app = t.app, token = t.token](
                                     std::vector<surviving_replica> all) {
      standings_told mine;
      mine.token = token;
      mine.app = app;
      mine.answer = true;
      mine.replicas = std::move(all);
      ctx_.send(from, net::channel::group, encoded_control(mine));
    });
  const auto at = recovery_plans_.find(t.token);
  if (at == recovery_plans_.end() || at->second.open.erase(from) == 0)
    return;
  for (auto& s : t.replicas) {
    s.who.node = from;
    at->second.answers.push_back(std::move(s));
  }
  if (at->second.open.empty())
    end_recovery_plan(t.token);
}

void group_supervisor::end_recovery_plan(std::uint64_t token) {
  auto node = recovery_plans_.extract(token);
  auto& p = node.mapped();
  recover_answer a;
  const auto app = apps_.find(p.app);
  if (app != apps_.end())
    for (std::uint32_t s = 0; s < app->second.genesis.shards(); ++s) {
      if (p.wanted.shard && *p.wanted.shard != s)
        continue;
      auto choice =
          choose_survivor(p.app, s, lineage_of({p.app, s}),
                          lineage_id{ctx_.random.array<16>()}, p.answers);
      if (choice.document)
        a.shards.push_back(std::move(*choice.document));
      else
        a.left_out.push_back("shard " + std::to_string(s) + ": " + choice.why);
    }
  if (a.shards.empty()) {
    a.status = reply_status::conflict;
    a.message = a.left_out.empty() ? "the app has no such shard"
                                   : "nothing to recover: " + a.left_out[0];
  }
  p.wanted.done(std::move(a));
}

void group_supervisor::recovery_tick(time_point now) {
  for (auto at = recovery_plans_.begin(); at != recovery_plans_.end();) {
    const auto next = std::next(at);
    if (at->second.until <= now)
      end_recovery_plan(at->first);
    at = next;
  }
  // Once the survivor leads its lineage, a start must not begin it again.
  for (const auto& [g, all] : recoveries_)
    if (const auto line = unnoted_line(g))
      put_documents(
          {document(document_kind::recovered, shard_name(g.app.view(), g.shard),
                    line->view().copy())},
          nullptr);
}

std::optional<lineage_id>
group_supervisor::unnoted_line(const group_id& g) const {
  const auto here = replicas_.find(g);
  const auto app = apps_.find(g.app);
  if (here == replicas_.end() || app == apps_.end()
      || !here->second.role.serving
      || here->second.lineage == app->second.genesis.lineage)
    return std::nullopt;
  const auto noted = ctx_.disk.documents->find(
      static_cast<std::uint8_t>(document_kind::recovered),
      shard_name(g.app.view(), g.shard));
  if (noted && noted->view() == here->second.lineage.view())
    return std::nullopt;
  return here->second.lineage;
}

} // namespace banyan::actors
