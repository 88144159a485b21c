// The half of a backup that puts the file together.
#include "actors/node/backup.hpp"

#include "actors/node/context.hpp"

#include <algorithm>

namespace banyan::actors {
namespace {

constexpr duration answer_within = 5s; ///< then another source is asked
constexpr duration again_after = 2s;   ///< an answer may have been lost
constexpr duration wait_pause = 50ms;  ///< after "not yet"
constexpr duration wait_most = 20s;    ///< of "not yet"
constexpr std::size_t unsent_most = std::size_t{2} << 20;

} // namespace

backup_service::backup_service(node_context& ctx) : ctx_{ctx} {
}

/// Followers first, a replica here before others; then learners; the leader
/// only when nobody else is there.
std::vector<node_id> backup_service::sources_of(const group_id& g,
                                                const app_record& app) const {
  std::vector<replica_ref> all;
  std::optional<node_id> leader;
  if (const auto* v = ctx_.known.view(g)) {
    for (const auto* list : {&v->voters, &v->learners})
      for (const auto& r : *list)
        all.push_back(r.who);
    if (!v->leader.node.is_none())
      leader = v->leader.node;
  } else {
    all = app.genesis.voters[g.shard];
  }
  const auto rank = [&](const replica_ref& r) {
    return (r.node == leader ? 4 : 0)
           + (ctx_.state_of(g, r) == state_phase::whole ? 0 : 2)
           + (r.node == ctx_.self() ? 0 : 1);
  };
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return rank(a) < rank(b);
  });
  std::vector<node_id> out;
  for (const auto& r : all)
    if (ctx_.reaches(r.node))
      out.push_back(r.node);
  return out;
}

void backup_service::begin(const app_record& app,
                           std::shared_ptr<download> to) {
  sweep();
  if (jobs_.size() >= jobs_max)
    return to->refuse(reply_status::overloaded,
                      "this peer is making " + std::to_string(jobs_max)
                          + " backups already; ask another, or later");
  auto j = std::make_unique<job>();
  j->app = app;
  j->to = std::move(to);
  j->number = ctx_.random.array<16>();
  for (std::uint32_t s = 0; s < app.genesis.shards(); ++s) {
    shard_job shard;
    shard.sources = sources_of({app.id, s}, app);
    if (shard.sources.empty())
      return j->to->refuse(reply_status::no_quorum,
                           "no node with a replica of shard "
                               + std::to_string(s) + " is reached; `banyan "
                               + "apps " + app.genesis.name
                               + "` shows where they are");
    j->shards.push_back(std::move(shard));
  }
  jobs_.push_back(std::move(j));
  pump(*jobs_.back(), ctx_.loop.now());
}

void backup_service::sweep() {
  jobs_.remove_if([](const auto& j) { return !j || !j->to; });
}

void backup_service::pump(job& j, time_point now) {
  if (!j.to)
    return;
  if (j.begun && !j.to->wanted())
    return close(j);
  if (j.asked) {
    if (now - j.asked_at < again_after)
      return;
    if (now - j.since >= answer_within)
      return source_failed(j, "no answer from the source", now);
    return ask(j, now);
  }
  if (now < j.ask_at || j.to->unsent() > unsent_most)
    return;
  j.since = now;
  ask(j, now);
}

void backup_service::ask(job& j, time_point now) {
  auto& s = j.shards[j.shard];
  if (j.what == step::begin && !j.asked) {
    s.token = ctx_.random.next();
    s.number = 0;
  }
  backup_wanted w;
  w.token = s.token;
  w.group = {j.app.id, j.shard};
  w.what = j.what;
  w.number = s.number;
  w.file = j.number;
  j.asked = true;
  j.asked_at = now;
  const auto& to = s.sources[s.at];
  if (to == ctx_.self())
    return on_wanted(to, w, &j.app);
  ctx_.send(to, net::channel::group, encoded_control(w));
}

void backup_service::on_given(const node_id& from, backup_given& g) {
  const auto now = ctx_.loop.now();
  for (const auto& j : jobs_) {
    if (!j || !j->to)
      continue;
    const auto& s = j->shards[j->shard];
    if (!j->asked || s.token != g.token || s.sources[s.at] != from
        || j->what != g.what || s.number != g.number)
      continue;
    j->asked = false;
    take(*j, g, now);
    return;
  }
}

void backup_service::take(job& j, backup_given& g, time_point now) {
  auto& s = j.shards[j.shard];
  if (!g.error.empty())
    return source_failed(j, g.error, now);
  if (g.data.empty()) { // not yet
    if (j.waits_since == never)
      j.waits_since = now;
    if (now - j.waits_since >= wait_most)
      return source_failed(j,
                           "its shard has no leader that could confirm what "
                           "is committed",
                           now);
    j.ask_at = now + wait_pause;
    return;
  }
  j.waits_since = never;
  if (j.what == step::begin) {
    backup_begun b;
    if (!decode(g.data, b))
      return source_failed(j, "its answer makes no sense", now);
    if (!j.begun)
      write_header(j);
    backup::stream_begin begin;
    begin.shard = j.shard;
    begin.attempt = s.attempt;
    begin.lineage = b.lineage;
    begin.node = s.sources[s.at];
    begin.led = b.led;
    begin.key = b.key;
    j.to->write(j.file.put(begin));
    j.what = step::rows;
    return pump(j, now);
  }
  j.to->write(j.file.put(backup::part{j.shard, s.attempt, std::move(g.data)}));
  ++s.number;
  if (g.last && j.what == step::rows) {
    if (++j.shard < j.shards.size()) {
      j.what = step::begin;
    } else {
      j.shard = 0;
      j.what = step::entries;
    }
  } else if (g.last) {
    end_shard(j, s);
    if (++j.shard == j.shards.size()) {
      j.to->write(j.file.finish());
      j.to->finish();
      return close(j);
    }
  }
  pump(j, now);
}

void backup_service::write_header(job& j) {
  backup::header h;
  h.mesh_name = ctx_.settings.mesh_name;
  h.mesh = ctx_.settings.mesh;
  h.app = j.app.genesis.name;
  h.id = j.app.id;
  h.lineage = j.app.genesis.lineage;
  h.shards = j.app.genesis.shards();
  h.at_unix_ms = ctx_.unix_ms();
  h.number = j.number;
  h.papers = j.app.papers.encode();
  h.version = ctx_.settings.version;
  j.to->write(j.file.put(h));
  j.begun = true;
}

void backup_service::source_failed(job& j, const std::string& why,
                                   time_point now) {
  auto& s = j.shards[j.shard];
  j.asked = false;
  j.waits_since = never;
  j.last_error = short_string(s.sources[s.at]) + ": " + why;
  end_shard(j, s);
  if (j.what == step::entries)
    return give_up(j, "the entries of shard " + std::to_string(j.shard)
                          + " could not be copied (" + j.last_error + ")");
  if (++s.at == s.sources.size())
    return give_up(j, "no replica of shard " + std::to_string(j.shard)
                          + " could be copied (" + j.last_error + ")");
  ++s.attempt;
  j.what = step::begin;
  pump(j, now);
}

void backup_service::give_up(job& j, const std::string& why) {
  ctx_.log(log_level::warning,
           "the backup of " + j.app.genesis.name + " was given up: " + why);
  if (!j.begun) {
    j.to->refuse(reply_status::no_quorum, why + "; try again");
  } else {
    j.to->write(j.file.put(backup::given_up{why}));
    j.to->finish();
  }
  close(j);
}

void backup_service::end_shard(job& j, shard_job& s) {
  if (s.token == 0)
    return;
  backup_wanted w;
  w.token = std::exchange(s.token, 0);
  w.group = {j.app.id, j.shard};
  w.what = step::end;
  const auto& to = s.sources[s.at];
  if (to == ctx_.self())
    on_wanted(to, w, &j.app);
  else
    ctx_.send(to, net::channel::group, encoded_control(w));
}

void backup_service::close(job& j) {
  j.to.reset(); // swept at the next tick
  for (std::uint32_t s = 0; s < j.shards.size(); ++s) {
    j.shard = s;
    end_shard(j, j.shards[s]);
  }
}

} // namespace banyan::actors
