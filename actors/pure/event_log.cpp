#include "actors/pure/event_log.hpp"

#include "actors/host/json.hpp"
#include "base/assert.hpp"

#include <algorithm>
#include <utility>

namespace banyan {
namespace {

constexpr double heard_per_second = 50;
constexpr double heard_at_once = 500;
/// Nodes whose events are remembered as heard.
constexpr std::size_t speakers_max = 20'000;

std::size_t size_of(const mesh_event& e) {
  return sizeof(mesh_event) + e.kind.size() + e.app.size() + e.text.size();
}

} // namespace

const char* to_string(event_kind k) noexcept {
  switch (k) {
  case event_kind::member_joined:
    return "member_joined";
  case event_kind::member_alive:
    return "member_alive";
  case event_kind::member_suspect:
    return "member_suspect";
  case event_kind::member_dead:
    return "member_dead";
  case event_kind::member_left:
    return "member_left";
  case event_kind::failover:
    return "failover";
  case event_kind::deployed:
    return "deployed";
  case event_kind::updated:
    return "updated";
  case event_kind::removed:
    return "removed";
  case event_kind::undeleted:
    return "undeleted";
  case event_kind::conflict:
    return "conflict";
  case event_kind::region_unverified:
    return "region_unverified";
  case event_kind::region_verified:
    return "region_verified";
  case event_kind::node_probation:
    return "node_probation";
  case event_kind::node_held:
    return "node_held";
  case event_kind::node_evacuated:
    return "node_evacuated";
  case event_kind::node_excluded:
    return "node_excluded";
  case event_kind::node_readmitted:
    return "node_readmitted";
  case event_kind::observer_disagrees:
    return "observer_disagrees";
  case event_kind::policy_changed:
    return "policy_changed";
  case event_kind::node_unlisted:
    return "node_unlisted";
  case event_kind::node_refused:
    return "node_refused";
  case event_kind::policy_conflict:
    return "policy_conflict";
  case event_kind::leadership_moved:
    return "leadership_moved";
  case event_kind::replica_added:
    return "replica_added";
  case event_kind::replica_removed:
    return "replica_removed";
  case event_kind::replica_replaced:
    return "replica_replaced";
  case event_kind::replica_given_up:
    return "replica_given_up";
  case event_kind::state_lost:
    return "state_lost";
  case event_kind::state_rebuilt:
    return "state_rebuilt";
  case event_kind::quarantined:
    return "quarantined";
  case event_kind::states_differ:
    return "states_differ";
  case event_kind::row_damaged:
    return "row_damaged";
  case event_kind::row_mended:
    return "row_mended";
  case event_kind::log_damaged:
    return "log_damaged";
  case event_kind::host_failed:
    return "host_failed";
  case event_kind::host_slow:
    return "host_slow";
  case event_kind::poisoned:
    return "poisoned";
  case event_kind::parked:
    return "parked";
  case event_kind::unparked:
    return "unparked";
  case event_kind::stopped:
    return "stopped";
  case event_kind::started:
    return "started";
  case event_kind::module_fetched:
    return "module_fetched";
  case event_kind::module_refused:
    return "module_refused";
  case event_kind::rollout_began:
    return "rollout_began";
  case event_kind::rollout_paused:
    return "rollout_paused";
  case event_kind::rollout_ended:
    return "rollout_ended";
  case event_kind::rolled_back:
    return "rolled_back";
  case event_kind::drain_began:
    return "drain_began";
  case event_kind::drain_ended:
    return "drain_ended";
  case event_kind::peer_started:
    return "peer_started";
  case event_kind::peer_stops:
    return "peer_stops";
  case event_kind::disk_full:
    return "disk_full";
  case event_kind::secret_missing:
    return "secret_missing";
  case event_kind::keys_taken:
    return "keys_taken";
  case event_kind::keys_refused:
    return "keys_refused";
  case event_kind::backup_taken:
    return "backup_taken";
  case event_kind::restored:
    return "restored";
  case event_kind::recovered:
    return "recovered";
  case event_kind::instance_started:
    return "instance_started";
  case event_kind::instance_stopped:
    return "instance_stopped";
  case event_kind::instance_gave_way:
    return "instance_gave_way";
  case event_kind::voter_goes_home:
    return "voter_goes_home";
  case event_kind::evacuation_began:
    return "evacuation_began";
  case event_kind::evacuation_ended:
    return "evacuation_ended";
  case event_kind::excluded:
    return "excluded";
  case event_kind::readmitted:
    return "readmitted";
  case event_kind::events_left_out:
    return "events_left_out";
  }
  return "unknown";
}

bool is_told(event_kind k) noexcept {
  return k >= event_kind::leadership_moved;
}

bool is_event_kind(std::string_view word) noexcept {
  return !word.empty() && word.size() <= mesh_event::kind_bytes_max
         && std::all_of(word.begin(), word.end(), [](char c) {
              return (c >= 'a' && c <= 'z') || c == '_';
            });
}

std::string one_line(std::string_view text, std::size_t most) {
  const bool cut = text.size() > most;
  std::string out{text.substr(0, most)};
  if (cut) // at a character's border
    while (!out.empty()
           && (static_cast<unsigned char>(text[out.size()]) & 0xC0U) == 0x80U)
      out.pop_back();
  for (auto& c : out)
    if (static_cast<unsigned char>(c) < 0x20U || c == 0x7F)
      c = '?';
  return out;
}

std::string event_json(const mesh_event& e) {
  std::string out = "{\"number\":" + std::to_string(e.number)
                    + ",\"at_unix_ms\":" + std::to_string(e.at_unix_ms)
                    + ",\"node\":\"" + to_string(e.node) + "\",\"kind\":";
  append_json_string(out, e.kind);
  out += ",\"app\":";
  if (e.app.empty())
    out += "null";
  else
    append_json_string(out, e.app);
  out += ",\"shard\":" + (e.shard ? std::to_string(*e.shard) : "null");
  out += ",\"about\":" + (e.about ? "\"" + to_string(*e.about) + "\"" : "null");
  out += ",\"text\":";
  append_json_string(out, e.text);
  out += "}";
  return out;
}

bool ration::take(time_point now) {
  if (!left_) {
    left_ = most_;
  } else {
    const std::chrono::duration<double> since = now - at_;
    left_ = std::min(most_, *left_ + rate_ * since.count());
  }
  at_ = now;
  if (*left_ < 1)
    return false;
  *left_ -= 1;
  return true;
}

const mesh_event& event_log::keep(mesh_event e, std::int64_t unix_ms) {
  const auto by_clock =
      static_cast<std::uint64_t>(std::max<std::int64_t>(unix_ms, 0))
      * numbers_per_ms;
  e.number = newest_ = std::max(newest_ + 1, by_clock);
  bytes_ += size_of(e);
  events_.push_back(std::move(e));
  while (events_.size() > 1
         && (events_.size() > events_max || bytes_ > bytes_max)) {
    bytes_ -= size_of(events_.front());
    events_.pop_front();
  }
  return events_.back();
}

const mesh_event& event_log::add(event_kind k, mesh_event e,
                                 std::int64_t unix_ms) {
  e.kind = to_string(k);
  e.node = self_;
  e.at_unix_ms = unix_ms;
  e.text = one_line(e.text, mesh_event::text_bytes_max);
  return keep(std::move(e), unix_ms);
}

bool event_log::may_tell(time_point now) {
  if (own_.take(now))
    return true;
  ++untold_;
  return false;
}

std::uint64_t event_log::take_untold() {
  return std::exchange(untold_, 0);
}

bool event_log::hear(const node_id& from, mesh_event e, std::int64_t unix_ms,
                     time_point now) {
  if (e.node != from || from == self_)
    return false;
  auto at = speakers_.find(from);
  if (at == speakers_.end()) {
    if (speakers_.size() >= speakers_max)
      speakers_.clear();
    at = speakers_.emplace(from, speaker{0, {heard_per_second, heard_at_once}})
             .first;
  }
  auto& s = at->second;
  if (e.number <= s.newest || !s.left.take(now))
    return false;
  s.newest = e.number;
  keep(std::move(e), unix_ms);
  return true;
}

std::deque<mesh_event>::const_iterator
event_log::first_after(std::uint64_t after) const {
  if (after > newest_)
    return events_.begin();
  return std::upper_bound(
      events_.begin(), events_.end(), after,
      [](std::uint64_t n, const mesh_event& e) { return n < e.number; });
}

} // namespace banyan
