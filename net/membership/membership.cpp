#include "net/membership/membership.hpp"

#include "net/membership/detail/state.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

constexpr std::ptrdiff_t probes_max = 8; // of this node's own

joiner::limits join_limits(const membership_config& cfg) {
  joiner::limits l;
  l.members_max = cfg.members_max;
  l.believed_max = cfg.admissions_burst;
  return l;
}

} // namespace

const char* to_string(member_state s) noexcept {
  switch (s) {
  case member_state::alive:
    return "alive";
  case member_state::suspect:
    return "suspect";
  case member_state::dead:
    return "dead";
  case member_state::left:
    return "left";
  }
  return "?";
}

const char* to_string(evidence e) noexcept {
  switch (e) {
  case evidence::end_of_stream:
    return "end_of_stream";
  case evidence::reset:
    return "reset";
  case evidence::refused:
    return "refused";
  case evidence::restarted:
    return "restarted";
  case evidence::silence:
    return "silence";
  }
  return "?";
}

membership::state::state(membership_config config, random_source& random,
                         time_point now)
    : cfg_{std::move(config)}, random_{random}, self_{cfg_.key.id()},
      started_{now}, book_{self_, cfg_.mesh, cfg_}, health_{cfg_.liveness},
      join_{self_, cfg_.mesh, *cfg_.verify, random_, join_limits(cfg_)},
      pages_{page_giver::limits{}}, said_{self_} {
  own_.node = self_;
  own_.boot = cfg_.boot;
  own_.region = cfg_.region;
  own_.zone = cfg_.zone;
  own_.target = cfg_.target;
  own_.tier = cfg_.tier;
  own_.capacity = cfg_.capacity;
  own_.features = cfg_.features;
  if (!cfg_.advertise.empty())
    own_.address = cfg_.advertise;
  else if (!cfg_.listen.is_wildcard())
    own_.address = cfg_.listen;
  if (cfg_.settled)
    restore_settled(now);
  else
    restore(now);
}

membership::state::peer& membership::state::peer_of(const node_id& node) {
  return peers_.try_emplace(node, cfg_.liveness).first->second;
}

membership::state::peer* membership::state::find_peer(const node_id& node) {
  const auto i = peers_.find(node);
  return i == peers_.end() ? nullptr : &i->second;
}

/// What an earlier boot knew. Its own disk is trusted to hold what this node
/// verified, but not to be whole: anything odd is left out.
void membership::state::restore(time_point now) {
  reader r{cfg_.persisted_members};
  if (cfg_.persisted_members.empty())
    return;
  if (r.array(2) != 2 || r.uint() != members_version) {
    damaged_.emplace();
    return;
  }
  const auto count = r.array(cfg_.members_max);
  std::size_t kept = 0;
  for (auto n = count; n > 0 && r.ok(); --n) {
    member_document d;
    if (!member_document::decode(r, d) || !cfg_.verify->genuine(d, cfg_.mesh))
      continue;
    ++kept;
    if (d.record.node == self_) {
      restored_ = d.record.incarnation;
      raise(restored_);
      if (d.admitted && cfg_.verify->genuine(*d.admitted, cfg_.mesh, self_))
        book_.put_trusted(std::move(d)); // for its admission; signed anew soon
      continue;
    }
    book_.put_trusted(std::move(d));
  }
  if (kept < count || !r.done())
    damaged_ = members_damaged{kept, count - kept};
  cfg_.persisted_members = {};
  begin_with_members(now);
}

void membership::state::restore_settled(time_point now) {
  BANYAN_ASSERT(cfg_.settled->order == cfg_.order);
  book_.put_settled(*cfg_.settled);
  cfg_.settled.reset();
  if (const auto* mine = book_.find(self_)) {
    restored_ = mine->record().incarnation;
    if (mine->record().boot == cfg_.boot) {
      own_ = mine->record();
      cfg_.disk_incarnation = wanted_ = pending_ = restored_;
    } else {
      raise(restored_);
    }
  }
  begin_with_members(now);
}

void membership::state::begin_with_members(time_point now) {
  joined_ = book_.size() > 1;
  if (links_all())
    book_.each([&](const node_id& node, const auto&) {
      if (node != self_)
        peer_of(node).since = now;
    });
}

void membership::state::start(time_point now, membership_effects& out) {
  started_ = now;
  digest_at_ = now + cfg_.digest_interval;
  revisit_at_ = now + cfg_.revisit_interval;
  seek_at_ = now + cfg_.liveness.grace;
  if (running()) { // settled members: this boot goes on
    out.emplace_back(incarnation_ready{own_.incarnation});
    begin_links(now, out);
    return;
  }
  raise(cfg_.disk_incarnation);
  if (damaged_)
    out.emplace_back(*damaged_);
  // The incarnation was on disk before any record with it.
  if (cfg_.disk_incarnation < restored_) {
    rolled_back_told_ = true;
    out.emplace_back(rolled_back{restored_});
  }
}

/// Asks for an incarnation above `above`; `finish` does it when it may.
void membership::state::raise(incarnation above) {
  if (wanted_ <= above)
    wanted_ = above.next();
}

void membership::state::incarnation_persisted(incarnation value, time_point now,
                                              membership_effects& out) {
  if (value != pending_)
    return;
  pending_ = incarnation{};
  const bool first = !running();
  own_.incarnation = value;
  own_.number = 0;
  out.emplace_back(incarnation_ready{value});
  sign_own();
  // Reports of the incarnation before count for nothing now.
  report_number_ = 0;
  for (auto& [node, p] : peers_)
    reconcile_report(node, p, now);
  if (!first) {
    ++counters_.refutations;
    return;
  }
  begin_links(now, out);
}

void membership::state::begin_links(time_point now, membership_effects& out) {
  tend_seeds(false, out);
  for (auto& [node, p] : peers_) {
    p.since = now;
    want(node, out);
  }
  wired_ = 0; // now there is somebody to have neighbours
}

/// A new number for the own record, signed and on its way to everybody.
void membership::state::sign_own() {
  ++own_.number;
  auto d = member_document::make(cfg_.key, cfg_.mesh, own_);
  if (const auto* before = book_.find(self_))
    d.admitted = before->document().admitted;
  book_.put_trusted(std::move(d));
  flood_record(self_, self_);
  members_dirty_ = true;
  count_dirty_ = true;
}

void membership::state::set_own(std::uint8_t tier,
                                const node_capacity& capacity) {
  if (own_.tier == tier && own_.capacity == capacity)
    return;
  own_.tier = tier;
  own_.capacity = capacity;
  if (running())
    sign_own();
}

void membership::state::set_doubts(std::vector<member_doubt> doubts) {
  BANYAN_ASSERT(doubts.size() <= member_record::doubts_max);
  if (own_.doubts == doubts)
    return;
  own_.doubts = std::move(doubts);
  if (running())
    sign_own();
}

std::vector<node_id> membership::state::observers(const node_id& node) const {
  std::vector<node_id> out;
  const auto& rings = book_.on_rings();
  if (rings.full())
    book_.each([&](const node_id& other, const auto&) {
      if (book_.observes(other, node))
        out.push_back(other);
    });
  else if (rings.has(node))
    for (const auto& o : rings.observers(node))
      if (o != node)
        out.push_back(o);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void membership::state::leave(time_point now, membership_effects& out) {
  if (!running() || leaving_)
    return;
  leaving_ = true;
  own_.word = member_word::left;
  sign_own();
  for (auto& [node, p] : peers_)
    if (p.link)
      send_news(node, p, now, out);
}

/// A record in this node's own name. One with another boot id means an older
/// disk, or a copied one.
void membership::state::own_record_met(const member_document& d,
                                       const address& seen, bool pushed,
                                       time_point now,
                                       membership_effects& out) {
  const auto& r = d.record;
  if (r.boot == cfg_.boot) {
    const auto* mine = book_.find(self_);
    if (running() && mine != nullptr && !mine->document().admitted && d.admitted
        && is_member(d.admitted->sponsor)
        && cfg_.verify->genuine(*d.admitted, cfg_.mesh, self_)) {
      auto admitted = mine->document();
      admitted.admitted = d.admitted;
      book_.put_trusted(std::move(admitted));
      members_dirty_ = true;
    }
    return;
  }
  if (r.incarnation < own_.incarnation && !pushed)
    return; // an earlier life of this very disk
  if (!cfg_.verify->genuine(d, cfg_.mesh)) {
    ++counters_.signatures_bad;
    return;
  }
  if (cfg_.disk_incarnation < r.incarnation && rolled_back_at_ == never
      && !rolled_back_told_) {
    rolled_back_by_ = r.incarnation;
    rolled_back_at_ = now + clone_patience;
    out.emplace_back(rolled_back_suspected{});
  }
  if (own_.incarnation <= r.incarnation)
    raise(r.incarnation);
  if (now < cloned_look_at_)
    return;
  cloned_look_at_ = now + membership_patience;
  look_for_clone(r.address, out);
  if (seen != r.address)
    look_for_clone(seen, out);
}

void membership::state::look_for_clone(const address& at,
                                       membership_effects& out) {
  // Those that others asked for don't count: they must not hide a clone.
  const auto own =
      std::count_if(probes_.begin(), probes_.end(),
                    [](const auto& p) { return p.second.asked_by.is_none(); });
  if (at.empty() || at.is_wildcard() || own >= probes_max)
    return;
  probes_.emplace(++token_, probe{node_id{}, 0, at});
  out.emplace_back(probe_address{token_, at});
}

bool membership::state::looks_for_clone() const {
  return std::any_of(probes_.begin(), probes_.end(),
                     [](const auto& p) { return p.second.asked_by.is_none(); });
}

void membership::state::tell_rolled_back(time_point now,
                                         membership_effects& out) {
  if (rolled_back_at_ == never || cloned_told_
      || (now < rolled_back_at_ && looks_for_clone()))
    return;
  rolled_back_at_ = never;
  rolled_back_told_ = true;
  out.emplace_back(rolled_back{rolled_back_by_});
}

void membership::state::own_key_met(const boot_id& boot, const address& at,
                                    membership_effects& out) {
  if (boot == cfg_.boot || cloned_told_)
    return;
  cloned_told_ = true;
  out.emplace_back(cloned{own_.address, at});
}

void membership::state::probed(std::uint64_t token,
                               const result<probe_answer, dial_error>& answer,
                               membership_effects& out) {
  const auto i = probes_.find(token);
  if (i == probes_.end())
    return;
  const auto p = i->second;
  probes_.erase(i);
  if (p.asked_by.is_none()) {
    if (answer && answer->node == self_)
      own_key_met(answer->boot, p.at, out);
    return;
  }
  const auto* asker = find_peer(p.asked_by);
  if (asker == nullptr || !asker->link)
    return;
  const bool reached =
      answer && answer->node == p.asked_by && answer->boot == asker->link->boot;
  send(p.asked_by, dial_back_result_message{p.their_token, reached}, out);
}

/// A wildcard listen advertises nothing until somebody has dialled it.
void membership::state::learn_address(const node_id& from, const address& seen,
                                      membership_effects& out) {
  auto* p = find_peer(from);
  if (!own_.address.empty() || seen.empty() || dial_back_token_ != 0
      || p == nullptr || !p->link || !p->link->dialled)
    return;
  dial_back_token_ = random_.next() | 1U;
  dial_back_at_ = {seen.host, cfg_.listen.port};
  dial_back_sent_ = p->dial_back_asked = now_;
  send(from, dial_back_message{dial_back_token_, dial_back_at_}, out);
}

void membership::state::begin(time_point now) {
  now_ = now;
  const auto deaf = health_.observe(due_, now);
  if (deaf == duration{})
    return;
  ++counters_.stalls;
  for (auto& [node, p] : peers_) {
    p.life.credit(deaf, now);
    p.since = std::min(p.since + deaf, now);
  }
}

void membership::state::tick(time_point now, membership_effects& out) {
  if (!running())
    return;
  watch(now, out);
  step_joining(now, out);
  if (!full())
    ask_about_newcomers(now, out);
  if (digest_at_ <= now) {
    digest_at_ = now + cfg_.digest_interval;
    std::vector<node_id> linked;
    for (auto& [node, p] : peers_) {
      if (!p.link)
        continue;
      if (p.applicant)
        take_applicant(node, p, now, out);
      if (is_member(node))
        linked.push_back(node);
    }
    retry_waiting(now, out);
    look_at_ranges();
    if (!linked.empty())
      send_summary(linked[random_.below(linked.size())], out);
    tend_newcomers(now, out);
    revisit(now, out);
    seek(now, out);
    look_after_reach(now, out);
    tend_seeds(!linked.empty(), out);
    if (!links_all())
      forget_strangers(out);
    if (!full())
      keep_evidence();
  }
}

void membership::state::finish(time_point now, membership_effects& out) {
  // What the rings say of this node may make it report, and a report counts.
  while (count_dirty_
         || (wired_ != book_.on_rings().version() && !join_.taking())) {
    if (count_dirty_) {
      changed_at_ = now;
      recount(now, out);
    }
    if (!join_.taking())
      rewire(now, out);
  }
  tell_rolled_back(now, out);
  if (own_.incarnation < wanted_ && pending_ < wanted_
      && raised_at_ + cfg_.refute_interval <= now && !leaving_) {
    raised_at_ = running() ? now : long_ago; // a boot refutes nothing
    pending_ = wanted_;
    out.emplace_back(persist_incarnation{pending_});
  }
  if (running()) {
    for (auto& [node, p] : peers_)
      if (p.link && p.has_news() && p.news_sent + flood_interval() <= now)
        send_news(node, p, now, out);
    persist(now, out);
  }
  due_ = std::max(next_due(), now); // what is overdue is not yet late
}

time_point membership::state::next_due() const {
  auto due = never;
  if (own_.incarnation < wanted_ && pending_ < wanted_ && !leaving_)
    due = raised_at_ + cfg_.refute_interval;
  if (!running())
    return due;
  due = std::min({due, digest_at_, watch_due(), joining_due()});
  if (!full())
    due = std::min(due, ask_newcomers_due());
  if (!cloned_told_)
    due = std::min(due, rolled_back_at_);
  for (const auto& [node, p] : peers_)
    if (p.link && p.has_news())
      due = std::min(due, p.news_sent + flood_interval());
  due = std::min(due, persist_due());
  return due;
}

} // namespace banyan::net
