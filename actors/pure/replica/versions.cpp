// Which version of the app runs here, how that changes without a failed call,
// and how its turns fare.
#include "actors/pure/replica/impl.hpp"

namespace banyan {
namespace {

constexpr duration health_window = 60s;

} // namespace

std::uint64_t replica_core::impl::version() const {
  return tables_.versions ? tables_.versions->now.number : config_.base_version;
}

bool replica_core::impl::host_up() const {
  return hosts_up_.count(version()) != 0;
}

void replica_core::impl::set_features(std::uint64_t number, feature_bits bits,
                                      time_point now) {
  if (!raft_ || !may_propose())
    return end_change(number, false, "not the leader");
  if (!knows(config_.features, bits))
    return end_change(number, false, "this node doesn't know those itself");
  propose_for(number, replica::features_entry{tables_.features | bits}, now);
}

/// The order is done once the entry is committed.
void replica_core::impl::propose_for(std::uint64_t number,
                                     replica::entry_body body, time_point now) {
  const auto index = propose(std::move(body), now);
  if (!index)
    return end_change(number, false, "leadership is being handed over");
  gate_item item;
  item.change = number;
  gate_[*index].push_back(std::move(item));
}

/// Why the order can't be carried out; empty: `out` is the row that it leaves.
std::string replica_core::impl::row_after(version_order& o,
                                          group_versions& out) const {
  using kind = version_order::kind;
  const auto& row = tables_.versions;
  if (!knows(tables_.features, feature::versions))
    return "the group's log asks for no such entries yet";
  if (o.what == kind::record) {
    if (row)
      return "the group has a version already";
    out.now = std::move(o.edition);
    return out.now.number == config_.base_version ? "" : "another one runs";
  }
  if (!row)
    return "the group has no version yet";
  out = *row;
  const auto too_low = [&](std::uint32_t state_version) {
    return tables_.written && tables_.written->state_version > state_version;
  };
  const auto no_way_back = [&](const char* what) {
    return std::string{what} + ": state version "
           + std::to_string(tables_.written->state_version)
           + " was written at index "
           + std::to_string(tables_.written->index.value());
  };
  if (o.what == kind::take) {
    if (o.edition.number <= row->now.number || o.edition.number == row->refused)
      return "a later version runs, or this one was refused before";
    if (too_low(o.edition.state_version))
      return no_way_back("can't take it");
    out.former.reset();
    if (o.watched)
      out.former = std::move(out.now);
    out.now = std::move(o.edition);
    return {};
  }
  if (o.what == kind::go_back) {
    if (!row->former)
      return "there is no version to go back to";
    if (too_low(row->former->state_version))
      return no_way_back("can't go back");
    out.now = std::move(*out.former);
  }
  out.former.reset();
  if (o.refused != 0) {
    out.refused = o.refused;
    out.why = std::move(o.why);
  }
  return {};
}

void replica_core::impl::set_version(std::uint64_t number, version_order order,
                                     time_point now) {
  if (!raft_ || !may_propose())
    return end_change(number, false, "not the leader");
  if (switching_)
    return end_change(number, false, "its version is changing already");
  switching s;
  s.number = number;
  s.entry.written = order.what == version_order::kind::record && order.written;
  auto why = row_after(order, s.entry.versions);
  if (!why.empty())
    return end_change(number, false, std::move(why));
  const auto next = s.entry.versions.now.number;
  if (next == version())
    return propose_for(number, std::move(s.entry), now);
  if (hosts_up_.count(next) == 0)
    return end_change(number, false, "its host isn't up here");
  s.until = now + config_.version_patience;
  switching_ = std::move(s);
}

/// No turn begins any more; once none runs, the entry goes ahead of the next.
void replica_core::impl::step_version(time_point now) {
  if (!switching_ || (turns_out() && now < switching_->until))
    return;
  auto s = std::move(*switching_);
  switching_.reset();
  const auto& to = s.entry.versions.now;
  if (turns_out())
    end_change(s.number, false, "turns run for too long: later");
  else if (hosts_up_.count(to.number) == 0)
    end_change(s.number, false, "its host has ended");
  else if (tables_.written && tables_.written->state_version > to.state_version)
    end_change(s.number, false, "a later state version was written meanwhile");
  else
    propose_for(s.number, std::move(s.entry), now);
  regather(); // what was held back runs on whichever version it is now
}

/// A host has a command, or its result waits for its last rows. What waits for
/// a host that is down crosses over with the group.
bool replica_core::impl::turns_out() const {
  return std::any_of(runs_.begin(), runs_.end(), [](const auto& r) {
    return !r.second->is_query && (r.second->launched || r.second->finishing);
  });
}

/// A turn that writes, under a state version in which nothing was written yet.
std::uint32_t
replica_core::impl::first_write(const replica::turn_entry& t) const {
  if (!tables_.versions || (!t.state && t.rows.empty()))
    return 0;
  const auto now = tables_.versions->now.state_version;
  return tables_.written && tables_.written->state_version >= now ? 0 : now;
}

void replica_core::impl::note_version(time_point) {
  if (!whole() || failed_)
    return;
  if (version() != version_ran_) {
    version_ran_ = version();
    if (health_) {
      health_->recent.add(health_->earlier);
      health_->seen.before = health_->recent;
      health_->seen.now.clear();
      health_->recent.clear();
      health_->earlier.clear();
    }
    regather(); // what waits for a host waits for another one now
  }
  const bool young = (!version_told_ || young_told_) && newborn();
  const bool sure = tables_.versions && tables_.versions_index() <= committed_;
  if (version_told_ == tables_.version_changes && young == young_told_
      && sure == sure_told_)
    return;
  version_told_ = tables_.version_changes;
  young_told_ = young;
  sure_told_ = sure;
  version_changed told;
  told.versions = tables_.versions;
  told.written = tables_.written;
  told.features = tables_.features;
  told.committed = sure;
  told.newborn = young;
  out_.emplace_back(std::move(told));
}

/// As it was made: a log from its first entry on, without a turn.
bool replica_core::impl::newborn() const {
  const auto& log = raft_->log();
  if (log.base().index != log_index{} || tables_.sessions.size() != 0
      || log.last_index().value() > 16)
    return false;
  for (auto i = log_index{1}; i <= log.last_index(); i = i.next()) {
    replica::entry e;
    if (log.at(i).kind == entry_kind::command
        && (!replica::decode(log.at(i).data.view(), e)
            || std::holds_alternative<replica::turn_entry>(e.body)))
      return false;
  }
  return true;
}

void replica_core::impl::regather() {
  if (!host_up())
    return;
  std::vector<std::uint64_t> waiting; // `gather` may give a run a new number
  for (const auto& [number, r] : runs_)
    if (!r->launched && !r->finishing)
      waiting.push_back(number);
  for (const auto number : waiting)
    if (const auto it = runs_.find(number); it != runs_.end())
      gather(*it->second);
}

void replica_core::impl::hand_out_turns(time_point now) {
  if (launching_.empty())
    return;
  for (const auto& o : launching_)
    if (const auto it = runs_.find(o.key.number); it != runs_.end())
      it->second->launched_at = now;
  out_.emplace_back(
      order_turns{launching_version_, std::exchange(launching_, {})});
}

// ---- how turns fare ---------------------------------------------------------

version_health replica_core::impl::health(time_point now) const {
  version_health out;
  if (health_) {
    out = health_->seen;
    out.recent = health_->recent;
    out.recent.add(health_->earlier);
  }
  out.version = version();
  for (const auto& [number, r] : runs_)
    if (r->launched && r->launched_at != time_point{})
      out.longest = std::max(out.longest, now - r->launched_at);
  return out;
}

void replica_core::impl::note_turn(const run& r, const turn_result& result,
                                   time_point now) {
  if (r.host != version())
    return; // of the version before
  auto& h = health_log_now(now);
  const auto took = std::max(now - r.launched_at, duration{});
  const bool failed = result.outcome == turn_outcome::failed
                      || result.outcome == turn_outcome::newer_state;
  for (auto* to : {&h.seen.now, &h.recent}) {
    ++to->turns;
    to->failed += failed ? 1 : 0;
    to->took(took);
  }
}

void replica_core::impl::note_crash(time_point now) {
  auto& h = health_log_now(now);
  ++h.seen.now.crashes;
  ++h.recent.crashes;
}

replica_core::impl::health_log&
replica_core::impl::health_log_now(time_point now) {
  if (!health_) {
    health_ = std::make_unique<health_log>();
    health_->since = now;
  }
  auto& h = *health_;
  h.seen.version = version();
  if (now - h.since >= health_window) {
    h.earlier = now - h.since >= 2 * health_window ? turn_health{} : h.recent;
    h.recent.clear();
    h.since = now;
  }
  return h;
}

} // namespace banyan
