#include "actors/node/uptime.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/gateway_views.hpp"
#include "actors/node/names.hpp"
#include "actors/node/unlisted.hpp"
#include "crypto/hash.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace banyan::actors {
namespace {

/// What was observed goes to disk so often, in minutes.
constexpr std::uint32_t save_every = 10;

std::string percent_of(const std::optional<basis_points>& p) {
  return p ? percent_text(*p) + " %" : "?";
}

event_kind event_of(standing s) {
  switch (s) {
  case standing::normal:
    return event_kind::node_readmitted;
  case standing::probation:
    return event_kind::node_probation;
  case standing::hold:
    return event_kind::node_held;
  case standing::evacuate:
    return event_kind::node_evacuated;
  case standing::excluded:
    return event_kind::node_excluded;
  }
  return event_kind::node_readmitted;
}

const char* words_of(standing s) {
  switch (s) {
  case standing::normal:
    return "it takes new replicas";
  case standing::probation:
    return "on probation: no new replicas yet";
  case standing::hold:
    return "on hold: no new replicas";
  case standing::evacuate:
    return "to be evacuated: its groups move away";
  case standing::excluded:
    return "excluded";
  }
  return "?";
}

/// A long list of nodes gets in nobody's way.
net::channel lane_for(const policy_record& r) {
  constexpr std::size_t short_bytes = 16'384;
  return r.document.body.size() > short_bytes ? net::channel::bulk
                                              : net::channel::group;
}

} // namespace

uptime_shell::uptime_shell(node_context& ctx, std::vector<owner_id> owners)
    : ctx_{ctx}, owners_{std::move(owners)}, subjects_{ctx.settings.mesh} {
}

void uptime_shell::load() {
  const auto& disk = *ctx_.disk.documents;
  const auto each = [&](document_kind kind, const auto& f) {
    for (const auto& [name, content] :
         disk.list(static_cast<std::uint8_t>(kind)))
      if (signed_document d; signed_document::decode(content.view(), d))
        f(d);
  };
  each(document_kind::policy, [&](const signed_document& d) {
    if (auto r = open_policy(d, ctx_.settings.mesh, owners_); r.ok())
      book_.put(std::move(*r));
  });
  // They were verified before they were stored.
  each(document_kind::observation, [&](const signed_document& d) {
    observation o;
    if (!observation::decode(d.body, o))
      return;
    if (observer_of(d) == ctx_.self())
      observer_.is_over(o.day);
    archive_.put(d, std::move(o));
  });
  const auto open = disk.find(
      static_cast<std::uint8_t>(document_kind::observing), const_bytes{});
  observation o;
  if (open && observation::decode(open->view(), o))
    observer_.resume(std::move(o));
}

void uptime_shell::put(std::vector<store::documents::change> changes,
                       std::function<void()> then) {
  ctx_.disk.documents->put(
      std::move(changes), [weak = weak_from_this(), then = std::move(then)](
                              const result<void, store::store_error>& done) {
        const auto self = weak.lock();
        if (self == nullptr)
          return;
        if (!done.ok())
          return self->ctx_.log(log_level::warning,
                                "uptime: what was observed isn't kept: "
                                    + done.error().message);
        if (then)
          then();
      });
}

// ---- what this node observes

void uptime_shell::note_members() {
  using state = uptime_subjects::state;
  bool changed = false;
  ctx_.members->each([&](const net::member_record& r, net::member_state s) {
    const bool gone =
        s == net::member_state::left || r.word != net::member_word::normal;
    const auto is = gone                           ? state::left
                    : s == net::member_state::dead ? state::dead
                                                   : state::living;
    changed |= subjects_.put(r.node, is);
  });
  if (changed) {
    archive_.recount();
    unjudged_ = true;
  }
}

void uptime_shell::look() {
  if (ctx_.members == nullptr)
    return;
  const auto now = day_time_of(ctx_.unix_ms(), ctx_.settings.uptime_minute);
  note_members();
  write_down(now);
  clock_.on_look(now.day);
  forget();
  judge_if_changed(now);
  ask_around(now);
  if (!subjects_.full())
    fetch_far();
  last_minute_ = now.minute;
}

void uptime_shell::write_down(day_time now) {
  std::vector<subject_look> looks;
  for (const auto& s : subjects_.subjects_of(ctx_.self()))
    looks.push_back({s.node, ctx_.members->hears(s.node), s.dead,
                     is_planned(ctx_.is_drained(s.node), acting(s.node))});
  auto seen = observer_.on_look(looks, now);
  if (seen.over)
    sign(*seen.over);
  if (!seen.written || ++minutes_unsaved_ < save_every)
    return;
  minutes_unsaved_ = 0;
  put({document(document_kind::observing, {}, observer_.written().encode())},
      nullptr);
}

// On disk before anybody hears of it: there is never another one for that day.
void uptime_shell::sign(const observation& o) {
  const auto d = signed_document::make(ctx_.key, sign_kind::observation,
                                       ctx_.settings.mesh, o.day, o.encode());
  minutes_unsaved_ = 0;
  put({document(document_kind::observation, day_archive::name_of(d),
                d.encode()),
       document(document_kind::observing, {}, std::nullopt)},
      [this, d, o] {
        archive_.put(d, o);
        ctx_.broadcast(net::channel::group,
                       encoded_control(days_given{{}, false, {d}}));
      });
}

// ---- documents

bool uptime_shell::concerns_this(const node_id& observer,
                                 const observation& o) const {
  if (!subjects_.is_member(observer))
    return false;
  return subjects_.full() || observer == ctx_.self()
         || (o.find(ctx_.self()) != nullptr
             && subjects_.counts(observer, ctx_.self()));
}

void uptime_shell::keep(const signed_document& d, observation o) {
  if (archive_.put(d, std::move(o)) == day_archive::outcome::kept)
    put({document(document_kind::observation, day_archive::name_of(d),
                  d.encode())},
        nullptr);
}

void uptime_shell::forget() {
  std::vector<store::documents::change> changes;
  for (auto& name : archive_.forget_before(clock_.forget_before()))
    changes.push_back(
        document(document_kind::observation, std::move(name), std::nullopt));
  if (!changes.empty())
    put(std::move(changes), nullptr);
}

void uptime_shell::tell_policies(const node_id& to) {
  for (const auto& r : book_.records())
    ctx_.tell(to, lane_for(r), encoded_control(policy_told{r.document}));
}

void uptime_shell::on_peer_up(const node_id& node) {
  tell_policies(node);
  questions_.on_link(node);
}

void uptime_shell::ask_around(day_time now) {
  const auto whom = questions_.on_look(now, ctx_.members->linked(), ctx_.random,
                                       ctx_.loop.now());
  if (!whom)
    return;
  ask(*whom);
  // What it got before may have been lost on its way, or to its disk. Where not
  // everybody has a link sums are compared (`documents_sum`).
  if (ctx_.full_mesh())
    tell_policies(*whom);
}

/// For the next page.
void uptime_shell::ask(const node_id& whom) {
  days_wanted w;
  if (!subjects_.full())
    w.about = ctx_.self();
  w.have = archive_.fingerprints_of(w.about);
  w.after = questions_.after();
  ctx_.send(whom, net::channel::group, encoded_control(w));
}

bool uptime_shell::on_control(const node_id& from, const control_frame& f) {
  if (const auto* wanted = std::get_if<days_wanted>(&f))
    on_wanted(from, *wanted);
  else if (const auto* given = std::get_if<days_given>(&f))
    on_given(from, *given);
  else if (const auto* told = std::get_if<policy_told>(&f)) {
    const auto& all = book_.records();
    const bool known =
        std::any_of(all.begin(), all.end(), [&](const policy_record& r) {
          return r.document == told->document;
        });
    if (known)
      return true;
    if (auto r = open_policy(told->document, ctx_.settings.mesh, owners_);
        r.ok())
      adopt(std::move(*r), &from, nullptr);
  } else
    return false;
  return true;
}

void uptime_shell::on_wanted(const node_id& from, const days_wanted& f) {
  if (!rations_[from].answers.take(ctx_.loop.now()))
    return;
  days_given g;
  g.about = f.about;
  g.documents = archive_.differing(f.about, f.have, f.after,
                                   days_given::bytes_most, g.more);
  ctx_.send(from, net::channel::group, encoded_control(g));
}

void uptime_shell::on_given(const node_id& from, const days_given& f) {
  if (far_.awaits(from, f.about))
    return on_far(from, f);
  for (const auto& d : f.documents)
    if (!archive_.holds(d))
      if (auto o = checked(from, d); o && concerns_this(observer_of(d), *o))
        keep(d, std::move(*o));
  std::optional<day_archive::place> end;
  if (!f.documents.empty())
    end = day_archive::place{
        static_cast<std::uint32_t>(f.documents.back().version),
        observer_of(f.documents.back())};
  if (questions_.on_page(from, f.more, end, ctx_.loop.now()))
    ask(from);
}

// ---- how nodes stand

std::uint32_t uptime_shell::last_day() const {
  return last_judged(day_time_of(ctx_.unix_ms(), ctx_.settings.uptime_minute));
}

verdict uptime_shell::of(const node_id& node) const {
  return verdicts_.of(node);
}

standing uptime_shell::acting(const node_id& node) const {
  return verdicts_.acting(node, policy());
}

void uptime_shell::judge_if_changed(day_time now) {
  const bool look_whether_empty = leaving_ && now.minute != last_minute_;
  if (archive_.stale() || unjudged_ || look_whether_empty
      || judged_last_ != last_day())
    judge_all();
}

void uptime_shell::judge_all() {
  const auto last = last_day();
  judged_last_ = last;
  unjudged_ = leaving_ = false;
  archive_.refresh(who_counts());
  verdicts_.begin(subjects_.full());
  const auto one = [&](const node_id& node) {
    const auto* days = archive_.results(node);
    if (days == nullptr)
      return;
    const auto v = judged(node, *days, last);
    tell(node, v);
    verdicts_.judged(node, v);
  };
  // Above 17 only what is about this node is kept whole.
  if (!subjects_.full())
    one(ctx_.self());
  else
    ctx_.members->each(
        [&](const net::member_record& r, net::member_state) { one(r.node); });
  told_before_ |= !verdicts_.kept().empty();
  name_liars(last);
}

verdict uptime_shell::judged(const node_id& node, const day_results& days,
                             std::uint32_t last) {
  auto v = judge(days, last, policy(), false);
  if (!v.must_go)
    return v;
  leaving_ = true;
  const auto has = roles_of(ctx_, node);
  const bool here = node == ctx_.self() && !ctx_.replicas.empty();
  return here || has.leading + has.following + has.learning > 0
             ? v
             : judge(days, last, policy(), true);
}

// What was so before this process began was told by the one before it.
void uptime_shell::tell(const node_id& node, const verdict& v) {
  auto& said = said_[node];
  if (said != v.is && told_before_) {
    const auto text = short_string(node) + " was up " + percent_of(v.week)
                      + " of " + std::to_string(policy().window_days)
                      + " days: " + words_of(v.is)
                      + (policy().enforce ? "" : " (observed only)");
    ctx_.log(log_level::info, text);
    ctx_.event(event_of(v.is), {}, text, std::nullopt, node);
  }
  said = v.is;
}

day_archive::counts uptime_shell::who_counts() const {
  return [this](const node_id& observer, const node_id& about) {
    return subjects_.counts(observer, about);
  };
}

std::optional<observation> uptime_shell::checked(const node_id& from,
                                                 const signed_document& d) {
  if (!subjects_.is_member(observer_of(d))
      || !rations_[from].documents.take(ctx_.loop.now()))
    return std::nullopt;
  auto o = open_observation(
      d, ctx_.settings.mesh,
      day_time_of(ctx_.unix_ms(), ctx_.settings.uptime_minute));
  return o.ok() ? std::optional{std::move(*o)} : std::nullopt;
}

const day_results* uptime_shell::results(const node_id& node) const {
  return subjects_.full() || node == ctx_.self() ? archive_.results(node)
                                                 : far_.results(node);
}

void uptime_shell::name_liars(std::uint32_t last) {
  disagree_.clear();
  for (const auto& [subject, v] : verdicts_.kept())
    for (const auto& o :
         observers_of(*archive_.results(subject), last, policy().window_days))
      if (o.disagrees())
        disagree_[o.observer].insert(subject);
  auto all = archive_.two_faced();
  for (const auto& n : all)
    disagree_[n];
  for (const auto& [node, about] : disagree_) {
    if (!liars_said_.insert(node).second)
      continue;
    const auto text =
        short_string(node)
        + (all.count(node) != 0
               ? " signed two documents of one day: neither counts"
               : " contradicts the other observers of "
                     + short_string(*about.begin())
                     + (about.size() > 1
                            ? " and " + std::to_string(about.size() - 1)
                                  + " more"
                            : ""));
    ctx_.log(log_level::warning, "uptime: " + text);
    ctx_.event(event_kind::observer_disagrees, {}, text, std::nullopt, node);
  }
  for (auto i = liars_said_.begin(); i != liars_said_.end();)
    i = disagree_.count(*i) == 0 ? liars_said_.erase(i) : std::next(i);
}

std::vector<signed_document> uptime_shell::proof(const node_id& about) const {
  bool more = true;
  std::vector<signed_document> out;
  std::optional<day_archive::place> after;
  while (more) {
    for (auto& d :
         archive_.differing(about, {}, after, days_given::bytes_most, more)) {
      after = day_archive::place{static_cast<std::uint32_t>(d.version),
                                 observer_of(d)};
      if (subjects_.counts(observer_of(d), about))
        out.push_back(std::move(d));
    }
  }
  return out;
}

// ---- the policy

void uptime_shell::take_policy(const signed_document& d, policy_function done) {
  auto r = open_policy(d, ctx_.settings.mesh, owners_);
  if (r.ok())
    return adopt(std::move(*r), nullptr, std::move(done));
  switch (r.error()) {
  case papers_errc::malformed:
    return done(reply_status::invalid_argument,
                "this is no mesh policy, or one that this peer doesn't know");
  case papers_errc::bad_signature:
    return done(reply_status::forbidden, "the signature is wrong");
  case papers_errc::untrusted:
    return done(reply_status::forbidden,
                "only an owner that the mesh file names may sign the policy");
  }
}

void uptime_shell::adopt(policy_record r, const node_id* from,
                         policy_function done) {
  const auto tell = [&](reply_status s, std::string why) {
    if (done)
      done(s, std::move(why));
  };
  auto probe = book_;
  const auto d = r.document;
  switch (probe.put(r)) {
  case policy_book::outcome::known:
    return tell(reply_status::ok, {});
  case policy_book::outcome::older:
    if (from != nullptr)
      tell_policies(*from);
    return tell(reply_status::conflict,
                "a policy of version " + std::to_string(book_.version())
                    + " is here already: sign a higher one");
  case policy_book::outcome::conflict:
    if (done) // an operator is told, and nothing is made of it
      return tell(reply_status::conflict,
                  "another policy of version " + std::to_string(r.version)
                      + " is here already: sign a higher one");
    break;
  case policy_book::outcome::taken:
    break;
  }
  std::vector<store::documents::change> changes;
  const auto name = [](const signed_document& x) {
    return hash(x.encode()).view().copy();
  };
  if (r.version > book_.version())
    for (const auto& old : book_.records())
      changes.push_back(
          document(document_kind::policy, name(old.document), std::nullopt));
  changes.push_back(document(document_kind::policy, name(d), d.encode()));
  const auto source = from == nullptr ? node_id{} : *from;
  const auto go_by = [this, source](const policy_record& now) {
    const auto is = book_.put(now);
    const auto version = "policy version " + std::to_string(now.version);
    if (is == policy_book::outcome::taken)
      ctx_.event(event_kind::policy_changed, {},
                 version
                     + (policy().enforce ? ": enforced" : ": observe only"));
    if (is == policy_book::outcome::conflict) {
      const auto text = "two owners' documents are " + version
                        + ": none is enforced until a higher one is signed";
      ctx_.log(log_level::error, text);
      ctx_.event(event_kind::policy_conflict, {}, text);
    }
    if (is == policy_book::outcome::taken
        || is == policy_book::outcome::conflict)
      for (const auto& n : ctx_.members->linked())
        if (n != source)
          ctx_.send(n, lane_for(now),
                    encoded_control(policy_told{now.document}));
    on_new_list(ctx_);
    judge_all();
  };
  ctx_.disk.documents->put(
      std::move(changes),
      [weak = weak_from_this(), r = std::move(r), go_by,
       done = std::move(done)](const result<void, store::store_error>& stored) {
        const auto self = weak.lock();
        if (self == nullptr)
          return;
        if (stored.ok())
          go_by(r);
        if (!done)
          return;
        if (!stored.ok())
          return done(stored.error().code == store::store_errc::full
                          ? reply_status::disk_full
                          : reply_status::app_failed,
                      stored.error().message);
        done(reply_status::ok, {});
      });
}

// ---- the actor

namespace {

void arm(io::timer* timer, node_context* ctx,
         const std::shared_ptr<uptime_shell>& shell) {
  timer->arm(
      ctx->loop.now()
          + ctx->settings.uptime_minute / day_observer::looks_a_minute,
      [=] {
        shell->look();
        arm(timer, ctx, shell);
      },
      "uptime");
}

} // namespace

caf::behavior uptime_actor(caf::stateful_actor<uptime_actor_state>* self,
                           std::shared_ptr<uptime_shell> shell,
                           node_context* ctx) {
  quiet(self);
  auto& s = self->state;
  s.shell = std::move(shell);
  s.timer = std::make_unique<io::timer>(ctx->loop);
  s.shell->load();
  arm(s.timer.get(), ctx, s.shell);
  // Its timer and what calls it directly are all that it hears.
  return {[](caf::unit_t) {}};
}

} // namespace banyan::actors
