// Which peer a call is given to: who led its group, or who is quick; and when
// an overload is worth another try.
#include "actors/client/client_core.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr duration overload_pause_min = std::chrono::milliseconds{10};

} // namespace

// ---- calls that any peer may answer -----------------------------------------

bool client_core::is_spread(const pending& c) {
  return c.what == purpose::call && c.frame.kind == client_call_kind::query
         && (c.frame.max_staleness.has_value() || c.frame.key.empty());
}

void client_core::peers_changed(time_point now) {
  std::vector<balanced_instance> there;
  for (const auto& p : peers_) {
    balanced_instance i;
    i.node = p.node;
    there.push_back(i);
  }
  spread_.set(there, now);
}

void client_core::begin_attempt(pending& c, const node_id& at, time_point now) {
  if (!is_spread(c))
    return;
  c.spread.emplace_back(at, ++attempts_);
  spread_.began(attempts_, at, now);
}

void client_core::end_attempt(pending& c, const node_id& at, balanced_end how,
                              time_point now, duration retry_after) {
  for (auto i = c.spread.begin(); i != c.spread.end(); ++i)
    if (i->first == at) {
      spread_.ended(i->second, how, now, retry_after);
      c.spread.erase(i);
      return;
    }
}

client_core::peer* client_core::choose(const pending& c, time_point now) {
  const auto may = [&](const peer& p) {
    return !has_node(c.asked, p.node) && !has_node(c.not_here, p.node);
  };
  if (is_spread(c)) {
    std::set<node_id> tried{c.asked.begin(), c.asked.end()};
    tried.insert(c.not_here.begin(), c.not_here.end());
    if (const auto node = spread_.choose(tried, now))
      if (auto* p = find(*node); p != nullptr && !p->silent && may(*p))
        return p;
  } else if (const auto leader = leader_for(c.frame); !leader.is_none()) {
    if (auto* p = find(leader); p != nullptr && !p->silent && may(*p))
      return p;
  }
  for (const bool silent : {false, true})
    for (auto& p : peers_)
      if (p.silent == silent && may(p))
        return &p;
  return nullptr;
}

bool client_core::has_node(const std::vector<node_id>& list,
                           const node_id& node) {
  return std::find(list.begin(), list.end(), node) != list.end();
}

// ---- overload ---------------------------------------------------------------

/// Nothing ran: the same call may come again, when there is room.
bool client_core::repeat_overload(std::uint64_t id, const reply& r,
                                  time_point now) {
  auto& c = calls_.at(id);
  const auto pause =
      std::max(r.retry_after.value_or(duration{}), overload_pause_min);
  if (c.overloads >= overloads_max || overload_budget_ < 1
      || now + pause >= c.until)
    return false;
  overload_budget_ -= 1;
  ++c.overloads;
  c.retry_at = now + pause;
  alarms_.push({c.retry_at, id});
  return true;
}

} // namespace banyan
