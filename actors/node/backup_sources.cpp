// The half of a backup that reads: a replica's copy, sealed where it is read.
#include "actors/node/backup.hpp"
#include "actors/node/context.hpp"
#include "actors/pure/backup/image.hpp"

namespace banyan::actors {
namespace {

constexpr duration source_patience = 90s;

backup_given given(const backup_wanted& w) {
  backup_given g;
  g.token = w.token;
  g.number = w.number;
  g.what = w.what;
  return g;
}

} // namespace

void backup_service::answer(const node_id& to, backup_given g) {
  if (to == ctx_.self())
    return on_given(to, g);
  ctx_.send(to, net::channel::bulk, encoded_control(g));
}

void backup_service::on_wanted(const node_id& from, const backup_wanted& w,
                               const app_record* app) {
  const auto refuse = [&](std::string why) {
    auto g = given(w);
    g.error = std::move(why);
    answer(from, std::move(g));
  };
  const auto at = sources_.find({from, w.token});
  if (w.what == step::end) {
    if (at != sources_.end())
      end_source(at);
    return;
  }
  if (app == nullptr || app->deleted)
    return refuse("the app isn't known there");
  if (w.what == step::begin)
    return open_source(from, w, *app);
  if (at == sources_.end())
    return refuse("that copy was given up: it was asked for too slowly");
  auto& s = at->second;
  s.heard = ctx_.loop.now();
  if (s.last && w.number == s.last->number)
    return answer(from, *s.last); // the answer was lost
  if (w.number != s.number)
    return refuse("the parts are asked for out of order");
  if (s.asked)
    return; // under way
  s.asked = w.what;
  const auto what = w.what == step::rows ? copy_step::rows : copy_step::entries;
  if (!ctx_.tell_replica(s.group, copy_step_in{s.copy, what})) {
    end_source(at);
    refuse("its replica is gone");
  }
}

void backup_service::open_source(const node_id& from, const backup_wanted& w,
                                 const app_record& app) {
  auto g = given(w);
  if (ctx_.replicas.count(w.group) == 0) {
    g.error = "no replica of that shard there";
    return answer(from, std::move(g));
  }
  if (sources_.size() >= sources_max) {
    g.error = "too many copies are being made there";
    return answer(from, std::move(g));
  }
  if (const auto old = sources_.find({from, w.token}); old != sources_.end())
    end_source(old);
  secret_bytes<32> key{ctx_.random};
  const auto context = backup::stream_context(app.id, w.group.shard, w.file);
  backup_begun begun;
  begun.lineage = app.genesis.lineage;
  begun.led = ctx_.known.leader(w.group) == ctx_.self();
  if (!seal_secret(node_id{app.genesis.owner.array()}, context, key,
                   ctx_.random, begun.key)) {
    g.error = "the app's owner is no public key: nothing can be sealed to it";
    return answer(from, std::move(g));
  }
  source s;
  s.group = w.group;
  s.copy = ++next_copy_;
  s.sealer.emplace(std::move(key), context);
  s.heard = ctx_.loop.now();
  copies_[s.copy] = {from, w.token};
  sources_.emplace(source_key{from, w.token}, std::move(s));
  g.data = encode(begun);
  answer(from, std::move(g));
}

void backup_service::on_copy(copy_in& m) {
  const auto token = copies_.find(m.given.token);
  if (token == copies_.end())
    return;
  const auto at = sources_.find(token->second);
  auto& s = at->second;
  if (!s.asked)
    return;
  backup_given g;
  g.token = at->first.second;
  g.number = s.number;
  g.what = *s.asked;
  s.asked.reset();
  const auto to = at->first.first;
  switch (m.given.kind) {
  case copy_given::what::wait:
    break;
  case copy_given::what::failed:
    g.error = m.given.why;
    end_source(at);
    break;
  case copy_given::what::rows:
  case copy_given::what::entries: {
    const bool entries = m.given.kind == copy_given::what::entries;
    bytes part{static_cast<std::uint8_t>(entries ? backup::part_entries
                                                 : backup::part_rows)};
    append(part, m.given.payload);
    g.last = m.given.last;
    g.data = s.sealer->seal(part, entries && g.last);
    ++s.number;
    s.last = g;
  }
  }
  answer(to, std::move(g));
}

void backup_service::end_source(std::map<source_key, source>::iterator at) {
  ctx_.tell_replica(at->second.group,
                    copy_step_in{at->second.copy, copy_step::end});
  copies_.erase(at->second.copy);
  sources_.erase(at);
}

void backup_service::on_tick(time_point now) {
  for (auto at = sources_.begin(); at != sources_.end();) {
    const auto next = std::next(at);
    if (now - at->second.heard >= source_patience)
      end_source(at);
    at = next;
  }
  for (const auto& j : jobs_)
    if (j)
      pump(*j, now);
  sweep();
}

} // namespace banyan::actors
