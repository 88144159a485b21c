#include "actors/sim/uptime_mesh.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"
#include "net/membership/rings.hpp"

#include <algorithm>

namespace banyan::sim {
namespace {

constexpr auto day_minutes = static_cast<std::uint32_t>(minutes_a_day);
constexpr std::uint32_t verdict_minute = 10; ///< of a day: documents are there
constexpr unsigned drain_steps = 30;         ///< a minute
/// A minute is written when it had half of its looks.
constexpr unsigned looks = day_observer::looks_a_minute / 2;
constexpr std::uint32_t look_for_home = 5; ///< minutes

bool in(const std::vector<uptime_role::span>& all, std::uint32_t minute) {
  return std::any_of(all.begin(), all.end(), [&](const auto& s) {
    return s.begin <= minute && minute < s.end;
  });
}

} // namespace

const char* to_string(move_cause c) noexcept {
  switch (c) {
  case move_cause::lost:
    return "replaced";
  case move_cause::drained:
    return "drained";
  case move_cause::evacuated:
    return "evacuated";
  case move_cause::evicted:
    return "evicted";
  case move_cause::home:
    return "home";
  }
  return "?";
}

struct uptime_mesh::node {
  uptime_role role;
  node_id id;
  bool up = true;
  bool left = false; ///< excluded: its peer has ended
  std::int64_t until_ms = 0;
  day_observer observer;
  std::map<std::uint32_t, std::vector<day_word>> words; ///< about it, by day
  std::set<std::uint32_t> dirty;
  day_results results;
  banyan::verdict verdict;
  standing is = standing::normal;
  evacuation policy;
  drain evacuated{evacuation::moves_at_once};
  drain planned;
  evictions evicting;
  std::optional<group_id> evicted_group;
  homing home;
  node_report told;
};

struct uptime_mesh::copy {
  replica_ref to;
  node_id from;
  std::uint32_t done = 0;
  move_cause why = move_cause::lost;
};

struct uptime_mesh::group {
  group_id id;
  std::string name;
  digest hash;
  placement_need need;
  std::vector<replica_ref> voters;
  node_id leader;
  voter_watch watch;
  std::optional<copy> moving;
};

struct uptime_mesh::watchers {
  explicit watchers(const mesh_id& m) : on{m, nullptr} {}
  net::rings on;
};

uptime_mesh::uptime_mesh(uptime_mesh_options o)
    : o_{std::move(o)}, rings_{std::make_unique<watchers>(mesh_id{})} {
  for (const auto& role : o_.cast) {
    auto n = std::make_unique<node>();
    n->role = role;
    n->id = role.as.node;
    n->told.name = role.name;
    rings_->on.set(n->id, true);
    by_id_[n->id] = n.get();
    nodes_.push_back(std::move(n));
  }
  seeded_random random{o_.seed};
  const auto all = candidates(false);
  for (const auto& need : o_.groups) {
    auto g = std::make_unique<group>();
    g->id = {app_id{random.array<32>()}, 0};
    g->name = "app" + std::to_string(groups_.size() + 1) + "/0";
    g->hash = placement_hash(random.array<16>(), 0);
    g->need = need;
    for (const auto& v : place(g->hash, need, all).nodes)
      g->voters.push_back({v, replica_id{random.array<16>()}});
    BANYAN_ASSERT(g->voters.size() == need.voters);
    g->leader = g->voters.front().node;
    g->watch.set_voters(g->voters);
    groups_.push_back(std::move(g));
  }
}

uptime_mesh::~uptime_mesh() = default;

time_point uptime_mesh::time() const {
  return time_point{} + 1h + std::chrono::minutes{now_};
}

std::int64_t uptime_mesh::unix_ms() const {
  return (std::int64_t{o_.first_day} * day_minutes + now_) * 60'000;
}

void uptime_mesh::say(const std::string& text) {
  events.push_back({now_, text});
}

uptime_mesh::node& uptime_mesh::at(const node_id& n) const {
  return *by_id_.at(n);
}

node_id uptime_mesh::id_of(std::size_t cast) const {
  return nodes_[cast]->id;
}

std::set<node_id> uptime_mesh::observers_of(const node_id& n) const {
  const auto all = rings_->on.observers(n);
  return {all.begin(), all.end()};
}

std::size_t uptime_mesh::held_by(const node_id& n) const {
  std::size_t out = 0;
  for (const auto& g : groups_) {
    out += g->moving && g->moving->to.node == n ? 1 : 0;
    for (const auto& v : g->voters)
      out += v.node == n ? 1 : 0;
  }
  return out;
}

std::vector<uptime_mesh::group*> uptime_mesh::led_by(const node_id& n) {
  std::vector<group*> out;
  for (const auto& g : groups_)
    if (g->leader == n)
      out.push_back(g.get());
  return out;
}

bool uptime_mesh::leaving(const node& n) const {
  return n.evacuated.on() || n.planned.on();
}

/// As production gives them to placement: who runs, stays and may take more.
std::vector<candidate> uptime_mesh::candidates(bool with_held) const {
  std::vector<candidate> out;
  for (const auto& n : nodes_) {
    const bool goes =
        n->is == standing::evacuate || n->is == standing::excluded;
    if (n->up && !n->left && !leaving(*n) && !goes
        && (with_held || takes_replicas(n->is)))
      out.push_back(n->role.as);
  }
  return out;
}

group_standing uptime_mesh::reached_of(const group& g) const {
  group_standing out;
  for (const auto& v : g.voters) {
    replica_standing r;
    r.who = v;
    r.reached = at(v.node).up && !at(v.node).left;
    out.voters.push_back(r);
  }
  return out;
}

group_standing uptime_mesh::standing_of(const group& g,
                                        const node_id& from) const {
  auto out = reached_of(g);
  out.name = g.name;
  out.led = at(g.leader).up && !at(g.leader).left;
  for (auto& r : out.voters)
    r.stays = r.who.node != from && !leaving(at(r.who.node));
  out.candidate = newcomer(g, from, true).has_value();
  return out;
}

std::optional<node_id> uptime_mesh::newcomer(const group& g,
                                             const node_id& instead,
                                             bool any_region) const {
  std::vector<node_id> kept;
  std::vector<node_id> excluded;
  for (const auto& v : g.voters) {
    excluded.push_back(v.node);
    if (v.node != instead)
      kept.push_back(v.node);
  }
  const auto all = candidates(false);
  auto next = next_candidate(g.hash, g.need, all, kept, excluded,
                             at(instead).role.as.region);
  if (!next && any_region)
    next = next_candidate(g.hash, g.need, all, kept, excluded, std::nullopt);
  return next;
}

// ---- a minute

void uptime_mesh::minute() {
  follow_scripts();
  look();
  if (now_ % day_minutes == verdict_minute && now_ > day_minutes)
    judge_all();
  for (const auto& g : groups_)
    if (!at(g->leader).up || at(g->leader).left || leaving(at(g->leader)))
      for (const auto& v : g->voters)
        if (at(v.node).up && !at(v.node).left
            && (!leaving(at(v.node)) || !at(g->leader).up))
          g->leader = v.node;
  replace_lost();
  for (const auto& n : nodes_) {
    if (!n->up || n->left)
      continue;
    apply_policy(*n);
    if (n->left)
      continue;
    if (n->planned.on())
      tick_drain(*n, n->planned, move_cause::drained);
    else if (n->evacuated.on())
      tick_drain(*n, n->evacuated, move_cause::evacuated);
    evict(*n);
    bring_home(*n);
  }
  end_copies();
  check();
  ++now_;
}

void uptime_mesh::follow_scripts() {
  for (const auto& n : nodes_) {
    if (n->left && unix_ms() >= n->until_ms) {
      n->left = false;
      rings_->on.set(n->id, true);
      n->policy = {};
      n->evacuated.cancel();
      say(n->role.name + " is readmitted");
    }
    const bool planned = in(n->role.drained, now_);
    if (planned && !n->planned.on() && !n->left) {
      n->planned.begin(false, time());
      say(n->role.name + " is drained by an operator");
    } else if (!planned && n->planned.on()) {
      n->planned.cancel();
      say(n->role.name + " is drained no more");
    }
    // Switched off for the work once it is empty.
    n->up = !n->left && !in(n->role.down, now_)
            && !(n->planned.on() && held_by(n->id) == 0);
    n->told.up += n->up || n->left || n->planned.on() ? 1 : 0;
    n->told.out_of += 1;
  }
}

void uptime_mesh::look() {
  const auto day = o_.first_day + now_ / day_minutes;
  const day_time clock{day, now_ % day_minutes};
  for (const auto& n : nodes_) {
    if (!n->up)
      continue;
    std::vector<subject_look> subjects;
    std::set<node_id> once;
    for (const auto& s : rings_->on.subjects(n->id)) {
      const auto& other = at(s);
      if (s == n->id || !once.insert(s).second)
        continue;
      subjects.push_back(
          {s, other.up, !other.up, other.left || other.planned.on()});
    }
    for (unsigned i = 0; i < looks; ++i)
      if (auto out = n->observer.on_look(subjects, clock); out.over)
        sign(*n, std::move(*out.over));
  }
}

/// What an observer tells of a day, as it is or as a liar has it.
void uptime_mesh::sign(node& by, observation o) {
  bool lies = false;
  for (auto& s : o.subjects)
    if (by.role.slanders
        && (by.role.victims.empty() || by.role.victims.count(s.node) != 0)) {
      s.seen.observed.set_range(0, minutes_a_day);
      s.seen.up = {};
      lies = true;
    }
  if (by.role.lies_about_itself) {
    observation::subject self;
    self.node = by.id;
    self.seen.observed.set_range(0, minutes_a_day);
    self.seen.up = self.seen.observed;
    o.subjects.insert(std::lower_bound(o.subjects.begin(), o.subjects.end(),
                                       self,
                                       [](const auto& a, const auto& b) {
                                         return a.node < b.node;
                                       }),
                      self);
    lies = true;
  }
  false_days += lies ? 1 : 0;
  observation told;
  if (!observation::decode(o.encode(), told))
    return;
  for (const auto& s : told.subjects) {
    // A word about oneself makes the document void (`open_observation`).
    if (s.node == by.id)
      return;
  }
  for (const auto& s : told.subjects) {
    auto& about = at(s.node);
    about.words[told.day].push_back({by.id, s.seen});
    about.dirty.insert(told.day);
  }
}

void uptime_mesh::judge_all() {
  const auto today = o_.first_day + now_ / day_minutes;
  for (const auto& n : nodes_) {
    for (const auto day : n->dirty)
      n->results[day] = count_day(n->words[day]);
    n->dirty.clear();
    while (!n->words.empty() && n->words.begin()->first + days_kept < today)
      n->words.erase(n->words.begin());
    const bool empty = held_by(n->id) == 0;
    n->verdict = judge(n->results, today - 1, o_.policy, empty);
    const auto week = n->verdict.week;
    become(*n, n->verdict.is,
           week ? percent_text(*week) + " % over "
                      + std::to_string(o_.policy.window_days) + " days"
                : "unseen for " + std::to_string(o_.policy.window_days)
                      + " days");
  }
}

void uptime_mesh::become(node& n, standing s, const std::string& why) {
  if (n.is == s)
    return;
  n.is = s;
  if (s == standing::normal)
    standings_.erase(n.id);
  else
    standings_[n.id] = s;
  n.told.worst = std::max(n.told.worst, s);
  n.told.standings.push_back(std::to_string(now_ / day_minutes + 1) + " "
                             + to_string(s));
  say(n.role.name + ": " + to_string(s) + " (" + why + ")");
}

void uptime_mesh::apply_policy(node& n) {
  const auto held = held_by(n.id);
  if (n.is == standing::evacuate && n.verdict.must_go && held == 0)
    become(n, standing::excluded, "empty");
  if (n.role.lies_about_itself)
    return; // it does nothing of this
  const auto as = o_.policy.enforce ? n.is : standing::normal;
  // Ten seconds of emptiness are less than a minute.
  for (const auto t : {time(), time() + evacuation::empty_for})
    switch (n.policy.on_tick(as, held, t)) {
    case evacuation::step::none:
      break;
    case evacuation::step::begin:
      n.evacuated.begin(false, t);
      if (held > 0)
        say(n.role.name + " begins to move its " + std::to_string(held)
            + " voters away");
      break;
    case evacuation::step::end:
      n.evacuated.cancel();
      say(n.role.name + " keeps the " + std::to_string(held)
          + " voters that it has");
      break;
    case evacuation::step::exclude:
      return leave(n);
    }
}

void uptime_mesh::leave(node& n) {
  const auto e = exclusion_of(n.verdict.week, o_.policy, unix_ms());
  n.left = true;
  n.up = false;
  n.evacuated.cancel();
  rings_->on.set(n.id, false);
  n.until_ms = e.until_unix_ms;
  say(n.role.name + " ends: " + words_of(e));
}

// ---- moves

void uptime_mesh::tick_drain(node& n, drain& d, move_cause why) {
  for (unsigned i = 0; i < drain_steps; ++i) {
    const auto t = time() + i * 2s;
    std::vector<drained_replica> here;
    for (const auto& g : groups_)
      for (const auto& v : g->voters)
        if (v.node == n.id)
          here.push_back(
              {g->id, g->name, false, false, redundancy_of(reached_of(*g))});
    for (const auto& asked : d.on_tick(here, t).ask)
      for (const auto& g : groups_)
        if (g->id == asked)
          d.on_answer(asked, wish(*g, n.id, why), t);
    if (here.empty())
      return;
  }
}

/// The group's leader is asked, as `operator_desk` answers.
operator_answer uptime_mesh::wish(group& g, const node_id& from,
                                  move_cause why) {
  operator_answer a;
  const auto d = judge_departure(standing_of(g, from), from, false);
  switch (d.what) {
  case departure::kind::gone:
    a.progress = operator_progress::done;
    return a;
  case departure::kind::replace:
    if (!g.moving)
      if (const auto to = newcomer(g, from, true))
        begin_copy(g, from, *to, why);
    a.progress = g.moving && g.moving->from == from
                     ? operator_progress::under_way
                     : operator_progress::later;
    return a;
  case departure::kind::wait:
    a.progress = operator_progress::later;
    break;
  default:
    a.progress = operator_progress::refused;
  }
  a.message = d.why;
  return a;
}

void uptime_mesh::begin_copy(group& g, const node_id& from, const node_id& to,
                             move_cause why) {
  std::vector<transfer> running;
  for (const auto& other : groups_)
    if (other->moving)
      running.push_back({other->id, other->leader, other->moving->to.node, 0});
  const transfer wanted{g.id, g.leader, to, 0};
  if (transfers_to_begin({wanted}, running).empty())
    return; // two in, two out
  std::array<std::uint8_t, 16> id{};
  auto number = ++replicas_made_;
  for (std::size_t i = 0; number != 0; ++i, number >>= 8)
    id[i] = static_cast<std::uint8_t>(number);
  g.moving = copy{{to, replica_id{id}}, from, now_ + o_.copy_minutes, why};
}

void uptime_mesh::replace_lost() {
  for (const auto& g : groups_) {
    for (const auto& v : g->voters) {
      const auto& n = at(v.node);
      if (n.up && !n.left)
        g->watch.reached(v);
      else if (leaving(n))
        g->watch.drained(v, time());
      else
        g->watch.unreached(v, time());
    }
    if (g->moving || !at(g->leader).up)
      continue;
    if (const auto due = g->watch.next(time()))
      if (const auto to = newcomer(*g, due->voter.node, due->any_region))
        begin_copy(*g, due->voter.node, *to, move_cause::lost);
  }
}

void uptime_mesh::evict(node& leader) {
  if (!o_.policy.enforce)
    return;
  std::set<node_id> leave;
  for (const auto& n : nodes_)
    if (leaving(*n) || n->left)
      leave.insert(n->id);
  leader.evicting.see(standings_, leave, time());
  if (const auto* e = leader.evicting.running()) {
    for (auto* g : led_by(leader.id))
      if (g->id == e->group && !leader.evicting.hangs(time())
          && wish(*g, e->from, move_cause::evicted).progress
                 != operator_progress::done)
        return;
    return leader.evicting.over(time());
  }
  if (standings_.empty())
    return;
  std::vector<eviction_group> led;
  for (auto* g : led_by(leader.id)) {
    if (g->moving)
      continue;
    eviction_group x{g->id, {}, redundancy_of(reached_of(*g))};
    for (const auto& v : g->voters)
      x.voters.push_back(v.node);
    led.push_back(std::move(x));
  }
  if (const auto e = leader.evicting.next(led, time()))
    for (const auto& g : groups_)
      if (g->id == e->group)
        say("the leader of " + g->name + " moves its voter away from "
            + at(e->from).role.name + ", which doesn't do it itself");
}

void uptime_mesh::bring_home(node& leader) {
  if (const auto* m = leader.home.running()) {
    for (auto* g : led_by(leader.id))
      if (g->id == m->group && g->moving && g->moving->why == move_cause::home)
        return;
    return leader.home.over(time());
  }
  if (now_ % look_for_home != 0)
    return;
  const auto led = led_by(leader.id);
  if (led.empty())
    return;
  const auto all = candidates(true);
  std::vector<homing::seen_member> seen;
  for (const auto& c : all)
    seen.push_back({c, 1});
  leader.home.see(seen, time());
  std::vector<group_id> calm;
  std::set<node_id> busy;
  for (const auto& [id, as] : standings_)
    busy.insert(id);
  for (const auto& n : nodes_)
    if (moves_on(n->planned.notice()) || moves_on(n->evacuated.notice()))
      return;
  for (const auto& g : groups_)
    if (g->moving)
      busy.insert(g->moving->to.node);
  for (auto* g : led) {
    if (g->moving
        || std::any_of(g->voters.begin(), g->voters.end(),
                       [&](const auto& v) { return !at(v.node).up; }))
      return;
    calm.push_back(g->id);
  }
  std::sort(calm.begin(), calm.end());
  const auto turn = leader.home.turn(calm, time());
  if (!turn)
    return;
  for (auto* g : led) {
    if (g->id != *turn)
      continue;
    homing_group h{g->id, g->hash, g->need, {}, {}};
    for (const auto& v : g->voters)
      h.voters.push_back(v.node);
    if (const auto m = leader.home.next(h, all, busy, time()))
      begin_copy(*g, m->from, m->to, move_cause::home);
  }
}

void uptime_mesh::end_copies() {
  for (const auto& g : groups_) {
    if (!g->moving)
      continue;
    const auto m = *g->moving;
    const auto& to = at(m.to.node);
    if (!to.up || to.left || leaving(to) || !at(g->leader).up) {
      g->moving.reset(); // the learner is lost: nothing has changed
      continue;
    }
    if (now_ < m.done)
      continue;
    // One in and one out in a joint change: majorities of both sides.
    std::size_t up = 0;
    for (const auto& v : g->voters)
      up += at(v.node).up ? 1 : 0;
    if (up * 2 <= g->voters.size())
      continue;
    g->moving.reset();
    for (auto& v : g->voters)
      if (v.node == m.from)
        v = m.to;
    if (g->leader == m.from)
      g->leader = m.to.node;
    g->watch.set_voters(g->voters);
    ++moves[static_cast<std::size_t>(m.why)];
    if (m.why == move_cause::evacuated || m.why == move_cause::evicted)
      ++at(m.from).told.policy_moves;
  }
}

void uptime_mesh::check() {
  std::map<node_id, unsigned> away;
  for (const auto& g : groups_) {
    ++group_minutes;
    std::size_t up = 0;
    for (const auto& v : g->voters)
      up += at(v.node).up && !at(v.node).left ? 1 : 0;
    if (up * 2 <= g->voters.size())
      problems.push_back("minute " + std::to_string(now_) + ": " + g->name
                         + " has " + std::to_string(up) + " of "
                         + std::to_string(g->voters.size()) + " voters");
    if (g->voters.size() != g->need.voters)
      problems.push_back("minute " + std::to_string(now_) + ": " + g->name
                         + " has lost a voter");
    if (g->moving && g->moving->why == move_cause::evacuated
        && ++away[g->moving->from] > 1)
      problems.push_back("minute " + std::to_string(now_)
                         + ": two groups at once move away from "
                         + at(g->moving->from).role.name);
  }
}

std::vector<uptime_mesh::node_report> uptime_mesh::report() const {
  std::map<node_id, observer_tally> words;
  for (const auto& n : nodes_)
    for (const auto& [day, result] : n->results)
      for (const auto& o : result.observers) {
        words[o.observer].counted += o.counted;
        words[o.observer].contradicted += o.contradicted;
      }
  std::vector<node_report> out;
  for (const auto& n : nodes_) {
    auto r = n->told;
    if (const auto w = words.find(n->id); w != words.end()) {
      r.counted = w->second.counted;
      r.contradicted = w->second.contradicted;
    }
    r.is = n->is;
    r.week = n->verdict.week;
    r.voters = held_by(n->id);
    r.gone = n->left;
    out.push_back(std::move(r));
  }
  return out;
}

} // namespace banyan::sim
